// Reading text, whatever the puzzle: numbered lines, comments and headings, and faults of rows.

const HEADING = /^(?:(?:grid|puzzle|sudoku|maze|game|board|problem|level|no|nr|number)s?\b[\s.:#-]*[0-9]*\s*(?:\([^()]*\))?\s*:?|```\w*)$/i;
const SPACES = /[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]/g;
const INVISIBLE = /[\u200b-\u200f\u2060\ufe0e\ufe0f\ufeff]/g;

/** Full-width characters as half-width ones, and every kind of space as a plain one. */
export function narrow(text) {
  const half = text.replace(/[\uff01-\uff5e]/g, (sign) => String.fromCharCode(sign.charCodeAt(0) - 0xfee0));
  return half.replace(SPACES, " ").replace(INVISIBLE, "");
}

/** The lines of a text: [{number, text}], numbered from 1. */
export function numberedLines(text) {
  return text.split(/\r\n|[\n\r]/).map((line, index) => ({ number: index + 1, text: line }));
}

/** The same in plain characters, without headings; those of JSON if the text is an array of rows. */
export function withoutHeadings(text) {
  const lines = numberedLines(narrow(fromJson(text)));
  return lines.map(({ number, text: line }) => ({ number, text: HEADING.test(line.trim()) ? "" : line }));
}

/** The same without comments. */
export function filledLines(text) {
  return withoutHeadings(text).filter((line) => !line.text.trimStart().startsWith("#"));
}

/** What was left out of a text, in words. In a maze, # is a wall. */
export function leftOut(text, family) {
  const headings = numberedLines(narrow(fromJson(text))).filter((line) => HEADING.test(line.text.trim())).length;
  const comments = family === "maze" ? 0 : withoutHeadings(text).length - filledLines(text).length;
  const parts = [[headings, "heading"], [comments, "comment line"]].filter(([count]) => count);
  const words = parts.map(([count, what]) => `${count} ${what}${count > 1 ? "s" : ""}`);
  return words.length ? [`left out: ${words.join(", ")}`] : [];
}

function fromJson(text) {
  if (!text.trimStart().startsWith("[")) return text;
  try {
    const rows = JSON.parse(text);
    return rows.map((row) => (Array.isArray(row) ? row.map((cell) => cell ?? ".").join("") : String(row))).join("\n");
  } catch {
    return text;
  }
}

export function fault(task, cell, message) {
  return { row: Math.floor(cell / task.width) + 1, column: (cell % task.width) + 1, message };
}

/** A fault for every row that is not `width` cells long. */
export function unevenRows(cells, width) {
  const found = [];
  cells.forEach((line, row) => {
    if (line.length !== width) found.push({ row: row + 1, column: null, message: `row ${row + 1} has ${line.length} cells instead of ${width}` });
  });
  return found;
}
