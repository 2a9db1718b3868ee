// The puzzles: their signs, what a cell looks like and is called, and how a puzzle is edited and sent to the server.
// A grid is an array of lines, each a string with one sign per cell: "." is a blank or an open cell.

const DIGITS = "123456789ABCDEFG";
const BOXES = { 4: [2, 2], 6: [2, 3], 9: [3, 3], 16: [4, 4] };
const NAMES = { "#": "wall", ".": "open", S: "start", G: "goal", o: "path" };

const blank = (height, width) => Array.from({ length: height }, () => ".".repeat(width));
const percent = (part) => `${Math.round(100 * part)} %`;

export const sudoku = {
  name: "sudoku",
  label: "Sudoku",
  textLabel: "81 characters in one line or in nine lines, with a dot or 0 for a blank. 4x4, 6x6 and 16x16 work too.",
  keys: "Arrow keys move, digits fill in, Space clears. Ctrl+V pastes a whole puzzle.",
  empty: (height, width) => blank(height, width),
  start: () => blank(9, 9),
  widest: () => "100cqi",
  // The API has digits as numbers.
  send: (grid) => grid.map((line) => [...line].map((sign) => DIGITS.indexOf(sign) + 1)),
  receive: (grid) => grid.map((row) => row.map((digit) => (digit ? DIGITS[digit - 1] : ".")).join("")),
  fixed(row, column, height) {
    const [boxHeight, boxWidth] = BOXES[height];
    const marks = [];
    if (row === height - 1) marks.push("last-bottom");
    else if ((row + 1) % boxHeight === 0) marks.push("edge-bottom");
    if (column === height - 1) marks.push("last-right");
    else if ((column + 1) % boxWidth === 0) marks.push("edge-right");
    return marks;
  },
  look(given, sign, sure) {
    const text = sign === "." ? "" : sign;
    if (given !== "." && given === sign) return { text, classes: ["given"], label: `${sign}, given` };
    if (!text) return { text, classes: [], label: "blank" };
    return { text, classes: ["made"], label: sure === undefined ? sign : `${sign}, ${percent(sure)} sure`, sure };
  },
  pad: (height) => [...DIGITS.slice(0, height)].map((sign) => ({ sign, label: sign })).concat({ sign: ".", label: "Clear cell" }),
  padLabel: "Digits for the selected cell",
  /** The sign that a key stands for, or null. */
  sign(key, height) {
    if ([" ", "0", ".", "Backspace", "Delete"].includes(key)) return ".";
    return key.length === 1 && DIGITS.slice(0, height).includes(key.toUpperCase()) ? key.toUpperCase() : null;
  },
  good: "Checked: every row, column and box holds each digit once, and every given digit is kept.",
  bad: "The marked cells break the rules.",
};

export const maze = {
  name: "maze",
  label: "Maze",
  textLabel: "A line of characters for each row: # wall, . open, S start, G goal.",
  keys: "Draw with the mouse or a finger. Arrow keys move; Space uses the tool; #, period, S and G set a cell.",
  empty: (height, width) => ends(blank(height, width)),
  start: () => ends(blank(12, 12)),
  // At most four fifths of the window high: a finger on the board draws, so scrolling needs room beside it.
  widest: (height, width) => `min(${Math.max(width * 2.6, 16)}rem, ${(80 * width) / height}vh)`,
  send: (grid) => grid,
  receive: (grid) => grid.map((line) => line.replaceAll("o", ".")),
  fixed: () => [],
  look(given, sign, sure) {
    const known = sign in NAMES ? NAMES[sign] : "open";
    const label = sure === undefined || given !== "." ? known : `${known}, ${percent(sure)} sure`;
    return { text: "SG".includes(sign) ? sign : "", classes: [known], label, sure };
  },
  pad: () => [{ sign: "#", label: "Walls" }, { sign: "S", label: "Start" }, { sign: "G", label: "Goal" }],
  padLabel: "Drawing tool",
  sign(key) {
    if (["Backspace", "Delete", "0"].includes(key)) return ".";
    return "#.SG".includes(key.toUpperCase()) && key.length === 1 ? key.toUpperCase() : null;
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

/** The grid cut or extended to another size. */
export function resized(puzzle, grid, height, width) {
  if (puzzle.name === "sudoku") return puzzle.empty(height, width);
  let cut = blank(height, width).map((line, row) => ((grid[row] ?? "").slice(0, width) + line).slice(0, width));
  for (const sign of "SG") {
    if (cut.some((line) => line.includes(sign))) continue;
    cut = put(cut, [0, height * width - 1].find((cell) => !"SG".includes(cut.join("")[cell])), sign);
  }
  return cut;
}
