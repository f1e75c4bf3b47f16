"""Users, items and histories, read from the graph."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from kgrec.data.availability import AVAILABILITY, is_available
from kgrec.errors import NotFoundError
from kgrec.graph.statements import plain
from kgrec.graph.store import GraphStore
from kgrec.schema import load_schema
from kgrec.serving import parameters as cursors
from kgrec.serving.schemas import HistoryEntry, Item, ItemFact, ItemSummary, Page, User, Value

_LATEST = 2**53
"""Milliseconds; after every time there is."""
_MAX_FACTS = 500
_MAX_OFFSET = 1000
"""A search goes no further: beyond it a reader is better served by more words."""
_WORD = re.compile(r"\w+")


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


def find_items(store: GraphStore, words: str, limit: int, cursor: str | None) -> Page[ItemSummary]:
    """List items whose title holds the words, the best match first; all items without words."""
    terms = _WORD.findall(words.lower())
    if not terms:
        (after,) = cursors.decode(cursor, [""])
        rows = store.read("serving/items", after=after, limit=limit + 1)
        position: list[str | int] = [rows[limit - 1]["item_id"]] if len(rows) > limit else []
    else:
        (reached_before,) = cursors.decode(cursor, [0])
        skip = max(int(reached_before), 0)
        rows = _search(store, terms, skip, limit + 1)
        reached = skip + limit
        position = [reached] if len(rows) > limit and reached < _MAX_OFFSET else []
    following = cursors.encode(position) if position else None
    found = [ItemSummary.model_validate(row) for row in rows[:limit]]
    return Page[ItemSummary](items=found, next=following)


def _search(store: GraphStore, terms: Sequence[str], skip: int, limit: int) -> list[dict[str, Any]]:
    # The last word may not be finished yet: whoever types sees matches at each letter.
    begun = [*terms, f"{terms[-1]}*"]
    return store.read(
        "serving/search_items",
        index=store.dialect.fulltext_index("fulltext_items"),
        query=" ".join(begun),
        terms=list(terms),
        skip=min(skip, _MAX_OFFSET),
        limit=limit,
    )


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


def moment(milliseconds: int) -> datetime | None:
    """Return the time of milliseconds since 1970; None for 0, an unknown time."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds else None


def _user(row: Mapping[str, Any]) -> User:
    key = load_schema().core.keys[load_schema().labels.user]
    properties = {name: value for name, value in row["properties"].items() if name != key}
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
