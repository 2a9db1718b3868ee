// In place of the server's API: the same functions, answered in this browser. Nothing leaves it.

import { Problem } from "./local/problem.js";
import { checked } from "./local/reading.js";
import { readArc, replay } from "./local/recorded.js";

export { Problem };

const MISSING = "A part of this page could not be loaded. Is there a connection? Then load the page again.";

const loaded = new Map(); // path -> a promise of the JSON

function data(path) {
  if (!loaded.has(path)) {
    const found = fetch(new URL(`./data/${path}.json`, import.meta.url)).then((response) => {
      if (!response.ok) throw new Problem(MISSING);
      return response.json();
    });
    loaded.set(path, found.catch((error) => {
      loaded.delete(path);
      throw error instanceof Problem ? error : new Problem(MISSING);
    }));
  }
  return loaded.get(path);
}

/** The tasks or the examples, as the server gives them. */
export async function get(path) {
  return data(path);
}

const side = async () => (await data("tasks")).tasks.find((task) => task.name === "maze").side;

/** A puzzle as it is read, and what is wrong with it. */
export async function check({ task, puzzle }) {
  if (task !== "arc") return checked(task, puzzle, await side());
  try {
    return { ok: true, message: "", faults: [], note: "", grid: null, arc: readArc(puzzle), remarks: [] };
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return { ok: false, message: error.message, faults: [], note: "", grid: null, arc: null, remarks: [] };
  }
}

// Solving

let worker = null;
let requests = 0;
const listeners = new Map(); // number of a request -> what takes its events

function start() {
  if (worker) return worker;
  worker = new Worker(new URL("./local/worker.js", import.meta.url), { type: "module" });
  worker.addEventListener("message", ({ data: event }) => listeners.get(event.id)?.(event));
  worker.addEventListener("error", (event) => {
    event.preventDefault();
    worker = null;
    for (const listen of listeners.values()) listen({ name: "problem", data: { message: MISSING, faults: [] } });
  });
  return worker;
}

const aborted = () => new DOMException("The work was stopped.", "AbortError");

/** Wait for so many milliseconds, unless the signal comes first. */
function wait(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(aborted());
    }, { once: true });
  });
}

/** The events of solving a puzzle: {name, data} each. A problem is thrown. */
export async function* watch(body, signal) {
  if (signal?.aborted) throw aborted();
  if (body.task === "arc") {
    yield* replay(body.puzzle, await data("arc"), (milliseconds) => wait(milliseconds, signal));
    return;
  }
  const limits = (await data("tasks")).limits;
  for (const name of ["steps", "restarts", "noise", "guesses", "seconds"]) {
    if (body[name] > limits[name]) throw new Problem(`${name} is at most ${limits[name]}, not ${body[name]}`);
  }
  yield* events(body, signal);
}

async function* events(body, signal) {
  const id = ++requests;
  const queue = [];
  let wake = () => {};
  listeners.set(id, (event) => {
    queue.push(event);
    wake();
  });
  const stop = () => wake();
  signal?.addEventListener("abort", stop);
  let ended = false;
  try {
    start().postMessage({ id, body });
    for (;;) {
      if (signal?.aborted) throw aborted();
      if (!queue.length) {
        await new Promise((resolve) => (wake = resolve));
        continue;
      }
      const { name, data: content } = queue.shift();
      ended = name === "answer" || name === "problem";
      if (name === "problem") throw new Problem(content.message, content.faults);
      yield { name, data: content };
      if (ended) return;
    }
  } finally {
    signal?.removeEventListener("abort", stop);
    listeners.delete(id);
    if (!ended) worker?.postMessage({ id, stop: true });
  }
}

start().postMessage({}); // so that it is ready for the first puzzle

// Offline

navigator.serviceWorker?.register(new URL("./offline.js", import.meta.url)).catch(() => {}); // without it, the page needs a connection
