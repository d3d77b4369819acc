// A single figure: its page with boxes, its crop, and the fields that can be corrected.

import { BoxEditor, place } from "./box.js";
import { mark } from "./grid.js";
import { PanelEditor } from "./panels.js";
import { byId, element, get, showPicture } from "./server.js";
import { Talks } from "./talks.js";

const POINTS = 72; // points per inch
const RESTING = 150; // milliseconds at a figure before its mentions are requested
const TEXTS = ["label", "caption", "kind"]; // fields with an editor

export class Single {
  // `app` has `figure`, `figures`, `index`, `ids`, `kinds`, `dpi`, `decide(what, after)`,
  // `chooseFigure(id)`, `tell(text)` and `focus()`.
  constructor(app) {
    this.app = app;
    this.view = byId("single");
    this.page = null; // its size in points
    this.others = []; // figures of the page
    this.panels = true; // whether they are shown
    this.talks = new Talks(app.tell);
    this.editor = new BoxEditor((box) => app.decide("bbox", box), () => this.drawBoxes());
    this.panelEditor = new PanelEditor(
      (panels) => app.decide("panels", panels), () => { this.drawPanels(); app.focus(); },
    );
    this.image = byId("page-image");
    this.image.addEventListener("load", () => this.pageLoaded());
    this.image.onfailure = () => this.noPage(byId("page-problem").textContent);
    const figure = byId("figure-image");
    figure.addEventListener("load", () => this.drawPanels());
    // In a resized frame the position of the image changes, even if its size does not.
    const resized = new ResizeObserver(() => this.drawPanels());
    for (const one of [figure, byId("figure-hold")]) resized.observe(one);
    byId("page-boxes").addEventListener("click", (event) => {
      const id = event.target.closest("[data-id]")?.dataset.id;
      if (id && !this.editor.on) app.chooseFigure(Number(id));
    });
    for (const name of TEXTS) {
      const edit = byId(`${name}-edit`);
      edit.addEventListener("keydown", (event) => this.editorKey(event, name));
      edit.addEventListener("blur", () => this.closeEditor(name));
      byId(name === "kind" ? "kinds" : name).addEventListener("dblclick", () => this.edit(name));
    }
    byId("kinds").addEventListener("click", (event) => {
      const kind = event.target.closest("[data-kind]")?.dataset.kind;
      if (kind) app.decide("kind", kind);
    });
  }

  // Show the current figure.
  draw() {
    const figure = this.app.figure;
    if (this.view.hidden || !figure) return;
    if (this.shown !== figure.id) {
      this.editor.stop();
      this.panelEditor.stop();
    }
    if (this.shown !== figure.id) {
      byId("figure-side").scrollTop = 0;
      this.showMentions(figure.id);
      this.talks.show(figure.id);
    }
    this.shown = figure.id;
    byId("position").textContent = `${this.app.index + 1} of ${this.app.ids.length}`;
    byId("source").textContent = `${figure.document}, page ${(figure.page ?? 0) + 1}`;
    mark(byId("badge"), figure);
    this.drawTexts(figure);
    const version = figure.version || "0";
    const image = byId("figure-image");
    image.alt = figure.label || "figure";
    showPicture(image, `figure/${figure.id}/${version}`, byId("figure-problem"));
    this.showPage(figure);
    this.drawPanels();
  }

