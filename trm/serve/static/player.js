// The frames of a solution, one for each step, and the controls to go through them. Frame 0 is the puzzle itself.

const PACES = { slow: 600, normal: 200, fast: 60 }; // milliseconds per frame
const STILL = 1000; // the same where motion is to be reduced
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
    find("speed").addEventListener("change", () => this.timer && this.#run());
  }

  /** Start with the puzzle as the only frame, or, without one, show no controls. */
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
    if (this.frames.length === 2) this.play();
    this.drawing ??= requestAnimationFrame(() => {
      this.drawing = null;
      this.#update();
    });
  }

  /** More frames will come after all. */
  resume() {
    this.ended = false;
    this.play();
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
    this.#run();
    this.#update();
  }

  #run() {
    clearInterval(this.timer);
    this.timer = setInterval(() => this.#tick(), still.matches ? STILL : PACES[this.find("speed").value]);
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
    if (left > 0) this.#show(still.matches && !this.ended ? this.frames.length - 1 : this.at + Math.ceil(left / BEHIND));
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
    const sure = `${Math.round(100 * frame.sure)} %`;
    find("scrubber").max = last;
    find("scrubber").value = at;
    find("scrubber").setAttribute("aria-valuetext", at ? `${frame.title}, cells ${sure} sure` : frame.title);
    find("step").textContent = frame.title;
    find("back").disabled = at === 0;
    find("on").disabled = at === last;
    find("toggle").textContent = this.timer ? "Pause" : "Play";
    find("confidence").setAttribute("aria-valuenow", Math.round(100 * frame.sure));
    find("confidence").firstElementChild.style.setProperty("--value", frame.sure);
    find("confidence-text").textContent = at ? sure : "";
    this.#curve(last);
  }

  /** The mean confidence of the cells at every step, a mark at each further start, and a line at the frame shown. */
  #curve(last) {
    const { find, frames, at } = this;
    const x = (number) => (last > 1 ? (100 * (number - 1)) / (last - 1) : 50).toFixed(2);
    const line = find("curve").querySelector("polyline");
    line.setAttribute("points", frames.slice(1).map((one, i) => `${x(i + 1)},${(23 - 22 * one.sure).toFixed(2)}`).join(" "));
    const starts = frames.flatMap((one, number) => (number > 1 && one.start !== frames[number - 1].start ? [`M${x(number)} 0v24`] : []));
    find("curve").querySelector("path").setAttribute("d", starts.join(""));
    const mark = find("curve").querySelector("line");
    for (const name of ["x1", "x2"]) mark.setAttribute(name, x(Math.max(at, 1)));
  }
}
