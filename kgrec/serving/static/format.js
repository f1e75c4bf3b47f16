// Numbers, times and names as people read them.

/** A score, to as many places as tell neighbours apart. */
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

const DID = { rating: "rated", view: "viewed", click: "looked at", play: "played", purchase: "bought", like: "liked", dislike: "disliked" };

/** What was done with an item: `rated 4`. */
export function did(kind, value) {
  const word = DID[kind] ?? kind;
  return kind === "rating" && value !== null ? `${word} ${Number(value)}` : word;
}

/** What is known of a user: `librarian · age 32`. */
export function profile(user) {
  const known = Object.entries(user.properties ?? {});
  return known.map(([name, value]) => (typeof value === "string" ? value : `${name.replaceAll("_", " ")} ${value}`)).join(" · ");
}

const KNOWN = ["linear", "collaborative", "semantic"];
const met = new Map(KNOWN.map((name, place) => [name, place]));

/** The colour class of an agent: the same wherever it is shown. */
export function agentClass(name) {
  if (!met.has(name)) met.set(name, met.size);
  return `agent-${met.get(name) % 8}`;
}
