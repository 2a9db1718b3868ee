// What is wrong, in one line to show, and where.

const MOST_FAULTS = 100; // that are listed

export class Problem extends Error {
  constructor(message, faults = []) {
    super(message);
    this.faults = faults; // [{row, column, message}], counted from 1
  }
}

/** A puzzle that cannot be used. grid: as far as it could be read, or null. */
export class BadPuzzle extends Problem {
  constructor(message, faults = [], grid = null) {
    super(message, faults.slice(0, MOST_FAULTS));
    this.grid = grid;
  }
}

/** A puzzle that can be read in two ways; so no cells are at fault. */
export class TwoReadings extends BadPuzzle {}

/** Text as messages show it: in quotes, on one line, and not too long. */
export function quoted(text) {
  const bare = [...text].map((sign) => (/[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/u.test(sign) || sign === "\\" ? escaped(sign) : sign)).join("");
  const mark = bare.includes("'") && !bare.includes('"') ? '"' : "'";
  const shown = mark + (mark === "'" ? bare.replaceAll("'", "\\'") : bare) + mark;
  return shown.length <= 80 ? shown : `${shown.slice(0, 60)}...${shown.slice(-15)}`;
}

function escaped(sign) {
  const known = { "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" };
  const code = sign.codePointAt(0);
  if (sign in known) return known[sign];
  if (code < 0x100) return `\\x${code.toString(16).padStart(2, "0")}`;
  return code < 0x10000 ? `\\u${code.toString(16).padStart(4, "0")}` : `\\U${code.toString(16).padStart(8, "0")}`;
}
