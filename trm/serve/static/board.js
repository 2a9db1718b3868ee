// A grid of cells that the user can move through with the arrow keys (one tab stop), click, and paint on.

import { dark } from "./elements.js";

const MOVES = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

export class Board {
  /** handlers: key(cell, event) -> whether it used the key; paint(cell, first) while a pointer is down; drags() -> whether dragging paints. */
  constructor(element, handlers) {
    this.element = element;
    this.handlers = handlers;
    this.height = this.width = this.current = 0;
    element.addEventListener("keydown", (event) => this.#key(event));
    element.addEventListener("focusin", (event) => this.#select(this.#number(event.target)));
    element.addEventListener("pointerdown", (event) => this.#press(event));
    element.addEventListener("pointermove", (event) => this.#drag(event));
    for (const name of ["pointerup", "pointercancel"]) element.addEventListener(name, () => (this.last = null));
  }

  /** Create the cells of a new size; marks(row, column) -> their permanent class names. */
  resize(height, width, marks) {
    Object.assign(this, { height, width, last: null });
    this.element.style.setProperty("--columns", width);
    this.element.setAttribute("aria-rowcount", height);
    this.element.setAttribute("aria-colcount", width);
    this.cells = [];
    this.shown = [];
    const rows = [];
    for (let row = 0; row < height; row++) {
      const line = document.createElement("div");
      line.setAttribute("role", "row");
      for (let column = 0; column < width; column++) {
        const cell = document.createElement("div");
        cell.setAttribute("role", "gridcell");
        cell.dataset.cell = this.cells.length;
        cell.tabIndex = -1;
        cell.fixed = marks(row, column);
        cell.style.setProperty("--wait", row + column);
        this.cells.push(cell);
        line.append(cell);
      }
      rows.push(line);
    }
    this.element.replaceChildren(...rows);
    this.current = Math.min(this.current, this.cells.length - 1);
    this.#select(this.current);
  }

  /**
   * Show looks, one {text, classes, label, sure, candidates, glow, wrong} for each cell; places: [rows, columns] of candidates.
   * Cells that have not changed are left alone.
   */
  show(looks, places) {
    looks.forEach(({ glow, ...look }, number) => {
      const cell = this.cells[number];
      if (cell.glow !== glow) cell.style.setProperty("--glow-of", (cell.glow = glow) ?? 0);
      const key = JSON.stringify(look);
      if (this.shown[number] === key) return;
      this.shown[number] = key;
      if (look.candidates?.length) pencil(cell, look.candidates, places);
      else if (cell.firstElementChild || cell.textContent !== look.text) cell.textContent = look.text;
      const more = [look.wrong ? "wrong" : "", look.candidates?.length ? "open-minded" : "", number === this.current ? "current" : ""];
      cell.className = [...cell.fixed, ...look.classes, ...more].filter(Boolean).join(" ");
      cell.style.setProperty("--sure", look.sure ?? 1);
      if (look.text.length > 1) cell.style.setProperty("--long", look.text.length);
      else cell.style.removeProperty("--long");
      cell.style.backgroundColor = look.wrong ? "" : look.colour ?? "";
      if (look.colour) cell.classList.add(dark(look.colour) ? "on-dark" : "on-light");
      const place = `row ${Math.floor(number / this.width) + 1}, column ${(number % this.width) + 1}`;
      cell.setAttribute("aria-label", `${place}: ${look.label}${look.wrong ? `; ${look.wrong}` : ""}`);
      if (look.wrong) cell.setAttribute("aria-invalid", "true");
      else cell.removeAttribute("aria-invalid");
      cell.title = look.wrong ?? "";
    });
  }

  focus(cell) {
    this.cells[cell].focus();
  }

  #number(target) {
    return Number(target.closest?.("[data-cell]")?.dataset.cell ?? this.current);
  }

  #select(cell) {
    this.cells[this.current]?.classList.remove("current");
    if (this.cells[this.current]) this.cells[this.current].tabIndex = -1;
    this.current = cell;
    this.cells[cell].tabIndex = 0;
    this.cells[cell].classList.add("current");
  }

  #key(event) {
    if (event.altKey || event.metaKey) return;
    let row = Math.floor(this.current / this.width);
    let column = this.current % this.width;
    if (event.key in MOVES) {
      row = Math.min(Math.max(row + MOVES[event.key][0], 0), this.height - 1);
      column = Math.min(Math.max(column + MOVES[event.key][1], 0), this.width - 1);
    } else if (event.key === "Home" || event.key === "End") {
      const last = event.key === "End";
      column = last ? this.width - 1 : 0;
      if (event.ctrlKey) row = last ? this.height - 1 : 0;
    } else {
      if (!event.ctrlKey && this.handlers.key(this.current, event)) event.preventDefault();
      return;
    }
    event.preventDefault();
    this.focus(row * this.width + column);
  }

  #press(event) {
    const target = event.target.closest("[data-cell]");
    if (!target || event.button !== 0) return;
    event.preventDefault();
    this.focus(this.#number(target));
    this.last = this.current;
    this.handlers.paint(this.current, true);
  }

  /** Paint every cell between the last one and the one under the pointer, however fast it moves. */
  #drag(event) {
    if (this.last === null || !this.handlers.drags()) return;
    const target = document.elementFromPoint(event.clientX, event.clientY)?.closest("[data-cell]");
    if (!target || !this.element.contains(target)) return;
    const to = this.#number(target);
    const [y, x] = [Math.floor(this.last / this.width), this.last % this.width];
    const [dy, dx] = [Math.floor(to / this.width) - y, (to % this.width) - x];
    const steps = Math.max(Math.abs(dy), Math.abs(dx));
    for (let i = 1; i <= steps; i++) {
      this.handlers.paint((y + Math.round((dy * i) / steps)) * this.width + x + Math.round((dx * i) / steps), false);
    }
    this.last = to;
  }
}

/** Write candidates into a cell, with the marks that are there already where they are of the same values. */
function pencil(cell, list, places) {
  const marks = [...(cell.firstElementChild?.children ?? [])];
  if (marks.length !== list.length || !list.every(({ text }, at) => marks[at].dataset.value === text)) {
    return cell.replaceChildren(candidates(list, places));
  }
  list.forEach(({ chance }, at) => marks[at].style.setProperty("--chance", chance));
}

/** The candidates of a cell as pencil marks, each at the place of its value and as large as it is likely. */
function candidates(list, [down, across]) {
  const made = document.createElement("span");
  made.className = "marks";
  made.style.setProperty("--across", across);
  made.style.setProperty("--down", down);
  for (const { text, place, chance } of list) {
    const mark = document.createElement("i");
    mark.dataset.value = text; // shown by the style sheet: the text of a cell is what its label says
    mark.style.gridArea = `${Math.floor(place / across) + 1} / ${(place % across) + 1}`;
    mark.style.setProperty("--chance", chance);
    made.append(mark);
  }
  return made;
}
