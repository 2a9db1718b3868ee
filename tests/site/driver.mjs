// Runs the modules of the site in node. Standard input: a job {do, ...}; standard output: its result, as JSON.
// Arguments: the folder of the modules, and the folder of the runtime.

import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [modules, runtime] = process.argv.slice(2);
const from = (folder, name) => import(pathToFileURL(`${folder}/${name}`));
const local = (name) => from(`${modules}/local`, name);
const job = JSON.parse(readFileSync(0, "utf8"));

async function engine() {
  const ort = await from(runtime, "ort.wasm.min.mjs");
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmBinary = readFileSync(`${runtime}/ort-wasm-simd-threaded.wasm`).buffer;
  const { Engine } = await local("engine.js");
  const models = job.models.map((file) => ({ ...JSON.parse(readFileSync(`${file}.json`)), file }));
  return new Engine(ort, models, ({ file }) => new Uint8Array(readFileSync(`${file}.onnx`)));
}

/** Solve puzzles: of each the messages of all steps, and the answer. */
async function solve() {
  const { think, Search } = await local("thinking.js");
  const { stepMessage, answerMessage } = await local("messages.js");
  const { readBoard } = await local("reading.js");
  const works = await engine();
  const found = [];
  for (const { task: family, puzzle, how } of job.puzzles) {
    const { task, question } = readBoard(family, puzzle, 30);
    const model = await works.model(task);
    const [search, steps] = [new Search(), []];
    let before = question;
    for await (const step of think(model, task, question, search, { ...job.how, ...how })) {
      steps.push({ ...stepMessage(task, step, search.steps, before), halts: step.halts });
      before = step.tokens;
    }
    found.push({ steps, answer: answerMessage(task, question, search) });
  }
  return found;
}

async function check() {
  const { checked } = await local("reading.js");
  return job.puzzles.map(({ task, puzzle }) => checked(task, puzzle, 30));
}

/** Judge answers: {task, question, answer} each, texts in the usual form. */
async function judge() {
  const { readBoard } = await local("reading.js");
  return job.answers.map(({ task: family, question: text, tokens }) => {
    const { task, question } = readBoard(family, text, 30);
    const valid = task.valid(question, tokens);
    return { valid, right: valid && task.right(question, tokens), faults: task.faults(question, tokens), text: task.draw(tokens) };
  });
}

async function random() {
  const { Random } = await local("random.js");
  const draw = (...seeds) => {
    const random = new Random(...seeds);
    return Array.from({ length: job.count }, () => random.normal());
  };
  return { draws: job.seeds.map((seeds) => draw(...seeds)), order: new Random(1).shuffled([...Array(job.count).keys()]) };
}

async function unpack() {
  const { unpack: unpacked } = await local("lzma.js");
  return job.files.map(({ packed, size }) => Buffer.from(unpacked(new Uint8Array(readFileSync(packed)), size)).toString("base64"));
}

async function arc() {
  const { readArc, replay } = await local("recorded.js");
  if (job.puzzle) return readArc(job.puzzle);
  const events = [];
  for await (const event of replay(job.wanted, job.recordings, async () => {})) events.push(event);
  return events;
}

const jobs = { solve, check, judge, random, unpack, arc };
try {
  console.log(JSON.stringify({ result: await jobs[job.do]() }));
} catch (error) {
  if (error.faults === undefined) throw error;
  console.log(JSON.stringify({ problem: error.message }));
}
