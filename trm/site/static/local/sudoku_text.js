// Sudokus as text: lines, a line for each row, or drawn boxes. `trm solve` reads more forms; where both read a text, they agree.

import { BadPuzzle, TwoReadings, quoted } from "./problem.js";
import { BLANK, DIGITS, FIRST, SUDOKUS } from "./sudoku.js";
import { fault, filledLines, unevenRows } from "./text.js";

const BLANKS = ".0_*";
const FRAME = /[ \t|¦!\-+=\u2500-\u257f]/g; // what people draw boxes with
const RULED = /[-=─━═╌╍┄┅┈┉]/; // a line with one of these and no digit is part of the drawing
const SIZES = new Map([[16, 4], [36, 6], [81, 9], [256, 16]]); // by cells
const OTHER_BLANKS = [/[xX]/g, /\?/g, /[·•∙⋅]/g, /-/g]; // a text may use one kind and none of BLANKS
const LOST = "; a spreadsheet or a number may have lost leading zeros: write . for blanks, or keep the column as text";

const bare = (text) => text.replace(FRAME, "");

/** The lines with cells in them, without spaces around: no ruled lines. */
function withCells(lines) {
  const stripped = lines.map(({ number, text }) => ({ number, text: text.trim() }));
  return stripped.filter(({ text }) => bare(text) && (!RULED.test(text) || /[\p{L}\p{N}]/u.test(text)));
}

/** The size that the first line shows; 9 where that is unclear. */
function sizeOf(lines) {
  if (!lines.length) return 9;
  const [{ text }] = lines;
  const dashed = SIZES.has(text.length) && new Set(text.match(FRAME) ?? []).size === 1 && text.includes("-");
  const count = dashed ? text.length : bare(text).length;
  if (count === 16) {
    const rest = lines.map((line) => bare(line.text)).filter((row) => [16, 256].includes(row.length)).join("").toUpperCase();
    return [...DIGITS.slice(4)].some((digit) => rest.includes(digit)) ? 16 : 4;
  }
  return [4, 6, 9].includes(count) ? count : (SIZES.get(count) ?? 9);
}

/** A token for each character of cells; those of `row`, which the user wrote, are counted in messages. */
function tokensOf(cells, row, place, task) {
  return Array.from(cells, (sign) => {
    const token = signToken(sign, task);
    if (token !== null) return token;
    const digits = task.size < 10 ? `1-${task.size}` : `1-9, A-${DIGITS[task.size - 1]}`;
    throw new BadPuzzle(`${place}, character ${row.indexOf(sign) + 1}: ${quoted(sign)} is not a digit (${digits}) or a blank (. 0 _ *)`);
  });
}

function signToken(sign, task) {
  if (BLANKS.includes(sign)) return BLANK;
  const digit = task.digits.indexOf(sign.toUpperCase());
  return digit < 0 ? null : digit + FIRST;
}

/** Whether this may be a puzzle of `wanted` cells that was taken for a number. */
function mayHaveLost(cells, wanted) {
  if (/^[0-9][.,]?[0-9]*[eE]\+?[0-9]+$/.test(cells)) return true;
  return cells.length < wanted && cells.length > Math.floor(wanted / 2) && /^[0-9]+$/.test(cells);
}

/** The puzzles of lines, of one line or of `size` lines each: [{line, tokens}]. */
function grids(lines, task) {
  if (!lines.length) throw new BadPuzzle("no puzzle found: the input is empty");
  const found = [];
  let grid = null; // an unfinished one
  for (const { number, text } of lines) {
    // A dash is part of a frame, except in a one-line puzzle of just the right length, where it must be a blank.
    const row = text.length === task.cells ? text.replaceAll("-", ".") : text;
    const cells = bare(row);
    const place = `puzzle ${found.length + 1} (line ${number})`;
    if (found.length && !grid && SIZES.has(cells.length) && ![task.cells, task.size].includes(cells.length)) {
      throw new BadPuzzle(`${place}: ${cells.length} cells instead of ${task.cells}; give puzzles of one size at a time`);
    }
    const tokens = tokensOf(cells, row, `line ${number}`, task);
    if (cells.length === task.size) {
      grid ??= { line: number, tokens: [] };
      grid.tokens.push(...tokens);
    } else if (grid) {
      const lost = mayHaveLost(cells, task.size) ? LOST : "";
      throw new BadPuzzle(`${place}: row ${grid.tokens.length / task.size + 1} has ${cells.length} cells instead of ${task.size}${lost}`);
    } else if (cells.length === task.cells) {
      checkParts(row, place);
      found.push({ line: number, tokens });
    } else {
      const lost = mayHaveLost(cells, task.cells) ? LOST : "";
      throw new BadPuzzle(`${place}: ${cells.length} cells instead of ${task.cells} for a whole puzzle or ${task.size} for one row${lost}`);
    }
    if (grid?.tokens.length === task.cells) {
      found.push(grid);
      grid = null;
    }
  }
  if (grid) {
    const rows = grid.tokens.length / task.size;
    throw new BadPuzzle(`puzzle ${found.length + 1} (line ${grid.line}): the grid ends after ${rows} rows instead of ${task.size}`);
  }
  return found;
}

