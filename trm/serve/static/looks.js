// How thinking is shown: the same rules as in trm/plot/looks.py.

export const LEAST = 0.03; // probability from which a candidate is shown
export const SURE = 0.85; // probability from which a cell shows one digit instead of candidates
export const FADE = 0.75; // share of a cell's glow that is left after a step
export const DIM = 0.1; // a glow below is not shown

/** The candidates of a cell, [{value, chance}] from the smallest value; none where one value has settled. */
export function marks(chances) {
  if (!chances || Math.max(...chances) >= SURE) return [];
  return chances.map((chance, at) => ({ value: at + 1, chance })).filter(({ chance }) => chance >= LEAST);
}

/**
 * The glow of each cell, 0 to 1: how far the memory moved there, and what is left of the glow before. The first step of a
 * start has none, because it moves every cell.
 */
export function glow(memory, before) {
  if (!before) return memory.flat().map(() => 0);
  return memory.flat().map((moved, cell) => Math.max(Math.min(1, moved), FADE * before[cell])).map((one) => (one < DIM ? 0 : one));
}

/** The path of a maze as SVG: lines between neighbouring cells; a dot where a cell of it has no neighbour yet. */
export function pathLines(grid) {
  const at = (row, column) => grid[row]?.[column] ?? "#";
  const on = (row, column) => "oSG".includes(at(row, column));
  const lines = [];
  grid.forEach((line, row) => [...line].forEach((sign, column) => {
    if (!on(row, column)) return;
    const [x, y] = [column + 0.5, row + 0.5];
    if (sign === "o") lines.push(`M${x} ${y}h0`);
    const [right, below] = [at(row, column + 1), at(row + 1, column)];
    if (sign === "o" && right === "o") lines.push(`M${x} ${y}h1`);
    else if (sign === "o" && "SG".includes(right)) lines.push(`M${x} ${y}h.5`);
    else if (right === "o") lines.push(`M${x + 0.5} ${y}h.5`);
    if (sign === "o" && below === "o") lines.push(`M${x} ${y}v1`);
    else if (sign === "o" && "SG".includes(below)) lines.push(`M${x} ${y}v.5`);
    else if (below === "o") lines.push(`M${x} ${y + 0.5}v.5`);
  }));
  return lines.join("");
}
