"""Merges undone, each in one transaction: both nodes as they were.

What came since the merge stays with the kept node, and what was withdrawn since does not come back.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kgrec.config import FrozenModel
from kgrec.errors import NotFoundError
from kgrec.graph.dump.values import from_json, to_json
from kgrec.graph.redirects import MERGES, MergeRecord, merges
from kgrec.graph.store import GraphStore, Step
from kgrec.schema import load_schema
from kgrec.stages.resolving.merging import (
    CREATE,
    REPLACE,
    RETURN,
    MergeContent,
    MergeKind,
    Pair,
    decision_id,
    grouped,
    merge,
    models_of_slots,
    node_slots,
    tie_slots,
)

_VECTORS = frozenset({"vector_a", "vector_b"})
_A_PAGE = 200


class Undone(FrozenModel):
    """A merge that was undone.

    Attributes:
        later: how many relations more the kept node has than it had after the merge; they stay.
    """

    merge_id: str
    kept: str
    merged: str
    later: int


def undo(store: GraphStore, merge_id: str) -> Undone:
    """Bring back the node that a merge took in, and take out of the kept one what it got.

    Merges that came later and touch the same nodes are undone before, and done again.

    Raises:
        NotFoundError: there is no such merge.
        GraphError: the kinds below it.
    """
    every = sorted(merges(store), key=lambda one: one.number)
    chosen = next((one for one in every if one.merge_id == merge_id), None)
    if chosen is None:
        raise NotFoundError(
            "there is no such merge",
            value=merge_id,
            remedy="`kgrec resolve undo` lists those that there are.",
        )
    later = _dependent(chosen, every)
    for one in reversed(later):
        _undo(store, one)
    done = _undo(store, chosen)
    for one in later:
        merge(store, Pair(_kind(one), one.kept, one.merged, one.score, one.reasons))
    return done


def undo_all(store: GraphStore) -> list[Undone]:
    """Undo all merges, the last one first."""
    every = sorted(merges(store), key=lambda one: -one.number)
    return [_undo(store, one) for one in every]


def _dependent(chosen: MergeRecord, every: Sequence[MergeRecord]) -> list[MergeRecord]:
    """Return later merges of the nodes of a merge, and of those that these touch."""
    touched, found = {(chosen.kind, chosen.kept)}, []
    for one in every:
        ends = {(one.kind, one.kept), (one.kind, one.merged)}
        if one.number > chosen.number and ends & touched:
            touched |= ends
            found.append(one)
    return found


def _kind(one: MergeRecord) -> MergeKind:
    return "item" if one.kind == "item" else "entity"


def _undo(store: GraphStore, one: MergeRecord) -> Undone:
    kind = _kind(one)
    slots = node_slots(kind)
    [row] = store.read("resolve/merge_content", merge_id=one.merge_id)
    content = MergeContent(**json.loads(row["content"]))
    now = store.read("resolve/ties_now", slots, node=one.kept)
    later = max(0, int(now[0]["ties"]) - int(row["ties"])) if now else 0
    back = {**slots, "labels": ":".join(content.labels)}
    properties = from_json(_still_valid(store, content))
    pair_id = decision_id(kind, one.kept, one.merged)
    decided = store.read("resolve/decisions", kind=kind)
    undecided = [
        pair_id
        for known in decided
        if known["same"] and decision_id(kind, known["left"], known["right"]) == pair_id
    ]
    steps: list[Step] = [
        ("resolve/bring_back", back, {"id": one.merged, "properties": properties}),
        *_returned(one, kind, content),
        *_separated(store, one, kind, content),
        *_own_again(store, one, kind, content),
        ("resolve/undecide", {}, {"ids": undecided}),
        ("resolve/forget_merge", {}, {"merge_id": one.merge_id, "revision": MERGES}),
    ]
    store.write_all(steps)
    return Undone(merge_id=one.merge_id, kept=one.kept, merged=one.merged, later=later)


def _still_valid(store: GraphStore, content: MergeContent) -> dict[str, Any]:
    """Return the properties of the merged node, without vectors that are of another model now."""
    models = models_of_slots(store) if content.slots else {}
    return {
        name: value
        for name, value in content.properties.items()
        if name not in _VECTORS or models.get(name) == content.slots.get(name)
    }


def _returned(one: MergeRecord, kind: MergeKind, content: MergeContent) -> Iterator[Step]:
    given = {"from": one.kept, "to": one.merged, "merge_id": one.merge_id}
    if kind == "item":
        yield "resolve/return_interactions", {}, given
    for way, relation, label in content.moved:
        slots = {**node_slots(kind), "relation": relation, "other": label}
        yield RETURN[way], slots, given


def _separated(
    store: GraphStore, one: MergeRecord, kind: MergeKind, content: MergeContent
) -> Iterator[Step]:
    """Yield the steps that separate what both nodes had, and bring back what did not move."""
    for key, rows in grouped([each for each in content.joined if each["won"]]).items():
        values = [
            {
                "other": each["other"],
                "properties": from_json(each["theirs"]),
                "source": each["mine"].get("source"),
                "confidence": float(each["mine"].get("confidence", 1.0)),
            }
            for each in rows
        ]
        given = {"node": one.kept, "rows": values}
        yield REPLACE[key[0]], tie_slots(kind, key), given
    there = {row["model_id"] for row in store.read("publish/models") if row["slot"]}
    suggests = load_schema().relations.suggests
    dropped = [
        each
        for each in content.dropped
        if each["label"] and (each["type"] != suggests or each["mine"].get("model_id") in there)
    ]
    for key, rows in grouped([*content.joined, *dropped]).items():
        values = [{"other": each["other"], "properties": from_json(each["mine"])} for each in rows]
        given = {"node": one.merged, "rows": values}
        yield CREATE[key[0]], tie_slots(kind, key), given


def _own_again(
    store: GraphStore, one: MergeRecord, kind: MergeKind, content: MergeContent
) -> Iterator[Step]:
    """Yield the step that takes out of the kept node the properties that it got."""
    slots = node_slots(kind)
    rows = store.read_exactly("retiring/contents", slots, keys=[one.kept])
    if not rows or not content.after:
        return
    held = to_json(rows[0]["values"], _VECTORS)
    changes: dict[str, Any] = {}
    for name, value in content.after.items():
        if held.get(name) == value:
            changes[name] = content.before.get(name)
        elif isinstance(value, list) and isinstance(held.get(name), list):
            gained = [each for each in value if each not in (content.before.get(name) or [])]
            changes[name] = [each for each in held[name] if each not in gained] or None
    left = {name: value for name, value in changes.items() if value is not None}
    properties = {**dict.fromkeys(changes), **from_json(left)}
    row = {slots["key"]: one.kept, "properties": properties}
    yield f"ingest/set_{'items' if kind == 'item' else 'entities'}", {}, {"rows": [row]}


def forget_user_of_merges(store: GraphStore, user_id: str) -> int:
    """Take a user out of what merges keep, for good.

    Returns:
        How many relations of the user were forgotten.
    """
    forgotten, after = 0, ""
    text = json.dumps(user_id, ensure_ascii=False)
    while rows := store.read("resolve/merges_with", text=text, after=after, limit=_A_PAGE):
        after = rows[-1]["merge_id"]
        changed = []
        for row in rows:
            content = json.loads(row["content"])
            counts = 0
            for name in ("joined", "dropped"):
                left = [each for each in content[name] if not _is_of(user_id, each)]
                counts += len(content[name]) - len(left)
                content[name] = left
            if counts:
                kept = json.dumps(content, ensure_ascii=False)
                changed.append({"merge_id": row["merge_id"], "content": kept})
            forgotten += counts
        if changed:
            store.write("resolve/change_content", rows=changed)
    return forgotten


def _is_of(user_id: str, one: Mapping[str, Any]) -> bool:
    return [one["label"], one["other"]] == [load_schema().labels.user, user_id]
