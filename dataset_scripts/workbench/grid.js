// The figures of the list as cards. Only the visible ones exist in the document.

import { byId, element } from "./server.js";

const WIDTH = 214, HEIGHT = 236, GAP = 10; // pixels: size of a card, and gap
const AROUND = 2; // rows above and below the visible ones

export class Grid {
  // `app` has `ids`, `index`, `figures`, `need(ids)`, `choose(index)` and `open()`.
  constructor(app) {
    this.app = app;
    this.view = byId("grid");
    this.sheet = byId("sheet");
    this.cards = new Map(); // by index in the list
    this.view.addEventListener("scroll", () => this.draw(), { passive: true });
    new ResizeObserver(() => this.layout()).observe(this.view);
    this.sheet.addEventListener("click", (event) => this.clicked(event, false));
    this.sheet.addEventListener("dblclick", (event) => this.clicked(event, true));
  }

  clicked(event, open) {
    const card = event.target.closest(".card");
    if (!card) return;
    this.app.choose(Number(card.dataset.place));
    if (open) this.app.open();
  }

  get columns() {
    return Math.max(1, Math.floor((this.view.clientWidth - GAP) / (WIDTH + GAP)));
  }

  get rowsInSight() {
    return Math.max(1, Math.floor(this.view.clientHeight / (HEIGHT + GAP)));
  }

  // Lay out all cards again after a change of the list or the window size.
  layout() {
    for (const card of this.cards.values()) card.remove();
    this.cards.clear();
    const rows = Math.ceil(this.app.ids.length / this.columns);
    this.sheet.style.height = `${rows * (HEIGHT + GAP) + GAP}px`;
    byId("nothing").hidden = this.app.ids.length > 0 || !this.app.loaded;
    this.reveal();
    this.draw();
  }

  // Scroll to the current card.
  reveal() {
    const top = Math.floor(this.app.index / this.columns) * (HEIGHT + GAP);
    const bottom = top + HEIGHT + 2 * GAP;
    if (top < this.view.scrollTop) this.view.scrollTop = top;
    else if (bottom > this.view.scrollTop + this.view.clientHeight) {
      this.view.scrollTop = bottom - this.view.clientHeight;
    }
  }

  draw() {
    if (this.view.hidden) return;
    const columns = this.columns, high = HEIGHT + GAP;
    const first = Math.max(0, Math.floor(this.view.scrollTop / high) - AROUND) * columns;
    const rows = Math.ceil(this.view.clientHeight / high) + 2 * AROUND + 1;
    const end = Math.min(this.app.ids.length, first + rows * columns);
    for (const [place, card] of this.cards) {
      if (place < first || place >= end) {
        card.remove();
        this.cards.delete(place);
      }
    }
    const left = Math.max(GAP, (this.view.clientWidth - columns * (WIDTH + GAP) + GAP) / 2);
    for (let place = first; place < end; place++) {
      if (!this.cards.has(place)) {
        const card = this.make(place);
        card.style.transform =
          `translate(${left + (place % columns) * (WIDTH + GAP)}px, ` +
          `${GAP + Math.floor(place / columns) * high}px)`;
        this.cards.set(place, card);
        this.sheet.append(card);
      }
      this.fill(place);
    }
    this.app.need(this.app.ids.slice(first, end));
  }

  make(place) {
    const card = element("div", "card");
    card.dataset.place = place;
    card.style.width = `${WIDTH}px`;
    card.style.height = `${HEIGHT}px`;
    card.append(element("div", "picture"), element("div", "line"), element("div", "words"));
    card.children[1].append(element("b"), element("span", "mark"));
    return card;
  }

  // Show the data of a figure in its card.
  fill(place) {
    const card = this.cards.get(place);
    if (!card) return;
    card.classList.toggle("current", place === this.app.index);
    const figure = this.app.figures.get(this.app.ids[place]);
    if (!figure || card.shown === figure) return;
    card.shown = figure;
    card.classList.toggle("rejected", figure.state === "rejected");
    const [picture, line, words] = card.children;
    const path = `thumbnail/${figure.id}/${figure.version || "0"}`;
    if (picture.dataset.path !== path) {
      picture.dataset.path = path;
      const image = element("img");
      image.alt = "";
      image.decoding = "async";
      image.src = path;
      image.onerror = () => { picture.classList.add("broken"); image.remove(); };
      picture.classList.remove("broken");
      picture.replaceChildren(image);
    }
    line.children[0].textContent = figure.label || figure.kind;
    mark(line.children[1], figure);
    words.textContent = figure.caption ?? "";
    card.title = `${figure.document}, page ${(figure.page ?? 0) + 1}`;
  }

  // Update the cards at some indices.
  refresh(...places) {
    for (const place of places) this.fill(place);
  }
}

// Show the decision about a figure in an element.
export function mark(span, figure) {
  const edited = Object.keys(figure.extracted).length > 0;
  const state = figure.state ?? (edited ? "edited" : "");
  span.className = `mark ${state}`;
  const words = { accepted: "✓ accepted", rejected: "✗ rejected", edited: "✎ edited" };
  span.textContent = (words[state] ?? "") + (figure.state && edited ? " ✎" : "");
}
