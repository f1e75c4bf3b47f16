"""Two nodes become one, in one transaction that holds all that is needed to undo it.

What leads to and from the merged one moves to the kept one as it is, source, extractor,
confidence and evidence included, and names the merge (`merged_from`). Of a fact that both have the
more confident source stays, as everywhere in the graph. What moves is not copied into the record of
the merge: so a user's interactions lie in one place, and an erased user is gone from it.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from kgrec.data.records import entity_id
from kgrec.errors import NotFoundError
from kgrec.graph.dump.values import to_json
from kgrec.graph.pages import type_of
from kgrec.graph.redirects import MERGES
from kgrec.graph.store import GraphStore, Step
from kgrec.schema import load_schema

MergeKind = Literal["item", "entity"]
_VECTORS = frozenset({"vector_a", "vector_b"})
_OWN = frozenset({"item_id", "entity_id", "title", "name", "aliases", "extracted", "held_by"})
_STATE = frozenset({"origins", "evidence", "available", "available_from", "expires_at", *_VECTORS})
"""Properties of a merged node that say nothing of the kept one."""
Direction = Literal["out", "in"]
READ: dict[Direction, str] = {"out": "resolve/outgoing", "in": "resolve/incoming"}
MOVE = {"out": "resolve/move_out", "in": "resolve/move_in"}
REPLACE = {"out": "resolve/replace_out", "in": "resolve/replace_in"}
RETURN = {"out": "resolve/return_out", "in": "resolve/return_in"}
CREATE = {"out": "resolve/create_out", "in": "resolve/create_in"}
"""Statements over the relations that leave a node, and that lead to it."""


@dataclass
class MergeContent:
    """What a merge keeps.

    Attributes:
        labels, properties: of the merged node.
        before, after: properties of the kept node that changed; null where it had none.
        moved: direction, type and other end of the relations that moved.
        joined: facts and links that both had: direction, type, label and key of the other end,
            the properties of mine and of theirs, and whether mine replaced theirs.
        dropped: relations that say nothing of the kept node, likewise.
        slots: the model whose vectors a property held.
    """

    labels: list[str]
    properties: dict[str, Any]
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)
    moved: list[list[str]] = field(default_factory=list)
    joined: list[dict[str, Any]] = field(default_factory=list)
    dropped: list[dict[str, Any]] = field(default_factory=list)
    slots: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Pair:
    """Two nodes that are, or may be, one.

    Attributes:
        kept, merged: ids; the first stays.
        score: probability.
        reasons: the evidence for and against it.
    """

    kind: MergeKind
    kept: str
    merged: str
    score: float = 1.0
    reasons: tuple[str, ...] = ()


def node_slots(kind: MergeKind) -> dict[str, str]:
    """Return label and key of a kind of node, as slots of statements."""
    core = load_schema().core
    label = core.label_of(kind)
    return {"label": label, "key": core.keys[label]}


def decision_id(kind: str, one: str, other: str) -> str:
    """Return the id of what is decided of two nodes, in any order.

    Ids may hold any sign, so they are not joined by one.
    """
    return json.dumps([kind, *sorted((one, other))], ensure_ascii=False)


def merge(store: GraphStore, pair: Pair) -> str:
    """Merge one node into another, in one transaction.

    Returns:
        The id of the merge.

    Raises:
        NotFoundError: one of the two is not in the graph.
        GraphError: the kinds below it.
    """
    slots, ids = node_slots(pair.kind), {"kept": pair.kept, "merged": pair.merged}
    rows = {row["id"]: row for row in _contents(store, slots, list(ids.values()))}
    for name in ids.values():
        if name not in rows:
            raise NotFoundError(f"there is no such {pair.kind}", value=name)
    kept, merged = rows[pair.kept], rows[pair.merged]
    content = MergeContent(sorted(merged["labels"]), to_json(merged["values"], _VECTORS))
    content.slots = models_of_slots(store) if pair.kind == "item" else {}
    changes = _filled(pair.kind, kept["values"], merged["values"])
    content.before = to_json({name: kept["values"].get(name) for name in changes}, _VECTORS)
    content.after = to_json(changes, _VECTORS)
    groups = _sorted_out(store, slots, ids, content)
    merge_id = _free_id(store, pair)
    moves, replaced = list(_moves(pair, slots, merge_id, groups)), list(_replaced(pair, content))
    set_rows = [{slots["key"]: pair.kept, "properties": changes}]
    names = _names_of(merged["values"]) if pair.kind == "entity" else []
    own_type = type_of(merged["labels"], slots["label"])
    properties = {
        "kind": pair.kind,
        "type": own_type,
        **ids,
        "name": (_names_of(merged["values"]) or [pair.merged])[0],
        "score": float(pair.score),
        "reasons": list(pair.reasons),
        "ids": _former_ids(store, own_type, pair, names),
        "aliases": [each for each in changes.get("aliases", []) if each in names],
        "content": json.dumps(vars(content), ensure_ascii=False),
    }
    now = datetime.now(UTC)
    milliseconds = int(now.timestamp() * 1000)
    given = {"merge_id": merge_id, "revision": MERGES, "at": now, "now": milliseconds}
    left = len(content.joined) + len(content.dropped)
    steps: list[Step] = [
        ("resolve/record_merge", {}, {**given, "properties": properties}),
        *moves,
        *replaced,
        *([(f"ingest/set_{_PLURAL[pair.kind]}", {}, {"rows": set_rows})] if changes else []),
        ("resolve/delete_merged", slots, {"merged": pair.merged, "left": left}),
        ("resolve/count_ties", slots, {"merge_id": merge_id, "kept": pair.kept}),
    ]
    store.write_all(steps)
    return merge_id


_PLURAL = {"item": "items", "entity": "entities"}


def _contents(
    store: GraphStore, slots: Mapping[str, str], ids: Sequence[str]
) -> list[dict[str, Any]]:
    return store.read_exactly("retiring/contents", slots, keys=list(ids))


def _names_of(values: Mapping[str, Any]) -> list[str]:
    names = [values.get("name") or values.get("title"), *(values.get("aliases") or [])]
    return list(dict.fromkeys(name for name in names if name))


def _filled(kind: MergeKind, kept: Mapping[str, Any], merged: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the kept node gets: what it lacks, and as aliases the names of the other."""
    changes = {
        name: value
        for name, value in merged.items()
        if name not in _OWN | _STATE and kept.get(name) is None
    }
    if kind == "item":
        origins = [one for one in merged.get("origins") or () if one.partition("=")[0] in changes]
        if origins:
            changes["origins"] = sorted([*(kept.get("origins") or ()), *origins])
        return changes
    known = list(kept.get("aliases") or ())
    more = [name for name in _names_of(merged) if name not in (*known, kept.get("name"))]
    return {**changes, "aliases": [*known, *more]} if more else changes


