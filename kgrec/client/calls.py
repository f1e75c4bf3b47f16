"""The operations of the API: what each sends, and what it is answered with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar, Unpack
from urllib.parse import quote

from kgrec.explain.records import Explanation
from kgrec.retrieval.knobs import KnobOptions
from kgrec.retrieval.records import RecommendationList
from kgrec.retrieval.visitor import Visitor
from kgrec.schema import NodeKind
from kgrec.serving.graph_answers import (
    EntityDetails,
    EntitySummary,
    NeighbourPage,
    PathList,
    QueryList,
    StatementAnswer,
)
from kgrec.serving.schemas import (
    Corrected,
    Feedback,
    Health,
    HistoryEntry,
    InteractionsWritten,
    Item,
    ItemSummary,
    ItemsWritten,
    Model,
    Page,
    Readiness,
    User,
    Withdrawn,
)

ResultT = TypeVar("ResultT")


@dataclass(frozen=True)
class Call(Generic[ResultT]):
    """One request.

    Attributes:
        method, template: the operation, as the description of the API names it.
        result: type of the answer; None for an answer without a body.
        path: values of the template's parameters.
        query: parameters of the address; those that are None or empty are left out.
        body: JSON.
        headers: beside those of every request.
        repeatable: whether it may be sent again when its answer was lost.
    """

    method: str
    template: str
    result: Any
    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    repeatable: bool = True

    @property
    def url(self) -> str:
        """The path; a slash inside an id is `%2F`."""
        return self.template.format(
            **{name: quote(value, safe="") for name, value in self.path.items()}
        )

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters of the address that are sent."""
        return {
            name: str(value).lower() if isinstance(value, bool) else value
            for name, value in self.query.items()
            if value is not None and value != "" and value != () and value != []
        }


def recommend(
    user_id: str,
    *,
    k: int = 10,
    filters: Sequence[str] = (),
    diversity: float = 0.0,
    fallback: bool = True,
    cursor: str | None = None,
    **more: Unpack[KnobOptions],
) -> Call[RecommendationList]:
    """Recommend items that a user has not seen, from the history as it is at this moment.

    `cursor` of a list brings its next page; `more` are knobs, as `kgrec.retrieval.knobs.Knobs`
    describes them.
    """
    query = {"k": k, "filter": tuple(filters), "diversity": diversity, "fallback": fallback}
    query |= {**dict.fromkeys(KnobOptions.__annotations__), **_listed(more), "cursor": cursor}
    path = {"user_id": user_id}
    return Call("GET", "/v1/users/{user_id}/recommendations", RecommendationList, path, query)


def _listed(more: KnobOptions) -> dict[str, Any]:
    """Return knobs with lists for sequences, as JSON and addresses have them."""
    return {
        name: list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value
        for name, value in more.items()
    }


def explain(
    user_id: str, item_id: str, *, request_id: str | None = None, counterfactual: bool = False
) -> Call[Explanation]:
    """Explain why an item is recommended; `request_id` is that of the list."""
    template = "/v1/users/{user_id}/recommendations/{item_id}/explanation"
    path = {"user_id": user_id, "item_id": item_id}
    query = {"request_id": request_id, "counterfactual": counterfactual}
    return Call("GET", template, Explanation, path, query)


def recommend_for(
    visitor: Visitor | Sequence[str],
    *,
    k: int = 10,
    filters: Sequence[str] = (),
    diversity: float = 0.0,
    cursor: str | None = None,
    **more: Unpack[KnobOptions],
) -> Call[RecommendationList]:
    """Recommend to a visitor, or from the ids of a history, the newest first.

    `cursor` and `more` are as for `recommend`.
    """
    body = Visitor.of(visitor).model_dump(mode="json") | {
        "k": k,
        "filters": list(filters),
        "diversity": diversity,
    }
    body |= {**_listed(more), "cursor": cursor}
    return Call("POST", "/v1/recommendations", RecommendationList, body=body)


