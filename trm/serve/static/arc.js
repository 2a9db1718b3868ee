// ARC tasks to look at: each pair as two pictures. Solving them comes later.

import { post } from "/api.js";

const WIDEST = 300; // pixels of a picture's longer side, at most
const CELL = 22; // and of a cell's

const count = (list, noun) => `${list.length} ${noun}${list.length === 1 ? "" : "s"}`;

export function showArc(find, served, examples) {
  const task = served.tasks.find((one) => one.name === "arc");
  find("arc-notice").textContent = `You can look at ARC tasks here; ${task.why}.`;
  const options = [["", "Choose …"], ...examples.map((example, number) => [number, example.name])];
  find("arc-example").replaceChildren(...options.map(([value, textContent]) => Object.assign(document.createElement("option"), { value, textContent })));

  /** puzzle: an object, or the text of a file. */
  async function show(puzzle, name) {
    find("arc-error").textContent = find("arc-name").textContent = "";
    find("arc-pairs").replaceChildren();
    try {
      const found = await (await post("check", { task: "arc", puzzle })).json();
      if (!found.ok) throw new Error(found.message);
      const pairs = [["demonstration", found.arc.train], ["test", found.arc.test]];
      find("arc-pairs").replaceChildren(...pairs.flatMap(([what, list]) =>
        list.map((pair, number) => figure(`${what} ${number + 1}`, pair, served.colours))));
      find("arc-name").textContent = `${name}: ${count(found.arc.train, "demonstration")}, ${count(found.arc.test, "test")}`;
    } catch (error) {
      find("arc-error").textContent = error.message;
    }
  }

  find("arc-example").addEventListener("change", (event) => {
    const example = examples[event.target.value];
    if (example) show(example.puzzle, example.name);
  });
  find("arc-file").addEventListener("change", async (event) => {
    const [file] = event.target.files;
    if (!file) return;
    if (file.size > served.limits.body_bytes / 2) find("arc-error").textContent = "This file is too large for one task.";
    else await show(await file.text(), file.name);
    event.target.value = ""; // so that the same file can be chosen again
  });
  find("arc-use").addEventListener("click", () => show(find("arc-text").value, "your text"));
  if (examples.length) show(examples[0].puzzle, examples[0].name);
}

function figure(title, pair, colours) {
  const made = document.createElement("figure");
  const caption = Object.assign(document.createElement("figcaption"), { textContent: title });
  const line = document.createElement("div");
  const arrow = Object.assign(document.createElement("span"), { className: "arrow", textContent: "→" });
  arrow.setAttribute("aria-hidden", "true");
  line.append(picture(`${title}, question`, pair.input, colours), arrow);
  line.append(pair.output ? picture(`${title}, answer`, pair.output, colours) : document.createTextNode("?"));
  made.append(caption, line);
  return made;
}

function picture(title, grid, colours) {
  const [height, width] = [grid.length, grid[0].length];
  const cell = Math.max(4, Math.min(CELL, Math.floor(WIDEST / Math.max(height, width))));
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
