// Counts the solutions of a Sudoku: fills in singles, then guesses in the cell with the fewest candidates.

const SHORT = 300; // guesses of a short search

const count = (bits) => {
  let ones = 0;
  for (; bits; bits &= bits - 1) ones += 1;
  return ones;
};

/** The digits, a bit each, that a cell can still have. */
const left = (state, units, cell) => state.free[units[cell][0]] & state.free[units[cell][1]] & state.free[units[cell][2]];

function place(state, units, cell, bit) {
  state.value[cell] = bit;
  for (const unit of units[cell]) state.free[unit] ^= bit;
}

/** Fill in the digits that can be in one place only. -> the cell to guess, -1 if there is none, null for a contradiction */
function singles(state, units) {
  for (;;) {
    const once = new Int32Array(state.free.length);
    const twice = new Int32Array(state.free.length);
    const empty = [];
    for (let cell = 0; cell < units.length; cell++) {
      if (state.value[cell]) continue;
      empty.push(cell);
      const digits = left(state, units, cell);
      for (const unit of units[cell]) {
        twice[unit] |= once[unit] & digits;
        once[unit] |= digits;
      }
    }
    if (state.free.some((digits, unit) => digits !== once[unit])) return null;
    let [filled, guess, fewest] = [0, -1, Infinity];
    for (const cell of empty) {
      const digits = left(state, units, cell);
      if (!digits) return null;
      const [row, column, box] = units[cell];
      const hidden = digits & ((once[row] & ~twice[row]) | (once[column] & ~twice[column]) | (once[box] & ~twice[box]));
      const bit = digits & (digits - 1) ? hidden & -hidden : digits;
      if (bit) {
        place(state, units, cell, bit);
        filled += 1;
      } else if (count(digits) < fewest) [guess, fewest] = [cell, count(digits)];
    }
    if (!filled) return guess;
  }
}

/** The number of solutions, up to `limit`; null if a search of so many guesses does not tell. value: [cells], a bit each, 0 for a blank. */
export function solutions(value, units, size, limit = 2, most = 3000) {
  // In one order of the cells a search may be lost where another is not: short ones on the grid turned and mirrored.
  for (const [upsideDown, mirrored] of [[false, false], [true, true], [true, false], [false, true]]) {
    const turned = Array.from(value, (_, cell) => {
      const [row, column] = [Math.floor(cell / size), cell % size];
      return value[(upsideDown ? size - 1 - row : row) * size + (mirrored ? size - 1 - column : column)];
    });
    const found = search(turned, units, size, limit, SHORT);
    if (found !== null) return found;
  }
  return search(value, units, size, limit, most);
}

function search(value, units, size, limit, most) {
  const state = { value: Int32Array.from(value, () => 0), free: new Int32Array(3 * size).fill(2 ** size - 1) };
  for (let cell = 0; cell < units.length; cell++) {
    if (!value[cell]) continue;
    if (!(left(state, units, cell) & value[cell])) return 0;
    place(state, units, cell, value[cell]);
  }
  let [found, guesses] = [0, 0];
  const waiting = [state];
  while (waiting.length) {
    const one = waiting.pop();
    const cell = singles(one, units);
    if (cell === null) continue;
    if (cell < 0) {
      found += 1;
      if (found >= limit) return found;
      continue;
    }
    guesses += 1;
    if (guesses > most) return null;
    const branches = [];
    for (let digits = left(one, units, cell); digits; digits &= digits - 1) {
      const next = { value: one.value.slice(), free: one.free.slice() };
      place(next, units, cell, digits & -digits);
      branches.push(next);
    }
    waiting.push(...branches.reverse());
  }
  return found;
}