def explain_for(
    visitor: Visitor | Sequence[str],
    item_id: str,
    *,
    request_id: str | None = None,
    counterfactual: bool = False,
) -> Call[Explanation]:
    """Explain an item of a list that was made for a visitor, described as for the list."""
    body = Visitor.of(visitor).model_dump(mode="json") | {
        "item_id": item_id,
        "request_id": request_id,
        "counterfactual": counterfactual,
    }
    return Call("POST", "/v1/explanations", Explanation, body=body)


def similar(
    item_id: str, *, k: int = 10, filters: Sequence[str] = (), cursor: str | None = None
) -> Call[RecommendationList]:
    """Return the items that somebody who likes an item tends to like; `cursor` as `recommend`."""
    query = {"k": k, "filter": tuple(filters), "cursor": cursor}
    path = {"item_id": item_id}
    return Call("GET", "/v1/items/{item_id}/similar", RecommendationList, path, query)


def send_feedback(
    user_id: str,
    item_id: str,
    kind: str,
    *,
    value: float | None = None,
    at: datetime | None = None,
    device: str | None = None,
    scenario: str | None = None,
    idempotency_key: str | None = None,
) -> Call[Feedback]:
    """Record what a user did with an item.

    It is tried again after a lost answer where it carries `at` or `idempotency_key`, for only then
    it cannot count twice.
    """
    body = {"user_id": user_id, "item_id": item_id, "kind": kind, "value": value}
    return Call(
        "POST",
        "/v1/feedback",
        Feedback,
        body={**body, "at": at.isoformat() if at else None, "device": device, "scenario": scenario},
        headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
        repeatable=bool(at or idempotency_key),
    )


def send_interactions(rows: Sequence[Mapping[str, Any]]) -> Call[InteractionsWritten]:
    """Record what users did with items, many at once: the fields of feedback, and their keys.

    It is tried again after a lost answer where each row carries `at` or `idempotency_key`. A body
    has at most 256 KiB, some 2,000 rows.
    """
    known = all(row.get("at") or row.get("idempotency_key") for row in rows)
    body = [
        {k: value.isoformat() if isinstance(value, datetime) else value for k, value in row.items()}
        for row in rows
    ]
    return Call("POST", "/v1/interactions", InteractionsWritten, body=body, repeatable=known)


def withdraw_feedback(user_id: str, item_id: str) -> Call[Withdrawn]:
    """Take back the likes, dislikes and skips of an item by a user."""
    path = {"user_id": user_id, "item_id": item_id}
    return Call("DELETE", "/v1/users/{user_id}/feedback/{item_id}", Withdrawn, path)


def users(q: str = "", *, limit: int = 20, cursor: str | None = None) -> Call[Page[User]]:
    """Find users by the beginning of their id."""
    return Call("GET", "/v1/users", Page[User], query=_page(limit, cursor, q=q))


def user(user_id: str) -> Call[User]:
    """Return a user and what is known of them."""
    return Call("GET", "/v1/users/{user_id}", User, {"user_id": user_id})


def history(
    user_id: str, *, limit: int = 50, cursor: str | None = None
) -> Call[Page[HistoryEntry]]:
    """Return what a user did, the newest first."""
    path = {"user_id": user_id}
    query = _page(limit, cursor)
    return Call("GET", "/v1/users/{user_id}/history", Page[HistoryEntry], path, query)


def erase_user(user_id: str) -> Call[None]:
    """Erase a user: the node, the history and the stored recommendations."""
    return Call("DELETE", "/v1/users/{user_id}", None, {"user_id": user_id})


def items(q: str = "", *, limit: int = 20, cursor: str | None = None) -> Call[Page[ItemSummary]]:
    """Find items by words of their titles."""
    return Call("GET", "/v1/items", Page[ItemSummary], query=_page(limit, cursor, q=q))


def item(item_id: str) -> Call[Item]:
    """Return an item with every fact of the graph about it."""
    return Call("GET", "/v1/items/{item_id}", Item, {"item_id": item_id})


def put_items(
    items: Sequence[Mapping[str, Any]], *, domain: str | None = None, source: str = "api"
) -> Call[ItemsWritten]:
    """Create items, and change those that are there, by fields named as a catalogue's columns."""
    query = {"domain": domain, "source": source}
    return Call("POST", "/v1/items", ItemsWritten, query=query, body=[dict(one) for one in items])


