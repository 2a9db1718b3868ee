// The page: tabs, editing a puzzle, solving it and showing the result.

import { Problem, check as read, get, watch } from "/api.js";
import { showArc } from "/arc.js";
import { Board } from "/board.js";
import { Player } from "/player.js";
import { maze, put, resized, sudoku } from "/puzzles.js";

const find = (id) => document.getElementById(id);
const TABS = ["sudoku", "maze", "arc"];
const CHECK_AFTER = 250; // milliseconds without an edit

const states = {
  sudoku: { puzzle: sudoku, grid: sudoku.start() },
  maze: { puzzle: maze, grid: maze.start(), tool: "#" },
};
let state = states.sudoku; // the puzzle that is shown
let served; // what the server offers
let examples;
let running = null; // AbortController of the request in progress
let checking = 0;
let asked = 0; // number of the last text or edit; the result of an earlier check is stale
let brush = ".";

const board = new Board(find("board"), { key, paint, drags: () => state.puzzle === maze });
const player = new Player(find, draw);

const info = (name) => served.tasks.find((task) => task.name === name);
const shape = () => [state.grid.length, state.grid[0].length];
const plural = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;

// Showing

/** Show a frame {grid, cells, changed, wrong}, of which only the grid is required. */
function draw(frame) {
  const width = state.grid[0].length;
  const looks = [];
  frame.grid.forEach((line, row) => {
    for (let column = 0; column < width; column++) {
      const number = row * width + column;
      const look = state.puzzle.look(state.grid[row][column], line[column], frame.cells?.[row][column]);
      if (frame.changed?.has(number)) look.classes.push("lit");
      looks.push({ ...look, wrong: frame.wrong?.get(number) });
    }
  });
  board.show(looks);
}

const places = (faults) => new Map(faults.filter((fault) => fault.column).map((fault) =>
  [(fault.row - 1) * state.grid[0].length + fault.column - 1, fault.message]));

/** Show the puzzle being edited, and its faults. */
function drawPuzzle() {
  draw({ grid: state.grid, wrong: places(state.faults ?? []) });
}

/** List the faults in words, each with a button that goes to its cell. */
function blame(message = "", faults = [], note = "") {
  const parts = [];
  if (message) parts.push(element("p", "bad", message));
  if (note) parts.push(element("p", "", `Note: ${note}.`));
  const list = document.createElement("ul");
  for (const fault of faults.slice(0, 8)) {
    const item = document.createElement("li");
    const place = `Row ${fault.row}${fault.column ? `, column ${fault.column}` : ""}: ${fault.message}`;
    const button = element("button", "", place);
    button.type = "button";
    button.addEventListener("click", () => board.focus((fault.row - 1) * board.width + (fault.column ?? 1) - 1));
    item.append(button);
    list.append(item);
  }
  if (faults.length > 8) list.append(element("li", "", `and ${faults.length - 8} more`));
  find("blame").replaceChildren(...parts, ...(faults.length ? [list] : []));
}

function element(tag, classes, text) {
  const made = document.createElement(tag);
  if (classes) made.className = classes;
  made.textContent = text;
  return made;
}

function say(text, mood = "") {
  find("verdict").textContent = text;
  find("verdict").className = mood;
}

// Editing

/** Edit another grid and drop all results of the last one. */
function edit(grid) {
  stop();
  asked += 1;
  const [height, width] = shape();
  Object.assign(state, { grid, faults: [], note: "", tried: false });
  const known = examples.findIndex((example) => example.puzzle === grid);
  find("example").value = known < 0 ? "" : known;
  player.reset(null);
  say("");
  blame();
  if (grid.length !== height || grid[0].length !== width) layOut();
  drawPuzzle();
  clearTimeout(checking);
  checking = setTimeout(check, CHECK_AFTER);
}

async function check() {
  const { grid, puzzle } = state;
  if (puzzle === sudoku && grid.every((line) => /^\.*$/.test(line))) return; // do not complain about an empty board
  try {
    const found = await read({ task: puzzle.name, puzzle: puzzle.send(grid) });
    if (grid === state.grid) showCheck(found);
  } catch (error) {
    if (grid === state.grid && !state.tried) complain(error);
  }
}

function key(cell, event) {
  if (state.puzzle === maze && [" ", "Enter"].includes(event.key)) {
    paint(cell, true);
    return true;
  }
  const sign = state.puzzle.sign(event.key, state.grid.length);
  if (sign !== null) set(cell, sign);
  return sign !== null;
}

function set(cell, sign) {
  const now = state.grid.join("")[cell];
  if (now !== sign && !(state.puzzle === maze && "SG".includes(now))) edit(put(state.grid, cell, sign));
}

