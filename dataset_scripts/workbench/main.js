// The workbench: the list of figures, the current figure, the keys, and decisions in order.

import { Grid } from "./grid.js";
import { KEYS, writeKeys } from "./keys.js";
import { Single } from "./single.js";
import { byId, element, get, post } from "./server.js";

const POLL = 3000; // milliseconds between requests for new figures
const TOGETHER = 100; // figures per request
const AHEAD = 20; // figures requested in advance
const TYPING = 250; // milliseconds between a keystroke and the search in all texts
const COUNTING = 400; // milliseconds between a decision and the request for counts

const SELECTS = [
  ["state", "Any state"], ["kind", "Any class"], ["license", "Any licence"],
  ["talks", "Any answers", "answers: "], ["check", "Any check"],
];

class App {
  constructor() {
    this.ids = [];
    this.index = 0;
    this.figures = new Map(); // by number
    this.asked = new Set();
    this.kinds = [];
    this.counted = {}; // the counts that the filters show, as JSON
    this.loaded = false;
    this.done = []; // figures decided in this session, for undo
    this.waiting = 0; // decisions that are not saved yet
    this.order = Promise.resolve(); // decisions are sent one by one
    this.grid = new Grid(this);
    this.tell = tell;
    this.single = new Single(this);
  }

  get figure() {
    return this.figures.get(this.ids[this.index]);
  }

  get isSingle() {
    return !byId("single").hidden;
  }

  // --- the list

  async start() {
    document.addEventListener("keydown", (event) => this.key(event));
    byId("help-button").addEventListener("click", () => byId("help").showModal());
    byId("filters").addEventListener("input", () => {
      clearTimeout(this.typing);
      this.typing = setTimeout(() => this.list(), byId("filter-within").value ? TYPING : 0);
    });
    byId("filters").addEventListener("submit", (event) => event.preventDefault());
    window.addEventListener("beforeunload", (event) => {
      if (this.waiting) event.preventDefault();
    });
    writeKeys();
    byId("grid").focus();
    await this.poll();
    setInterval(() => this.poll(), POLL);
  }

  async poll() {
    try {
      const state = await get("api/state");
      byId("folder").textContent = state.folder;
      byId("folder").title = `${state.folder}; decisions by ${state.by}`;
      document.title = `${state.folder} · Cephalo review`;
      this.dpi = state.page_dpi;
      this.kindsOfExtraction = state.kinds;
      if (this.version !== state.version || this.loaded !== state.loaded) {
        this.version = state.version;
        this.loaded = state.loaded;
        await this.count();
        await this.list(true);
      }
      this.lost = false;
      tell(state.damaged.join(" · "));
    } catch (error) {
      tell(error.message);
    }
  }

  // Request the numbers of the figures that match the filters; keep the current figure.
  async list(grown = false) {
    const wanted = Object.fromEntries(
      [...new FormData(byId("filters"))].filter(([, value]) => value !== ""),
    );
    for (const field of byId("filters").elements) field.classList.toggle("set", field.value !== "");
    const asked = (this.listing = {});
    let ids;
    try {
      ({ ids } = await get("api/list", wanted));
    } catch (error) {
      return tell(error.message);
    }
    if (asked !== this.listing) return; // the filters have changed
    const current = this.ids[this.index];
    // Figures that no longer match because of a decision stay until the filters change.
    if (grown && this.filled) {
      const there = new Set(this.ids);
      ids = [...this.ids, ...ids.filter((id) => !there.has(id))];
    }
    this.filled = true;
    this.ids = ids;
    this.index = Math.max(0, ids.indexOf(current));
    if (!ids.length && this.isSingle) this.toggle();
    this.grid.layout();
    this.show();
  }

