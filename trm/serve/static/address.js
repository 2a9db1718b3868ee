// A puzzle as part of the page's address, so that it can be shared, reloaded and gone back to.

import { find } from "./elements.js";

const STROKE = 800; // milliseconds within which edits are one step of Undo

/** The fragment for a puzzle, such as #sudoku=..1... */
export const toHash = (puzzle, grid) => `#${puzzle.name}=${puzzle.write(grid)}`;

/**
 * What a fragment stands for among the puzzles: {name, grid}. No grid where it names only a puzzle, null where it means
 * nothing.
 */
export function fromHash(hash, puzzles) {
  const [, name, text] = hash.match(/^#([\w-]+)(?:=(.*))?$/) ?? [];
  if (name === "arc") return { name };
  const puzzle = puzzles.find((one) => one.name === name);
  if (!puzzle) return null;
  if (text === undefined) return { name };
  const grid = puzzle.read(text);
  return grid && { name, grid };
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
