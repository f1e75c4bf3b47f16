"""Users, items and histories, read from the graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from kgrec.data.availability import AVAILABILITY, is_available
from kgrec.errors import NotFoundError
from kgrec.graph.pages import HELD_BY
from kgrec.graph.statements import plain
from kgrec.graph.store import GraphStore
from kgrec.retrieval.finding.finder import Match, find
from kgrec.schema import load_schema
from kgrec.serving import parameters as cursors
from kgrec.serving.schemas import HistoryEntry, Item, ItemFact, ItemSummary, Page, User, Value
from kgrec.serving.service import Engine

_LATEST = 2**53
"""Milliseconds; after every time there is."""
_MAX_FACTS = 500
_MAX_OFFSET = 1000
"""A search goes no further: beyond it a reader is better served by more words."""


def find_users(store: GraphStore, prefix: str, limit: int, cursor: str | None) -> Page[User]:
    """List users whose id begins with `prefix`, in the order of ids."""
    (after,) = cursors.decode(cursor, [""])
    rows = store.read("serving/users", prefix=prefix, after=after, limit=limit + 1)
    following = cursors.encode([rows[limit - 1]["user_id"]]) if len(rows) > limit else None
    return Page[User](items=[_user(row) for row in rows[:limit]], next=following)


def read_user(store: GraphStore, user_id: str) -> User:
    """Return one user; raises NotFoundError."""
    rows = store.read("serving/user", user_id=user_id)
    if not rows:
        raise unknown_user(user_id)
    return _user(rows[0])


def read_history(
    store: GraphStore, user_id: str, limit: int, cursor: str | None
) -> Page[HistoryEntry]:
    """List what a user did, the newest first; raises NotFoundError."""
    before, after_item, after_key = cursors.decode(cursor, [_LATEST, "", ""])
    read_user(store, user_id)
    rows = store.read(
        "serving/history",
        user_id=user_id,
        before=before,
        after_item=after_item,
        after_key=after_key,
        limit=limit + 1,
    )
    following = None
    if len(rows) > limit:
        last = rows[limit - 1]
        following = cursors.encode([last["at"], last["item_id"], last["key"]])
    return Page[HistoryEntry](items=[_entry(row) for row in rows[:limit]], next=following)


def find_items(engine: Engine, words: str, limit: int, cursor: str | None) -> Page[ItemSummary]:
    """List items by words of their titles, the best match first; all items without words."""
    store = engine.store
    if not words.strip():
        (after,) = cursors.decode(cursor, [""])
        rows = store.read("serving/items", after=after, limit=limit + 1)
        position: list[str | int] = [rows[limit - 1]["item_id"]] if len(rows) > limit else []
    else:
        matches = find(store, "item", words, engine.recommender.resident)
        chosen, position = page_of(matches, limit, cursor)
        found = {row["item_id"]: row for row in _summaries(store, [one.id for one in chosen])}
        rows = [found[one.id] for one in chosen if one.id in found]
    following = cursors.encode(position) if position else None
    items = [ItemSummary.model_validate(row) for row in rows[:limit]]
    return Page[ItemSummary](items=items, next=following)


def page_of(
    matches: Sequence[Match], limit: int, cursor: str | None
) -> tuple[Sequence[Match], list[str | int]]:
    """Return a page of what a search found, and where the next begins; nothing at the end."""
    (reached_before,) = cursors.decode(cursor, [0])
    skip = min(max(int(reached_before), 0), _MAX_OFFSET)
    reached = skip + limit
    more = len(matches) > reached and reached < _MAX_OFFSET
    return matches[skip:reached], [reached] if more else []


def _summaries(store: GraphStore, ids: list[str]) -> list[dict[str, Any]]:
    return store.read("serving/item_summaries", ids=ids) if ids else []


def read_item(store: GraphStore, item_id: str) -> Item:
    """Return an item with its facts; raises NotFoundError."""
    core = load_schema().core
    shared = sorted(core.properties[core.labels.item].keys() - AVAILABILITY.keys())
    rows = store.read("serving/item", item_id=item_id, shared=shared)
    if not rows:
        raise unknown_item(item_id)
    row = rows[0]
    values = {name: plain(value) for name, value in sorted(row["properties"])}
    limits: dict[str, Any] = {name: values.pop(name, None) for name in AVAILABILITY}
    facts = store.read("serving/facts", item_id=item_id, limit=_MAX_FACTS)
    return Item(
        item_id=row["item_id"],
        title=row["title"],
        description=row["description"],
        type=_type(row["labels"], load_schema().labels.item),
        available=is_available(**limits),
        available_from=limits["available_from"],
        expires_at=limits["expires_at"],
        properties=_plain(values),
        interactions=row["interactions"],
        facts=[_fact(fact) for fact in facts],
    )


def unknown_user(user_id: str) -> NotFoundError:
    """Return the error for a user that the graph does not have."""
    return NotFoundError(
        "there is no such user", value=user_id, remedy="GET /v1/users lists the users."
    )


def unknown_item(item_id: str) -> NotFoundError:
    """Return the error for an item that the graph does not have."""
    return NotFoundError(
        "there is no such item", value=item_id, remedy="GET /v1/items?q= finds items by title."
    )


def unknown_entity(entity_id: str) -> NotFoundError:
    """Return the error for an entity that the graph does not have."""
    return NotFoundError(
        "there is no such entity",
        value=entity_id,
        remedy="GET /v1/entities?q= finds entities by name.",
    )


def moment(milliseconds: int) -> datetime | None:
    """Return the time of milliseconds since 1970; None for 0, an unknown time."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds else None


def _user(row: Mapping[str, Any]) -> User:
    key = load_schema().core.keys[load_schema().labels.user]
    own = (key, HELD_BY)
    properties = {name: value for name, value in row["properties"].items() if name not in own}
    return User(
        user_id=row["user_id"], interactions=row["interactions"], properties=_plain(properties)
    )


def _plain(properties: Mapping[str, Any]) -> dict[str, Value]:
    return {name: _value(value) for name, value in properties.items() if value is not None}


def _value(value: Any) -> Value:
    if isinstance(value, str | int | float | bool):
        return value
    return [str(part) for part in value] if isinstance(value, list | tuple) else str(value)


def _entry(row: Mapping[str, Any]) -> HistoryEntry:
    return HistoryEntry(
        item_id=row["item_id"],
        title=row["title"],
        kind=row["kind"],
        value=row["value"],
        at=moment(row["at"]),
    )


def _fact(row: Mapping[str, Any]) -> ItemFact:
    names = ("relation", "entity_id", "name", "confidence", "source", "extractor", "evidence")
    kind = _type(row["labels"], load_schema().labels.entity)
    return ItemFact(type=kind, **{name: row[name] for name in names})


def _type(labels: Sequence[str], shared: str) -> str:
    return next((label for label in sorted(labels) if label != shared), shared)
