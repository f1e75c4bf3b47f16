// The explorer: the address holds the selected user and item (#user=42&item=50), and the page follows it.
import { api, key } from "./api.js";
import { combobox } from "./combobox.js";
import { fill, h, problem, sentence, toast } from "./dom.js";
import { Person } from "./person.js";
import { Recommendations } from "./recommendations.js";
import { Why } from "./why.js";

const at = (id) => document.getElementById(id);
let shown = { user: null, item: null };
let userSignal = new AbortController();
let itemSignal = new AbortController();

function selection() {
  const parameters = new URLSearchParams(location.hash.slice(1));
  return { user: parameters.get("user"), item: parameters.get("item") };
}

function go(next) {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries({ ...selection(), ...next })) if (value) parameters.set(name, value);
  location.hash = parameters.toString();
}

const openItem = (item) => go({ item });
const person = new Person(at("person"), { choose: (user) => go({ user, item: null }), openItem });
const recommendations = new Recommendations(at("recommendations"), { openItem, react, changed: () => { const { user, item } = selection(); if (item) showItem(user, item); } });
let listed = Promise.resolve(); // settles when the user's list is loaded: an explanation needs its request_id
const why = new Why(at("why"), { openItem });

/** Show an error in place of the result; open the key dialog when a key is required. */
function failed(error, place, retry) {
  if (error.name === "AbortError") return;
  if (error.status === 401) {
    askForKey(error);
    fill(place, h("p", { class: "empty" }, `${sentence(error.what)}. `, h("button", { type: "button", class: "link", onclick: () => askForKey(error) }, "Enter a key")));
    return;
  }
  fill(place, problem(error, retry));
}

async function follow() {
  const { user, item } = selection();
  const sameUser = user === shown.user;
  const sameItem = sameUser && item === shown.item;
  shown = { user, item };
  document.title = user ? `User ${user} · kgrec explorer` : "kgrec explorer";
  if (!sameUser) showUser(user);
  if (!sameItem) showItem(user, item);
}

function showUser(user) {
  userSignal.abort();
  userSignal = new AbortController();
  const { signal } = userSignal;
  if (!user) {
    recommendations.welcome();
    listed = Promise.resolve();
    person.welcome(signal).catch((error) => failed(error, person.list, () => showUser(user)));
    return;
  }
  person.show(user, signal).catch((error) => failed(error, person.list, () => showUser(user)));
  const showing = recommendations.show(user, signal);
  listed = showing.then(() => {}, () => {});
  showing
    .then((found) => { if (!selection().item && found.items.length && !found.fallback && wide()) replace(found.items[0].item_id); })
    .catch((error) => failed(error, recommendations.list, () => showUser(user)));
}

/** On a wide page, select the first recommendation; the address changes without a history entry. */
function replace(item) {
  const parameters = new URLSearchParams(location.hash.slice(1));
  parameters.set("item", item);
  history.replaceState(null, "", `#${parameters}`);
  follow();
}

const wide = () => matchMedia("(min-width: 1100px)").matches;

function showItem(user, item) {
  itemSignal.abort();
  itemSignal = new AbortController();
  recommendations.mark(item);
  if (!item) {
    why.welcome(user ? "Choose a recommendation to see what its score is made of." : "Pick somebody, then one of their recommendations.");
    return;
  }
  const { signal } = itemSignal;
  listed.then(() => (signal.aborted ? null : why.show(user, item, recommendations.requestId, signal))).catch((error) => failed(error, why.root, () => showItem(user, item)));
  if (!wide()) at("why").scrollIntoView({ behavior: "smooth" });
}

/** Send the feedback of `user`, the user of the list, about one of its items. */
async function react(user, one, kind) {
  try {
    await api.feedback(user, one.item_id, kind);
    toast(`${kind === "like" ? "Liked" : "Disliked"} ${one.title}.`, { label: "Undo", run: () => undo(user, one) });
    await refresh(user);
  } catch (error) {
    showError(error);
  }
}

async function undo(user, one) {
  try {
    await api.withdraw(user, one.item_id);
    await refresh(user);
  } catch (error) {
    showError(error);
  }
}

function showError(error) {
  if (error.name === "AbortError") return;
  if (error.status === 401) askForKey(error);
  toast(`${error.what ?? error.message}. ${error.remedy ?? ""}`);
}

/** Load the list and the history again, unless another user is shown by now. */
async function refresh(user) {
  if (user !== shown.user) return;
  recommendations.remember();
  const { signal } = userSignal;
  const [found] = await Promise.all([recommendations.show(user, signal, { quiet: true }), person.show(user, signal)]);
  if (user !== shown.user) return;
  const { item } = selection();
  if (!item) return;
  const listed = found.items.some((one) => one.item_id === item);
  if (listed || !found.items.length || !wide()) showItem(user, item); // its score has changed
  else replace(found.items[0].item_id);
}

function askForKey(error) {
  const dialog = at("key-dialog");
  if (dialog.open) return;
  at("key-why").textContent = `${key.get() && error ? sentence(error.what) : "Whoever runs it gave you one"}. It is kept in this tab only.`;
  at("key").hidden = false;
  at("key-input").value = "";
  dialog.showModal();
}

async function start() {
  const box = combobox({
    label: "Find an item", placeholder: "Find an item by its title …", choose: (option) => openItem(option.id),
    search: async (text, signal) => (await api.items(text, signal)).items.map((one) => ({ id: one.item_id, title: one.title || one.item_id })),
  });
  fill(at("find-item"), box.element);
  at("key").addEventListener("click", () => askForKey());
  at("key-cancel").addEventListener("click", () => at("key-dialog").close());
  at("key-dialog").querySelector("form").addEventListener("submit", () => {
    key.set(at("key-input").value);
    shown = { user: undefined, item: undefined };
    follow();
    nameModel();
  });
  at("theme").addEventListener("click", () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    localStorage.setItem("kgrec-theme", root.dataset.theme);
    document.dispatchEvent(new Event("kgrec-theme"));
  });
  addEventListener("hashchange", follow);
  shown = { user: undefined, item: undefined };
  follow();
  nameModel();
}

/** Show the id of the live model; nothing while the API key is missing. */
async function nameModel() {
  const place = at("model");
  try {
    const model = await api.model();
    place.classList.remove("bad");
    place.textContent = `model ${model.model_id} · ${model.items} ${model.item_plural}`;
    recommendations.speak(model);
  } catch (error) {
    place.classList.toggle("bad", error.status !== 401);
    place.textContent = error.status === 401 ? "" : `not ready: ${error.what}`;
  }
}

start();
