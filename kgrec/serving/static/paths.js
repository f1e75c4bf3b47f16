// Knowledge paths as a graph: history items on the left, entities between, the item on the right.
import { fill, h, sentence } from "./dom.js";
import { percent, relation, signedPercent } from "./format.js";

const ROW = 62;
let loading;

function library() {
  loading ??= new Promise((resolve, reject) => {
    const script = h("script", { src: "/static/vendor/cytoscape.min.js" });
    script.onload = () => resolve(window.cytoscape);
    script.onerror = () => { loading = undefined; reject(new Error("cytoscape did not load")); };
    document.head.append(script);
  });
  return loading;
}

/** Build the section for the paths of an explanation; `ready` renders the graph, `signal` removes it. */
export function pathSection(explanation, signal) {
  const evidence = h("div", { class: "evidence", "aria-live": "polite" }, h("p", { class: "muted" }, "Choose an edge or a node to see where the fact comes from."));
  const canvas = h("div", { class: "graph", role: "img", "aria-label": `${explanation.paths.length} knowledge paths; the list below gives them in words` });
  const list = h("details", {}, h("summary", {}, "The same in words"),
    h("ul", { class: "paths" }, explanation.paths.map((reason) =>
      h("li", { class: reason.because ? null : "also" }, sentence(reason.words), h("small", {}, `${signedPercent(reason.share)} of the score`), h("small", {}, `${source(reason.path.history)}; ${source(reason.path.item)}`)))));
  const ready = async () => {
    const cytoscape = await library();
    if (signal.aborted) return;
    render(cytoscape, canvas, explanation, signal, (facts) => fill(evidence, facts.map(fact)));
  };
  return { element: h("div", {}, canvas, evidence, list), ready };
}

function fact(one) {
  return h("div", { class: "fact" },
    h("p", {}, h("strong", {}, one.title), " ", h("span", { class: "relation" }, relation(one.relation)), " ", h("strong", {}, one.entity)),
    one.evidence ? h("blockquote", {}, one.evidence) : null,
    h("small", {}, sentence(source(one))));
}

function source(one) {
  const from = one.source ? `from ${one.source}` : "source unknown";
  return `${from}, confidence ${percent(one.confidence)}`;
}

function render(cytoscape, canvas, explanation, signal, onSelect) {
  const model = elements(explanation);
  const rows = Math.max(model.left, model.middle, 2);
  canvas.style.height = `${rows * ROW + 24}px`;
  const width = canvas.clientWidth;
  const graph = cytoscape({
    container: canvas, elements: model.elements, style: style(width), userZoomingEnabled: false, userPanningEnabled: false,
    boxSelectionEnabled: false, autoungrabify: true,
    layout: { name: "preset", fit: false, positions: (node) => position(node.data(), model, width, rows) },
  });
  graph.on("tap", "edge", (event) => select(graph, event.target, onSelect));
  graph.on("tap", "node", (event) => select(graph, event.target.connectedEdges(), onSelect));
  graph.on("mouseover", "edge, node", () => { canvas.style.cursor = "pointer"; });
  graph.on("mouseout", "edge, node", () => { canvas.style.cursor = ""; });
  canvas.kgrec = graph;
  const again = () => {
    const now = canvas.clientWidth;
    graph.resize();
    graph.style(style(now));
    graph.nodes().positions((node) => position(node.data(), model, now, rows));
  };
  const observer = new ResizeObserver(again);
  observer.observe(canvas);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again, { signal });
  document.addEventListener("kgrec-theme", again, { signal });
  signal.addEventListener("abort", () => { observer.disconnect(); graph.destroy(); }, { once: true });
}

function select(graph, edges, onSelect) {
  graph.edges().removeClass("selected");
  edges.addClass("selected");
  onSelect(edges.map((edge) => edge.data("fact")));
}