  drawTexts(figure) {
    for (const name of ["label", "caption"]) {
      const value = byId(name);
      value.textContent = figure[name] || "–";
      value.classList.toggle("changed", name in figure.extracted);
    }
    const kinds = byId("kinds");
    kinds.classList.toggle("changed", "kind" in figure.extracted);
    const names = this.app.kinds.includes(figure.kind)
      ? this.app.kinds : [...this.app.kinds, figure.kind];
    kinds.replaceChildren(...names.map((kind, number) => {
      const one = element("span", kind === figure.kind ? "kind chosen" : "kind");
      if (number < 9) one.append(element("kbd", "", String(number + 1)), " ");
      one.append(kind);
      one.dataset.kind = kind;
      return one;
    }));
    byId("panels").replaceChildren(...(figure.panels ?? []).map((panel) => {
      const one = element("span");
      one.append(element("b", "", panel.letter || "?"), ` ${panel.caption ?? ""}`);
      return one;
    }));
    if (!figure.panels?.length) byId("panels").textContent = "–";
    byId("panels").classList.toggle("changed", "panels" in figure.extracted);
    const facts = [figure.title, figure.doi, figure.license ?? "licence unknown"];
    byId("paper").textContent = facts.filter(Boolean).join(" · ");
    byId("faults-row").hidden = !figure.text_faults?.length;
    byId("faults").textContent = (figure.text_faults ?? []).join("; ");
    const changed = Object.entries(figure.extracted);
    byId("extracted-row").hidden = !changed.length;
    byId("extracted").textContent = changed
      .map(([name, value]) => `${name}: ${asText(name, value)}`)
      .join("\n");
  }

  // Request the paragraphs that cite the figure if the user stays at it.
  showMentions(id) {
    byId("mentions").textContent = "…";
    clearTimeout(this.asking);
    this.asking = setTimeout(async () => {
      let found;
      try {
        ({ mentions: found } = await get(`api/mentions/${id}`));
      } catch (error) {
        found = [error.message];
      }
      if (this.shown !== id) return;
      byId("mentions").replaceChildren(...found.map((text) => element("p", "", text)));
      if (!found.length) byId("mentions").textContent = "–";
    }, RESTING);
  }

  // The page is requested once for all its figures.
  async showPage(figure) {
    const sheet = `${figure.document} ${figure.page}`;
    if (this.sheet !== sheet) {
      this.sheet = sheet;
      this.page = null;
      this.others = [];
      byId("page-frame").hidden = false;
      byId("page-frame").classList.add("loading");
      byId("page-problem").hidden = true;
      this.wanted = false;
      this.drawBoxes();
      try {
        const found = await get(`api/page/${figure.id}`);
        if (this.sheet !== sheet) return;
        this.others = found.figures;
        if (found.problem) this.noPage(found.problem);
        else showPicture(this.image, `page/${figure.id}`, byId("page-problem"));
        if (!found.problem && this.image.complete) this.pageLoaded(); // it was cached
      } catch (error) {
        if (this.sheet === sheet) this.noPage(error.message);
      }
    } else this.revealBox();
    this.drawBoxes();
  }

  noPage(why) {
    byId("page-problem").textContent = why;
    byId("page-problem").hidden = false;
    byId("page-frame").hidden = true;
    this.wanted = false;
  }

  pageLoaded() {
    byId("page-frame").classList.remove("loading");
    const { naturalWidth, naturalHeight } = this.image;
    if (!naturalWidth) return;
    const scale = POINTS / this.app.dpi;
    this.page = { width: naturalWidth * scale, height: naturalHeight * scale };
    this.drawBoxes();
    this.revealBox();
    if (this.wanted) this.editBox();
  }

  // Scroll the page to the box.
  revealBox() {
    const box = this.app.figure?.bbox, side = byId("page-side");
    if (!box || !this.page || this.revealed === this.shown) return;
    this.revealed = this.shown;
    const high = byId("page-frame").clientHeight / this.page.height;
    const top = box[1] * high, bottom = box[3] * high;
    if (top < side.scrollTop || bottom > side.scrollTop + side.clientHeight) {
      side.scrollTop = Math.max(0, top - 40);
    }
  }

