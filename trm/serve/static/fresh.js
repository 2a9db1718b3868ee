// New puzzles: a Sudoku is an example under a random symmetry, a maze is random walls with a long enough way.

import { BOXES, DIGITS } from "./puzzles.js";

const TRIES = 200; // random mazes to try
const WALLS = 0.36; // share of a random maze's cells

const random = (count) => Math.floor(Math.random() * count);

function shuffled(list) {
  const made = [...list];
  for (let last = made.length - 1; last > 0; last--) {
    const other = random(last + 1);
    [made[last], made[other]] = [made[other], made[last]];
  }
  return made;
}

/** The same Sudoku under a random symmetry: digits renamed, rows and columns moved within and among bands, turned. */
export function another(grid) {
  const size = grid.length;
  const [boxHeight, boxWidth] = BOXES[size];
  const names = shuffled(DIGITS.slice(0, size));
  const lines = (side) => shuffled(range(size / side)).flatMap((band) => shuffled(range(side)).map((line) => band * side + line));
  const [rows, columns] = [lines(boxHeight), lines(boxWidth)];
  const moved = rows.map((row) => columns.map((column) => grid[row][column]));
  const turned = boxHeight === boxWidth && random(2) ? columns.map((_, at) => moved.map((line) => line[at])) : moved;
  return turned.map((line) => line.map((sign) => (sign === "." ? sign : names[DIGITS.indexOf(sign)])).join(""));
}

const range = (count) => Array.from({ length: count }, (_, at) => at);

/** A maze of random walls. Of several, the one with the longest way is taken as soon as the way is long enough. */
export function freshMaze(height, width) {
  const wanted = Math.min(height + width, 60);
  let best = null;
  for (let tried = 0; tried < TRIES && !(best?.length >= wanted); tried++) {
    const cells = range(height * width).map(() => (Math.random() < WALLS ? "#" : "."));
    const start = random(cells.length);
    cells[start] = ".";
    const far = distances(cells, width, start);
    const goal = far.indexOf(Math.max(...far));
    if (far[goal] > (best?.length ?? 0)) {
      cells[start] = "S";
      cells[goal] = "G";
      best = { length: far[goal], cells };
    }
  }
  best ??= { cells: range(height * width).map((at) => (at === 0 ? "S" : at === height * width - 1 ? "G" : ".")) };
  return range(height).map((row) => best.cells.slice(row * width, (row + 1) * width).join(""));
}

/** Moves from a cell to every other one; -1 where there is no way. */
function distances(cells, width, start) {
  const far = cells.map(() => -1);
  far[start] = 0;
  for (const queue = [start]; queue.length;) {
    const cell = queue.shift();
    const column = cell % width;
    const around = [cell - width, cell + width, ...(column ? [cell - 1] : []), ...(column < width - 1 ? [cell + 1] : [])];
    for (const next of around) {
      if (cells[next] !== "." || far[next] !== -1) continue;
      far[next] = far[cell] + 1;
      queue.push(next);
    }
  }
  return far;
}
