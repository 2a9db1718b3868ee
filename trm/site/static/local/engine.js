// Supervision steps with ONNX: the exported models, one for each size, and what a step says about a puzzle.

import { WALL } from "./maze.js";
import { Problem } from "./problem.js";

/** The exported models of this page. Each is opened when it is first needed. */
export class Engine {
  /** ort: the runtime; models: what model.json says of each; load(about): the bytes of its file. */
  constructor(ort, models, load) {
    Object.assign(this, { ort, models, load });
    this.sessions = new Map();
  }

  /** The model for a task: of its size, or for a maze the smallest that has room for it. */
  async model(task) {
    const fits = ({ family, height, width }) =>
      family === task.family && (family === "maze" ? height >= task.height && width >= task.width : height === task.height && width === task.width);
    const [about] = this.models.filter(fits).sort((one, other) => one.height * one.width - other.height * other.width);
    if (!about) throw new Problem(`this page has no model for a ${task.family} of ${task.height}x${task.width} cells`);
    if (!this.sessions.has(about)) this.sessions.set(about, this.#open(about));
    return new Model(this.ort, await this.sessions.get(about), about, task);
  }

  async #open(about) {
    return this.ort.InferenceSession.create(await this.load(about), { executionProviders: ["wasm"] });
  }
}

export class Model {
  constructor(ort, session, about, task) {
    Object.assign(this, { ort, session, about, task });
    const { height, width } = about;
    this.board = height * width;
    // Where each cell of the task is on the model's board: in its upper left corner.
    this.places = Int32Array.from({ length: task.cells }, (_, cell) => Math.floor(cell / task.width) * width + (cell % task.width));
  }

  get firstToken() {
    return this.about.first_token;
  }

  /** The state before the first step; with noise of that standard deviation if there is any. */
  start(noise = 0, random = null) {
    const part = ({ shape, values }) => {
      const filled = new Float32Array(shape.reduce((product, size) => product * size, 1));
      for (let at = 0; at < filled.length; at++) filled[at] = values[at % values.length] + (noise ? noise * random.normal() : 0);
      return filled;
    };
    return { y: part(this.about.start.y), z: part(this.about.start.z) };
  }

  /** One supervision step on a question: the next state, the answer and what the model believes of it. */
  async step(state, question) {
    const { ort, about } = this;
    const padded = new BigInt64Array(this.board).fill(BigInt(WALL)); // around a maze that is smaller than the board
    this.places.forEach((place, cell) => (padded[place] = BigInt(question[cell])));
    const found = await this.session.run({
      y: new ort.Tensor("float32", state.y, [1, ...about.start.y.shape]),
      z: new ort.Tensor("float32", state.z, [1, ...about.start.z.shape]),
      question: new ort.Tensor("int64", padded, [1, this.board]),
    });
    const after = { y: found.next_y.data, z: found.next_z.data };
    const halt = found.halt.data[0];
    const cells = this.#softmax(found.logits.data, found.logits.dims[2]);
    const tokens = cells.largest.map((symbol) => symbol + this.firstToken);
    const scored = cells.certain.filter((_, cell) => question[cell] !== 0);
    const confidence = scored.reduce((least, one) => Math.min(least, one), 1) / (1 + Math.exp(-Math.max(halt, -80)));
    return { state: after, tokens, ...cells, confidence, halts: halt > about.halt_logit, memory: this.#movement(state, after) };
  }

  /** The likeliest symbol of each cell, its probability, and the probabilities of all: [cells, symbols]. */
  #softmax(logits, symbols) {
    const { cells } = this.task;
    const found = { largest: new Uint8Array(cells), certain: new Float64Array(cells), probabilities: new Float64Array(cells * symbols), symbols };
    this.places.forEach((place, cell) => {
      const row = logits.subarray(place * symbols, (place + 1) * symbols);
      let best = 0;
      for (let symbol = 1; symbol < symbols; symbol++) if (row[symbol] > row[best]) best = symbol;
      let sum = 0;
      for (const logit of row) sum += Math.exp(logit - row[best]);
      for (let symbol = 0; symbol < symbols; symbol++) found.probabilities[cell * symbols + symbol] = Math.exp(row[symbol] - row[best]) / sum;
      found.largest[cell] = best;
      found.certain[cell] = 1 / sum;
    });
    return found;
  }

  /** How far z moved in each cell, as a root mean square; y where the model has no z. */
  #movement(before, after) {
    const part = after.z.some((value, at) => value !== before.z[at]) ? "z" : "y";
    const [now, then] = [after[part], before[part]];
    const tokens = this.about.start[part].shape[0];
    const each = now.length / tokens; // numbers of a token; the cells are the last of the tokens
    return Float64Array.from(this.places, (place) => {
      const from = (tokens - this.board + place) * each;
      let sum = 0;
      for (let at = from; at < from + each; at++) sum += (now[at] - then[at]) ** 2;
      return Math.sqrt(sum / each);
    });
  }
}
