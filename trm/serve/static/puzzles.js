// The puzzles: their signs, what a cell looks like and is called, and how a puzzle is edited and sent to the solver.
// A grid is an array of lines, each a string with one sign per cell: "." is a blank or an open cell.

import { SURE, marks } from "./looks.js";

export const DIGITS = "123456789ABCDEFG";
export const BOXES = { 4: [2, 2], 6: [2, 3], 9: [3, 3], 16: [4, 4] };
const SIGNS = ".#SG"; // of a maze in an address, two bits each
const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"; // three cells each
const NAMES = { "#": "wall", ".": "open", S: "start", G: "goal", o: "path" };

const blank = (height, width) => Array.from({ length: height }, () => ".".repeat(width));
export const percent = (part) => `${Math.round(100 * part)} %`;

/** What solved and unsolved mean where rules check the answer. */
export const verdicts = {
  solved: (spent, { good }) => `Solved in ${spent}. ${good}`,
  unsolved: (spent, { bad, vague }, { faults }) => `Not solved in ${spent}. This is the best attempt. ${faults.length ? bad : vague ?? bad}`,
};

export const sudoku = {
  ...verdicts,
  clears: true,
  resized: (grid, height, width) => blank(height, width),
  name: "sudoku",
  style: "sudoku lined",
  label: "Sudoku",
  textLabel: "81 characters in one line or in nine lines, with a dot or 0 for a blank. 4x4 and 6x6 work too.",
  keys: "Arrow keys move, digits fill in, Space clears, Enter solves, Ctrl+Z goes back. Paste a whole puzzle anywhere.",
  empty: (height, width) => blank(height, width),
  isEmpty: (grid) => grid.every((line) => /^\.*$/.test(line)),
  start: () => blank(9, 9),
  widest: () => "100cqi",
  // The API has digits as numbers.
  send: (grid) => grid.map((line) => [...line].map((sign) => DIGITS.indexOf(sign) + 1)),
  receive: (grid) => grid.map((row) => row.map((digit) => (digit ? DIGITS[digit - 1] : ".")).join("")),
  shown: (grid) => sudoku.receive(grid),
  fixed(row, column, height) {
    const [boxHeight, boxWidth] = BOXES[height];
    const classes = [];
    if (row === height - 1) classes.push("last-bottom");
    else if ((row + 1) % boxHeight === 0) classes.push("edge-bottom");
    if (column === height - 1) classes.push("last-right");
    else if ((column + 1) % boxWidth === 0) classes.push("edge-right");
    return classes;
  },
  /** What a cell looks like. sure: probability of its digit; chances: of every digit. */
  look(given, sign, sure, chances) {
    if (given !== "." && given === sign) return { text: sign, classes: ["given"], label: `${sign}, given` };
    if (sign === ".") return { text: "", classes: [], label: "blank" };
    if (sure === undefined) return { text: sign, classes: ["made"], label: sign };
    const candidates = sure < SURE ? marks(chances).map(({ value, chance }) => ({ text: DIGITS[value - 1], place: value - 1, chance })) : [];
    const others = candidates.filter(({ text }) => text !== sign).map(({ text }) => text);
    const label = `${sign}, ${percent(sure)} sure${others.length ? `, or ${others.join(", ")}` : ""}`;
    return { text: sign, classes: ["made"], label, sure, candidates };
  },
  places: (height) => BOXES[height],
  pad: (height) => [...DIGITS.slice(0, height)].map((sign) => ({ sign, label: sign })).concat({ sign: ".", label: "Clear cell" }),
  padLabel: "Digits for the selected cell",
  /** The sign that a key stands for, or null. */
  sign(key, height) {
    if ([" ", "0", ".", "Backspace", "Delete"].includes(key)) return ".";
    return key.length === 1 && DIGITS.slice(0, height).includes(key.toUpperCase()) ? key.toUpperCase() : null;
  },
  write: (grid) => grid.join(""),
  read(text) {
    const side = Math.sqrt(text.length);
    if (!(side in BOXES)) return null;
    const signs = DIGITS.slice(0, side);
    if (![...text].every((sign) => sign === "." || signs.includes(sign))) return null;
    return Array.from({ length: side }, (_, row) => text.slice(row * side, (row + 1) * side));
  },
  nothing: "An empty board has very many answers: give some digits",
  good: "Checked: every row, column and box is right.",
  bad: "The marked cells break the rules.",
};