  async count() {
    let counts;
    try {
      counts = await get("api/counts");
    } catch (error) {
      return tell(error.message);
    }
    const total = Object.values(counts.kind).reduce((sum, one) => sum + one, 0);
    const { accepted = 0, rejected = 0, edited = 0 } = counts.state;
    byId("counts").textContent =
      `${accepted} accepted · ${rejected} rejected · ${edited} edited of ${total}` +
      (this.loaded ? "" : " …");
    // Thousands of documents take longer to list than a key may take.
    const changed = (name) => {
      const now = JSON.stringify(counts[name]);
      if (this.counted[name] === now) return false;
      this.counted[name] = now;
      return true;
    };
    for (const [name, any, before = ""] of SELECTS) {
      if (changed(name)) fill(name, any, counts[name], before);
    }
    byId("filter-talks").hidden = Object.keys(counts.talks).join() === "none";
    byId("filter-check").hidden = !Object.keys(counts.check).length;
    byId("filter-scores").hidden = !Object.keys(counts.scores).length;
    byId("filter-refined").hidden =
      ["talks", "check", "scores"].every((name) => byId(`filter-${name}`).hidden);
    const scores = Object.entries(counts.scores).map(
      ([name, range]) => [name, range.map((one) => Number(one.toFixed(2))).join(" to ")],
    );
    if (changed("scores")) fill("score", "Any score", Object.fromEntries(scores));
    if (changed("document")) {
      byId("documents").replaceChildren(
        ...Object.keys(counts.document).map((name) => new Option("", name)),
      );
    }
    this.kinds = [...new Set([...this.kindsOfExtraction, ...Object.keys(counts.kind)])];
    byId("kind-list").replaceChildren(...this.kinds.map((kind) => new Option("", kind)));
  }

  // Request the data of figures that are not loaded yet.
  async need(ids) {
    const missing = ids.filter((id) => !this.figures.has(id) && !this.asked.has(id));
    for (let from = 0; from < missing.length; from += TOGETHER) {
      const some = missing.slice(from, from + TOGETHER);
      for (const id of some) this.asked.add(id);
      try {
        const { figures } = await get("api/figures", { ids: some.join(",") });
        for (const figure of figures) this.figures.set(figure.id, figure);
        for (const figure of figures) this.grid.refresh(this.ids.indexOf(figure.id));
        if (some.includes(this.ids[this.index])) this.show();
      } catch (error) {
        tell(error.message);
      } finally {
        for (const id of some) this.asked.delete(id);
      }
    }
  }

  // --- moving

  choose(index) {
    const before = this.index;
    this.index = Math.min(Math.max(index, 0), Math.max(this.ids.length - 1, 0));
    this.grid.refresh(before, this.index);
    if (!this.isSingle) this.grid.reveal();
    this.show();
  }

  chooseFigure(id) {
    const index = this.ids.indexOf(id);
    if (index >= 0) this.choose(index);
  }

  show() {
    this.need(this.ids.slice(Math.max(0, this.index - 1), this.index + AHEAD));
    this.single.draw();
    for (const id of this.isSingle ? this.ids.slice(this.index + 1, this.index + 3) : []) {
      const next = this.figures.get(id); // preload into the browser's cache
      if (next) new Image().src = `figure/${id}/${next.version || "0"}`;
    }
  }

  step(by) {
    this.choose(this.index + by);
  }

  row(key) {
    const by = this.isSingle ? 1 : this.grid.columns;
    this.choose(this.index + (key === "ArrowDown" ? by : -by));
  }

  jump(key) {
    this.choose(key === "Home" ? 0 : this.ids.length - 1);
  }

  async nextUndecided() {
    const undecided = new Set((await get("api/list", { state: "undecided" })).ids);
    const order = [...this.ids.keys()];
    const after = [...order.slice(this.index + 1), ...order.slice(0, this.index)];
    const found = after.find((place) => undecided.has(this.ids[place]));
    if (found !== undefined) this.choose(found);
  }

  open() {
    if (!this.isSingle) this.toggle();
  }

  toggle() {
    if (!this.figure && !this.isSingle) return;
    byId("grid").hidden = !this.isSingle;
    byId("single").hidden = !this.isSingle ? false : true;
    this.focus();
    if (this.isSingle) this.show();
    else this.grid.layout();
  }

