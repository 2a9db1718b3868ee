// The rules of mazes. Tokens: 1 wall, 2 open, 3 start, 4 goal, 5 path. Cells are numbered row by row from 0.

export const [WALL, OPEN, START, GOAL, PATH] = [1, 2, 3, 4, 5];
export const SIGNS = "0#.SGo"; // by token
export const MOST = 100; // rows, and columns

export class Maze {
  family = "maze";

  constructor(height, width) {
    Object.assign(this, { height, width, cells: height * width });
  }

  name(cell) {
    return `r${Math.floor(cell / this.width) + 1}c${(cell % this.width) + 1}`;
  }

  /** The cells next to a cell. */
  near(cell) {
    const [row, column] = [Math.floor(cell / this.width), cell % this.width];
    const found = [];
    if (row > 0) found.push(cell - this.width);
    if (row < this.height - 1) found.push(cell + this.width);
    if (column > 0) found.push(cell - 1);
    if (column < this.width - 1) found.push(cell + 1);
    return found;
  }

  /** Moves from a cell to each other one through those for which free(cell) holds; -1 where there is no way. */
  distances(from, free) {
    const moves = new Int32Array(this.cells).fill(-1);
    moves[from] = 0;
    for (let front = [from]; front.length; ) {
      const next = [];
      for (const cell of front) {
        for (const other of this.near(cell)) {
          if (moves[other] < 0 && free(other)) {
            moves[other] = moves[cell] + 1;
            next.push(other);
          }
        }
      }
      front = next;
    }
    return moves;
  }

  /** Moves of the shortest path from S to G; -1 where there is none. */
  moves(question) {
    return this.distances(question.indexOf(START), (cell) => question[cell] > WALL)[question.indexOf(GOAL)];
  }

  /** Whether an answer marks one path from S to G and nothing else. It need not be a shortest one. */
  valid(question, answer) {
    return this.faults(question, answer).length === 0;
  }

  /** Whether the path of a valid answer is a shortest one. */
  right(question, answer) {
    return answer.filter((token) => token === PATH).length + 1 === this.moves(question);
  }

  /** The first fault of an answer, [{cell, message}]; none if it is valid. */
  faults(question, answer) {
    const free = (token) => token === OPEN || token === PATH;
    const changed = question.findIndex((token, cell) => (free(token) ? !free(answer[cell]) : answer[cell] !== token));
    if (changed >= 0) {
      const was = SIGNS[question[changed]].replace("o", ".");
      return [{ cell: changed, message: `${this.name(changed)} is ${SIGNS[answer[changed]]} where the question has ${was}` }];
    }
    const marked = (cell) => answer[cell] >= START;
    const cells = [...answer.keys()].filter(marked);
    const degree = new Map(cells.map((cell) => [cell, this.near(cell).filter(marked).length]));
    const wanted = (cell) => (answer[cell] === PATH ? 2 : 1);
    const ended = cells.find((cell) => degree.get(cell) < wanted(cell));
    if (ended !== undefined) return [{ cell: ended, message: `the path is cut off at ${this.name(ended)}` }];
    const branched = cells.find((cell) => degree.get(cell) > wanted(cell));
    if (branched !== undefined) return [{ cell: branched, message: `the path branches or touches itself at ${this.name(branched)}` }];
    const reached = this.distances(answer.indexOf(START), marked);
    const loose = cells.find((cell) => reached[cell] < 0);
    return loose === undefined ? [] : [{ cell: loose, message: `${this.name(loose)} is not on the path from S to G` }];
  }

  /** What keeps a question from having an answer, in words; null if nothing does. */
  hindrance(question) {
    for (const [token, name] of [[START, "S (start)"], [GOAL, "G (goal)"]]) {
      const cells = [...question.keys()].filter((cell) => question[cell] === token);
      if (!cells.length) return `there is no ${name}`;
      if (cells.length > 1) return `more than one ${name}: ${cells.slice(0, 3).map((cell) => this.name(cell)).join(", ")}`;
    }
    return this.moves(question) < 0 ? "no path leads from S to G" : null;
  }

  problem() {
    return "";
  }

  /** The question with the path of an answer marked. */
  revealed(question, answer) {
    return question.map((token, cell) => (token === OPEN && answer[cell] === PATH ? PATH : token));
  }

  /** Tokens as the page has them: lines of signs. */
  grid(tokens) {
    const signs = Array.from(tokens, (token) => SIGNS[token]).join("");
    return Array.from({ length: this.height }, (_, row) => signs.slice(row * this.width, (row + 1) * this.width));
  }

  draw(tokens) {
    return this.grid(tokens).join("\n");
  }
}
