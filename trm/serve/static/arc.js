// ARC tasks: each pair as two pictures, and the attempts of networks trained on the task.

import { Problem, check, watch } from "./api.js";

const WIDEST = 300; // largest side of a picture, in pixels
const [CELL, LEAST] = [22, 4]; // largest and smallest side of a cell, in pixels
const BESIDES = 110; // pixels of the page's width that a pair cannot use: margins, frame and arrow

const DEFAULT_SECONDS = 60; // processor time for training

const count = (list, noun) => `${list.length} ${noun}${list.length === 1 ? "" : "s"}`;

export function showArc(find, served, examples) {
  const options = [["", "Choose …"], ...examples.map((example, number) => [number, example.name])];
  find("arc-example").replaceChildren(...options.map(([value, textContent]) => Object.assign(document.createElement("option"), { value, textContent })));

  Object.assign(find("arc-seconds"), { value: DEFAULT_SECONDS, max: served.limits.arc_seconds });

  let latest = 0; // number of the last request; the response to an earlier one is stale
  let task = null; // the task that is shown
  let running = null; // AbortController of the training in progress

  /** Show a task. puzzle: an object, or the text of a file; example: its number if it is an example. */
  async function show(puzzle, name, example = "") {
    const mine = ++latest;
    task = null;
    stop();
    find("arc-verdict").textContent = "";
    find("arc-attempts").replaceChildren();
    find("arc-solve").disabled = true;
    find("arc-example").value = example;
    find("arc-error").textContent = find("arc-name").textContent = "";
    find("arc-pairs").replaceChildren();
    find("arc-reveal").hidden = true;
    try {
      const found = await check({ task: "arc", puzzle });
      if (mine !== latest) return;
      if (!found.ok) throw new Problem(found.message);
      task = found.arc;
      find("arc-solve").disabled = false;
      drawPairs(task, false);
      find("arc-name").textContent = `${name}: ${count(found.arc.train, "demonstration")}, ${count(found.arc.test, "test")}`;
    } catch (error) {
      if (mine === latest) find("arc-error").textContent = error.message;
    }
  }

  function stop(message = "") {
    if (!running) return;
    running.abort();
    finish(message);
  }

  function finish(message) {
    running = null;
    find("arc-work").hidden = true;
    find("arc-solve").textContent = "Solve";
    find("arc-verdict").textContent = message;
  }

  async function solve() {
    if (running) return stop("Stopped.");
    const seconds = find("arc-seconds");
    if (!seconds.reportValidity() || !seconds.value) return seconds.focus();
    const mine = (running = new AbortController());
    const asked = task;
    find("arc-attempts").replaceChildren();
    find("arc-error").textContent = find("arc-doing").textContent = "";
    find("arc-progress").value = 0;
    find("arc-work").hidden = false;
    find("arc-solve").textContent = "Stop";
    find("arc-verdict").textContent = "Training on the demonstrations …";
    try {
      let answer;
      const puzzle = { train: asked.train, test: asked.test.map(({ input }) => ({ input })) };
      for await (const { name, data } of watch({ task: "arc", puzzle, seconds: Number(seconds.value) }, mine.signal)) {
        if (mine !== running) return;
        if (name === "answer") answer = data;
        else {
          find("arc-progress").value = data.share;
          find("arc-doing").textContent = data.doing;
          if (data.attempts) drawAttempts(asked, data.attempts, ({ votes }) => count({ length: votes }, "vote") + " so far");
        }
      }
      if (mine !== running) return;
      if (!answer) throw new Problem("The connection broke before the answer came.");
      finish(answer.message);
      drawAttempts(asked, answer.attempts, ({ confidence }) => `${Math.round(100 * confidence)} % sure`);
    } catch (error) {
      if (mine !== running) return;
      finish("");
      if (!(error instanceof Problem)) throw error;
      find("arc-error").textContent = error.message;
    }
  }

  /** The attempts at each test, best first; words(attempt) says what speaks for one. */
  function drawAttempts(asked, tests, words) {
    find("arc-attempts").replaceChildren(...tests.flatMap((attempts, number) => attempts.map((attempt, rank) =>
      figure(`test ${number + 1}, attempt ${rank + 1}: ${words(attempt)}`,
        { input: asked.test[number].input, output: attempt.grid }, served.colours))));
  }

  /** The pairs of the task. Answers to its tests are covered until they are asked for. */
  function drawPairs(found, revealed) {
    const known = found.test.some((pair) => pair.output);
    const tests = revealed ? found.test : found.test.map(({ input }) => ({ input }));
    const pairs = [["demonstration", found.train], ["test", tests]];
    find("arc-pairs").replaceChildren(...pairs.flatMap(([what, list]) =>
      list.map((pair, number) => figure(`${what} ${number + 1}`, pair, served.colours))));
    find("arc-reveal").hidden = !known || revealed;
  }

  find("arc-reveal").addEventListener("click", () => drawPairs(task, true));
  find("arc-solve").addEventListener("click", solve);
  const pick = (number) => show(examples[number].puzzle, examples[number].name, number);
  find("arc-example").addEventListener("change", (event) => {
    if (event.target.value !== "") pick(Number(event.target.value));
  });
  find("arc-file").addEventListener("change", async (event) => {
    const [file] = event.target.files;
    if (!file) return;
    if (file.size > served.limits.body_bytes / 2) find("arc-error").textContent = "This file is too large for one task.";
    else await show(await file.text(), file.name);
    event.target.value = ""; // so that the same file can be chosen again
  });
  find("arc-use").addEventListener("click", () => show(find("arc-text").value, "your text"));
  if (examples.length) pick(0);
}

function figure(title, pair, colours) {
  const made = document.createElement("figure");
  const caption = Object.assign(document.createElement("figcaption"), { textContent: title });
  const line = document.createElement("div");
  const arrow = Object.assign(document.createElement("span"), { className: "arrow", textContent: "→" });
  arrow.setAttribute("aria-hidden", "true");
  const grids = pair.output ? [pair.input, pair.output] : [pair.input];
  const across = (document.documentElement.clientWidth - BESIDES) / grids.reduce((sum, grid) => sum + grid[0].length, 0);
  const longest = Math.max(...grids.flatMap((grid) => [grid.length, grid[0].length]));
  const cell = Math.max(LEAST, Math.floor(Math.min(CELL, WIDEST / longest, across)));
  line.append(picture(`${title}, question`, pair.input, colours, cell), arrow);
  line.append(pair.output ? picture(`${title}, answer`, pair.output, colours, cell) : document.createTextNode("?"));
  made.append(caption, line);
  return made;
}

/** A canvas with the grid; cell: side of a cell in pixels. */
function picture(title, grid, colours, cell) {
  const [height, width] = [grid.length, grid[0].length];
  const scale = window.devicePixelRatio || 1;
  const canvas = document.createElement("canvas");
  canvas.width = width * cell * scale;
  canvas.height = height * cell * scale;
  canvas.style.width = `${width * cell}px`;
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `${title}, ${height} rows of ${width}: ${grid.map((row) => row.join(" ")).join("; ")}`);
  const draw = canvas.getContext("2d");
  draw.scale(scale, scale);
  draw.fillStyle = "#555555";
  draw.fillRect(0, 0, width * cell, height * cell);
  grid.forEach((row, y) => row.forEach((colour, x) => {
    draw.fillStyle = colours[colour];
    draw.fillRect(x * cell + 0.5, y * cell + 0.5, cell - 1, cell - 1);
  }));
  return canvas;
}
