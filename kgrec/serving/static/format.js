// Numbers, times and names as people read them.

/** A score, rounded so that adjacent ranks still differ. */
export function score(value, places = 3) {
  return Math.abs(value) >= 1000 ? value.toFixed(0) : value.toFixed(places);
}

/** A contribution, with its sign. */
export function signed(value) {
  return `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(4)}`;
}

export function percent(value) {
  return `${Math.round(value * 100)} %`;
}

/** A signed share of a score: its absolute values sum to 100 %. */
export function signedPercent(share) {
  return `${share < 0 ? "−" : "+"}${percent(Math.abs(share))}`;
}

/** `HAS_GENRE` as `has genre`. */
export function relation(name) {
  return name.toLowerCase().replaceAll("_", " ");
}

export function day(value) {
  if (!value) return "";
  return new Date(value).toLocaleDateString(undefined, { year: "numeric", month: "short", day: "numeric" });
}

const INTERACTION_WORDS = { rating: "rated", view: "viewed", click: "looked at", play: "played", purchase: "bought", cart: "put into the cart", like: "liked", dislike: "disliked", skip: "skipped" };

/** An interaction in words: `rated 4`. */
export function interaction(kind, value) {
  const word = INTERACTION_WORDS[kind] ?? kind;
  return kind === "rating" && value !== null ? `${word} ${Number(value)}` : word;
}

/** The declared properties of a user: `librarian · age 32`. */
export function profile(user) {
  const properties = Object.entries(user.properties ?? {});
  return properties.map(([name, value]) => (typeof value === "string" ? value : `${name.replaceAll("_", " ")} ${value}`)).join(" · ");
}

// Agents in the order of their colours; others get the next colour when they first occur.
const FIRST_AGENTS = ["linear", "collaborative", "semantic"];
const colourOf = new Map(FIRST_AGENTS.map((name, place) => [name, place]));

/** The colour class of an agent: the same wherever it is shown. */
export function agentClass(name) {
  if (!colourOf.has(name)) colourOf.set(name, colourOf.size);
  return `agent-${colourOf.get(name) % 8}`;
}
