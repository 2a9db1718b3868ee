// A puzzle as part of the page's address, so that it can be shared, reloaded and gone back to.

import { find } from "./elements.js";

const STROKE = 800; // milliseconds within which edits are one step of Undo

const SIGNS = ".#SG"; // of a maze, two bits each
const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"; // three cells each

/** The fragment for a puzzle: #sudoku=..1..., or #maze=ROWSxCOLUMNS. and its cells. */
export function toHash(name, grid) {
  if (name === "sudoku") return `#sudoku=${grid.join("")}`;
  const cells = [...grid.join("")].map((sign) => SIGNS.indexOf(sign));
  let text = "";
  for (let at = 0; at < cells.length; at += 3) {
    text += LETTERS[cells[at] + 4 * (cells[at + 1] ?? 0) + 16 * (cells[at + 2] ?? 0)];
  }
  return `#maze=${grid.length}x${grid[0].length}.${text}`;
}

/** What a fragment stands for: {name, grid}. No grid where the fragment names only a puzzle, null where it means nothing. */
export function fromHash(hash) {
  const [, name, text] = hash.match(/^#(sudoku|maze|arc)(?:=(.*))?$/) ?? [];
  if (!name) return null;
  if (text === undefined || name === "arc") return { name };
  const grid = name === "sudoku" ? sudokuOf(text) : mazeOf(text);
  return grid && { name, grid };
}

function sudokuOf(text) {
  const side = Math.sqrt(text.length);
  if (![4, 6, 9, 16].includes(side)) return null;
  const signs = "123456789ABCDEFG".slice(0, side);
  if (![...text].every((sign) => sign === "." || signs.includes(sign))) return null;
  return Array.from({ length: side }, (_, row) => text.slice(row * side, (row + 1) * side));
}

function mazeOf(text) {
  const [, height, width, letters] = text.match(/^(\d{1,3})x(\d{1,3})\.([\w-]*)$/)?.map((part, at) => (at === 1 || at === 2 ? Number(part) : part)) ?? [];
  if (!letters || height < 2 || width < 2 || letters.length !== Math.ceil((height * width) / 3)) return null;
  const signs = [...letters].flatMap((letter) => {
    const number = LETTERS.indexOf(letter);
    return [number & 3, (number >> 2) & 3, number >> 4].map((sign) => SIGNS[sign]);
  }).slice(0, height * width).join("");
  if (["S", "G"].some((sign) => signs.split(sign).length !== 2)) return null;
  return Array.from({ length: height }, (_, row) => signs.slice(row * width, (row + 1) * width));
}

let edited = -Infinity; // time of the last edit

/** Put a puzzle into the address. Edits that follow each other at once are one step back. */
export function remember(hash) {
  const depth = history.state?.depth ?? 0;
  const together = performance.now() - edited < STROKE;
  edited = performance.now();
  if (hash === location.hash) return;
  if (together) history.replaceState({ depth }, "", hash);
  else history.pushState({ depth: depth + 1 }, "", hash);
  find("undo").disabled = !history.state.depth;
}

/** Let the next edit be a step of its own. */
export function pause() {
  edited = -Infinity;
}
