// The facts of an item: where each comes from, and its correction by whoever knows better.
import { fill, h, sentence } from "./dom.js";
import { percent, relation } from "./format.js";

const SHOWN = 6;

/** Build the facts of an item; `correct(fact, verdict, instead)` sends a correction and throws what the API answers. */
export function factSection(item, correct) {
  if (!item.facts.length) return null;
  const panel = h("div", { class: "evidence correction", hidden: true });
  const groups = new Map();
  for (const fact of item.facts) groups.set(fact.relation, [...(groups.get(fact.relation) ?? []), fact]);
  const open = (fact, chip) => select(panel, fact, chip, correct);
  return [
    h("h3", {}, "What the graph knows of it"),
    h("dl", { class: "facts" }, [...groups].flatMap(([name, facts]) => [h("dt", {}, relation(name)), h("dd", {}, chips(facts, open))])),
    panel,
  ];
}

function chips(facts, open) {
  const chip = (fact) => {
    const button = h("button", { type: "button", class: "chip", "aria-expanded": "false", title: "Where this comes from", onclick: () => open(fact, button) }, fact.name || fact.entity_id);
    return button;
  };
  const rest = facts.slice(SHOWN);
  const more = rest.length ? h("button", { type: "button", class: "link", onclick: () => more.replaceWith(...rest.map(chip)) }, `${rest.length} more`) : null;
  return [...facts.slice(0, SHOWN).map(chip), more].filter(Boolean);
}

/** Show one fact in the panel; selected once more, it closes. */
function select(panel, fact, chip, correct) {
  const wasOpen = chip.getAttribute("aria-expanded") === "true";
  for (const other of document.querySelectorAll(".facts .chip")) other.setAttribute("aria-expanded", "false");
  panel.hidden = wasOpen;
  if (wasOpen) return;
  chip.setAttribute("aria-expanded", "true");
  fill(panel, about(fact), actions(fact, correct));
}

function about(fact) {
  const from = fact.source ? `from ${fact.source}` : "source unknown";
  const by = fact.extractor && fact.extractor !== "table" ? `, read by ${fact.extractor.split("@")[0]}` : "";
  return [
    h("p", {}, h("span", { class: "relation" }, relation(fact.relation)), " ", h("strong", {}, fact.name || fact.entity_id)),
    fact.evidence ? h("blockquote", {}, fact.evidence) : null,
    h("small", {}, `${sentence(from)}${by}, confidence ${percent(fact.confidence)}`),
  ];
}

function actions(fact, correct) {
  const failure = h("p", { role: "alert", class: "failed" });
  const send = async (verdict, instead) => {
    failure.textContent = "";
    try {
      await correct(fact, verdict, instead);
    } catch (error) {
      if (error.name === "AbortError") return;
      failure.textContent = `${sentence(error.what ?? error.message)}. ${error.remedy ?? ""}`;
    }
  };
  const name = h("input", { "aria-label": "The right name", value: fact.name, maxlength: 200, required: true });
  const change = h("form", { class: "change", hidden: true, onsubmit: (event) => { event.preventDefault(); send("change", name.value.trim()); } },
    name, h("button", { class: "primary" }, "Save"));
  const button = (label, act, run) => h("button", { type: "button", class: "quiet", "data-act": act, onclick: run }, label);
  return [
    h("div", { class: "verdicts" },
      button("Right", "confirm", () => send("confirm", "")),
      button("Wrong", "reject", () => send("reject", "")),
      button("Another name …", "change", () => { change.hidden = false; name.select(); })),
    change,
    failure,
  ];
}
