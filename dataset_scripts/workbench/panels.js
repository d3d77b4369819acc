// The editor of panels on the image of a figure: draw, move, letter, merge, split.

import { addHandles, arrow, LEAST, moved, PARTS, place } from "./box.js";
import { byId, element } from "./server.js";

const LETTERS = "abcdefghijklmnopqrstuvwxyz";
const SAME_ROW = 0.5; // overlap of two panels in one row, as a share of the smaller height

export class PanelEditor {
  // `save(panels)` is called with [{letter, bbox, caption}], `end()` when editing ends.
  constructor(save, end) {
    this.save = save;
    this.end = end;
    this.layer = byId("figure-panels");
    this.list = byId("panel-list");
    this.on = false;
    this.layer.addEventListener("pointerdown", (event) => this.press(event));
    this.layer.addEventListener("pointermove", (event) => this.drag(event));
    for (const name of ["pointerup", "pointercancel"]) {
      this.layer.addEventListener(name, () => this.release());
    }
  }

  start(panels, extracted, frame) {
    this.on = true;
    this.frame = frame; // the figure's box
    this.panels = panels.map((panel) => ({ ...panel }));
    this.extracted = extracted;
    this.index = 0;
    this.part = "whole";
    this.layer.classList.add("editing");
    byId("figure-side").classList.add("editing"); // gives the image more space
    for (const [id, hidden] of [["panel-help", false], ["panel-list", false], ["panels", true]]) {
      byId(id).hidden = hidden;
    }
    this.draw();
  }

  stop() {
    if (!this.on) return;
    this.on = false;
    this.grip = null;
    this.layer.classList.remove("editing");
    byId("figure-side").classList.remove("editing");
    for (const [id, hidden] of [["panel-help", true], ["panel-list", true], ["panels", false]]) {
      byId(id).hidden = hidden;
    }
    this.list.replaceChildren();
    this.end();
  }

  get chosen() {
    return this.panels[this.index];
  }

  draw() {
    this.drawBoxes();
    this.list.replaceChildren(...this.panels.map((panel, index) => this.line(panel, index)));
    if (!this.panels.length) this.list.textContent = "No panels. Press N to add one.";
  }

  drawBoxes() {
    const [left, top, right, bottom] = this.frame;
    this.layer.replaceChildren(...this.panels.filter((panel) => panel.bbox).map((panel) => {
      const box = element("div", "box part");
      box.dataset.index = this.panels.indexOf(panel);
      box.append(element("span", "", panel.letter || "?"));
      const [x0, y0, x1, y1] = panel.bbox;
      place(box, [x0 - left, y0 - top, x1 - left, y1 - top],
        { width: right - left, height: bottom - top });
      if (panel === this.chosen) {
        box.classList.add("chosen");
        addHandles(box);
        for (const handle of box.querySelectorAll(".handle")) {
          handle.classList.toggle("active", handle.dataset.part === this.part);
        }
        box.classList.toggle("active", this.part === "whole");
      }
      return box;
    }));
  }

  // Return the list entry of a panel, with fields for letter and caption.
  line(panel, index) {
    const one = element("div", index === this.index ? "panel chosen" : "panel");
    for (const name of ["letter", "caption"]) {
      const field = element("input", name);
      field.value = panel[name] ?? "";
      field.maxLength = name === "letter" ? 20 : 20000;
      field.setAttribute("aria-label", `${name} of panel ${index + 1}`);
      field.placeholder = name === "letter" ? "?" : "caption of this panel";
      field.addEventListener("focus", () => this.choose(index, true));
      field.addEventListener("input", () => {
        panel[name] = field.value;
        this.drawBoxes();
      });
      one.append(field);
    }
    return one;
  }

  // Keep the fields of the list if one has the focus, so that typing continues.
  choose(index, typing = false) {
    this.index = index;
    if (!typing) return this.draw();
    [...this.list.children].forEach((one, place) => one.classList.toggle("chosen", place === index));
    this.drawBoxes();
  }

  // Handle a key. Returns whether it was used.
  key(event) {
    if (event.target.closest("input")) return this.fieldKey(event);
    const by = arrow(event), key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const actions = {
      Tab: () => this.next(event.shiftKey ? -1 : 1),
      c: () => { this.part = PARTS[(PARTS.indexOf(this.part) + 1) % PARTS.length]; },
      n: () => this.add(),
      x: () => this.remove(),
      Delete: () => this.remove(),
      m: () => this.merge(),
      v: () => this.split(0),
      h: () => this.split(1),
      r: () => this.letter(),
      0: () => { this.panels = this.extracted.map((panel) => ({ ...panel })); this.index = 0; },
    };
    if (by) {
      if (this.chosen?.bbox) {
        this.chosen.bbox = moved(this.chosen.bbox, this.part, ...by, this.frame);
      }
      this.drawBoxes();
    } else if (key === "l" || key === "e") this.type(key === "l" ? "letter" : "caption");
    else if (key === "Enter") {
      const panels = this.panels;
      this.stop();
      this.save(panels);
    } else if (key === "Escape") this.stop();
    else if (actions[key]) {
      actions[key]();
      this.draw();
    } else return false;
    return true;
  }

