// Elements from data. Text is always set as text, so that nothing of the graph becomes markup.

/** Build an element: `h("p", { class: "muted", onclick: f }, "text", child)`; null and false children are skipped. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Replace what an element holds. */
export function fill(element, ...children) {
  element.replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const SVG = "http://www.w3.org/2000/svg";
const ICON_PATHS = {
  like: "M7 11v9H4v-9zM7 11l4-8c1.7 0 2.5 1 2.5 2.5L13 9h5.5a2 2 0 0 1 2 2.3l-1.2 7A2 2 0 0 1 17.3 20H7",
  dislike: "M17 13V4h3v9zM17 13l-4 8c-1.7 0-2.5-1-2.5-2.5L11 15H5.5a2 2 0 0 1-2-2.3l1.2-7A2 2 0 0 1 6.7 4H17",
  close: "M6 6l12 12M18 6L6 18",
};

/** Build one of the page's icons. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICON_PATHS[name]);
  svg.append(path);
  return svg;
}

/** Grey bars in place of content that is loading. */
export function skeleton(rows, label) {
  const bars = Array.from({ length: rows }, () => h("div", { class: "skeleton", "aria-hidden": "true" }));
  return h("div", { class: "loading", role: "status" }, h("span", { class: "sr-only" }, label), bars);
}

/** Show what failed and the remedy, with a button to try again. */
export function problem(error, retry) {
  return h("div", { class: "problem", role: "alert" },
    h("strong", {}, sentence(error.what), error.value ? `: ${error.value}` : ""),
    error.remedy ? h("p", {}, error.remedy) : null,
    retry ? h("button", { type: "button", class: "quiet", onclick: retry }, "Try again") : null);
}

/** Begin with a capital letter. */
export function sentence(text) {
  return text ? text[0].toUpperCase() + text.slice(1) : "";
}

/** Show a message for a few seconds; `action` is { label, run } for its button. */
export function toast(text, action) {
  const box = h("div", { class: "toast" }, h("span", {}, text));
  if (action) {
    const run = () => { box.remove(); action.run(); };
    box.append(h("button", { type: "button", class: "link", onclick: run }, action.label));
  }
  document.getElementById("toasts").replaceChildren(box);
  setTimeout(() => box.remove(), 7000);
}
