// A supervision step as the page shows it.

import { glow } from "./looks.js";

/**
 * The frame of a step of solving a puzzle. before: the frame before it; work: {seed, steps, began}, what it is part of;
 * offer: what is said of the task.
 */
export function frameOf(step, puzzle, before, work, { starts, seconds }) {
  const number = work.steps + step.number;
  const spent = Math.round((performance.now() - work.began) / 1000);
  const title = [`step ${number}`];
  if (step.start) title.push(`start ${step.start + 1} of ${starts}`);
  if (spent) title.push(`${spent} of ${seconds} s`);
  const cells = step.cells.flat();
  return {
    grid: puzzle.shown(step.grid),
    cells: step.cells,
    candidates: step.candidates,
    glow: puzzle.glows ? glow(step.memory, before.number > work.steps && before.start === step.start ? before.glow : null) : undefined,
    sure: cells.reduce((sum, one) => sum + one, 0) / cells.length,
    title: title.join(", "),
    start: step.start,
    number,
  };
}