  // In a field, Enter and Escape return to the boxes; other keys are typed.
  fieldKey(event) {
    if (event.isComposing || !["Enter", "Escape"].includes(event.key)) return false;
    byId("single").focus({ preventScroll: true });
    return true;
  }

  type(name) {
    const field = this.list.children[this.index]?.querySelector(`.${name}`);
    field?.focus();
    field?.select();
  }

  next(by) {
    const { length } = this.panels;
    if (length) this.index = (this.index + by + length) % length;
  }

  freeLetter() {
    const taken = new Set(this.panels.map((panel) => panel.letter?.toLowerCase()));
    return [...LETTERS].find((one) => !taken.has(one)) ?? "";
  }

  // Add a box to the selected panel if it has none, else a new panel: a quarter of the figure.
  add(box) {
    const [left, top, right, bottom] = this.frame;
    const quarter = box ?? [left, top, (left + right) / 2, (top + bottom) / 2];
    if (this.chosen && !this.chosen.bbox) this.chosen.bbox = quarter;
    else {
      this.panels.push({ letter: this.freeLetter(), bbox: quarter, caption: "" });
      this.index = this.panels.length - 1;
    }
  }

  remove() {
    this.panels.splice(this.index, 1);
    this.index = Math.max(0, Math.min(this.index, this.panels.length - 1));
  }

  // Merge the selected panel with the next one in the list.
  merge() {
    const first = this.chosen, second = this.panels[this.index + 1];
    if (!second) return;
    const boxes = [first.bbox, second.bbox].filter(Boolean);
    const [lefts, tops, rights, bottoms] = [0, 1, 2, 3].map((side) => boxes.map((box) => box[side]));
    first.bbox = boxes.length
      ? [Math.min(...lefts), Math.min(...tops), Math.max(...rights), Math.max(...bottoms)] : null;
    first.caption = [first.caption, second.caption].filter(Boolean).join(" ");
    this.panels.splice(this.index + 1, 1);
  }

  // Split the selected panel into halves, side by side (0) or one above the other (1).
  split(side) {
    const box = this.chosen?.bbox;
    if (!box || box[side + 2] - box[side] < 2 * LEAST) return;
    const middle = (box[side] + box[side + 2]) / 2, first = [...box], second = [...box];
    first[side + 2] = second[side] = middle;
    this.chosen.bbox = first;
    const other = { letter: this.freeLetter(), bbox: second, caption: "" };
    this.panels.splice(this.index + 1, 0, other);
  }

  // Assign letters a, b, c … in reading order: rows from the top, each from the left.
  letter() {
    const left = this.panels.filter((panel) => panel.bbox).sort((a, b) => a.bbox[1] - b.bbox[1]);
    const order = [];
    while (left.length) {
      const [, top, , bottom] = left[0].bbox;
      const isIn = ({ bbox }) => Math.min(bottom, bbox[3]) - Math.max(top, bbox[1])
        > SAME_ROW * Math.min(bottom - top, bbox[3] - bbox[1]);
      const row = left.filter((panel, index) => index === 0 || isIn(panel));
      order.push(...row.sort((a, b) => a.bbox[0] - b.bbox[0]));
      for (const panel of row) left.splice(left.indexOf(panel), 1);
    }
    this.panels = [...order, ...this.panels.filter((panel) => !panel.bbox)];
    this.panels.forEach((panel, index) => { panel.letter = LETTERS[index] ?? ""; });
    this.index = 0;
  }

  // --- pointer

  point(event) {
    const shown = this.layer.getBoundingClientRect();
    const [left, top, right, bottom] = this.frame;
    return [
      left + ((event.clientX - shown.left) / shown.width) * (right - left),
      top + ((event.clientY - shown.top) / shown.height) * (bottom - top),
    ];
  }

  press(event) {
    if (!this.on || event.button !== 0) return;
    event.preventDefault();
    byId("single").focus({ preventScroll: true });
    this.layer.setPointerCapture(event.pointerId);
    const start = this.point(event), box = event.target.closest(".box");
    if (box) {
      this.index = Number(box.dataset.index);
      this.part = event.target.dataset.part ?? "whole";
    } else { // start a new panel here
      const [left, top, right, bottom] = this.frame;
      const x = Math.min(Math.max(start[0], left), right - LEAST);
      const y = Math.min(Math.max(start[1], top), bottom - LEAST);
      this.add([x, y, x + LEAST, y + LEAST]);
      this.part = "se";
    }
    this.grip = { start, from: [...this.chosen.bbox] };
    this.drawBoxes();
  }

  drag(event) {
    if (!this.grip) return;
    const [x, y] = this.point(event);
    const by = [x - this.grip.start[0], y - this.grip.start[1]];
    this.chosen.bbox = moved(this.grip.from, this.part, ...by, this.frame);
    this.drawBoxes();
  }

  release() {
    if (this.grip) {
      this.grip = null;
      this.draw();
    }
  }
}
