// The conversations about a figure, their states, and decisions about them.

import { byId, element, get, post } from "./server.js";

const RESTING = 150; // milliseconds at a figure before they are requested
const WORDS = { accept: "to be accepted", reject: "to be rejected", edit: "edited, to be accepted" };
const DONE = { accept: "accepted in review", reject: "rejected", edit: "edited" };

function button(name, act) {
  const one = element("button", "", name);
  one.type = "button";
  one.addEventListener("click", act);
  return one;
}

export class Talks {
  // `tell(text)` shows a message.
  constructor(tell) {
    this.tell = tell;
    this.list = byId("talks");
  }

  show(figure) {
    this.figure = figure;
    this.list.replaceChildren();
    clearTimeout(this.asking);
    this.asking = setTimeout(async () => {
      try {
        const { talks } = await get(`api/talks/${figure}`);
        if (this.figure === figure) this.draw(talks);
      } catch (error) {
        if (this.figure === figure) this.list.textContent = error.message;
      }
    }, RESTING);
  }

  draw(talks) {
    byId("talks-row").hidden = !talks.length;
    this.list.replaceChildren(...talks.map((talk) => this.make(talk)));
  }

  make(talk) {
    const one = element("div", `talk ${talk.state}`);
    const head = element("div", "head");
    head.append(element("b", "", talk.task), element("span", `mark ${talk.state}`, talk.state));
    if (talk.decided) {
      // Decisions about accepted conversations apply at once, others in the next run of refine.
      const next = `${WORDS[talk.decided]} in the next run of refine`;
      const now = talk.state === "accepted" ? DONE[talk.decided] : next;
      head.append(element("span", "mark edited", now));
    }
    for (const [decision, name] of [["accept", "Accept"], ["reject", "Reject"]]) {
      head.append(button(name, () => this.decide(talk, { decision })));
    }
    head.append(button("Edit", () => this.edit(one, talk)));
    one.append(head);
    for (const turn of talk.turns) {
      if (turn.question) one.append(element("p", "question", turn.question));
      one.append(element("p", "", turn.answer));
    }
    for (const reason of talk.reasons) one.append(element("p", "reason", reason));
    one.addEventListener("dblclick", (event) => {
      if (event.target.closest("p")) this.edit(one, talk);
    });
    one.addEventListener("keydown", (event) => {
      if (event.target.closest("button") && event.key.toLowerCase() === "e" && !event.ctrlKey) {
        event.preventDefault();
        event.stopPropagation();
        this.edit(one, talk);
      }
    });
    return one;
  }

  // Fields for the texts in place of them: Enter saves, Esc leaves them as they were.
  edit(one, talk) {
    if (one.querySelector("textarea")) return;
    const fields = talk.turns.map((turn) =>
      ["question", "answer"].map((name) => {
        const field = element("textarea", name);
        field.value = turn[name];
        field.rows = name === "question" ? 2 : 5;
        field.setAttribute("aria-label", name === "question" ? "Question" : "Answer");
        field.addEventListener("keydown", (event) => this.editorKey(event, one, talk, fields));
        return field;
      }));
    for (const text of one.querySelectorAll("p:not(.reason)")) text.remove();
    one.querySelector(".head").after(...fields.flat());
    fields[0][0].focus();
    fields[0][0].setSelectionRange(0, 0);
  }

  editorKey(event, one, talk, fields) {
    if (event.isComposing) return;
    event.stopPropagation();
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      const turns = fields.map(([question, answer]) => (
        { question: question.value.trim(), answer: answer.value.trim() }
      ));
      if (JSON.stringify(turns) === JSON.stringify(talk.turns)) this.leave(one, talk);
      else this.decide(talk, { decision: "edit", turns });
    } else if (event.key === "Escape") {
      event.preventDefault();
      this.leave(one, talk);
    }
  }

  // Put a conversation back as it was.
  leave(one, talk) {
    const again = this.make(talk);
    one.replaceWith(again);
    again.querySelector("button").focus();
  }

  async decide(talk, decision) {
    const figure = this.figure;
    try {
      const { talks } = await post("api/talk", { figure, id: talk.id, ...decision });
      this.tell("");
      if (this.figure !== figure) return;
      this.draw(talks);
      const place = talks.findIndex((one) => one.id === talk.id);
      this.list.children[place]?.querySelector("button")?.focus();
    } catch (error) {
      this.tell(error.message);
    }
  }

  // Focus the first button; Tab moves to the next one.
  focus() {
    this.list.querySelector("button")?.focus();
  }
}
