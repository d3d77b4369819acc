// Boxes on a page, and the editor that changes one of them by pointer or keyboard.

import { byId, element } from "./server.js";

export const LEAST = 4; // points; smallest side of a box
const STEP = 1, FAR = 10; // points per press of an arrow key
export const PARTS = ["whole", "nw", "ne", "se", "sw"];

// Position an element at a box in points; `width` and `height` are the page size in points.
export function place(box, [left, top, right, bottom], { width, height }) {
  box.style.left = `${(100 * left) / width}%`;
  box.style.top = `${(100 * top) / height}%`;
  box.style.width = `${(100 * (right - left)) / width}%`;
  box.style.height = `${(100 * (bottom - top)) / height}%`;
}

// Return a box after moving a part of it (the whole, or a corner) by points, within `limits`.
export function moved(box, part, across, down, limits) {
  let [left, top, right, bottom] = box;
  const [west, north, east, south] = limits;
  const within = (value, low, high) => Math.min(Math.max(value, low), high);
  if (part === "whole") {
    const x = within(across, west - left, east - right);
    const y = within(down, north - top, south - bottom);
    return [left + x, top + y, right + x, bottom + y];
  }
  if (part.includes("w")) left = within(left + across, west, right - LEAST);
  if (part.includes("e")) right = within(right + across, left + LEAST, east);
  if (part.startsWith("n")) top = within(top + down, north, bottom - LEAST);
  if (part.startsWith("s")) bottom = within(bottom + down, top + LEAST, south);
  return [left, top, right, bottom];
}

// Return the points to move right and down for an arrow key; undefined for other keys.
export function arrow(event) {
  const far = event.shiftKey ? FAR : STEP;
  return {
    ArrowLeft: [-far, 0], ArrowRight: [far, 0], ArrowUp: [0, -far], ArrowDown: [0, far],
  }[event.key];
}

// Add corners to drag to the element of a box.
export function addHandles(outline) {
  for (const name of PARTS.slice(1)) {
    const handle = element("div", `handle ${name}`);
    handle.dataset.part = name;
    outline.append(handle);
  }
}

export class BoxEditor {
  // `save(box)` is called with [x0, y0, x1, y1] in points, `end()` when editing ends.
  constructor(save, end) {
    this.save = save;
    this.end = end;
    this.layer = byId("page-boxes");
    this.on = false;
    this.layer.addEventListener("pointerdown", (event) => this.press(event));
    this.layer.addEventListener("pointermove", (event) => this.drag(event));
    for (const name of ["pointerup", "pointercancel"]) {
      this.layer.addEventListener(name, () => { this.grip = null; });
    }
  }

  start(box, extracted, page) {
    this.on = true;
    this.page = page;
    this.box = [...box];
    this.extracted = [...extracted];
    this.part = "whole";
    this.layer.classList.add("editing");
    byId("box-help").hidden = false;
    this.outline = element("div", "box editing");
    addHandles(this.outline);
    this.layer.append(this.outline);
    this.draw();
  }

  stop() {
    if (!this.on) return;
    this.on = false;
    this.grip = null;
    this.outline.remove();
    this.layer.classList.remove("editing");
    byId("box-help").hidden = true;
    this.end();
  }

  draw() {
    place(this.outline, this.box, this.page);
    this.outline.classList.toggle("active", this.part === "whole");
    for (const handle of this.outline.children) {
      handle.classList.toggle("active", handle.dataset.part === this.part);
    }
    byId("box-numbers").textContent = this.box.map((side) => side.toFixed(1)).join(", ");
  }

  // Move the selected part by points, within the page.
  move(across, down, from = this.box) {
    this.box = moved(from, this.part, across, down, [0, 0, this.page.width, this.page.height]);
    this.draw();
  }

  // Handle a key. Returns whether it was used.
  key(event) {
    const by = arrow(event);
    if (by) this.move(...by);
    else if (event.key === "Tab") {
      const next = PARTS.indexOf(this.part) + (event.shiftKey ? PARTS.length - 1 : 1);
      this.part = PARTS[next % PARTS.length];
      this.draw();
    } else if (event.key === "0") {
      this.box = [...this.extracted];
      this.draw();
    } else if (event.key === "Enter") {
      const box = this.box;
      this.stop();
      this.save(box);
    } else if (event.key === "Escape") this.stop();
    else return false;
    return true;
  }

  point(event) {
    const frame = this.layer.getBoundingClientRect();
    return [
      ((event.clientX - frame.left) / frame.width) * this.page.width,
      ((event.clientY - frame.top) / frame.height) * this.page.height,
    ];
  }

  press(event) {
    if (!this.on || event.button !== 0) return;
    event.preventDefault();
    this.layer.setPointerCapture(event.pointerId);
    const start = this.point(event);
    if (event.target.dataset.part) this.part = event.target.dataset.part;
    else if (event.target === this.outline) this.part = "whole";
    else { // start a new box here
      const [x, y] = start;
      const { width, height } = this.page;
      const left = Math.min(Math.max(x, 0), width - LEAST);
      const top = Math.min(Math.max(y, 0), height - LEAST);
      this.box = [left, top, left + LEAST, top + LEAST];
      this.part = "se";
    }
    this.grip = { start, from: [...this.box] };
    this.draw();
  }

  drag(event) {
    if (!this.grip) return;
    const [x, y] = this.point(event);
    this.move(x - this.grip.start[0], y - this.grip.start[1], this.grip.from);
  }
}
