"""What the graph knows of candidates beside their names: read for some pairs at a time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kgrec.data.records import TABLE, folded
from kgrec.graph.pages import fact_pages, relation_types
from kgrec.graph.store import GraphStore
from kgrec.resolution.evidence import NodeTraits, Together
from kgrec.schema import load_schema
from kgrec.stages.resolving.merging import MergeKind, node_slots

_MOST = 50
"""Items of an entity, and facts of a node, that are looked at."""
_YEAR = "year"
Two = tuple[str, str]
_HIDDEN = frozenset(["title", "name", "aliases", "description", "extracted", "origins"])
_STATE = frozenset(["held_by", "available", "available_from", "expires_at", "item_id", "entity_id"])


@dataclass(frozen=True)
class Neighbourhoods:
    """What is known of the nodes of some pairs.

    Attributes:
        traits: by id; a node that has vanished is not in it.
        together: of each pair.
        degrees: how many relations lead to each companion.
    """

    traits: dict[str, NodeTraits]
    together: dict[Two, Together]
    degrees: dict[str, int]


def neighbourhoods(
    store: GraphStore, kind: MergeKind, own_type: str, pairs: Sequence[Two]
) -> Neighbourhoods:
    """Read what is known of the nodes of some pairs.

    Args:
        own_type: the label of their type.
    """
    ids = sorted({node for pair in pairs for node in pair})
    if kind == "item":
        around, together = _facts(store, ids), _tied_items(store, pairs)
        years: dict[str, tuple[int, ...]] = {}
    else:
        around, years = _companions(store, own_type, ids)
        together = _together(store, pairs)
    traits = {}
    for row in store.read("resolve/traits", node_slots(kind), nodes=ids, most=_MOST):
        node, values = row["id"], row["values"]
        name = values.get("name") or ""
        traits[node] = NodeTraits(
            degree=row["degree"],
            keyed=kind == "entity" and node.partition(":")[2] != folded(name),
            sources=frozenset(source for source in row["sources"] if source),
            values={n: v for n, v in values.items() if n not in _HIDDEN | _STATE and v is not None},
            companions=around.get(node, {}),
            years=years.get(node, ()),
        )
    found = {one for each in around.values() for names in each.values() for one in names}
    degrees: dict[str, int] = {}
    if found:
        (row,) = store.read("resolve/degrees", nodes=sorted(found))
        degrees = dict(zip(row["ids"], row["degrees"], strict=True))
    return Neighbourhoods(traits, together, degrees)


Around = dict[str, dict[str, frozenset[str]]]


def _companions(
    store: GraphStore, own_type: str, ids: Sequence[str]
) -> tuple[Around, dict[str, tuple[int, ...]]]:
    given: dict[str, Any] = {"nodes": list(ids), "most": _MOST, "year": _YEAR}
    around: Around = {}
    years: dict[str, tuple[int, ...]] = {}
    for row in store.read("resolve/companions", {"type": own_type}, **given):
        around[row["id"]] = {own_type: frozenset(row["companions"])}
        known = sorted(year for year in row["years"] if isinstance(year, int))
        if known:
            years[row["id"]] = (known[0], known[-1])
    return around, years


def _together(store: GraphStore, pairs: Sequence[Two]) -> dict[Two, Together]:
    given: dict[str, Any] = {"pairs": [list(pair) for pair in pairs], "table": TABLE}
    return {
        pairs[row["n"]]: Together(row["same"], row["other"], row["tied"])
        for row in store.read("resolve/together", **given)
    }


def _facts(store: GraphStore, ids: Sequence[str]) -> Around:
    """Return what items lead to by their tables, by relation; texts name only some of it."""
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for page in fact_pages(store, ids, relation_types(store)):
        columns = (page[name] for name in ("heads", "relations", "tails", "extractors"))
        for head, relation, tail, extractor in zip(*columns, strict=True):
            if extractor == TABLE:
                found[ids[head]][relation].add(tail)
    return {item: {r: frozenset(t) for r, t in each.items()} for item, each in found.items()}


def _tied_items(store: GraphStore, pairs: Sequence[Two]) -> dict[Two, Together]:
    ids = sorted({node for pair in pairs for node in pair})
    tied: set[frozenset[str]] = set()
    for page in fact_pages(store, ids, relation_types(store), ("item", "item")):
        for head, tail in zip(page["heads"], page["tails"], strict=True):
            tied.add(frozenset((ids[head], tail)))
    return {pair: Together(tied=frozenset(pair) in tied) for pair in pairs}


def types_of(store: GraphStore, kind: MergeKind) -> list[str]:
    """Return the labels of the types of a kind of node that the graph holds."""
    label = load_schema().core.label_of(kind)
    return [row["name"] for row in store.read("resolve/types", {"label": label})]