  focus() {
    byId(this.isSingle ? "single" : "grid").focus({ preventScroll: true });
  }

  // --- deciding

  judge(state) {
    if (!this.figure) return;
    this.decide("state", state);
    this.step(1);
  }

  assign(number) {
    if (this.figure && this.kinds[number]) this.decide("kind", this.kinds[number]);
  }

  edit(name) {
    this.open();
    this.single.edit(name);
  }

  editBox() {
    this.open();
    if (!this.single.editBox()) tell("The page of this figure is not available, so its box cannot be corrected.");
  }

  editPanels() {
    this.open();
    if (!this.single.editPanels()) tell("This figure has no box on a page, so its panels cannot be corrected.");
  }

  togglePanels() {
    this.single.panels = !this.single.panels;
    this.single.drawPanels();
  }

  // Show a decision immediately and send it after earlier ones; revert it if saving fails.
  decide(what, after) {
    const before = this.figure;
    if (JSON.stringify(before[what]) === JSON.stringify(after)) return;
    this.done.push(before.id);
    if (what === "state") this.learn({ ...before, state: after });
    this.send(() => post("api/decide", { id: before.id, what, after }), before);
  }

  // The figure is shown before the response, so that the next key applies to it.
  undo() {
    this.chooseFigure(this.done.pop());
    this.send(() => post("api/undo", {}), null);
  }

  send(ask, before) {
    this.waiting++;
    showSaved(this.waiting);
    this.order = this.order.then(ask).then(
      ({ figure }) => {
        if (!figure) return;
        this.learn(figure);
        if (!before) this.chooseFigure(figure.id);
      },
      (error) => {
        if (before) {
          this.done.splice(this.done.lastIndexOf(before.id), 1);
          this.learn(before);
          this.chooseFigure(before.id);
        }
        tell(error.message);
      },
    ).finally(() => {
      this.waiting--;
      showSaved(this.waiting);
      clearTimeout(this.counting);
      this.counting = setTimeout(() => this.count(), COUNTING);
    });
  }

  learn(figure) {
    this.figures.set(figure.id, figure);
    this.grid.refresh(this.ids.indexOf(figure.id));
    if (figure.id === this.ids[this.index]) this.single.draw();
  }

  // --- keys

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (byId("help").open) return;
    if (this.single.editing) {
      if (this.single.editing.key(event)) event.preventDefault();
      return;
    }
    if (this.single.wanted && event.key !== "Escape") return; // until the page is loaded
    this.single.wanted = false;
    if (event.target.closest("input, select, textarea")) {
      const search = event.target.id === "filter-text" && event.key === "Enter";
      if (event.key === "Escape" || search) {
        event.preventDefault();
        this.focus();
      }
      return;
    }
    if (event.target.closest("button") && ["Enter", " ", "Escape"].includes(event.key)) {
      if (event.key === "Escape") this.focus();
      return;
    }
    if (event.key === "Escape" && this.isSingle) return this.toggle();
    const pressed = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const found = KEYS.find(([, , keys]) => keys.includes(pressed));
    if (!found) return;
    event.preventDefault();
    tell("");
    found[3](this, pressed);
  }
}

// Fill a filter with its values, each with a count or a range.
function fill(name, any, counts, before = "") {
  const select = byId(`filter-${name}`), chosen = select.value;
  const values = Object.entries(counts);
  if (chosen && !(chosen in counts)) values.push([chosen, 0]);
  select.replaceChildren(new Option(any, ""), ...values.map(
    ([value, count]) => new Option(`${before}${value} (${count})`, value),
  ));
  select.value = chosen;
}

function showSaved(waiting) {
  byId("saved").textContent = waiting ? "saving …" : "saved";
  byId("saved").classList.toggle("waiting", waiting > 0);
}

function tell(text) {
  byId("notice").textContent = text;
  byId("notice").hidden = !text;
}

const app = new App();
await app.start();
