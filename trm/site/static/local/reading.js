// Reads the puzzle of a request and says what is wrong with it, as the server does.

import { mazeCells, mazeFaults, mazeGrid, readMazes } from "./maze_text.js";
import { BadPuzzle, Problem, TwoReadings } from "./problem.js";
import { DIGITS, SUDOKUS } from "./sudoku.js";
import { readSudokus, sudokuCells, sudokuFaults, sudokuGrid } from "./sudoku_text.js";
import { leftOut } from "./text.js";

const FORMS = {
  sudoku: { read: readSudokus, cells: sudokuCells, faults: sudokuFaults, grid: sudokuGrid },
  maze: { read: readMazes, cells: mazeCells, faults: mazeFaults, grid: mazeGrid },
};

/** A Sudoku from rows of digits, 0 for a blank. */
function fromRows(rows) {
  if (rows.some((row) => row.length !== rows[0].length)) throw new BadPuzzle("the rows of the puzzle are of different lengths");
  const task = SUDOKUS.get(rows.length);
  if (!task || rows[0].length !== rows.length) {
    throw new BadPuzzle(`a Sudoku has 4, 6, 9 or 16 rows and columns, not the shape (${rows.length}, ${rows[0].length})`);
  }
  const digits = rows.flat();
  const wrong = digits.findIndex((digit) => !(Number.isInteger(digit) && digit >= 0 && digit <= task.size));
  if (wrong >= 0) throw new BadPuzzle(`${task.name(wrong)} is ${digits[wrong]}, not a digit (1-${task.size}) or 0 for a blank`);
  const tokens = digits.map((digit) => digit + 1);
  const clash = task.clash(tokens);
  if (clash) throw new BadPuzzle(clash);
  return { task, puzzles: [{ line: 1, tokens }] };
}

function readText(family, text) {
  const found = FORMS[family].read(text);
  if (family === "sudoku") {
    for (const [number, { line, tokens }] of found.puzzles.entries()) {
      const clash = found.task.clash(tokens);
      if (clash) throw new BadPuzzle(`puzzle ${number + 1} (line ${line}): ${clash}`);
    }
  }
  return found;
}

/** Read the puzzle of a request: {task, question}. side: the largest number of rows or columns of a maze. Throws a BadPuzzle or a Problem. */
export function readBoard(family, puzzle, side) {
  const form = FORMS[family];
  let found;
  try {
    const isRows = Array.isArray(puzzle) && Array.isArray(puzzle[0]);
    found = isRows ? fromRows(puzzle) : readText(family, Array.isArray(puzzle) ? puzzle.join("\n") : String(puzzle));
  } catch (error) {
    if (!(error instanceof BadPuzzle) || error instanceof TwoReadings) throw error;
    const cells = form.cells(puzzle, side);
    throw new BadPuzzle(error.message, cells ? form.faults(cells) : [], cells ? form.grid(cells) : null);
  }
  const { task, puzzles } = found;
  if (puzzles.length !== 1) throw new Problem(`there are ${puzzles.length} puzzles in this text; give one at a time`);
  const most = family === "maze" ? side : DIGITS.length;
  const shape = `${task.height}x${task.width}`;
  if (Math.max(task.height, task.width) > most) throw new Problem(`${shape} cells are too many; at most ${most}x${most} are accepted`);
  return { task, question: Uint8Array.from(puzzles[0].tokens) };
}

/** The result of checking a puzzle, as the server sends it. */
export function checked(family, puzzle, side) {
  const result = { ok: false, message: "", faults: [], note: "", grid: null, arc: null, remarks: [] };
  try {
    const { task, question } = readBoard(family, puzzle, side);
    const remarks = typeof puzzle === "string" ? leftOut(puzzle, family) : [];
    return { ...result, ok: true, note: task.problem(question), grid: task.grid(question), remarks };
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return { ...result, message: error.message, faults: error.faults, grid: error.grid ?? null };
  }
}
