// The page: tabs, editing a puzzle, solving it and showing the result.

import { fromHash, pause, remember, toHash } from "./address.js";
import { Problem, check as read, get, watch } from "./api.js";
import { showArc } from "./arc.js";
import { Board } from "./board.js";
import { another, freshMaze } from "./fresh.js";
import { blame, fill, fillPad, find, introduce, plural, say, share, typing } from "./elements.js";
import { frameOf } from "./frames.js";
import { pathLines } from "./looks.js";
import { Player } from "./player.js";
import { maze, put, sudoku } from "./puzzles.js";
import { numbers } from "./numbers.js";
import { addTabs, mark } from "./tabs.js";

const CHECK_AFTER = 250; // milliseconds without an edit
const NARROW = matchMedia("(max-width: 52rem)");

const states = {
  sudoku: { puzzle: sudoku, grid: sudoku.start() },
  maze: { puzzle: maze, grid: maze.start(), tool: "#" },
};
let state = states.sudoku; // the puzzle that is shown
let served; // what the solver offers
let examples;
let running = null; // {abort, began, seed, steps} of the request in progress
let checking = 0;
let asked = 0; // number of the last text or edit; the result of an earlier check is stale
let brush = ".";

const board = new Board(find("board"), { key, paint, drags: () => state.puzzle.draws });
const player = new Player(find, draw);
const info = (name) => served.tasks.find((task) => task.name === name);
const shape = () => [state.grid.length, state.grid[0].length];

// Showing

/** Show a frame {grid, cells, candidates, glow, wrong}, of which only the grid is required. */
function draw(frame) {
  const [height, width] = shape();
  const looks = frame.grid.flatMap((line, row) => [...line].map((sign, column) => {
    const cell = row * width + column;
    const look = state.puzzle.look(state.grid[row][column], sign, frame.cells?.[row][column], frame.candidates?.[row][column]);
    return { ...look, glow: frame.glow && Math.round(100 * frame.glow[cell]) / 100, wrong: frame.wrong?.get(cell) };
  }));
  board.show(looks, state.puzzle.places(height));
  find("path").firstElementChild.setAttribute("d", state.puzzle === maze ? pathLines(frame.grid) : "");
}

const places = (faults) => new Map(faults.filter((fault) => fault.column).map((fault) =>
  [(fault.row - 1) * state.grid[0].length + fault.column - 1, fault.message]));

/** Show the puzzle being edited, and its faults. */
function drawPuzzle() {
  draw({ grid: state.grid, wrong: places(state.faults ?? []) });
}

const accuse = (message, faults, note) => blame(message, faults, note, (row, column) => board.focus((row - 1) * board.width + column - 1));

// Editing

/** Edit another grid and drop all results of the last one. kept: the address is not changed. */
function edit(grid, kept = false) {
  stop();
  asked += 1;
  const [height, width] = shape();
  Object.assign(state, { grid, faults: [], note: "", tried: false });
  if (!kept) remember(toHash(state.puzzle, grid));
  player.reset(null);
  find("board").classList.remove("done");
  find("more").hidden = true;
  say("");
  accuse();
  if (grid.length !== height || grid[0].length !== width) layOut();
  drawPuzzle();
  clearTimeout(checking);
  checking = setTimeout(check, CHECK_AFTER);
}

/** Show what the address says. -> whether it holds a puzzle */
function follow() {
  const found = fromHash(location.hash, Object.values(states).map(({ puzzle }) => puzzle));
  open(found?.name ?? "sudoku");
  find("undo").disabled = !history.state?.depth;
  pause();
  if (!found?.grid) return false;
  edit(found.grid, true);
  layOut();
  drawPuzzle();
  return true;
}

async function check() {
  const { grid, puzzle } = state;
  if (puzzle.isEmpty(grid)) return; // do not complain about it
  try {
    const found = await read({ task: puzzle.name, puzzle: puzzle.send(grid) });
    if (grid === state.grid) showCheck(found);
  } catch (error) {
    if (grid === state.grid && !state.tried) complain(error);
  }
}

function key(cell, event) {
  if (state.puzzle.draws && event.key === " ") {
    paint(cell, true);
    return true;
  }
  const sign = state.puzzle.sign(event.key, state.grid.length, state.grid.join("")[cell]);
  if (sign !== null) set(cell, sign);
  return sign !== null;
}

function set(cell, wanted) {
  const now = state.grid.join("")[cell];
  const sign = state.puzzle.merged?.(now, wanted) ?? wanted;
  if (now !== sign && !(state.puzzle.draws && "SG".includes(now))) edit(put(state.grid, cell, sign));
}

/** Use a button of the pad: a digit is written, a tool is taken. */
function use(sign) {
  if (state.puzzle.draws) state.tool = sign;
  else set(board.current, sign);
}

/** Use the tool on a cell. The first cell of a stroke decides: S and G are moved, walls are drawn or removed. */
function paint(cell, first) {
  if (!state.puzzle.draws) return;
  const now = state.grid.join("")[cell];
  if (first) brush = "SG".includes(now) ? now : state.tool !== "#" ? state.tool : now === "#" ? "." : "#";
  set(cell, brush);
}

