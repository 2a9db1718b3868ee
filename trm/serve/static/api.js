// The JSON API of the server. Every failure is thrown as a Problem with one line to show.

export class Problem extends Error {
  constructor(message, faults = []) {
    super(message);
    this.faults = faults; // [{row, column, message}], counted from 1
  }
}

async function call(path, options) {
  let response;
  try {
    response = await fetch(`./api/${path}`, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem("The server does not answer. Is trm serve still running?");
  }
  if (response.ok) return response;
  const refusal = await response.json().catch(() => ({}));
  throw new Problem(refusal.message ?? `The server answered with status ${response.status}.`, refusal.faults);
}

export async function get(path) {
  return (await call(path)).json();
}

async function post(path, body, signal) {
  return call(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), signal });
}

/** A puzzle as it is read, and what is wrong with it. */
export async function check(body) {
  return (await post("check", body)).json();
}

/** The server-sent events of solving a puzzle: {name, data} each. An event named problem is thrown as a Problem. */
export async function* watch(body, signal) {
  const response = await post("watch", body, signal);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read().catch((error) => {
      if (error.name === "AbortError") throw error;
      throw new Problem("The connection broke before the answer came.");
    });
    if (done) return;
    const events = (rest + value).split("\n\n");
    rest = events.pop();
    for (const event of events) {
      const [, name, text] = event.match(/^event: (\w+)\ndata: (.*)$/);
      const data = JSON.parse(text);
      if (name === "problem") throw new Problem(data.message, data.faults);
      yield { name, data };
    }
  }
}
