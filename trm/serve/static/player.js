// The frames of a solution, one for each step, and the controls to go through them. Frame 0 is the puzzle itself.

const PACE = 240; // milliseconds per frame
const BEHIND = 12; // with more frames left than this, playing skips some to keep up with the model

const still = matchMedia("(prefers-reduced-motion: reduce)");

export class Player {
  /** draw(frame) shows a frame on the board. */
  constructor(find, draw) {
    this.find = find;
    this.draw = draw;
    this.frames = [];
    this.at = 0;
    this.timer = null;
    find("scrubber").addEventListener("input", (event) => this.go(Number(event.target.value)));
    find("back").addEventListener("click", () => this.go(this.at - 1));
    find("on").addEventListener("click", () => this.go(this.at + 1));
    find("toggle").addEventListener("click", () => (this.timer ? this.pause() : this.play()));
  }

  /** Start with the puzzle as the only frame. */
  reset(frame) {
    this.ended = false;
    this.reached = null;
    this.pause();
    this.frames = frame ? [frame] : [];
    this.at = 0;
    this.find("watch").hidden = !frame;
    if (frame) this.#update();
  }

  add(frame) {
    this.frames.push(frame);
    if (this.frames.length === 2 && !still.matches) this.play();
    this.drawing ??= requestAnimationFrame(() => {
      this.drawing = null;
      this.#update();
    });
  }

  /** No more frames will come. reached() is called when the last one is shown or the user takes over. */
  end(reached) {
    this.ended = true;
    this.reached = reached;
    if (still.matches) this.go(this.frames.length - 1);
    if (!this.timer) this.#arrive();
    this.#update();
  }

  play() {
    if (this.ended && this.at === this.frames.length - 1) this.at = 0;
    this.timer ??= setInterval(() => this.#tick(), PACE);
    this.#update();
  }

  pause() {
    clearInterval(this.timer);
    this.timer = null;
    if (this.ended) this.#arrive();
    this.#update();
  }

  #arrive() {
    const { reached } = this;
    this.reached = null;
    reached?.();
  }

  go(at) {
    this.pause();
    this.#show(at);
  }

  #tick() {
    const left = this.frames.length - 1 - this.at;
    if (left > 0) this.#show(this.at + Math.ceil(left / BEHIND));
    else if (this.ended) this.pause();
  }

  #show(at) {
    this.at = Math.min(Math.max(at, 0), this.frames.length - 1);
    this.draw(this.frames[this.at]);
    this.#update();
  }

  #update() {
    const { find, frames, at } = this;
    if (!frames.length) return;
    const frame = frames[at];
    const last = frames.length - 1;
    const title = frame.title + (frame.changed ? `, ${frame.changed.size} cell${frame.changed.size === 1 ? "" : "s"} changed` : "");
    const sure = `${Math.round(100 * frame.confidence)} %`;
    find("scrubber").max = last;
    find("scrubber").value = at;
    find("scrubber").setAttribute("aria-valuetext", `${title}, confidence ${sure}`);
    find("step").textContent = title;
    find("back").disabled = at === 0;
    find("on").disabled = at === last;
    find("toggle").textContent = this.timer ? "Pause" : "Play";
    find("confidence").setAttribute("aria-valuenow", Math.round(100 * frame.confidence));
    find("confidence").firstElementChild.style.setProperty("--value", frame.confidence);
    find("confidence-text").textContent = at ? sure : "";
    const x = (number) => (last > 1 ? (100 * (number - 1)) / (last - 1) : 50);
    const line = find("curve").querySelector("polyline");
    line.setAttribute("points", frames.slice(1).map((one, i) => `${x(i + 1).toFixed(2)},${(23 - 22 * one.confidence).toFixed(2)}`).join(" "));
    const mark = find("curve").querySelector("line");
    for (const name of ["x1", "x2"]) mark.setAttribute(name, x(Math.max(at, 1)));
  }
}
