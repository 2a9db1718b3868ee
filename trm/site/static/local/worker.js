// The worker that solves: it loads the runtime and the models, and sends an event for every step.

import * as ort from "../runtime/ort.wasm.min.mjs";
import { Engine } from "./engine.js";
import { unpack } from "./lzma.js";
import { answerMessage, stepMessage } from "./messages.js";
import { Problem } from "./problem.js";
import { readBoard } from "./reading.js";
import { Search, think } from "./thinking.js";

const MISSING = "A part of this page could not be loaded. Is there a connection? Then load the page again.";

const at = (path) => new URL(`../${path}`, import.meta.url);

async function fetched(path) {
  const response = await fetch(at(path)).catch(() => null);
  if (!response?.ok) throw new Problem(MISSING);
  return response;
}

async function unpacked({ file, size }) {
  return unpack(new Uint8Array(await (await fetched(file)).arrayBuffer()), size);
}

async function prepare() {
  const data = await (await fetched("data/models.json")).json();
  const [binary, models] = await Promise.all([data.runtime, data.pack].map(unpacked));
  ort.env.wasm.numThreads = 1; // several need headers that a plain host does not send
  ort.env.wasm.wasmBinary = binary.buffer;
  ort.env.logLevel = "error";
  return { data, engine: new Engine(ort, data.models, ({ from, size }) => models.slice(from, from + size)) };
}

let prepared = null; // a promise; made again after a failure

/** Let messages in: the runtime computes a whole step without a pause. */
const pause = new MessageChannel();
const waiting = [];
pause.port1.onmessage = () => waiting.shift()();
const pausing = () => new Promise((resolve) => {
  waiting.push(resolve);
  pause.port2.postMessage(null);
});

const stopped = new Set(); // numbers of requests

async function solve(id, body) {
  prepared ??= prepare();
  const { data, engine } = await prepared.catch((error) => {
    prepared = null;
    throw error instanceof Problem ? error : new Problem(`The runtime does not start here: ${error.message}`);
  });
  const { task, question } = readBoard(body.task, body.puzzle, data.side);
  const options = Object.fromEntries(Object.entries(body).filter(([, value]) => value !== null && value !== undefined));
  const how = { ...data.thinking[body.task], ...options };
  const model = await engine.model(task);
  const search = new Search();
  let before = question;
  for await (const step of think(model, task, question, search, how)) {
    if (stopped.has(id)) return;
    postMessage({ id, name: "step", data: stepMessage(task, step, search.steps, before) });
    before = step.tokens;
    await pausing();
  }
  if (!stopped.has(id)) postMessage({ id, name: "answer", data: answerMessage(task, question, search) });
}

self.onmessage = async ({ data: { id, body, stop } }) => {
  if (stop) {
    stopped.add(id);
    return;
  }
  if (!body) { // be ready for the first puzzle
    prepared ??= prepare();
    prepared.catch(() => (prepared = null));
    return;
  }
  try {
    await solve(id, body);
  } catch (error) {
    const { message, faults = [] } = error;
    postMessage({ id, name: "problem", data: { message: error instanceof Problem ? message : `The work on the puzzle failed: ${message}`, faults } });
  } finally {
    stopped.delete(id);
  }
};
