// The HTTP API: one function an endpoint, and errors that say what, value and remedy.

const KEY = "kgrec-key";

export class ApiError extends Error {
  constructor(status, body) {
    super(body.what);
    this.status = status;
    this.what = body.what;
    this.value = body.value ?? "";
    this.remedy = body.remedy ?? "";
  }
}

export const key = {
  get: () => sessionStorage.getItem(KEY),
  set: (value) => sessionStorage.setItem(KEY, value),
};

async function send(method, path, { query = {}, body, signal } = {}) {
  const url = new URL(path, location.origin);
  for (const [name, value] of Object.entries(query)) {
    for (const one of [value].flat()) if (one !== "" && one !== null && one !== undefined) url.searchParams.append(name, one);
  }
  const headers = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (key.get()) headers.Authorization = `Bearer ${key.get()}`;
  let response;
  try {
    response = await fetch(url, { method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, { what: "the server does not answer", remedy: "Is it still running? `kgrec serve` starts it." });
  }
  if (response.ok) return response.status === 204 ? null : response.json();
  const failure = await response.json().catch(() => ({ what: `the server answered ${response.status}` }));
  throw new ApiError(response.status, failure);
}

const part = encodeURIComponent;

export const api = {
  model: () => send("GET", "/v1/model"),
  users: (q, signal) => send("GET", "/v1/users", { query: { q, limit: 12 }, signal }),
  user: (id, signal) => send("GET", `/v1/users/${part(id)}`, { signal }),
  history: (id, cursor, signal) => send("GET", `/v1/users/${part(id)}/history`, { query: { limit: 25, cursor }, signal }),
  recommendations: (id, { k, diversity, filter }, signal) =>
    send("GET", `/v1/users/${part(id)}/recommendations`, { query: { k, diversity, filter }, signal }),
  explanation: (id, item, { request_id, counterfactual }, signal) =>
    send("GET", `/v1/users/${part(id)}/recommendations/${part(item)}/explanation`, { query: { request_id, counterfactual }, signal }),
  items: (q, signal) => send("GET", "/v1/items", { query: { q, limit: 12 }, signal }),
  item: (id, signal) => send("GET", `/v1/items/${part(id)}`, { signal }),
  similar: (id, signal) => send("GET", `/v1/items/${part(id)}/similar`, { query: { k: 6 }, signal }),
  feedback: (user_id, item_id, kind) => send("POST", "/v1/feedback", { body: { user_id, item_id, kind } }),
  correct: (item_id, fact, verdict, instead) =>
    send("POST", "/v1/corrections", { body: { item_id, relation: fact.relation, entity: fact.entity_id, verdict, instead } }),
  withdraw: (user, item) => send("DELETE", `/v1/users/${part(user)}/feedback/${part(item)}`),
};
