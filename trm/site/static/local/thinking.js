// The loop over supervision steps: restarts with noise and guesses, and what ends the work on a puzzle.

import { Random, hash } from "./random.js";

const MEMORY = 0.8; // weight of earlier steps in the belief

/** What is known of a puzzle so far. */
export class Search {
  best = null; // the answer chosen so far: right by the rules if `until` is "valid", else the most confident
  confidence = -1;
  valid = false;
  right = false;
  steps = 0;
  start = 0;
  belief = null; // [cells, symbols], probabilities weighted towards the latest steps; for guesses
  #rank = [];

  /** Record the answer of a step. */
  note(step, until) {
    this.steps += 1;
    this.start = step.start;
    const rank = until === "valid" ? [Number(step.right), Number(step.valid), step.confidence] : [step.confidence];
    if (!exceeds(this.#rank, rank)) {
      this.#rank = rank;
      Object.assign(this, { best: step.tokens, confidence: step.confidence, valid: step.valid, right: step.right });
    }
  }

  weigh(probabilities) {
    this.belief = this.belief ? probabilities.map((now, at) => MEMORY * this.belief[at] + (1 - MEMORY) * now) : probabilities;
  }
}

/** Whether the first list of numbers is above the second, which an empty one never is. */
function exceeds(first, second) {
  for (const [at, number] of first.entries()) if (number !== second[at]) return number > second[at];
  return false;
}

/** The question with `count` of its unknown cells filled in, drawn from the belief [cells, symbols]. */
export function guessed(task, question, belief, firstToken, count, random) {
  const symbols = belief.length / question.length;
  const drawn = question.map((_, cell) => {
    const odds = belief.subarray(cell * symbols, (cell + 1) * symbols);
    let left = random.uniform() * odds.reduce((sum, one) => sum + one, 0);
    const symbol = odds.findIndex((one) => (left -= one) < 0);
    return (symbol < 0 ? symbols - 1 : symbol) + firstToken;
  });
  const filled = task.revealed(question, drawn);
  const unknown = [...question.keys()].filter((cell) => filled[cell] !== question[cell]);
  const asked = question.slice();
  for (const cell of random.shuffled(unknown).slice(0, count)) asked[cell] = filled[cell];
  return asked;
}

/** Work on a question and yield after every step; `search` is kept up to date. how: see `Thinking` in Python. */
export async function* think(model, task, question, search, how, now = () => performance.now() / 1000) {
  const end = now() + (how.seconds ?? Infinity);
  const complete = task.valid(question, question);
  for (let start = 0; start <= how.restarts; start++) {
    const random = new Random(how.seed, hash(question), start);
    const asked = start && how.guesses ? guessed(task, question, search.belief, model.firstToken, how.guesses, random) : question;
    let state = start ? model.start(how.noise, random) : model.start();
    for (let number = 1; number <= how.steps; number++) {
      const outcome = await model.step(state, asked);
      ({ state } = outcome);
      const tokens = complete ? question.slice() : outcome.tokens;
      const valid = task.valid(question, tokens);
      const right = valid && task.right(question, tokens);
      const late = now() >= end;
      const done = { valid: right, sure: outcome.confidence >= how.sure, halt: outcome.halts, end: false }[how.until];
      const over = done || number === how.steps || late;
      const ended = over && (done || start === how.restarts || late);
      if (how.guesses && !start) search.weigh(outcome.probabilities);
      const step = { ...outcome, start, tokens, valid, right, done, ended };
      search.note(step, how.until);
      yield step;
      if (ended) return;
      if (over) break;
    }
  }
}
