// ARC tasks. A page without a server trains no networks: it shows the work that was recorded when the page was built.

import { Problem } from "./problem.js";

const LARGEST = 30; // rows or columns of a grid
const OTHER =
  "This page has no server that could train networks, so it replays recorded work on the examples only; trm serve solves any ARC task.";
const LONGEST = 6000; // milliseconds in which a recording is shown

const isList = (list) => Array.isArray(list) && list.length > 0 && list.length <= LARGEST;
const isColour = (colour) => Number.isInteger(colour) && colour >= 0 && colour <= 9;
const isGrid = (grid) => isList(grid) && grid.every((row) => isList(row) && row.length === grid[0].length && row.every(isColour));

/** An ARC task as the server writes it; throws a Problem for what is none. */
export function readArc(puzzle) {
  let task = puzzle;
  if (typeof puzzle === "string") {
    try {
      task = JSON.parse(puzzle);
    } catch (error) {
      throw new Problem(`this is not JSON: ${error.message}`);
    }
  }
  const part = (name) => {
    const pairs = task?.[name];
    if (!Array.isArray(pairs) || !pairs.length) throw new Problem(`an ARC task is an object with train and test, and ${name} has no pairs`);
    return pairs.map((pair, number) => {
      for (const side of name === "train" ? ["input", "output"] : ["input"]) {
        const what = `a grid is 1 to ${LARGEST} rows of 1 to ${LARGEST} colours, 0 to 9`;
        if (!isGrid(pair?.[side])) throw new Problem(`${name} ${number + 1}, ${side}: ${what}`);
      }
      return { input: pair.input, output: isGrid(pair.output) ? pair.output : null };
    });
  };
  return { train: part("train"), test: part("test") };
}

/** What tells ARC tasks apart: their demonstrations, and their tests without answers. */
function key(puzzle) {
  const { train, test } = readArc(puzzle);
  return JSON.stringify([train.map(({ input, output }) => [input, output]), test.map(({ input }) => input)]);
}

/** The recorded events of solving an ARC task: {name, data}. recordings: [{puzzle, events: [{milliseconds, name, data}]}]. */
export async function* replay(puzzle, recordings, wait) {
  const wanted = key(puzzle);
  const found = recordings.find((one) => key(one.puzzle) === wanted);
  if (!found) throw new Problem(OTHER);
  const whole = found.events.at(-1).milliseconds || 1;
  let passed = 0;
  for (const { milliseconds, name, data } of found.events) {
    const time = (Math.min(whole, LONGEST) * milliseconds) / whole;
    await wait(time - passed);
    passed = time;
    if (name === "progress") yield { name, data: { ...data, doing: `recorded: ${data.doing}` } };
    else yield { name, data: { ...data, message: `Recorded when this page was built, in ${Math.round(data.seconds)} seconds. ${data.message}` } };
  }
}
