// The keys and their actions, listed in the footer and the help of the page.

import { byId, element } from "./server.js";

// Displayed keys, description, key values, and action with the application and the pressed key.
export const KEYS = [
  ["→ J", "next figure", ["ArrowRight", "j"], (app) => app.step(1)],
  ["← K", "previous figure", ["ArrowLeft", "k"], (app) => app.step(-1)],
  ["↑ ↓", "one row of the grid up or down", ["ArrowUp", "ArrowDown"], (app, key) => app.row(key)],
  ["N", "next figure without a decision", ["n"], (app) => app.nextUndecided()],
  ["Home End", "first, last figure", ["Home", "End"], (app, key) => app.jump(key)],
  ["Enter G", "open the figure, or return to the grid", ["Enter", "g"], (app) => app.toggle()],
  ["A", "accept, then next figure", ["a"], (app) => app.judge("accepted")],
  ["R", "reject, then next figure", ["r"], (app) => app.judge("rejected")],
  ["U", "undo the last decision", ["u"], (app) => app.undo()],
  ["E", "edit the caption", ["e"], (app) => app.edit("caption")],
  ["L", "edit the label", ["l"], (app) => app.edit("label")],
  ["1 … 9", "assign a class", [..."123456789"], (app, key) => app.assign(Number(key) - 1)],
  ["T", "type another class", ["t"], (app) => app.edit("kind")],
  ["B", "correct the box on the page", ["b"], (app) => app.editBox()],
  ["D", "correct the panels", ["d"], (app) => app.editPanels()],
  ["C", "conversations; Tab, Enter to decide, E to edit, Esc to leave", ["c"], (app) => app.single.talks.focus()],
  ["P", "show or hide the panels", ["p"], (app) => app.togglePanels()],
  ["/", "search", ["/"], () => byId("filter-text").focus()],
  ["F", "filters; Esc to leave", ["f"], () => byId("filter-state").focus()],
  ["?", "list all keys", ["?"], () => byId("help").showModal()],
];
const SHOWN_BELOW = ["→ J", "← K", "N", "Enter G", "A", "R", "U", "E", "L", "1 … 9", "B", "D", "/", "?"];

export function writeKeys() {
  for (const [names, what] of KEYS) {
    const row = element("tr"), cell = element("td");
    for (const name of names.split(" ")) cell.append(element("kbd", "", name), " ");
    row.append(cell, element("td", "", what));
    byId("key-table").append(row);
    if (!SHOWN_BELOW.includes(names)) continue;
    const hint = element("span");
    for (const name of names.split(" ")) hint.append(element("kbd", "", name), " ");
    hint.append(what.split(",")[0].split(";")[0]);
    byId("keys").append(hint);
  }
}
