// A text field with a list below it, for the keyboard as well as the mouse.
import { fill, h } from "./dom.js";

let count = 0;

/**
 * Build a combobox.
 * search(text, signal) gives options { id, title, detail }; choose(option) is called with the selected one.
 */
export function combobox({ label, placeholder, search, choose }) {
  const name = `combobox-${++count}`;
  const list = h("ul", { id: `${name}-list`, role: "listbox", "aria-label": label, hidden: true });
  const input = h("input", {
    id: name, type: "search", role: "combobox", placeholder, autocomplete: "off", spellcheck: "false",
    "aria-label": label, "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": `${name}-list`,
  });
  let options = [];
  let active = -1;
  let pending = new AbortController();
  let timer = 0;
  let shownFor = null; // the text that the options belong to

  function show(open) {
    list.hidden = !open;
    input.setAttribute("aria-expanded", String(open));
    if (!open) mark(-1);
  }

  function mark(place) {
    active = place;
    [...list.children].forEach((entry, at) => entry.setAttribute("aria-selected", String(at === place)));
    const entry = list.children[place];
    if (entry && options[place]) {
      input.setAttribute("aria-activedescendant", entry.id);
      entry.scrollIntoView({ block: "nearest" });
    } else input.removeAttribute("aria-activedescendant");
  }

  function select(place) {
    const option = options[place];
    if (!option) return;
    input.value = "";
    input.blur();
    show(false);
    choose(option);
  }

  function render(found, note) {
    options = found;
    fill(list, found.map((option, place) =>
      h("li", { id: `${name}-${place}`, role: "option", "aria-selected": "false", "data-id": option.id,
        onmousedown: (event) => { event.preventDefault(); select(place); } },
        h("span", {}, option.title), option.detail ? h("small", {}, option.detail) : null)),
      note ? h("li", { class: "note", role: "presentation" }, note) : null);
    show(document.activeElement === input);
  }

  async function look() {
    pending.abort();
    pending = new AbortController();
    const { signal } = pending;
    const text = input.value.trim();
    try {
      const found = await search(text, signal);
      shownFor = text;
      render(found, found.length ? "" : "Nothing found.");
    } catch (error) {
      if (error.name !== "AbortError") render([], `${error.what ?? error.message}. ${error.remedy ?? ""}`);
    }
  }

  input.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(look, 120); });
  input.addEventListener("focus", look);
  input.addEventListener("blur", () => show(false));
  input.addEventListener("keydown", async (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (!options.length) return;
      const step = event.key === "ArrowDown" ? 1 : -1;
      mark(active < 0 && step < 0 ? options.length - 1 : (active + step + options.length) % options.length);
    } else if (event.key === "Enter") {
      event.preventDefault();
      if (shownFor !== input.value.trim()) await look(); // the options still belong to an earlier text
      select(active < 0 ? 0 : active);
    } else if (event.key === "Escape") {
      input.value = "";
      show(false);
    }
  });
  return { element: h("div", { class: "combobox" }, input, list), input };
}