/** Show the result of a check, unless an answer is being shown. */
function showCheck(found) {
  state.note = found.note;
  if (running && found.note && !running.forced) decline();
  if (state.tried) return; // an answer is shown, or will be
  state.faults = found.faults;
  accuse(found.faults.length ? "" : found.message, found.faults, [found.note, ...found.remarks].filter(Boolean).join("; "));
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

/** A new puzzle of the kind that is chosen. */
function renew() {
  if (state.puzzle === maze) return edit(freshMaze(...shape()));
  const { name } = state.puzzle;
  const alike = examples.filter((one) => one.task === name && (name !== "sudoku" || one.name === find("kind").value));
  const { puzzle } = alike[Math.floor(Math.random() * alike.length)];
  edit(name === "sudoku" ? another(puzzle) : state.puzzle.receive(puzzle));
}

// Solving

/**
 * forced: although the puzzle cannot have one answer; seed: other restarts than before, after the frames there are;
 * quiet: the page stays where it is.
 */
async function solve({ forced = false, seed = 0, quiet = false } = {}) {
  if (running) return stop("Stopped.");
  if (find("solve").disabled) return;
  const { grid, puzzle } = state;
  state.tried = true;
  running = { abort: new AbortController(), forced, seed, began: performance.now(), steps: seed ? player.frames.at(-1).number : 0 };
  const mine = running;
  if (!offered()) return decline(`No model here solves ${shape().join("x")}: it has learned ${info(puzzle.name).sizes.map((size) => size.join("x")).join(", ")}`);
  if (puzzle.isEmpty(grid)) return decline(puzzle.nothing);
  if (state.note && !forced) return decline();
  accuse();
  find("more").hidden = true;
  find("board").classList.remove("done");
  find("solve").textContent = "Stop";
  say("Thinking …");
  if (!quiet && (NARROW.matches || find("board").getBoundingClientRect().top < 0)) find("play").scrollIntoView();
  if (seed) player.resume();
  else player.reset({ grid, sure: 0, title: "the puzzle", number: 0, start: 0 });
  try {
    let answer;
    for await (const { name, data } of watch({ task: puzzle.name, puzzle: puzzle.send(grid), seed }, mine.abort.signal)) {
      if (mine !== running) return;
      if (name === "step") player.add(frameOf(data, puzzle, player.frames.at(-1), mine, info(puzzle.name)));
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

const offered = () => {
  const { sizes } = info(state.puzzle.name);
  return !sizes.length || sizes.some(([height, width]) => height === state.grid.length && width === state.grid[0].length);
};

/** Say at once that a puzzle is not worth trying. */
function decline(reason = `Not tried: ${state.note}`) {
  running?.abort.abort();
  player.reset(null);
  drawPuzzle();
  accuse();
  say(`${reason}.`, "bad");
  if (state.note) offerMore("Try anyway", () => solve({ forced: true }));
  finish();
}

function offerMore(words, act) {
  Object.assign(find("more"), { hidden: false, textContent: words, onclick: act });
}

/** Show the answer, which has been checked by the rules, and say whether it is right. */
function conclude(answer) {
  const { puzzle } = state;
  const { steps, seed } = running;
  const spent = plural(steps + answer.steps, "step") + (answer.starts > 1 ? ` from ${answer.starts} starts` : "");
  if (!answer.valid) {
    player.add({ ...player.frames.at(-1), grid: puzzle.shown(answer.grid), cells: undefined, candidates: undefined, glow: undefined, title: "best attempt", wrong: places(answer.faults) });
  }
  say(`Answered after ${spent} …`);
  player.end(() => {
    if (answer.solved) {
      settle();
      return say(puzzle.solved(spent, puzzle, answer), "good");
    }
    if (answer.valid && puzzle.longer) say(`Not solved in ${spent}. ${puzzle.longer}`, "bad");
    else say(puzzle.unsolved(spent, puzzle, answer), "bad");
    accuse("", [], state.note);
    if (info(puzzle.name).starts > 1) offerMore("Keep going", () => solve({ forced: true, seed: seed + 1 }));
  });
}

/** Show that the last frame is the answer: no candidates any more, and a green wave. */
function settle() {
  const last = player.frames.at(-1);
  last.candidates = last.glow = undefined;
  if (player.at === player.frames.length - 1) draw(last);
  find("board").classList.add("done");
}

function complain(error) {
  if (error.name === "AbortError") return;
  if (!(error instanceof Problem)) throw error;
  state.faults = error.faults;
  drawPuzzle();
  accuse(error.faults.length ? "" : error.message, error.faults);
}

function stop(message = "") {
  if (!running) return;
  running.abort.abort();
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
  find("board").className = puzzle.style;
  find("board").setAttribute("aria-label", `${puzzle.label}, ${height} rows, ${width} columns`);
  find("stage").style.setProperty("--widest", puzzle.widest(height, width));
  find("path").setAttribute("viewBox", `0 0 ${width} ${height}`);
  board.resize(height, width, (row, column) => puzzle.fixed(row, column, height, width));
  find("keys").textContent = puzzle.keys;
  find("text-label").textContent = puzzle.textLabel;
  find("pad").setAttribute("aria-label", puzzle.padLabel);
  fillPad(puzzle.pad(height), state.tool, use);
  for (const [id, shown] of [["kind-choice", puzzle === sudoku], ["rows-choice", puzzle.anySize], ["columns-choice", puzzle.anySize], ["clear", puzzle.clears]]) find(id).hidden = !shown;
  if (height !== 9 && puzzle === sudoku) find("kind").value = `${height}x${width}`;
  find("new").textContent = `New ${puzzle === maze ? "maze" : "puzzle"}`;
  find("new").hidden = puzzle !== maze && !examples.some((one) => one.task === puzzle.name);
  for (const [id, value] of [["rows", height], ["columns", width]]) Object.assign(find(id), { value, max: task.side });
}

/** Show a tab. */
function open(name) {
  stop();
  mark(name);
  find("play").hidden = name === "arc";
  find("arc").hidden = name !== "arc";
  introduce(info(name));
  if (name === "arc") return;
  state = states[name];
  find("play").setAttribute("aria-labelledby", `tab-${name}`);
  const task = info(name);
  find("notice").hidden = task.solves;
  find("notice").textContent = task.solves ? "" : `You can draw here, but not solve yet: ${task.why}.`;
  find("solve").disabled = !task.solves;
  find("text").value = find("text-error").textContent = "";
  layOut();
  edit(state.grid, true);
}

function choose(name) {
  open(name);
  pause();
  remember(name === "arc" ? "#arc" : toHash(state.puzzle, state.grid));
}

function listen() {
  addTabs(Object.keys(states), choose);
  for (const id of ["rows", "columns"]) {
    find(id).addEventListener("change", () => {
      const [height, width] = ["rows", "columns"].map((name) => Math.min(Math.max(Math.round(Number(find(name).value)) || 2, 2), info(state.puzzle.name).side));
      edit(state.puzzle.resized(state.grid, height, width));
      layOut();
      drawPuzzle();
    });
  }
  const buttons = { solve: () => solve(), new: renew, undo: () => history.back(), use: () => take(find("text").value),
    clear: () => edit(state.puzzle.empty(...shape())), share };
  for (const [id, act] of Object.entries(buttons)) find(id).addEventListener("click", act);
  find("kind").addEventListener("change", renew);
  addEventListener("popstate", follow);
  document.addEventListener("paste", pasted);
  document.addEventListener("keydown", shortcut);
}

/** A puzzle may be pasted anywhere but into a text field. */
function pasted(event) {
  if (find("play").hidden || typing(event.target)) return;
  event.preventDefault();
  find("text").value = event.clipboardData.getData("text");
  take(find("text").value);
}

function shortcut(event) {
  if (find("play").hidden || typing(event.target) || event.altKey || event.shiftKey) return;
  if (event.key === "Enter" && !event.target.closest("button, a, summary")) solve();
  else if (event.key.toLowerCase() === "z" && (event.ctrlKey || event.metaKey) && history.state?.depth) history.back();
  else return;
  event.preventDefault();
}

try {
  [served, examples] = await Promise.all([get("tasks"), get("examples")]);
  for (const task of served.tasks.filter(({ kind }) => kind === "grid")) {
    const puzzle = numbers(task);
    const shown = examples.find((one) => one.task === task.name);
    states[task.name] = { puzzle, grid: shown ? puzzle.receive(shown.puzzle) : puzzle.start() };
  }
  listen();
  showArc(find, served, examples.filter((example) => example.task === "arc"));
  find("about").textContent = `trm ${served.version}. ${served.where ?? "Everything runs on the machine that serves this page"}; `
    + `weights: ${served.tasks.filter((task) => task.weights).map((task) => `${task.weights} (${task.name})`).join(", ") || "none"}.`;
  const kinds = [...new Set(examples.filter(({ task }) => task === "sudoku").map(({ name }) => name))];
  fill(find("kind"), kinds.map((name) => [name, name]));
  states.sudoku.grid = examples.find(({ task }) => task === "sudoku")?.puzzle ?? states.sudoku.grid;
  find("kind").value = examples.find(({ task }) => task === "sudoku")?.name ?? "";
  const [size] = info("maze").sizes; // none: the weights fit any size
  states.maze.grid = size ? maze.empty(...size) : examples.find(({ task }) => task === "maze")?.puzzle ?? states.maze.grid;
  const { why } = info("arc");
  if (why) find("arc-about").textContent = `${why}.`;
  document.querySelector("main").classList.add("ready");
  if (!follow() && !location.hash && info("sudoku").solves) solve({ quiet: true });
} catch (error) {
  if (!(error instanceof Problem)) throw error;
  document.querySelector("main").classList.add("ready");
  find("notice").hidden = false;
  find("notice").textContent = error.message;
}
