// Mazes as text: a line of characters for each row, or a whole maze in a line. `trm solve` reads more forms; where both read a text, they agree.

import { GOAL, MOST, Maze, OPEN, PATH, SIGNS, START } from "./maze.js";
import { BadPuzzle, TwoReadings, quoted } from "./problem.js";
import { fault, numberedLines, unevenRows, withoutHeadings } from "./text.js";

const USUAL = /^[#.SGo\r\n]*$/; // nothing but cells
const BLOCKS = /[█▓▒■▉▮⬛]/g;
const SIDE = 30; // of a maze whose size is unclear
const MARGIN = "this maze can be read in two ways, with spaces as open cells or spaces on the left and right as a margin; write . for open cells";
const MIXED =
  "both dots and spaces may be open cells here, or the spaces are gaps; write . for every open cell and nothing between the cells";

/** The lines of a text in the usual signs. */
function mazeLines(text) {
  if (USUAL.test(text)) return numberedLines(text);
  const plain = withoutHeadings(text);
  const goal = !plain.some((line) => line.text.includes("G"));
  const lines = plain.map(({ number, text: line }) => ({ number, text: line.replace(BLOCKS, "#").replaceAll("E", goal ? "G" : "E") }));
  const rows = lines.filter((line) => line.text.trim());
  const dotted = rows.some((line) => line.text.includes("."));
  if (!dotted || !rows.every((line) => /^(\S )*\S ?$/.test(line.text))) return lines;
  return lines.map(({ number, text: line }) => ({ number, text: line.replace(/(\S) /g, "$1") })); // spaces between the cells
}

/** Refuse spaces that may be something else than open cells. */
function checkSpaces(lines, task, tokens) {
  const rows = lines.filter((line) => line.text.trim());
  if (!rows.some((line) => line.text.includes(" ")) || task.hindrance(tokens)) return;
  if (rows.some((line) => line.text.includes("."))) throw new TwoReadings(`line ${rows[0].number}: ${MIXED}`);
  const margin = [/^ /, / $/].some((space) => rows.every((line) => space.test(line.text)));
  if (margin) throw new TwoReadings(`line ${rows[0].number}: ${MARGIN}`);
}

/** The size of the first maze in lines; 30x30 where that is unclear. */
function sizeOf(lines) {
  const filled = lines.filter((line) => line.text.trim());
  if (!filled.length) return [SIDE, SIDE];
  const lengths = new Map();
  for (const { text } of filled) lengths.set(text.length, (lengths.get(text.length) ?? 0) + 1);
  const [width] = [...lengths].sort(([a, often], [b, oftener]) => oftener - often || b - a)[0];
  const isRow = (line) => line.text.trim() || line.text.length === width;
  const first = lines.findIndex(isRow);
  const gap = lines.findIndex((line, at) => at > first && !isRow(line));
  const rows = lines.slice(first, gap < 0 ? lines.length : gap);
  let height = rows.length;
  if (rows.every((row) => row.text.includes("S") && row.text.includes("G"))) {
    const side = Math.round(Math.sqrt(width));
    if (side > 1 && side ** 2 === width) return [side, side];
    if (side ** 2 === width) return [SIDE, SIDE];
    height = 1;
  }
  const known = rows.every((row) => /^[#.SGo ]*$/.test(row.text));
  return !known && Math.min(height, width) < 2 ? [SIDE, SIDE] : [height, width];
}

function tokensOf(cells, place) {
  return Array.from(cells, (sign, at) => {
    const token = sign === " " ? OPEN : SIGNS.indexOf(sign);
    if (token > 0) return token;
    throw new BadPuzzle(`${place}, character ${at + 1}: ${quoted(sign)} is not a wall (#), an open cell (a space or .), S, G or o (path)`);
  });
}

const endsAfter = (rows, task) => `the maze ends after ${rows} row${rows > 1 ? "s" : ""} instead of ${task.height}`;

function wrongLength(cells, rows, task) {
  const whole = rows ? "" : `${task.cells} for a whole maze or `;
  const spaces = cells < task.width ? "; write . for open cells, since spaces at the end of a line are easily lost" : "";
  return `row ${rows + 1} has ${cells} cells instead of ${whole}${task.width}${spaces}`;
}

/** The mazes of lines, of one line or of `height` lines each, blank lines between them: [{line, tokens}]. */
function grids(lines, task) {
  if (!lines.some((line) => line.text.trim())) throw new BadPuzzle("no maze found: the input is empty");
  const found = [];
  let grid = null; // an unfinished one
  for (const { number, text } of lines) {
    const place = `maze ${found.length + 1} (line ${number})`;
    const rows = grid ? grid.tokens.length / task.width : 0;
    if (!text.trim() && text.length !== task.width) {
      if (grid) throw new BadPuzzle(`${place}: ${endsAfter(rows, task)}`);
      continue;
    }
    const tokens = tokensOf(text, `line ${number}`);
    if (text.length === task.width) {
      grid ??= { line: number, tokens: [] };
      grid.tokens.push(...tokens);
    } else if (text.length === task.cells && !grid) found.push({ line: number, tokens });
    else {
      const other = found.length && !grid ? "; give mazes of one size at a time" : "";
      throw new BadPuzzle(`${place}: ${wrongLength(text.length, rows, task)}${other}`);
    }
    if (grid?.tokens.length === task.cells) {
      found.push(grid);
      grid = null;
    }
  }
  if (grid) throw new BadPuzzle(`maze ${found.length + 1} (line ${grid.line}): ${endsAfter(grid.tokens.length / task.width, task)}`);
  return found;
}

/** The mazes of a text: {task, puzzles: [{line, tokens}]}. Marks (o) are read as open cells. */
export function readMazes(text) {
  const lines = mazeLines(text);
  const [height, width] = sizeOf(lines);
  if (Math.min(height, width) < 2 || Math.max(height, width) > MOST) {
    throw new BadPuzzle(`a maze of ${height}x${width} cells is not supported (2x2 to ${MOST}x${MOST})`);
  }
  const task = new Maze(height, width);
  const puzzles = grids(lines, task).map(({ line, tokens }) => ({ line, tokens: tokens.map((token) => (token === PATH ? OPEN : token)) }));
  checkSpaces(lines, task, puzzles[0].tokens);
  for (const [number, { line, tokens }] of puzzles.entries()) {
    const hindrance = task.hindrance(tokens);
    if (hindrance) throw new BadPuzzle(`maze ${number + 1} (line ${line}): ${hindrance}`);
  }
  return { task, puzzles };
}

// Cells at fault

/** The characters of something that is meant as one grid; null if that is unclear. */
export function mazeCells(puzzle, side) {
  const all = Array.isArray(puzzle) ? puzzle : puzzle.split(/\r\n|[\n\r]/);
  const lines = all.filter((line) => line.trim()).map((line) => line.replaceAll(" ", "."));
  if (lines.length < 2 || Math.max(lines.length, ...lines.map((line) => line.length)) > side) return null;
  return lines.map((line) => [...line]);
}

export function mazeFaults(cells) {
  const lengths = new Map();
  for (const line of cells) lengths.set(line.length, (lengths.get(line.length) ?? 0) + 1);
  const [width] = [...lengths].sort(([, often], [, oftener]) => oftener - often)[0];
  const uneven = unevenRows(cells, width);
  if (uneven.length) return uneven;
  const places = new Map();
  cells.flat().forEach((sign, cell) => places.set(sign, [...(places.get(sign) ?? []), cell]));
  const found = [];
  for (const [sign, where] of places) {
    let message = "";
    if (!SIGNS.slice(1).includes(sign)) message = `${quoted(sign)} is not # (wall), . (open), S or G`;
    else if ("SG".includes(sign) && where.length > 1) message = `there is more than one ${sign}`;
    if (message) found.push(...where.map((cell) => fault({ width }, cell, message)));
  }
  const [start, goal] = [SIGNS[START], SIGNS[GOAL]].map((sign) => places.get(sign) ?? []);
  if (!found.length && start.length === 1 && goal.length === 1) found.push(fault({ width }, goal[0], "no path leads from S to G"));
  return found;
}

export function mazeGrid(cells) {
  if (new Set(cells.map((line) => line.length)).size !== 1) return null;
  return cells.map((line) => line.map((sign) => (SIGNS.slice(1).includes(sign) ? sign : ".")).join(""));
}
