"""What is retired: listed, brought back, forgotten."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from kgrec.config import FrozenModel
from kgrec.data.records import LinkRecord, Node
from kgrec.errors import NotFoundError
from kgrec.graph.pages import Ends
from kgrec.graph.setup import check_whole
from kgrec.graph.store import GraphStore
from kgrec.stages.loading.facts import batched, entity_steps, fact_changes
from kgrec.stages.retiring.keeping import Interaction

KINDS = ("items", "users", "entities", "ties", "interactions")
"""What can be retired; ties are facts and links."""
_NODES = KINDS[:3]
_IDS = ("item_id", "user_id", "entity_id")
_A_PAGE = 200
_ORPHANS = 2_000


class Retired(FrozenModel):
    """What one run retired of a source.

    Attributes:
        items, users, entities, ties, interactions: how many; ties are facts and links.
    """

    run_id: str
    source: str
    at: datetime
    items: int = 0
    users: int = 0
    entities: int = 0
    ties: int = 0
    interactions: int = 0

    @property
    def total(self) -> int:
        """How many of all of them."""
        return self.items + self.users + self.entities + self.ties + self.interactions

    @property
    def described(self) -> str:
        """The counts in words."""
        counts = {name: getattr(self, name) for name in KINDS}
        words = [f"{n:,} {name}" for name, n in counts.items() if n]
        return ", ".join(words).replace(" ties", " facts and links") or "nothing"


class Swept(FrozenModel):
    """What a sweep forgot and removed.

    Attributes:
        retired: nodes, facts, links and interactions that can no longer be brought back.
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
        GraphError: an import into the graph is unfinished, and the kinds below it.
    """
    check_whole(store)
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
        "users": _restore_users,
        "entities": _restore_entities,
        "ties": _restore_ties,
        "interactions": _restore_interactions,
    }
    counts = {}
    for kind, bring_back in parts.items():  # ties need the nodes on both sides
        counts[kind] = 0
        for contents in _pages(store, chosen.run_id, kind):
            counts[kind] += bring_back(store, contents)
    _forget(store, chosen.run_id)
    return chosen.model_copy(update=counts)


def sweep(store: GraphStore) -> Swept:
    """Forget all that is retired, and remove entities that nothing leads to and only have a name.

    Returns:
        How much.

    Raises:
        GraphError: an import into the graph is unfinished, so that entities only seem to be
            orphans; and the kinds below it.
    """
    check_whole(store)
    known = list_retired(store)
    for one in known:
        _forget(store, one.run_id)
    orphans = 0
    while ids := store.read("retiring/orphans", limit=_ORPHANS)[0]["ids"]:
        orphans += int(store.write("retiring/delete_orphans", entities=ids)[0]["deleted"])
    return Swept(retired=sum(one.total for one in known), orphans=orphans)


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
            every = [every] if row["kind"] == "users" else every
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


def _is_of(user_id: str, kind: str, one: Any) -> bool:
    if kind == "users":
        return bool(one["user_id"] == user_id)
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
        yield contents if kind in _NODES else [one for part in contents for one in part]
        after = rows[-1]["retired_id"]


def _forget(store: GraphStore, run_id: str) -> None:
    for kind in KINDS:
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
        rows.append({"item_id": one["item_id"], "properties": _properties(one)})
    if rows:
        created = [
            ("ingest/create_items", {"item_type": name}, {"items": ids})
            for name, ids in types.items()
        ]
        store.write_all([*created, ("ingest/set_items", {}, {"rows": rows})])
    return len(missing)


def _restore_users(store: GraphStore, contents: Sequence[dict[str, Any]]) -> int:
    ids = [one["user_id"] for one in contents]
    there = {row["user_id"] for row in store.read("ingest/users", users=ids, properties=[])}
    missing = [one for one in contents if one["user_id"] not in there]
    rows = [{"user_id": one["user_id"], "properties": _properties(one)} for one in missing]
    if rows:
        store.write("ingest/upsert_users", rows=rows)
    return len(rows)


def _restore_entities(store: GraphStore, contents: Sequence[dict[str, Any]]) -> int:
    """Create entities that are missing, and describe others again by what they lack by now."""
    names = sorted({name for one in contents for name in one["properties"]})
    ids = [one["entity_id"] for one in contents]
    there = {
        row["entity_id"]: dict(zip(names, row["values"], strict=True))
        for row in store.read("ingest/entities", entities=ids, properties=names)
    }
    missing = [
        Node("entity", one["entity_id"], one["type"], one["properties"].get("name", ""))
        for one in contents
        if one["entity_id"] not in there
    ]
    rows = []
    for one in contents:
        held = there.get(one["entity_id"], {})
        lacked = {name: v for name, v in _properties(one).items() if held.get(name) is None}
        rows.append({"entity_id": one["entity_id"], "properties": lacked})
    store.write_all([*entity_steps(missing), ("ingest/set_entities", {}, {"rows": rows})])
    return sum(bool(row["properties"]) for row in rows)


def _properties(one: Mapping[str, Any]) -> dict[str, Any]:
    """Return the properties of a node that was kept, its key left out."""
    times = {name: datetime.fromisoformat(text) for name, text in one["times"].items()}
    kept = {name: value for name, value in one["properties"].items() if name not in _IDS}
    return {**kept, **times}


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