  drawBoxes() {
    const layer = byId("page-boxes"), figure = this.app.figure;
    if (this.editor.on) return;
    layer.replaceChildren();
    if (!this.page || !figure) return;
    const known = this.others.map((one) => this.app.figures.get(one.id) ?? one);
    for (const one of known.filter((other) => other.id !== figure.id && other.bbox)) {
      const box = element("div", `box other ${one.state ?? ""}`);
      box.dataset.id = one.id;
      box.append(element("span", "", one.label || one.kind));
      place(box, one.bbox, this.page);
      layer.append(box);
    }
    if (figure.caption_bbox) {
      const words = element("div", "box words");
      place(words, figure.caption_bbox, this.page);
      layer.append(words);
    }
    if (figure.bbox) {
      const box = element("div", `box this ${figure.state ?? ""}`);
      box.append(element("span", "", figure.label || figure.kind));
      place(box, figure.bbox, this.page);
      layer.append(box);
      box.addEventListener("dblclick", () => this.editBox());
    }
  }

  // Draw the panels on the crop, with their letters.
  drawPanels() {
    const layer = byId("figure-panels"), figure = this.app.figure, image = byId("figure-image");
    const { on } = this.panelEditor;
    if (!on) layer.replaceChildren();
    if (!(this.panels || on) || !figure?.bbox || image.hidden) return;
    layer.style.left = `${image.offsetLeft}px`;
    layer.style.top = `${image.offsetTop}px`;
    layer.style.width = `${image.clientWidth}px`;
    layer.style.height = `${image.clientHeight}px`;
    if (on) return;
    const [left, top, right, bottom] = figure.bbox;
    for (const panel of figure.panels ?? []) {
      if (!panel.bbox) continue;
      const [x0, y0, x1, y1] = panel.bbox;
      const box = element("div", "box part");
      box.append(element("span", "", panel.letter || "?"));
      place(box, [x0 - left, y0 - top, x1 - left, y1 - top],
        { width: right - left, height: bottom - top });
      layer.append(box);
    }
  }

  // Start the box editor when the page is loaded. Returns false without a page.
  editBox() {
    const figure = this.app.figure;
    if (!figure?.bbox || !byId("page-problem").hidden) return false;
    this.wanted = !this.page;
    if (this.wanted || this.editor.on) return true;
    byId("page-boxes").replaceChildren();
    this.editor.start(figure.bbox, figure.extracted.bbox ?? figure.bbox, this.page);
    return true;
  }

  // The active editor, which receives the keys.
  get editing() {
    return [this.editor, this.panelEditor].find((one) => one.on);
  }

  // Start the panel editor. Returns false if the figure has no box.
  editPanels() {
    const figure = this.app.figure, image = byId("figure-image");
    if (!figure?.bbox || image.hidden) return false;
    if (!this.editing) {
      this.panelEditor.start(
        figure.panels ?? [], figure.extracted.panels ?? figure.panels ?? [], figure.bbox,
      );
    }
    return true;
  }

  // --- texts

  edit(name) {
    const edit = byId(`${name}-edit`), figure = this.app.figure;
    if (!figure) return;
    edit.value = figure[name] ?? "";
    edit.hidden = false;
    byId(name === "kind" ? "kinds" : name).hidden = true;
    edit.focus();
    if (name === "caption") edit.setSelectionRange(0, 0);
    else edit.select();
    edit.scrollTop = 0;
  }

  editorKey(event, name) {
    if (event.isComposing) return;
    event.stopPropagation();
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      const value = event.target.value.trim();
      this.closeEditor(name);
      if (value !== (this.app.figure[name] ?? "")) this.app.decide(name, value);
    } else if (event.key === "Escape") {
      event.preventDefault();
      this.closeEditor(name);
    }
  }

  closeEditor(name) {
    const edit = byId(`${name}-edit`);
    if (edit.hidden) return;
    edit.hidden = true;
    byId(name === "kind" ? "kinds" : name).hidden = false;
    this.app.focus();
  }
}

// Return an extracted value as text.
function asText(name, value) {
  if (name === "panels") return (value ?? []).map((panel) => panel.letter || "?").join(" ") || "–";
  return Array.isArray(value) ? numbers(value) : value || "–";
}

function numbers(box) {
  return box.map((side) => Number(side).toFixed(1)).join(", ");
}
