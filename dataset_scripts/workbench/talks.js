// The conversations about a figure, their states, and decisions about them.

import { byId, element, get, post } from "./server.js";

const RESTING = 150; // milliseconds at a figure before they are requested
const WORDS = { accept: "to be accepted", reject: "to be rejected", edit: "edited" };

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
      head.append(element("span", "mark edited", `${WORDS[talk.decided]} in the next run of refine`));
    }
    for (const [decision, name] of talk.id ? [["accept", "Accept"], ["reject", "Reject"]] : []) {
      const button = element("button", "", name);
      button.type = "button";
      button.addEventListener("click", () => this.decide(talk, decision));
      head.append(button);
    }
    one.append(head);
    for (const turn of talk.turns) {
      if (turn.question) one.append(element("p", "question", turn.question));
      one.append(element("p", "", turn.answer));
    }
    for (const reason of talk.reasons) one.append(element("p", "reason", reason));
    return one;
  }

  async decide(talk, decision) {
    const figure = this.figure;
    try {
      const { talks } = await post("api/talk", { figure, id: talk.id, decision });
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
