// The tabs, one for each puzzle: those of the page itself, and one for every other task that the server has.

import { element, find } from "./elements.js";

const all = () => [...find("tabs").children];
const named = (tab) => tab.id.replace("tab-", "");

/** Add a tab for each name that has none, before the last one; choose(name) is called for a tab that the user takes. */
export function addTabs(names, choose) {
  for (const name of names.filter((one) => !find(`tab-${one}`))) {
    const tab = element("button", "", name);
    Object.assign(tab, { id: `tab-${name}`, tabIndex: -1 });
    for (const [key, value] of [["role", "tab"], ["aria-controls", "play"], ["aria-selected", "false"]]) tab.setAttribute(key, value);
    find("tab-arc").before(tab);
  }
  find("tabs").addEventListener("click", (event) => event.target.id.startsWith("tab-") && choose(named(event.target)));
  find("tabs").addEventListener("keydown", (event) => {
    const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!move) return;
    const next = all().at((all().indexOf(event.target) + move) % all().length);
    choose(named(next));
    next.focus();
  });
}

/** Show which tab is open. */
export function mark(name) {
  for (const tab of all()) {
    tab.setAttribute("aria-selected", String(named(tab) === name));
    tab.tabIndex = named(tab) === name ? 0 : -1;
  }
}