export const maze = {
  ...verdicts,
  name: "maze",
  style: "maze",
  anySize: true,
  clears: true,
  resized(grid, height, width) {
    let cut = blank(height, width).map((line, row) => ((grid[row] ?? "").slice(0, width) + line).slice(0, width));
    for (const sign of "SG") {
      if (cut.some((line) => line.includes(sign))) continue;
      cut = put(cut, [0, height * width - 1].find((cell) => !"SG".includes(cut.join("")[cell])), sign);
    }
    return cut;
  },
  draws: true, // a pointer paints, and drags
  glows: true, // where the memory moves
  label: "Maze",
  textLabel: "A line of characters for each row: # wall, . open, S start, G goal.",
  keys: "Draw with the mouse or a finger; drag S and G. Arrow keys move; Space uses the tool; #, period, S and G set a cell; Enter solves.",
  empty: (height, width) => ends(blank(height, width)),
  isEmpty: () => false,
  start: () => ends(blank(12, 12)),
  // At most four fifths of the window high: a finger on the board draws, so scrolling needs room beside it.
  widest: (height, width) => `min(${Math.max(width * 2.6, 16)}rem, ${(80 * width) / height}vh)`,
  send: (grid) => grid,
  receive: (grid) => grid.map((line) => line.replaceAll("o", ".")),
  shown: (grid) => grid, // of an answer
  fixed: () => [],
  look(given, sign, sure) {
    const known = sign in NAMES ? NAMES[sign] : "open";
    const label = sure === undefined || given !== "." ? known : `${known}, ${percent(sure)} sure`;
    return { text: "SG".includes(sign) ? sign : "", classes: [known], label };
  },
  places: () => [1, 1],
  pad: () => [{ sign: "#", label: "Walls" }, { sign: ".", label: "Erase" }, { sign: "S", label: "Start" }, { sign: "G", label: "Goal" }],
  padLabel: "Drawing tool",
  sign(key) {
    if (["Backspace", "Delete", "0"].includes(key)) return ".";
    return "#.SG".includes(key.toUpperCase()) && key.length === 1 ? key.toUpperCase() : null;
  },
  write(grid) {
    const cells = [...grid.join("")].map((sign) => SIGNS.indexOf(sign));
    let text = `${grid.length}x${grid[0].length}.`;
    for (let at = 0; at < cells.length; at += 3) {
      text += LETTERS[cells[at] + 4 * (cells[at + 1] ?? 0) + 16 * (cells[at + 2] ?? 0)];
    }
    return text;
  },
  read(text) {
    const [, height, width, letters] = text.match(/^(\d{1,3})x(\d{1,3})\.([\w-]*)$/)?.map((part, at) => (at === 1 || at === 2 ? Number(part) : part)) ?? [];
    if (!letters || height < 2 || width < 2 || letters.length !== Math.ceil((height * width) / 3)) return null;
    const signs = [...letters].flatMap((letter) => {
      const number = LETTERS.indexOf(letter);
      return [number & 3, (number >> 2) & 3, number >> 4].map((sign) => SIGNS[sign]);
    }).slice(0, height * width).join("");
    if (["S", "G"].some((sign) => signs.split(sign).length !== 2)) return null;
    return Array.from({ length: height }, (_, row) => signs.slice(row * width, (row + 1) * width));
  },
  good: "Checked: the path is unbroken, keeps to open cells, and none is shorter.",
  longer: "Checked: this is a path, but not a shortest one.",
  bad: "This is not a path from start to goal.",
};

/** S and G in opposite corners. */
function ends(grid) {
  return put(put(grid, 0, "S"), grid.length * grid[0].length - 1, "G");
}

/** The grid with another sign in a cell. Start and goal are moved there. */
export function put(grid, cell, sign) {
  const width = grid[0].length;
  const lines = "SG".includes(sign) ? grid.map((line) => line.replaceAll(sign, ".")) : [...grid];
  const [row, column] = [Math.floor(cell / width), cell % width];
  lines[row] = lines[row].slice(0, column) + sign + lines[row].slice(column + 1);
  return lines;
}