/** Use the tool on a cell. The first cell of a stroke decides whether it draws walls or removes them. */
function paint(cell, first) {
  if (state.puzzle !== maze) return;
  if (first) brush = state.tool !== "#" ? state.tool : state.grid.join("")[cell] === "#" ? "." : "#";
  set(cell, brush);
}

/** Show the result of a check, unless an answer is being shown. */
function showCheck(found) {
  state.note = found.note;
  if (state.tried) return; // an answer is shown, or will be
  state.faults = found.faults;
  blame(found.faults.length ? "" : found.message, found.faults, found.note);
  drawPuzzle();
}

/** Read a puzzle from text, and edit it as far as it could be read. */
async function take(text) {
  const { puzzle } = state;
  const mine = (asked += 1);
  find("text-error").textContent = "";
  find("as-text").setAttribute("aria-busy", "true");
  try {
    const found = await read({ task: puzzle.name, puzzle: text });
    if (mine !== asked) return;
    if (found.grid) {
      edit(puzzle.receive(found.grid));
      clearTimeout(checking);
      showCheck(found);
      if (found.ok) find("board").scrollIntoView({ block: "nearest" });
    }
    find("text-error").textContent = found.message;
    if (!found.ok) find("as-text").open = true;
  } catch (error) {
    if (mine === asked) complain(error);
  } finally {
    find("as-text").removeAttribute("aria-busy");
  }
}

// Solving

async function solve() {
  if (running) return stop("Stopped.");
  blame();
  running = new AbortController();
  state.tried = true;
  const mine = running;
  const { grid, puzzle } = state;
  find("solve").textContent = "Stop";
  say("Thinking …");
  if (find("board").getBoundingClientRect().top < 0) find("board").scrollIntoView();
  player.reset({ grid, confidence: 0, title: "the puzzle" });
  try {
    let answer;
    for await (const { name, data } of watch({ task: puzzle.name, puzzle: puzzle.send(grid) }, mine.signal)) {
      if (mine !== running) return;
      if (name === "step") player.add(frameOf(data));
      else answer = data;
    }
    if (!answer) throw new Problem("The connection broke before the answer came.");
    if (mine === running) conclude(answer);
  } catch (error) {
    if (mine !== running) return;
    player.reset(null);
    drawPuzzle();
    say("");
    complain(error);
  } finally {
    if (mine === running) finish();
  }
}

function frameOf(step) {
  const width = step.cells[0].length;
  return {
    grid: shownGrid(step.grid),
    cells: step.cells,
    changed: new Set(step.changed.map(([row, column]) => (row - 1) * width + column - 1)),
    confidence: step.confidence,
    title: step.start ? `step ${step.number}, start ${step.start + 1}` : `step ${step.number}`,
  };
}

const shownGrid = (grid) => (state.puzzle === sudoku ? sudoku.receive(grid) : grid);

/** Show the answer, which the server has checked, and say whether it is right. */
function conclude(answer) {
  const spent = plural(answer.steps, "step") + (answer.starts > 1 ? ` from ${answer.starts} starts` : "");
  const { puzzle } = state;
  if (!answer.valid) {
    const grid = shownGrid(answer.grid);
    player.add({ grid, confidence: answer.confidence, title: "best attempt", wrong: places(answer.faults) });
  }
  say(`Answered after ${spent} …`);
  player.end(() => {
    if (answer.solved) say(`Solved in ${spent}. ${puzzle.good}`, "good");
    else if (answer.valid) say(`Not solved in ${spent}. ${puzzle.longer}`, "bad");
    else say(`Not solved in ${spent}. This is the best attempt. ${puzzle.bad}`, "bad");
    if (!answer.solved) blame("", [], state.note);
  });
}

function complain(error) {
  if (error.name === "AbortError") return;
  if (!(error instanceof Problem)) throw error;
  state.faults = error.faults;
  drawPuzzle();
  blame(error.faults.length ? "" : error.message, error.faults);
}

function stop(message = "") {
  if (!running) return;
  running.abort();
  player.end();
  say(message);
  finish();
}

function finish() {
  running = null;
  find("solve").textContent = "Solve";
}

// Laying out

function layOut() {
  const { puzzle } = state;
  const [height, width] = shape();
  const task = info(puzzle.name);
  find("board").className = puzzle.name;
  find("board").setAttribute("aria-label", `${puzzle.label}, ${height} rows, ${width} columns`);
  find("board").style.setProperty("--widest", puzzle.widest(height, width));
  board.resize(height, width, (row, column) => puzzle.fixed(row, column, height));
  find("keys").textContent = puzzle.keys;
  find("text-label").textContent = puzzle.textLabel;
  find("pad").setAttribute("aria-label", puzzle.padLabel);
  const buttons = puzzle.pad(height).length;
  find("pad").style.setProperty("--across", buttons > 10 ? 9 : buttons);
  find("pad").style.setProperty("--narrow", buttons > 10 ? 6 : buttons > 6 ? Math.ceil(buttons / 2) : buttons);
  find("pad").replaceChildren(...puzzle.pad(height).map(padButton));
  const choices = task.sizes.length > 0;
  for (const [id, shown] of [["size-choice", choices], ["rows-choice", !choices], ["columns-choice", !choices]]) find(id).hidden = !shown;
  fill(find("size"), task.sizes.map(([rows, columns]) => [`${rows}x${columns}`, `${rows} x ${columns}`]));
  find("size").value = `${height}x${width}`;
  for (const [id, value] of [["rows", height], ["columns", width]]) Object.assign(find(id), { value, max: task.side });
}

