// Attribution of the score: a bar for each history item, coloured by agent; the bars sum to the score.
import { h, sentence } from "./dom.js";
import { agentClass, interaction, score, signed, signedPercent } from "./format.js";

const FIRST = 8;

/** Build the bars of an explanation; `openItem(id)` is called when a history item is selected. */
export function contributions(explanation, openItem) {
  const declared = explanation.declared.map((one) => ({ ...one, by_agent: { profile: one.contribution } }));
  const rows = [...explanation.history, ...declared].sort((a, b) => Math.abs(b.contribution) - Math.abs(a.contribution));
  const prior = Object.fromEntries(explanation.agents.map((agent) => [agent.agent, agent.prior]));
  const priors = Object.values(prior).reduce((a, b) => a + b, 0);
  const first = rows.slice(0, FIRST);
  const rest = rows.slice(FIRST);
  const scale = scaleOf(first, [sumOf(rest), prior]);
  const body = h("tbody", {}, first.map((row) => historyRow(row, scale, openItem)));
  if (rest.length) {
    const others = rest.length === 1 ? "1 other item" : `${rest.length} other items`;
    const button = h("button", { type: "button", class: "link", onclick: () => {
      body.querySelector(".rest").replaceWith(...rest.map((row) => historyRow(row, scale, openItem)));
    } }, `${others}: show each`);
    body.append(tableRow("rest", button, sumOf(rest), total(rest), scale));
  }
  if (priors !== 0) body.append(tableRow("prior", "Whatever the history", prior, priors, scale));
  const sum = total(rows) + priors;
  const fits = Math.abs(sum - explanation.score) <= 1e-5 * Math.max(1, Math.abs(explanation.score));
  return h("div", { class: "contributions" },
    agents(explanation),
    h("table", { class: "bars" },
      h("caption", { class: "sr-only" }, "What each item of the history, or declared value, adds to the score"),
      h("colgroup", {}, h("col", { class: "name" }), h("col", {}), h("col", { class: "sum" })),
      h("thead", { class: "sr-only" }, h("tr", {}, ["From", "By agent", "Adds"].map((name) => h("th", { scope: "col" }, name)))),
      body,
      h("tfoot", {}, h("tr", {}, h("th", { scope: "row" }, "Sum"),
        h("td", { class: "check" }, fits ? "adds up to the score" : "does not add up to the score"),
        h("td", { class: "value", id: "sum", "data-sum": String(sum), "data-score": String(explanation.score) }, `= ${score(sum, 4)}`)))));
}

function agents(explanation) {
  return h("ul", { class: "legend" }, explanation.agents.map((one) =>
    h("li", {}, h("i", { class: `swatch ${agentClass(one.agent)}` }), `${one.agent} `,
      h("b", {}, signedPercent(one.signed_share)), " ", h("span", { class: "muted" }, signed(one.history + one.prior)))));
}

function historyRow(row, scale, openItem) {
  if (row.words) return tableRow("", sentence(`users ${row.words}`), row.by_agent, row.contribution, scale);
  const effect = `${signedPercent(row.signed_share)} of the score. Without it the score would change by ${signed(row.deletion_effect)}.`;
  const name = h("button", { type: "button", class: "link", title: effect, "data-item": row.item_id, onclick: () => openItem(row.item_id) }, row.title);
  return tableRow("", [name, " ", h("small", {}, interaction(row.kind, row.value))], row.by_agent, row.contribution, scale);
}

function tableRow(kind, name, byAgent, value, scale) {
  return h("tr", { class: kind }, h("th", { scope: "row" }, name), h("td", { class: "track" }, track(byAgent, scale)),
    h("td", { class: "value" }, signed(value)));
}

/** Positive contributions to the right of zero, negative ones to the left. */
function track(byAgent, scale) {
  const box = h("div", { class: "bar", "aria-hidden": "true" });
  const zero = (scale.low / (scale.low + scale.high)) * 100;
  const unit = 100 / (scale.low + scale.high);
  let [right, left] = [zero, zero];
  for (const [agent, value] of Object.entries(byAgent)) {
    const width = Math.abs(value) * unit;
    if (width < 0.05) continue;
    const piece = h("i", { class: agentClass(agent), title: `${agent} ${signed(value)}` });
    if (value < 0) left -= width;
    piece.style.left = `${value < 0 ? left : right}%`;
    piece.style.width = `${width}%`;
    if (value > 0) right += width;
    box.append(piece);
  }
  if (right > 100.01 || left < -0.01) box.classList.add("cut");
  if (scale.low > 0) {
    const axis = h("b", {});
    axis.style.left = `${zero}%`;
    box.append(axis);
  }
  return box;
}

/** One scale for all bars: a sum over many items may exceed it, and its bar fades at the edge. */
function scaleOf(rows, sums) {
  const side = (byAgent, sign) => Object.values(byAgent).reduce((sum, value) => sum + Math.max(sign * value, 0), 0);
  const most = (list, sign) => Math.max(0, ...list.map((byAgent) => side(byAgent, sign)));
  const single = rows.map((row) => row.by_agent);
  const high = Math.max(most(single, 1), most(single, -1), 1e-9);
  return { low: Math.min(high, most([...single, ...sums], -1)), high };
}

function total(rows) {
  return rows.reduce((sum, row) => sum + row.contribution, 0);
}

function sumOf(rows) {
  const sums = {};
  for (const row of rows) for (const [agent, value] of Object.entries(row.by_agent)) sums[agent] = (sums[agent] ?? 0) + value;
  return sums;
}