/** One edge for each fact and one node for each item or entity, however many paths use them. */
function elements(explanation) {
  const nodes = new Map();
  const edges = new Map();
  const node = (id, kind, label) => {
    if (!nodes.has(id)) nodes.set(id, { data: { id, kind, label, place: 0 } });
  };
  const target = `item ${explanation.item_id}`;
  node(target, "item", explanation.title);
  // Paths that carry the score come first, so that a fact on paths of both kinds is rendered as a cause.
  for (const { path, because } of [...explanation.paths].sort((a, b) => b.because - a.because)) {
    const from = `history ${path.history.item_id}`;
    node(from, "history", path.history.title);
    const edge = (source, target, side, one) => {
      const id = `${source} ${one.relation} ${target}`;
      if (!edges.has(id)) edges.set(id, { data: { id, source, target, side, label: relation(one.relation), fact: one, also: because ? 0 : 1 } });
    };
    const last = path.steps.length - 1;
    let before = from;
    let name = path.history.title;
    path.steps.forEach((step, number) => {
      const there = number === last ? target : `${step.node.kind === "item" ? "over" : "entity"} ${step.node.id}`;
      if (number < last) node(there, "entity", step.node.name);
      if (number === 0) edge(from, there, "history", path.history);
      else if (number === last) edge(target, before, "item", path.item);
      else {
        const [title, entity] = step.forward ? [name, step.node.name] : [step.node.name, name];
        edge(before, there, "between", { ...step, title, entity });
      }
      before = there;
      name = step.node.name;
    });
  }
  return { elements: [...nodes.values(), ...edges.values()], ...placed([...nodes.values()], [...edges.values()]) };
}

/** Place entities at the mean height of the history items that lead to them, so that few edges cross. */
function placed(nodes, edges) {
  const column = (kind) => nodes.filter((node) => node.data.kind === kind).map((node) => node.data);
  const [left, middle] = [column("history"), column("entity")];
  left.forEach((data, place) => { data.place = place; });
  const mean = (data) => {
    const from = edges.filter((edge) => edge.data.target === data.id && edge.data.side === "history");
    if (!from.length) return left.length / 2;
    return from.reduce((sum, edge) => sum + left.find((one) => one.id === edge.data.source).place, 0) / from.length;
  };
  const means = new Map(middle.map((data) => [data.id, mean(data)]));
  middle.sort((a, b) => means.get(a.id) - means.get(b.id)).forEach((data, place) => { data.place = place; });
  return { left: left.length, middle: middle.length };
}

function position(data, model, width, rows) {
  const box = boxWidth(width);
  const column = { history: box / 2 + 4, entity: width / 2, item: width - box / 2 - 4 }[data.kind];
  const number = { history: model.left, entity: model.middle, item: 1 }[data.kind];
  const height = rows * ROW;
  return { x: column, y: 12 + (height / number) * (data.place + 0.5) };
}

function boxWidth(width) {
  return Math.max(84, Math.min(160, width * 0.22));
}

/** The font size at which the longest word, which is not broken, fits its box. */
function fontSize(data, box) {
  const room = (data.kind === "entity" ? box * 0.86 : box) - 12;
  const longest = Math.max(...data.label.split(/\s+/).map((word) => word.length), 1);
  return Math.max(8, Math.min(data.kind === "entity" ? 11 : 12, room / (longest * 0.58)));
}

function style(width) {
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const box = boxWidth(width);
  return [
    { selector: "node", style: {
      shape: "round-rectangle", width: box, height: 40, label: "data(label)", "text-wrap": "wrap", "text-max-width": box - 14,
      "text-valign": "center", "font-size": (node) => fontSize(node.data(), box), "line-height": 1.1, "font-family": "system-ui, sans-serif", color: colour("--text"),
      "background-color": colour("--raised"), "border-width": 1, "border-color": colour("--line-strong"), "overlay-opacity": 0 } },
    { selector: "node[kind = 'entity']", style: {
      shape: "round-rectangle", "corner-radius": 20, width: box * 0.86, height: 36, "background-color": colour("--entity"), "border-color": colour("--entity-line"), "text-max-width": box * 0.8 } },
    { selector: "node[kind = 'item']", style: { "background-color": colour("--accent"), "border-color": colour("--accent"), color: colour("--on-accent"), height: 48, "font-weight": 600 } },
    { selector: "edge", style: {
      width: 1.5, "line-color": colour("--line-strong"), "curve-style": "straight", "source-endpoint": "90deg", "target-endpoint": "270deg", "target-arrow-shape": "triangle",
      "target-arrow-color": colour("--line-strong"), "arrow-scale": 0.8, label: "data(label)", "font-size": 10, color: colour("--muted"),
      "font-family": "system-ui, sans-serif", "text-background-color": colour("--surface"), "text-background-opacity": 1, "text-background-padding": 2,
      "overlay-opacity": 0 } },
    { selector: "edge[side = 'item']", style: { "source-endpoint": "270deg", "target-endpoint": "90deg" } },
    { selector: "edge[also = 1]", style: { "line-style": "dashed", opacity: 0.45 } },
    { selector: "edge.selected", style: { width: 3, "line-color": colour("--accent"), "target-arrow-color": colour("--accent"), color: colour("--text") } },
  ];
}