def change_item(item_id: str, fields: Mapping[str, Any], *, source: str = "api") -> Call[Item]:
    """Change some fields of an item; None empties one."""
    path = {"item_id": item_id}
    return Call("PATCH", "/v1/items/{item_id}", Item, path, {"source": source}, dict(fields))


def delete_item(item_id: str) -> Call[None]:
    """Remove an item, its facts and what users did with it."""
    return Call("DELETE", "/v1/items/{item_id}", None, {"item_id": item_id})


def delete_entity(entity_id: str) -> Call[None]:
    """Remove an entity with all facts and links that are tied to it."""
    return Call("DELETE", "/v1/entities/{entity_id}", None, {"entity_id": entity_id})


def correct(
    item_id: str, relation: str, entity: str, verdict: str, *, instead: str = ""
) -> Call[Corrected]:
    """Confirm, reject or change a fact of an item; `instead` names the entity that is right."""
    body = {"item_id": item_id, "relation": relation, "entity": entity, "verdict": verdict}
    body |= {"instead": instead} if instead else {}
    return Call("POST", "/v1/corrections", Corrected, body=body)


def entities(
    q: str = "", *, type: str = "", limit: int = 20, cursor: str | None = None
) -> Call[Page[EntitySummary]]:
    """Find entities by words of their names, of one type where it is named."""
    query = _page(limit, cursor, q=q, type=type)
    return Call("GET", "/v1/entities", Page[EntitySummary], query=query)


def entity(entity_id: str) -> Call[EntityDetails]:
    """Return an entity and how many items lead to it."""
    return Call("GET", "/v1/entities/{entity_id}", EntityDetails, {"entity_id": entity_id})


def neighbours(
    kind: NodeKind,
    node_id: str,
    *,
    relations: Sequence[str] = (),
    limit: int = 50,
    cursor: str | None = None,
) -> Call[NeighbourPage]:
    """Return what a node is tied to, by relations of some types where they are named."""
    path = {"kind": kind, "node_id": node_id}
    query = _page(limit, cursor, relation=tuple(relations))
    return Call("GET", "/v1/nodes/{kind}/{node_id}/neighbours", NeighbourPage, path, query)


def paths(start: str, end: str, *, hops: int = 3, limit: int = 20) -> Call[PathList]:
    """Return the paths of facts and links between two items."""
    query = {"from": start, "to": end, "hops": hops, "limit": limit}
    return Call("GET", "/v1/paths", PathList, query=query)


def cypher(
    statement: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    rows: int = 1000,
    bytes: int = 1024 * 1024,
    seconds: float = 10.0,
) -> Call[StatementAnswer]:
    """Run a statement of your own, which must only read the graph."""
    limits = {"rows": rows, "bytes": bytes, "seconds": seconds}
    body = {"statement": statement, "parameters": dict(parameters or {}), "limits": limits}
    return Call("POST", "/v1/cypher", StatementAnswer, body=body)


def queries() -> Call[QueryList]:
    """List the named queries with their parameters and columns."""
    return Call("GET", "/v1/queries", QueryList)


def run_query(
    name: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    rows: int = 1000,
    bytes: int = 1024 * 1024,
    seconds: float = 10.0,
) -> Call[StatementAnswer]:
    """Run a named query."""
    limits = {"rows": rows, "bytes": bytes, "seconds": seconds}
    body = {"parameters": dict(parameters or {}), "limits": limits}
    return Call("POST", "/v1/queries/{name}", StatementAnswer, {"name": name}, body=body)


def health() -> Call[Health]:
    """Report that the server answers, whatever the state of its graph."""
    return Call("GET", "/healthz", Health)


def readiness() -> Call[Readiness]:
    """Report that the graph answers and a model is live."""
    return Call("GET", "/readyz", Readiness)


def model() -> Call[Model]:
    """Return the live model and its stored record."""
    return Call("GET", "/v1/model", Model)


def _page(limit: int, cursor: str | None, **more: Any) -> dict[str, Any]:
    return {**more, "limit": limit, "cursor": cursor}
