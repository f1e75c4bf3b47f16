// The list: titles, scores, contributions of the agents, reasons, and feedback that changes it.
import { api } from "./api.js";
import { fill, h, icon, problem, sentence, skeleton } from "./dom.js";
import { agentClass, percent, score, signedPercent } from "./format.js";

const WHY_FALLBACK = {
  unknown_user: "The graph does not know this user, so these are simply the most popular. Like a few, and they become personal.",
  empty_history: "There is nothing in this history that the model can build on, so these are simply the most popular. Like a few, and they become personal.",
  profile: "There is no history yet, so these are scored by the properties and the entities that this user declares.",
};

const whyNothing = (found, filtered, word) => {
  const known = found.fallback ? "" : " the model knows and that";
  if (filtered) return `No ${word} that${known} this user has not seen passes the filter. Loosen it.`;
  if (found.fallback) return `There is no ${word} left that anybody has interacted with.`;
  return `Every ${word} that the model knows has been seen.`;
};

export class Recommendations {
  constructor(root, { openItem, react, changed }) {
    this.openItem = openItem;
    this.changed = changed; // called after the list was made anew with another filter or diversity
    this.react = react;
    this.pending = new AbortController(); // aborts the previous request when a new one starts
    this.turn = 0; // number of the latest request; responses of earlier ones are discarded
    this.requestId = null; // of the list that is shown
    this.before = new Map(); // item id to rank, in the list before the last reaction
    this.word = "item"; // what the domain calls one, once the model is known
    this.diversity = h("input", { type: "range", id: "variety", min: "0", max: "1", step: "0.1", value: "0" });
    this.filter = h("input", { type: "text", id: "filter", placeholder: "KEY=VALUE", autocomplete: "off", spellcheck: "false" });
    this.knobs = h("form", { class: "knobs", onsubmit: (event) => event.preventDefault() },
      h("label", { for: "filter" }, "Only", this.filter),
      h("label", { for: "variety" }, "Variety", this.diversity));
    this.title = h("h2", {}, "Recommendations");
    this.note = h("p", { class: "muted" });
    this.list = h("div", { class: "cards" });
    fill(root, h("div", { class: "head" }, this.title, this.note), this.knobs, this.list);
    this.knobs.hidden = true;
    this.diversity.addEventListener("change", () => this.again?.());
    this.filter.addEventListener("change", () => this.again?.());
  }

  /** Use the words of the domain that the model is of. */
  speak(model) {
    this.word = model.item_word;
    if (model.filter_example.length) this.filter.placeholder = model.filter_example.join(", ");
  }

  welcome() {
    this.pending.abort();
    this.requestId = null;
    this.knobs.hidden = true;
    fill(this.note);
    fill(this.list, h("div", { class: "hero" },
      h("p", {}, "Recommendations that say why."),
      h("p", { class: "muted" }, "Every score here is a sum that you can take apart, and every reason is a path that exists in the graph.")));
  }

  async show(userId, signal, { quiet = false } = {}) {
    this.again = () => this.show(userId, signal, { quiet: true }).then(() => this.changed()).catch((error) => {
      if (error.name !== "AbortError") fill(this.list, problem(error, this.again));
    });
    this.knobs.hidden = false;
    if (!quiet) {
      this.before.clear();
      fill(this.note);
      fill(this.list, skeleton(8, "Loading recommendations"));
    }
    this.list.setAttribute("aria-busy", "true");
    const filter = this.filter.value.split(",").map((text) => text.trim()).filter(Boolean);
    const turn = ++this.turn;
    this.pending.abort();
    this.pending = new AbortController();
    const either = AbortSignal.any([signal, this.pending.signal]);
    let found;
    try {
      found = await api.recommendations(userId, { k: 12, diversity: this.diversity.value, filter }, either);
    } catch (error) {
      throw turn === this.turn ? error : superseded();
    } finally {
      if (turn === this.turn) this.list.removeAttribute("aria-busy");
    }
    if (turn !== this.turn) throw superseded();
    this.requestId = found.request_id;
    this.render(userId, found, filter);
    return found;
  }

  /** Keep the ranks, so that the next list can show the changes of rank. */
  remember() {
    this.before = new Map([...this.list.querySelectorAll("[data-item]")].map((card, place) => [card.dataset.item, place + 1]));
  }

