// Small helpers for the elements of the page.

const MOST = 8; // faults that are listed

export const find = (id) => document.getElementById(id);
export const plural = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;

export function element(tag, classes, text) {
  const made = document.createElement(tag);
  if (classes) made.className = classes;
  made.textContent = text;
  return made;
}

export function fill(select, options) {
  select.replaceChildren(...options.map(([value, label]) => Object.assign(document.createElement("option"), { value, textContent: label })));
}

/** Whether white is easier to read on a colour, #rrggbb, than black. */
export function dark(colour) {
  const [red, green, blue] = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
  return 0.299 * red + 0.587 * green + 0.114 * blue <= 140;
}

export function say(text, mood = "") {
  find("verdict").textContent = text;
  find("verdict").className = mood;
}

/** List the faults in words, each with a button; go(row, column) goes to its cell. */
export function blame(message = "", faults = [], note = "", go = () => {}) {
  const parts = [];
  if (message) parts.push(element("p", "bad", message));
  if (note) parts.push(element("p", "", `Note: ${note}.`));
  const list = document.createElement("ul");
  for (const fault of faults.slice(0, MOST)) {
    const item = document.createElement("li");
    const place = `Row ${fault.row}${fault.column ? `, column ${fault.column}` : ""}: ${fault.message}`;
    const button = element("button", "", place);
    button.type = "button";
    button.addEventListener("click", () => go(fault.row, fault.column ?? 1));
    item.append(button);
    list.append(item);
  }
  if (faults.length > MOST) list.append(element("li", "", `and ${faults.length - MOST} more`));
  find("blame").replaceChildren(...parts, ...(faults.length ? [list] : []));
}

export const typing = (target) => target.closest?.("textarea, input:not([type=range]), select");

export async function share() {
  await navigator.clipboard?.writeText(location.href).catch(() => {});
  say("The address of this page holds the puzzle; it has been copied where the browser allows it.");
}

/** Say in one line what solves the puzzles of a task, of which this is offered. */
export function introduce({ parameters, bytes }) {
  find("what").textContent = parameters
    ? `A network of ${Math.round(parameters / 1000)} thousand weights (${Math.round(bytes / 1000)} kB) solves this by revising its own answer. `
    : "Tiny networks, trained on one task's examples alone, vote on its answer. ";
  find("what").append(Object.assign(element("a", "", "How?"), { href: "#how", onclick: (event) => {
    event.preventDefault();
    if (!find("play").hidden) Object.assign(find("how"), { open: true }).scrollIntoView();
    else find("arc-about").scrollIntoView();
  } }));
}

/** Fill the pad with buttons {sign, label, text?, colour?}; tool: the sign whose button is pressed, if there are tools; use(sign) is called. */
export function fillPad(signs, tool, use) {
  const count = signs.length;
  find("pad").style.setProperty("--across", count > 10 ? 9 : count);
  find("pad").style.setProperty("--narrow", count > 10 ? 6 : count > 6 ? Math.ceil(count / 2) : count);
  const buttons = signs.map(({ sign, label, text, colour }) => {
    const button = element("button", "", sign === "." && !tool ? "⌫" : text || label);
    button.type = "button";
    button.setAttribute("aria-label", label);
    if (colour) Object.assign(button.style, { backgroundColor: colour, color: dark(colour) ? "#fff" : "#000" });
    if (tool) button.setAttribute("aria-pressed", String(tool === sign));
    button.addEventListener("click", () => {
      use(sign);
      if (tool) for (const other of buttons) other.setAttribute("aria-pressed", String(other === button));
    });
    return button;
  });
  find("pad").replaceChildren(...buttons);
}