def _sorted_out(
    store: GraphStore, slots: Mapping[str, str], ids: Mapping[str, str], content: MergeContent
) -> set[tuple[Direction, str, str]]:
    """Put relations that do not move into the content; return the groups of those that do."""
    core = load_schema().core
    own = [core.relations.suggests, core.relations.recommended]
    groups: set[tuple[Direction, str, str]] = set()
    for direction, statement in READ.items():
        given: dict[str, Any] = {**ids, "own": own, "identified": core.keys}
        for row in store.read_exactly(statement, slots, **given):
            ends = {"way": direction, "type": row["type"], "label": row["label"]}
            one = {**ends, "other": row["other"], "mine": to_json(row["mine"], frozenset())}
            itself = row["label"] == slots["label"] and row["other"] in ids.values()
            if itself and row["other"] == ids["merged"] and direction == "in":
                continue  # it has left as well
            if row["type"] in own or itself or not row["label"]:
                content.dropped.append(one)
            elif row["theirs"] is None:
                groups.add((direction, row["type"], row["label"]))
            else:
                theirs = to_json(row["theirs"], frozenset())
                won = _confidence(one["mine"]) > _confidence(theirs)
                content.joined.append({**one, "theirs": theirs, "won": won})
    content.moved = [list(group) for group in sorted(groups)]
    return groups


def _confidence(properties: Mapping[str, Any]) -> float:
    return float(properties.get("confidence", 1.0))


def _moves(
    pair: Pair,
    slots: Mapping[str, str],
    merge_id: str,
    groups: set[tuple[Direction, str, str]],
) -> Iterator[Step]:
    given = {"from": pair.merged, "to": pair.kept, "merge_id": merge_id}
    if pair.kind == "item":
        yield "resolve/move_interactions", {}, given
    for direction, relation, label in sorted(groups):
        yield MOVE[direction], {**slots, "relation": relation, "other": label}, given


def _replaced(pair: Pair, content: MergeContent) -> Iterator[Step]:
    """Yield the steps that put what was more confident in the place of what the kept node has."""
    won = [one for one in content.joined if one["won"]]
    for key, rows in grouped(won).items():
        values = [
            {
                "other": one["other"],
                "properties": one["mine"],
                "source": one["theirs"].get("source"),
                "confidence": _confidence(one["theirs"]),
            }
            for one in rows
        ]
        yield (
            REPLACE[key[0]],
            tie_slots(pair.kind, key),
            {
                "node": pair.kept,
                "rows": values,
            },
        )


TieKey = tuple[str, str, str]


def grouped(rows: Sequence[dict[str, Any]]) -> dict[TieKey, list[dict[str, Any]]]:
    """Return relations of a merge's content by direction, type and label of the other end."""
    found: dict[TieKey, list[dict[str, Any]]] = defaultdict(list)
    for one in rows:
        found[one["way"], one["type"], one["label"]].append(one)
    return found


def tie_slots(kind: MergeKind, key: TieKey) -> dict[str, str]:
    """Return the slots of statements over the relations of one node."""
    _, relation, label = key
    other = {"other": label, "other_key": load_schema().core.keys[label]}
    return {**node_slots(kind), "relation": relation, **other}


def models_of_slots(store: GraphStore) -> dict[str, str]:
    """Return the model whose vectors each property holds."""
    return {
        str(row["slot"]): str(row["model_id"])
        for row in store.read("publish/models")
        if row["slot"] and row["ready"]
    }


def _free_id(store: GraphStore, pair: Pair) -> str:
    """Return an id of the merge; another where the node was merged before, and came again."""
    name, number = f"{pair.kind}/{pair.merged}", 1
    merge_id = name
    while store.read("resolve/merge_content", merge_id=merge_id):
        number += 1
        merge_id = f"{name}#{number}"
    return merge_id


def _former_ids(store: GraphStore, own_type: str, pair: Pair, names: Sequence[str]) -> list[str]:
    """Return ids that lead to the kept node: that of the merged one, and those of its names."""
    spelled = {entity_id(own_type, name) for name in names} - {pair.kept, pair.merged}
    if not spelled:
        return [pair.merged]
    rows = store.read("ingest/entities", entities=sorted(spelled), properties=[])
    return [pair.merged, *sorted(spelled - {row["entity_id"] for row in rows})]