  render(userId, found, filter) {
    const known = found.history === 1 ? "1 history item" : `${found.history} history items`;
    fill(this.note, found.fallback ? "" : `${known} → ${found.candidates} candidates, ${Math.round(found.milliseconds)} ms`);
    const top = Math.max(...found.items.map((one) => one.score), 1e-9);
    const parts = [];
    if (found.fallback) {
      parts.push(h("div", { class: "fallback", role: "note" }, h("strong", {}, found.fallback === "profile" ? "By profile. " : "Not personal. "), WHY_FALLBACK[found.fallback] ?? found.fallback));
    } else parts.push(this.legend(found));
    if (!found.items.length) parts.push(h("p", { class: "empty" }, whyNothing(found, filter.length > 0, this.word)));
    parts.push(h("ol", {}, found.items.map((one) => this.card(userId, one, top, found.fallback))));
    const focused = this.focused();
    fill(this.list, parts);
    this.mark(this.selected);
    if (focused) this.list.querySelectorAll("li.card")[focused.place]?.querySelector(focused.button)?.focus({ preventScroll: true });
  }

  /** The position of the keyboard focus in the list, to restore it in a new list. */
  focused() {
    const card = document.activeElement?.closest?.("li.card");
    if (!card || !this.list.contains(card)) return null;
    const { act } = document.activeElement.dataset;
    return { place: [...this.list.querySelectorAll("li.card")].indexOf(card), button: act ? `[data-act="${act}"]` : ".open" };
  }

  legend(found) {
    return h("ul", { class: "legend", "aria-label": "Share of each agent" }, Object.entries(found.shares).filter(([, share]) => share > 0).map(([agent, share]) =>
      h("li", {}, h("i", { class: `swatch ${agentClass(agent)}` }), `${agent} `, h("b", {}, percent(share)))));
  }

  card(userId, one, top, fallback) {
    const act = (kind) => h("button", { type: "button", class: `icon ${kind}`, "data-act": kind, title: sentence(kind),
      "aria-label": `${sentence(kind)} ${one.title}`, onclick: () => this.react(userId, one, kind) }, icon(kind));
    return h("li", { class: "card", "data-item": one.item_id },
      h("span", { class: "rank" }, String(one.rank)),
      h("div", { class: "body" },
        h("h3", {}, h("button", { type: "button", class: "open", onclick: () => this.openItem(one.item_id) }, one.title), this.moved(one)),
        fallback ? null : bar(one, top),
        h("ul", { class: "reasons" }, one.reasons.map((reason) => h("li", { class: reason.because ? null : "also", title: `${signedPercent(reason.share)} of the score` }, sentence(reason.words))),
          one.moves.map((move) => h("li", { class: "move" }, `${sentence(move.rule)}: ${move.from_rank} → ${move.to_rank}, ${move.why}`)))),
      h("div", { class: "side" },
        h("span", { class: "score", title: "Score" }, fallback ? "" : score(one.score)),
        h("span", { class: "acts" }, act("like"), act("dislike"))));
  }

  moved(one) {
    if (!this.before.size) return null;
    const was = this.before.get(one.item_id);
    if (was === undefined) return h("span", { class: "moved new" }, "new");
    if (was === one.rank) return null;
    return h("span", { class: `moved ${was > one.rank ? "up" : "down"}` }, `${was > one.rank ? "▲" : "▼"} ${Math.abs(was - one.rank)}`);
  }

  mark(itemId) {
    this.selected = itemId;
    for (const card of this.list.querySelectorAll("[data-item]")) {
      const selected = card.dataset.item === itemId;
      card.classList.toggle("selected", selected);
      card.querySelector(".open").setAttribute("aria-current", String(selected));
    }
  }
}

function superseded() {
  return new DOMException("a later request superseded this one", "AbortError");
}

function bar(one, top) {
  const parts = Object.entries(one.contributions);
  const words = parts.map(([agent]) => `${agent} ${signedPercent(one.signed_shares[agent])}`).join(", ");
  const box = h("div", { class: "shares", role: "img", "aria-label": `Score ${score(one.score)}: ${words}`, title: words });
  for (const [agent, value] of parts) {
    if (value <= 0) continue;
    const piece = h("i", { class: agentClass(agent) });
    piece.style.width = `${(value / top) * 100}%`;
    box.append(piece);
  }
  return box;
}
