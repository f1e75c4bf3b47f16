// The explorer: what is chosen stands in the address (#user=42&item=50), and the page follows it.
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

function chosen() {
  const parameters = new URLSearchParams(location.hash.slice(1));
  return { user: parameters.get("user"), item: parameters.get("item") };
}

function go(next) {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries({ ...chosen(), ...next })) if (value) parameters.set(name, value);
  location.hash = parameters.toString();
}

const openItem = (item) => go({ item });
const person = new Person(at("person"), { choose: (user) => go({ user, item: null }), openItem });
const recommendations = new Recommendations(at("recommendations"), { openItem, react, changed: () => { const { user, item } = chosen(); if (item) showItem(user, item); } });
let listed = Promise.resolve(); // settles when the list of the user is there: an explanation is of that list
const why = new Why(at("why"), { openItem });

/** Show an error where its answer was expected; ask for a key where one is wanted. */
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
  const { user, item } = chosen();
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
    .then((found) => { if (!chosen().item && found.items.length && !found.fallback && wide()) replace(found.items[0].item_id); })
    .catch((error) => failed(error, recommendations.list, () => showUser(user)));
}

/** On a wide page the first recommendation explains itself; the address says so, without a step back. */
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

/** Tell what `user`, for whom the list was made, thinks of one item of it. */
async function react(user, one, kind) {
  try {
    await api.feedback(user, one.item_id, kind);
    toast(`${kind === "like" ? "Liked" : "Disliked"} ${one.title}.`, { label: "Undo", run: () => undo(user, one) });
    await refresh(user);
  } catch (error) {
    told(error);
  }
}

async function undo(user, one) {
  try {
    await api.withdraw(user, one.item_id);
    await refresh(user);
  } catch (error) {
    told(error);
  }
}

function told(error) {
  if (error.name === "AbortError") return;
  if (error.status === 401) askForKey(error);
  toast(`${error.what ?? error.message}. ${error.remedy ?? ""}`);
}

/** Show the list and the history anew, unless somebody else is looked at by now. */
async function refresh(user) {
  if (user !== shown.user) return;
  recommendations.remember();
  const { signal } = userSignal;
  const [found] = await Promise.all([recommendations.show(user, signal, { quiet: true }), person.show(user, signal)]);
  if (user !== shown.user) return;
  const { item } = chosen();
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

/** Say which model serves; nothing as long as the key for it is missing. */
async function nameModel() {
  const place = at("model");
  try {
    const told = await api.model();
    place.classList.remove("bad");
    place.textContent = `model ${told.model_id} · ${told.items} items`;
  } catch (error) {
    place.classList.toggle("bad", error.status !== 401);
    place.textContent = error.status === 401 ? "" : `not ready: ${error.what}`;
  }
}

start();
