// One item: its facts, the explanation of its score, and similar items.
import { api } from "./api.js";
import { contributions } from "./contributions.js";
import { fill, h, problem, sentence, skeleton, toast } from "./dom.js";
import { factSection } from "./facts.js";
import { pathSection } from "./paths.js";

const DONE = { confirm: "Confirmed", reject: "Rejected", change: "Changed" };

export class Why {
  constructor(root, { openItem }) {
    this.root = root;
    this.openItem = openItem;
  }

  welcome(text) {
    fill(this.root, h("h2", {}, "Why?"), h("p", { class: "muted" }, text));
  }

  async show(userId, itemId, requestId, signal) {
    const about = h("div", { class: "about" }, skeleton(3, "Loading the item"));
    const why = h("div", { class: "reason" }, userId ? skeleton(6, "Loading the reasons") : null);
    const facts = h("div", {});
    const like = h("div", { class: "similar" });
    fill(this.root, about, why, facts, like);
    this.root.scrollTop = 0;
    const guard = (place, work) => work().catch((error) => {
      if (error.name !== "AbortError") fill(place, problem(error, () => guard(place, work)));
    });
    await Promise.all([
      guard(about, async () => {
        const item = await api.item(itemId, signal);
        fill(about, this.about(item));
        fill(facts, this.facts(item, facts, signal));
      }),
      userId ? guard(why, () => this.reasons(why, userId, itemId, requestId, signal)) : null,
      guard(like, async () => fill(like, this.similar(await api.similar(itemId, signal)))),
    ]);
  }

  about(item) {
    const known = Object.entries(item.properties).map(([name, value]) => `${name} ${value}`);
    const interactions = item.interactions === 1 ? "1 interaction" : `${item.interactions} interactions`;
    const text = h("p", { class: "description short" }, item.description);
    const more = h("button", { type: "button", class: "link", onclick: () => { text.classList.remove("short"); more.remove(); } }, "Read on");
    return [
      h("h2", {}, item.title || item.item_id),
      h("p", { class: "muted" }, [item.type, ...known, interactions].join(" · ")),
      item.description ? text : null,
      item.description.length > 180 ? more : null,
    ];
  }

  facts(item, place, signal) {
    const correct = async (fact, verdict, instead) => {
      await api.correct(item.item_id, fact, verdict, instead);
      toast(`${DONE[verdict]}. No load and no reading of texts takes it back.`);
      const now = await api.item(item.item_id, signal);
      fill(place, this.facts(now, place, signal) ?? []);
    };
    return factSection(item, correct);
  }

  async reasons(place, userId, itemId, requestId, signal) {
    let explanation;
    try {
      explanation = await api.explanation(userId, itemId, { request_id: requestId }, signal);
    } catch (error) {
      if (error.status !== 404) throw error;
      fill(place, h("p", { class: "note" }, `${sentence(error.what)}, so there is nothing to take apart. ${error.remedy}`));
      return;
    }
    const words = h("ul", { class: "words" }, explanation.words.map((text) => h("li", {}, text)));
    const paths = explanation.paths.length ? pathSection(explanation, signal) : null;
    fill(place,
      explanation.changed.map((change) => h("p", { class: "note changed" }, `Changed since the list was made: ${change.detail}.`)),
      explanation.seen || explanation.candidate ? null : h("p", { class: "note" }, "The filters of the list leave it out."),
      explanation.seen ? h("p", { class: "note" }, "Already in the history; explained from the rest of it.") : null,
      h("h3", {}, "In words"),
      words,
      h("h3", {}, "How the score adds up"),
      contributions(explanation, this.openItem),
      h("h3", {}, "What connects them in the graph"),
      paths ? paths.element : h("p", { class: "muted" }, "No fact of the graph connects this item to the history; the score comes from items that the same users interacted with."));
    const search = this.counterfactual(words, userId, itemId, explanation.request_id, signal);
    if (paths) await paths.ready();
    await search;
  }

  /** What takes longest comes last: without which history items would it not be on the list? */
  async counterfactual(words, userId, itemId, requestId, signal) {
    words.setAttribute("aria-busy", "true");
    try {
      const whole = await api.explanation(userId, itemId, { request_id: requestId, counterfactual: true }, signal);
      fill(words, whole.words.map((text) => h("li", {}, text)));
    } finally {
      words.removeAttribute("aria-busy");
    }
  }

  similar(found) {
    if (!found.items.length) return null;
    return [
      h("h3", {}, "Similar"),
      h("ul", { class: "chips" }, found.items.map((one) =>
        h("li", {}, h("button", { type: "button", class: "chip", "data-item": one.item_id, title: one.reasons.map((reason) => reason.words).join("; "), onclick: () => this.openItem(one.item_id) }, one.title)))),
    ];
  }
}
