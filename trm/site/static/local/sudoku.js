// The rules of Sudokus. Tokens: 1 blank, digit d is d + 1. Cells are numbered row by row from 0.

import { solutions } from "./search.js";

export const [BLANK, FIRST] = [1, 2];
export const DIGITS = "123456789ABCDEFG";
const KINDS = ["row", "column", "box"];
const COUNTED = 81; // largest board, in cells, whose solutions are counted

export class Sudoku {
  family = "sudoku";

  constructor(boxHeight, boxWidth) {
    Object.assign(this, { boxHeight, boxWidth });
    this.size = this.height = this.width = boxHeight * boxWidth;
    this.cells = this.size ** 2;
    this.digits = DIGITS.slice(0, this.size);
    const across = this.size / boxWidth;
    this.units = Array.from({ length: this.cells }, (_, cell) => {
      const [row, column] = [Math.floor(cell / this.size), cell % this.size];
      return [row, this.size + column, 2 * this.size + Math.floor(row / boxHeight) * across + Math.floor(column / boxWidth)];
    });
    this.groups = Array.from({ length: 3 * this.size }, () => []); // rows, columns, boxes
    this.units.forEach((units, cell) => units.forEach((unit) => this.groups[unit].push(cell)));
  }

  name(cell) {
    return `r${Math.floor(cell / this.size) + 1}c${(cell % this.size) + 1}`;
  }

  #unit(number) {
    return `${KINDS[Math.floor(number / this.size)]} ${(number % this.size) + 1}`;
  }

  /** Whether every digit is once in every row, column and box, and every given is kept. */
  valid(question, answer) {
    if (!question.every((token, cell) => token < FIRST || token === answer[cell])) return false;
    return this.groups.every((group) => new Set(group.map((cell) => answer[cell]).filter((token) => token >= FIRST)).size === this.size);
  }

  /** Whether a valid answer is right. */
  right() {
    return true;
  }

  /** Which two equal digits share a row, column or box, in words; null if no two do. */
  clash(tokens) {
    for (const [number, group] of this.groups.entries()) {
      const seen = new Map();
      for (const cell of group) {
        const token = tokens[cell];
        if (token >= FIRST && seen.has(token)) {
          return `two ${DIGITS[token - FIRST]}s in ${this.#unit(number)}: ${this.name(seen.get(token))} and ${this.name(cell)}`;
        }
        seen.set(token, cell);
      }
    }
    return null;
  }

  /** The cells whose digit is again in their row, column or box: [{cell, message}]. */
  clashes(tokens) {
    const found = [];
    for (let cell = 0; cell < this.cells; cell++) {
      if (tokens[cell] < FIRST) continue;
      const again = this.units[cell].filter((unit) => this.groups[unit].some((other) => other !== cell && tokens[other] === tokens[cell]));
      const places = again.map((unit) => this.#unit(unit)).join(" and ");
      if (places) found.push({ cell, message: `${DIGITS[tokens[cell] - FIRST]} occurs more than once in ${places}` });
    }
    return found;
  }

  /** The cells of an answer that break the rules; none if it is valid. */
  faults(question, answer) {
    const cells = [...question.keys()];
    const changed = cells.filter((cell) => question[cell] >= FIRST && question[cell] !== answer[cell]);
    return [
      ...changed.map((cell) => ({ cell, message: `${DIGITS[question[cell] - FIRST]} was given here` })),
      ...cells.filter((cell) => answer[cell] < FIRST).map((cell) => ({ cell, message: "no digit" })),
      ...this.clashes(answer),
    ];
  }

  /** Why a puzzle does not have exactly one solution, in words; empty if it has or if that is not known. */
  problem(question) {
    if (this.cells > COUNTED) return "";
    const bits = Array.from(question, (token) => (token >= FIRST ? 1 << (token - FIRST) : 0));
    const found = solutions(bits, this.units, this.size);
    return found === 0 ? "it has no solution" : found === 2 ? "it has more than one solution" : "";
  }

  /** The question with every unknown cell filled in from an answer. */
  revealed(question, answer) {
    return question.map((token, cell) => (token === BLANK && answer[cell] >= FIRST ? answer[cell] : token));
  }

  /** Tokens as the page has them: rows of digits, 0 for a blank. */
  grid(tokens) {
    const digits = Array.from(tokens, (token) => Math.max(token - 1, 0));
    return Array.from({ length: this.size }, (_, row) => digits.slice(row * this.size, (row + 1) * this.size));
  }

  /** Tokens as text, with drawn boxes. */
  draw(tokens) {
    const bar = "─".repeat(2 * this.boxWidth + 1);
    const rule = ([left, between, right]) => left + Array(this.size / this.boxWidth).fill(bar).join(between) + right;
    const lines = [rule("┌┬┐")];
    this.grid(tokens).forEach((row, number) => {
      if (number && number % this.boxHeight === 0) lines.push(rule("├┼┤"));
      const signs = row.map((digit) => (digit ? DIGITS[digit - 1] : "."));
      const parts = [];
      for (let at = 0; at < this.size; at += this.boxWidth) parts.push(signs.slice(at, at + this.boxWidth).join(" "));
      lines.push(`│ ${parts.join(" │ ")} │`);
    });
    return [...lines, rule("└┴┘")].join("\n");
  }
}

export const SUDOKUS = new Map([[2, 2], [2, 3], [3, 3], [4, 4]].map(([height, width]) => [height * width, new Sudoku(height, width)])); // by size
