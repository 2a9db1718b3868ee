// A task that is known by its model: a grid of numbers, or of signs that the task gives them.

import { SURE, marks } from "./looks.js";
import { percent, verdicts } from "./puzzles.js";

const FIRST = 0xe000; // the page has one character for a cell: the first one, for the first value; "." is the blank
const MOST_MARKS = 16; // values, for which there is room in a cell
const MOST_BUTTONS = 36;

/** The puzzle of a task, as the server describes it. */
export function numbers(task) {
  const { name, values, blank, checkable, shape, side } = task;
  const anySize = !task.sizes.length;
  const signOf = (value) => (value === blank ? "." : String.fromCharCode(FIRST + values.findIndex((one) => one.value === value)));
  const valueOf = (sign) => (sign === "." ? values.find(({ value }) => value === blank) : values[sign.charCodeAt(0) - FIRST]);
  const symbols = task.symbols.length <= MOST_MARKS ? task.symbols.map((value) => valueOf(signOf(value))) : [];
  const across = Math.ceil(Math.sqrt(symbols.length));
  const receive = (grid) => grid.map((row) => [...row].map(signOf).join(""));
  const first = blank === null ? signOf(values[0].value) : ".";
  const empty = (height = shape[0], width = shape[1]) => Array.from({ length: height }, () => first.repeat(width));
  const fits = (height, width) => (anySize ? Math.max(height, width) <= side : height === shape[0] && width === shape[1]);
  const spoken = (value) => (value.text && value.text !== String(value.value) ? `${value.value} (${value.text})` : String(value.value));
  // An answer is about the first layer of a question; the others stay in sight.
  const plain = values.filter(({ value }) => !task.unit || value < task.unit);
  const rest = (value) => (task.unit ? value - (value % task.unit) : 0);
  const onto = (given, sign) => {
    if (!task.unit || given === undefined || rest(valueOf(sign).value)) return sign; // an answer may be wrong, and is shown as it is
    return signOf(valueOf(sign).value + rest(valueOf(given).value));
  };
  const isBlank = (sign) => blank !== null && valueOf(sign).value - rest(valueOf(sign).value) === blank;
  const longest = Math.max(1, ...values.map(({ text }) => text.length));
  return {
    ...verdicts,
    ...(checkable ? {} : unchecked),
    name,
    style: "numbers lined",
    label: name,
    textLabel: `${shape[0]} lines of ${shape[1]} ${typeof values[0].value === "number" ? "numbers, separated by spaces" : "characters"}`
      + `${blank === null ? "" : "; a dot for an unknown cell"}.${anySize ? " Other sizes work too." : ""}`,
    keys: `Arrow keys move, the values' own keys fill in,${blank === null ? "" : " Space clears,"} Enter solves, Ctrl+Z goes back. Paste a whole puzzle anywhere.`,
    anySize,
    clears: blank !== null,
    empty,
    resized: (grid, height, width) => empty(height, width).map((line, row) => ((grid[row] ?? "").slice(0, width) + line).slice(0, width)),
    isEmpty: (grid) => blank !== null && grid.every((line) => /^\.*$/.test(line)),
    start: () => empty(),
    widest: (height, width) => `min(100cqi, ${width * (2.6 + 0.6 * longest)}rem, ${(85 * width) / height}vh)`,
    send: (grid) => {
      const rows = grid.map((line) => [...line].map((sign) => valueOf(sign).value));
      return typeof values[0].value === "number" ? rows : rows.map((row) => row.join(""));
    },
    receive,
    shown: receive,
    write: (grid) => `${grid.length}x${grid[0].length}.${[...grid.join("")].map((sign) => (sign === "." ? "." : sign.charCodeAt(0) - FIRST)).join("_")}`,
    read(text) {
      const [, down, across, rest] = text.match(/^(\d{1,3})x(\d{1,3})\.(.*)$/) ?? [];
      const [height, width] = [Number(down), Number(across)];
      if (!rest || !fits(height, width)) return null;
      const cells = rest.split("_").map((one) => (one === "." && blank !== null ? "." : /^\d{1,3}$/.test(one) && one < values.length ? String.fromCharCode(FIRST + Number(one)) : ""));
      if (cells.length !== height * width || cells.includes("")) return null;
      return Array.from({ length: height }, (_, row) => cells.slice(row * width, (row + 1) * width).join(""));
    },
    fixed: (row, column, height, width) => [row === height - 1 ? "last-bottom" : "", column === width - 1 ? "last-right" : ""],
    look(given, answer, sure, chances) {
      const sign = onto(given, answer);
      const { text, colour } = valueOf(sign);
      const called = spoken(valueOf(sign));
      if (sign === ".") return { text, colour, classes: [], label: "blank" };
      if (sure === undefined) return { text, colour, classes: [given === sign ? "given" : "made"], label: called };
      if (given === sign && !isBlank(given)) return { text, colour, classes: ["given"], label: `${called}, given` };
      const open = sure < SURE && symbols.length ? marks(chances) : [];
      const candidates = open.map(({ value, chance }) => ({ text: symbols[value - 1].text, place: value - 1, chance }));
      const others = candidates.map((one) => one.text).filter((one) => one !== text);
      const label = `${called}, ${percent(sure)} sure${others.length ? `, or ${others.join(", ")}` : ""}`;
      return { text, colour: candidates.length ? "" : colour, classes: ["made"], label, sure, candidates };
    },
    places: () => [Math.ceil(symbols.length / (across || 1)), across || 1],
    /** What a cell becomes where this sign is put: the layers of its question that are not edited stay. */
    merged(now, sign) {
      const found = onto(now, sign);
      return found === now && sign === "." ? "." : found;
    },
    pad: () => (plain.length > MOST_BUTTONS ? [] : plain.map((one) => ({
      sign: signOf(one.value), label: one.value === blank ? "Clear cell" : spoken(one), text: one.text, colour: one.colour }))),
    padLabel: "Values for the selected cell",
    /** The sign that a key stands for, or null. now: the sign in the cell, which another digit makes longer. */
    sign(key, _, now) {
      const known = (text) => plain.find(({ value }) => String(value) === text);
      const typed = task.unit ? valueOf(now).value % task.unit : valueOf(now).value;
      const found = known(`${typed}${key}`) ?? known(key) ?? known(key.toUpperCase());
      if (found) return signOf(found.value);
      return blank !== null && [" ", ".", "Backspace", "Delete"].includes(key) ? "." : null;
    },
    nothing: "An empty board has very many answers: give some numbers",
    good: "Checked: every declared rule is obeyed.",
    bad: "The marked cells break the rules.",
    vague: "It breaks the rules.", // where the task names no cells
  };
}

/** Where no rules are known, the network alone says how good its answer is. */
const unchecked = {
  solved: (spent, _, { confidence }) => `Answered in ${spent}. No rules are known to check it by; the network is ${percent(confidence)} sure.`,
  unsolved: (spent, _, { confidence }) => `Not certain after ${spent}: the network is only ${percent(confidence)} sure of this, its best attempt.`,
};
