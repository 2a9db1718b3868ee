// Steps and answers in the form in which the server sends them.

import { fault } from "./text.js";

const MOST_FAULTS = 100;

const rows = (task, values) => Array.from({ length: task.height }, (_, row) => Array.from(values.slice(row * task.width, (row + 1) * task.width)));
const rounded = (value) => Math.round(1000 * value) / 1000;

/** A step; before: the tokens of the step before. */
export function stepMessage(task, step, number, before) {
  const changed = [...step.tokens.keys()].filter((cell) => step.tokens[cell] !== before[cell]);
  return {
    number,
    start: step.start,
    grid: task.grid(step.tokens),
    valid: step.valid,
    confidence: step.confidence,
    cells: rows(task, step.certain.map(rounded)),
    candidates: task.family === "sudoku" ? candidates(task, step) : null,
    memory: rows(task, step.memory.map((moved) => Number(moved.toPrecision(3)))),
    changed: changed.map((cell) => [Math.floor(cell / task.width) + 1, (cell % task.width) + 1]),
  };
}

/** The probability of each digit in each cell. */
function candidates(task, { probabilities, symbols }) {
  const skipped = symbols - task.size; // tokens before the digits, where the model can answer these
  const cells = Array.from({ length: task.cells }, (_, cell) =>
    Array.from(probabilities.slice(cell * symbols + skipped, (cell + 1) * symbols), rounded));
  return rows(task, cells);
}

export function answerMessage(task, question, search) {
  const faults = search.valid ? [] : task.faults(question, search.best).slice(0, MOST_FAULTS);
  return {
    solved: search.right,
    valid: search.valid,
    confidence: search.confidence,
    steps: search.steps,
    starts: search.start + 1,
    grid: task.grid(search.best),
    text: task.draw(search.best),
    faults: faults.map(({ cell, message }) => fault(task, cell, message)),
  };
}