/** Refuse a whole puzzle in one line with parts of different lengths, as a puzzle and a note have. */
function checkParts(row, place) {
  const parts = row.replace(FRAME, " ").split(" ").filter(Boolean).map((part) => part.length);
  if (new Set(parts).size < 2) return;
  const message = `parts of ${parts.slice(0, 9).join(", ")} cells are one puzzle, or a damaged puzzle and a note; write the cells without spaces`;
  throw new TwoReadings(`${place}: ${message}`);
}

/** Refuse a text in which 0 may be a blank or the last digit. */
function checkZero(lines, task) {
  const text = bare(lines.map((line) => line.text).join("")).toUpperCase();
  if (text.length % task.cells) return;
  const other = [...BLANKS].find((sign) => sign !== "0" && text.includes(sign));
  const last = DIGITS[task.size - 1];
  if (!text.includes("0") || !other || text.includes(last)) return;
  const mend = `write ${other} for every blank and ${last} for the digit`;
  const message = `0 may be a blank, as ${other} is, or the digit ${last}, which is nowhere else; ${mend}`;
  throw new TwoReadings(`line ${lines[0].number}: ${message}`);
}

/** Lines with a comma or a semicolon between each two cells, where an empty field is a blank, without these; null if they are not so. */
function separated(lines) {
  const known = (count) => SUDOKUS.has(count) || SIZES.has(count);
  const split = ({ number, text }) => {
    const fields = text.trim().split(/[,;]/);
    if (!known(fields.length) && !fields.at(-1)) fields.pop();
    return { number, fields };
  };
  const rows = lines.filter((line) => line.text.trim()).map(split);
  const cells = ({ fields }) => fields.map((field) => (["", "null", "None"].includes(field.trim()) ? "." : field.trim()));
  const fits = (row) => known(row.fields.length) && cells(row).every((cell) => cell.length === 1);
  return rows.every(fits) ? rows.map((row) => ({ number: row.number, text: cells(row).join("") })) : null;
}

/** The lines in the usual form, and after it in others: [lines]. */
function* forms(lines) {
  yield withCells(lines);
  const fields = separated(lines);
  if (fields) yield fields;
  const text = lines.map((line) => line.text).join("\n");
  if ([...BLANKS].some((sign) => text.includes(sign))) return;
  for (const signs of OTHER_BLANKS) {
    if (text.match(signs)) yield withCells(lines.map(({ number, text: row }) => ({ number, text: row.replace(signs, ".") })));
  }
  const rows = lines.filter((line) => line.text);
  if (SUDOKUS.has(rows.length) && rows.every((row) => row.text.length === rows.length)) {
    yield rows.map(({ number, text: row }) => ({ number, text: row.replaceAll(" ", ".") }));
  }
}

/** The puzzles of a text: {task, puzzles: [{line, tokens}]}. */
export function readSudokus(text) {
  const lines = filledLines(text);
  if (!lines.some((line) => line.text.trim())) throw new BadPuzzle("no puzzle found: the input is empty");
  let failed = null;
  for (const form of forms(lines)) {
    const task = SUDOKUS.get(sizeOf(form));
    try {
      checkZero(form, task);
      const puzzles = grids(form, task);
      return { task, puzzles };
    } catch (error) {
      if (!(error instanceof BadPuzzle) || error instanceof TwoReadings) throw error;
      failed ??= error;
    }
  }
  throw failed;
}

// Cells at fault

/** The characters of something that is meant as one grid; null if that is unclear. */
export function sudokuCells(puzzle) {
  if (Array.isArray(puzzle) && Array.isArray(puzzle[0])) return puzzle.map((row) => row.map((digit) => `.${DIGITS}`[digit]));
  const all = Array.isArray(puzzle) ? puzzle : puzzle.split(/\r\n|[\n\r]/);
  const lines = all.filter((line) => !line.startsWith("#")).map(bare).filter(Boolean);
  const size = lines.length === 1 ? SIZES.get(lines[0].length) : undefined;
  if (size) return Array.from({ length: size }, (_, row) => [...lines[0].slice(row * size, (row + 1) * size)]);
  return SUDOKUS.has(lines.length) ? lines.map((line) => [...line]) : null;
}

export function sudokuFaults(cells) {
  const task = SUDOKUS.get(cells.length);
  if (!task) return [];
  const uneven = unevenRows(cells, task.size);
  if (uneven.length) return uneven;
  const signs = cells.flat();
  const found = [];
  signs.forEach((sign, cell) => {
    if (signToken(sign, task) === null) found.push(fault(task, cell, `${quoted(sign)} is not a digit (1-${DIGITS[task.size - 1]}) or a blank`));
  });
  const tokens = signs.map((sign) => signToken(sign, task) ?? BLANK);
  return [...found, ...task.clashes(tokens).map(({ cell, message }) => fault(task, cell, message))];
}

export function sudokuGrid(cells) {
  const task = SUDOKUS.get(cells.length);
  if (!task || cells.some((line) => line.length !== cells.length)) return null;
  return cells.map((line) => line.map((sign) => task.digits.indexOf(sign.toUpperCase()) + 1));
}
