// The user: search field, declared properties, and history.
import { api } from "./api.js";
import { combobox } from "./combobox.js";
import { fill, h, icon, problem, sentence, skeleton } from "./dom.js";
import { day, interaction, profile } from "./format.js";

export class Person {
  constructor(root, { choose, openItem }) {
    this.root = root;
    this.choose = choose;
    this.openItem = openItem;
    const { element, input } = combobox({
      label: "Find a user", placeholder: "Find a user by id …", search: (text, signal) => this.search(text, signal),
      choose: (option) => choose(option.id),
    });
    this.input = input;
    this.card = h("div", { class: "person" });
    this.list = h("div", { class: "history" });
    fill(root, element, this.card, this.list);
  }

  async search(text, signal) {
    const page = await api.users(text, signal);
    const found = page.items.map((user) => ({
      id: user.user_id, title: user.user_id,
      detail: [profile(user), `${user.interactions} in the history`].filter(Boolean).join(" · "),
    }));
    if (text && !found.some((option) => option.id === text)) {
      found.push({ id: text, title: text, detail: "somebody new, without a history" });
    }
    return found;
  }

  /** Show the start page: a list of users to select from. */
  async welcome(signal) {
    fill(this.card, h("h2", {}, "Whose recommendations?"), h("p", { class: "muted" }, "Pick somebody, or type an id."));
    fill(this.list, skeleton(5, "Loading users"));
    const page = await api.users("", signal);
    fill(this.list, h("ul", { class: "people" }, page.items.map((user) =>
      h("li", {}, h("button", { type: "button", "data-user": user.user_id, onclick: () => this.choose(user.user_id) },
        h("strong", {}, user.user_id), h("small", {}, profile(user)), h("small", { class: "count" }, String(user.interactions)))))));
  }

  async show(userId, signal) {
    fill(this.card, skeleton(1, "Loading the user"));
    fill(this.list, skeleton(6, "Loading the history"));
    try {
      const user = await api.user(userId, signal);
      const things = user.interactions === 1 ? "1 interaction" : `${user.interactions} interactions`;
      this.head(userId, [profile(user), things].filter(Boolean).join(" · "));
      await this.more(userId, null, signal);
    } catch (error) {
      if (error.status !== 404) throw error;
      this.head(userId, "somebody new: the graph does not know this user yet");
      fill(this.list, h("p", { class: "empty" }, "No history yet. Like something, and it begins."));
    }
  }

  head(userId, detail) {
    fill(this.card, h("h2", {}, `User ${userId}`), h("p", { class: "muted" }, detail));
  }

  async more(userId, cursor, signal) {
    const page = await api.history(userId, cursor, signal);
    if (cursor === null) {
      const heading = h("h3", {}, "History");
      fill(this.list, heading, page.items.length ? h("ol", {}) : h("p", { class: "empty" }, "No history yet. Like something, and it begins."));
    }
    this.list.querySelector("button.more")?.remove();
    this.list.querySelector("ol")?.append(...page.items.map((entry) => this.entry(entry)));
    if (page.next) {
      this.list.append(h("button", { type: "button", class: "quiet more",
        onclick: () => this.more(userId, page.next, signal).catch((error) => this.list.append(problem(error))) }, "Show more"));
    }
  }

  entry(entry) {
    const opinion = entry.kind === "like" || entry.kind === "dislike";
    const words = interaction(entry.kind, entry.value);
    const mark = opinion ? h("span", { class: `mark ${entry.kind}`, title: words }, icon(entry.kind), h("span", { class: "sr-only" }, words))
      : entry.kind === "rating" ? h("span", { class: "mark", title: words }, h("span", { "aria-hidden": "true" }, `★ ${Number(entry.value)}`), h("span", { class: "sr-only" }, words))
        : h("span", { class: "mark" }, words);
    return h("li", {}, h("button", { type: "button", "data-item": entry.item_id, onclick: () => this.openItem(entry.item_id) },
      h("span", { class: "title" }, entry.title || entry.item_id), mark,
      h("small", {}, day(entry.at) || sentence(words))));
  }
}
