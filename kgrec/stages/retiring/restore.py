"""What is retired: listed, brought back, forgotten."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from kgrec.config import FrozenModel
from kgrec.data.records import LinkRecord, Node
from kgrec.errors import NotFoundError
from kgrec.graph.pages import Ends
from kgrec.graph.store import GraphStore
from kgrec.stages.loading.facts import batched, fact_changes
from kgrec.stages.retiring.keeping import Interaction

_A_PAGE = 200
_ORPHANS = 2_000


class Retired(FrozenModel):
    """What one run retired of a source.

    Attributes:
        items, ties, interactions: how many; ties are facts and links.
    """

    run_id: str
    source: str
    at: datetime
    items: int = 0
    ties: int = 0
    interactions: int = 0


class Swept(FrozenModel):
    """What a sweep forgot and removed.

    Attributes:
        retired: items, facts, links and interactions that can no longer be brought back.
        orphans: entities that nothing led to.
    """

    retired: int
    orphans: int


def list_retired(store: GraphStore) -> list[Retired]:
    """Return what can be brought back, the oldest first."""
    runs: dict[str, dict[str, Any]] = {}
    for row in store.read("retiring/kept"):
        at = datetime.fromtimestamp(row["at"] / 1000, UTC)
        one = runs.setdefault(row["run_id"], {"source": row["source"], "at": at})
        one[row["kind"]] = row["count"]
    return [Retired(run_id=run_id, **one) for run_id, one in runs.items()]


def restore(store: GraphStore, run_id: str | None = None) -> Retired:
    """Bring back what a run retired; what the graph holds by now stays as it is.

    Args:
        run_id: the run; the last one that retired something, when None.

    Returns:
        What was brought back.

    Raises:
        NotFoundError: nothing of the run is retired.
    """
    known = list_retired(store)
    chosen = next((one for one in reversed(known) if run_id in (None, one.run_id)), None)
    if chosen is None:
        raise NotFoundError(
            "nothing is retired that could be brought back",
            value=run_id,
            remedy="`kgrec graph retired` lists the runs, up to the last sweep.",
        )
    parts: dict[str, Callable[[GraphStore, Sequence[Any]], int]] = {
        "items": _restore_items,
        "ties": _restore_ties,
        "interactions": _restore_interactions,
    }
    counts = {}
    for kind, bring_back in parts.items():  # ties need items on both sides
        counts[kind] = 0
        for contents in _pages(store, chosen.run_id, kind):
            counts[kind] += bring_back(store, contents)
    _forget(store, chosen.run_id)
    return chosen.model_copy(update=counts)


def sweep(store: GraphStore) -> Swept:
    """Forget all that is retired, and remove entities that nothing leads to and only have a name.

    Returns:
        How much.
    """
    known = list_retired(store)
    for one in known:
        _forget(store, one.run_id)
    orphans = 0
    while ids := store.read("retiring/orphans", limit=_ORPHANS)[0]["ids"]:
        orphans += int(store.write("retiring/delete_orphans", entities=ids)[0]["deleted"])
    return Swept(
        retired=sum(one.items + one.ties + one.interactions for one in known), orphans=orphans
    )


def count_orphans(store: GraphStore) -> int:
    """Return how many entities a sweep would remove."""
    return len(store.read("retiring/orphans", limit=1_000_000)[0]["ids"])


def forget_user(store: GraphStore, user_id: str) -> int:
    """Take a user out of what is retired, for good.

    Returns:
        How many interactions and links of the user were forgotten.
    """
    forgotten, after = 0, ""
    text = json.dumps(user_id, ensure_ascii=False)
    while rows := store.read("retiring/kept_with", text=text, after=after, limit=_A_PAGE):
        after = rows[-1]["retired_id"]
        changed, emptied = [], []
        for row in rows:
            every = json.loads(row["content"])
            left = [one for one in every if not _is_of(user_id, row["kind"], one)]
            forgotten += len(every) - len(left)
            content = {"content": json.dumps(left, ensure_ascii=False), "count": len(left)}
            if not left:
                emptied.append(row["retired_id"])
            elif len(left) < len(every):
                changed.append({"retired_id": row["retired_id"], **content})
        if changed:
            store.write("retiring/change_kept", rows=changed)
        if emptied:
            store.write("retiring/drop_kept", ids=emptied)
    return forgotten


def _is_of(user_id: str, kind: str, one: list[Any]) -> bool:
    if kind == "interactions":
        return bool(Interaction(*one).user == user_id)
    return any(node[:2] == ["user", user_id] for node in (one[0], one[2]))


def _pages(store: GraphStore, run_id: str, kind: str) -> Iterator[list[Any]]:
    after = ""
    while True:
        given: dict[str, Any] = {"run_id": run_id, "kind": kind, "after": after, "limit": _A_PAGE}
        rows = store.read("retiring/kept_page", **given)
        if not rows:
            return
        contents = [json.loads(row["content"]) for row in rows]
        yield contents if kind == "items" else [one for part in contents for one in part]
        after = rows[-1]["retired_id"]


def _forget(store: GraphStore, run_id: str) -> None:
    for kind in ("items", "ties", "interactions"):
        given: dict[str, Any] = {"run_id": run_id, "kind": kind, "after": "", "limit": _A_PAGE}
        while rows := store.read("retiring/kept_page", **given):
            store.write("retiring/drop_kept", ids=[row["retired_id"] for row in rows])


def _restore_items(store: GraphStore, contents: Sequence[dict[str, Any]]) -> int:
    there = _items(store, [one["item_id"] for one in contents])
    missing = [one for one in contents if one["item_id"] not in there]
    types: dict[str, list[str]] = defaultdict(list)
    rows = []
    for one in missing:
        types[one["type"]].append(one["item_id"])
        times = {name: datetime.fromisoformat(text) for name, text in one["times"].items()}
        rows.append({"item_id": one["item_id"], "properties": {**one["properties"], **times}})
    if rows:
        created = [
            ("ingest/create_items", {"item_type": name}, {"items": ids})
            for name, ids in types.items()
        ]
        store.write_all([*created, ("ingest/set_items", {}, {"rows": rows})])
    return len(missing)


def _restore_ties(store: GraphStore, contents: Sequence[list[Any]]) -> int:
    records = []
    for head, relation, tail, *values in contents:
        records.append(LinkRecord(Node(*head), relation, Node(*tail), *values))
    ends = [node for one in records for node in (one.head, one.tail)]
    items = _items(store, sorted({node.id for node in ends if node.kind == "item"}))
    users = {
        row["user_id"]
        for row in store.read(
            "ingest/users",
            users=sorted({node.id for node in ends if node.kind == "user"}),
            properties=[],
        )
    }
    there = {"item": items, "user": users}
    usable = [
        one
        for one in records
        if all(n.kind == "entity" or n.id in there[n.kind] for n in (one.head, one.tail))
    ]
    pairs: list[Ends] = [(one.head.kind, one.tail.kind) for one in usable]
    changes = fact_changes(store, usable, "restored", withdraw={}, ends=list(dict.fromkeys(pairs)))
    if changes.steps:
        store.write_all(changes.steps)
    return changes.written


def _restore_interactions(store: GraphStore, contents: Sequence[list[Any]]) -> int:
    every = [Interaction(*one) for one in contents]
    items = _items(store, sorted({one.item for one in every}))
    groups: dict[str, dict[str, list[Interaction]]] = defaultdict(lambda: defaultdict(list))
    usable = [one for one in every if one.item in items]
    for one in usable:
        groups[one.source][one.user].append(one)
    for source, users in groups.items():
        for part in batched(users.items(), _A_PAGE):
            rows = [{"user_id": user, "properties": {}} for user, _ in part]
            columns = [{"user_id": user, **_columns(own)} for user, own in part]
            upsert = {"groups": columns, "source": source or None}
            store.write_all(
                [
                    ("ingest/upsert_users", {}, {"rows": rows}),
                    ("ingest/upsert_interactions", {}, upsert),
                ]
            )
    return len(usable)


def _columns(own: Sequence[Interaction]) -> dict[str, list[Any]]:
    names = ("item", "key", "kind", "value", "time", "device", "scenario")
    return {f"{name}s": [getattr(one, name) for one in own] for name in names}


def _items(store: GraphStore, ids: Sequence[str]) -> set[str]:
    rows = store.read("ingest/items", items=list(ids), properties=[]) if ids else []
    return {row["item_id"] for row in rows}