function padButton({ sign, label }) {
  const button = element("button", "", sign === "." ? "⌫" : label);
  button.type = "button";
  button.setAttribute("aria-label", label);
  if (state.puzzle === maze) button.setAttribute("aria-pressed", String(state.tool === sign));
  button.addEventListener("click", () => {
    if (state.puzzle === sudoku) return set(board.current, sign);
    state.tool = sign;
    find("pad").querySelectorAll("button").forEach((other) => other.setAttribute("aria-pressed", String(other === button)));
  });
  return button;
}

function fill(select, options) {
  select.replaceChildren(...options.map(([value, label]) => Object.assign(document.createElement("option"), { value, textContent: label })));
}

function fillExamples(select, name) {
  const mine = examples.map((example, number) => [number, example]).filter(([, example]) => example.task === name);
  fill(select, [["", "Choose …"], ...mine.map(([number, example]) => [number, example.name])]);
}

function open(name) {
  stop();
  for (const tab of TABS) {
    find(`tab-${tab}`).setAttribute("aria-selected", String(tab === name));
    find(`tab-${tab}`).tabIndex = tab === name ? 0 : -1;
  }
  find("play").hidden = name === "arc";
  find("arc").hidden = name !== "arc";
  history.replaceState(null, "", `#${name}`);
  if (name === "arc") return;
  state = states[name];
  find("play").setAttribute("aria-labelledby", `tab-${name}`);
  const task = info(name);
  find("notice").hidden = task.solves;
  find("notice").textContent = task.solves ? "" : `You can draw here, but not solve yet: ${task.why}.`;
  find("solve").disabled = !task.solves;
  fillExamples(find("example"), name);
  find("text").value = find("text-error").textContent = "";
  layOut();
  edit(state.grid);
}

function pick(select) {
  if (select.value !== "") edit(examples[select.value].puzzle);
}

function listen() {
  find("tabs").addEventListener("click", (event) => event.target.id && open(event.target.id.replace("tab-", "")));
  find("tabs").addEventListener("keydown", (event) => {
    const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!move) return;
    const next = TABS[(TABS.indexOf(event.target.id.replace("tab-", "")) + move + TABS.length) % TABS.length];
    open(next);
    find(`tab-${next}`).focus();
  });
  find("example").addEventListener("change", (event) => pick(event.target));
  find("size").addEventListener("change", (event) => edit(resized(state.puzzle, state.grid, ...event.target.value.split("x").map(Number))));
  for (const id of ["rows", "columns"]) {
    find(id).addEventListener("change", () => {
      const [height, width] = ["rows", "columns"].map((name) => Math.min(Math.max(Math.round(Number(find(name).value)) || 2, 2), info(state.puzzle.name).side));
      edit(resized(state.puzzle, state.grid, height, width));
      layOut();
      drawPuzzle();
    });
  }
  find("solve").addEventListener("click", solve);
  find("clear").addEventListener("click", () => edit(state.puzzle.empty(...shape())));
  find("use").addEventListener("click", () => take(find("text").value));
  find("board").addEventListener("paste", (event) => {
    event.preventDefault();
    find("text").value = event.clipboardData.getData("text");
    take(find("text").value);
  });
  addEventListener("hashchange", () => TABS.includes(location.hash.slice(1)) && open(location.hash.slice(1)));
}

try {
  [served, examples] = await Promise.all([get("tasks"), get("examples")]);
  listen();
  showArc(find, served, examples.filter((example) => example.task === "arc"));
  find("about").textContent = `trm ${served.version}. Everything runs on the machine that serves this page; `
    + `weights: ${served.tasks.filter((task) => task.weights).map((task) => `${task.weights} (${task.name})`).join(", ") || "none"}.`;
  states.sudoku.grid = examples.find((example) => example.task === "sudoku")?.puzzle ?? states.sudoku.grid;
  const [size] = info("maze").sizes; // none: the weights fit any size
  if (size) states.maze.grid = maze.empty(...size);
  open(TABS.includes(location.hash.slice(1)) ? location.hash.slice(1) : "sudoku");
} catch (error) {
  if (!(error instanceof Problem)) throw error;
  find("notice").hidden = false;
  find("notice").textContent = error.message;
}
