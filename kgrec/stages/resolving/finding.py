"""Pairs of nodes of one type that are, or may be, one: by names first, then by what is around them.

Names are kept in memory, about a hundred bytes each; neighbourhoods are read for some hundred pairs
at a time. So memory grows with the names alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from kgrec.data.records import TABLE, folded
from kgrec.graph.pages import fact_pages, relation_types
from kgrec.graph.store import GraphStore
from kgrec.progress import SILENT, Progress
from kgrec.resolution.evidence import (
    Evidence,
    NodeTraits,
    Together,
    Words,
    of_entities,
    of_items,
    of_names,
    probability,
    reasons,
)
from kgrec.resolution.spellings import ORDER, Likeness, alike, spelling
from kgrec.schema import load_schema
from kgrec.stages.loading.facts import batched
from kgrec.stages.resolving.merging import MergeKind, node_slots

Way = tuple[Likeness, str, str]
"""How two nodes are alike, and the names by which they are."""
_MOST = 50
"""Items of an entity, and facts of a node, that are looked at."""
_YEAR = "year"
Two = tuple[str, str]
_HIDDEN = frozenset(["title", "name", "aliases", "description", "extracted", "origins", "evidence"])
_STATE = frozenset(["held_by", "available", "available_from", "expires_at", "item_id", "entity_id"])
_NAMES_A_PAGE = 10_000
_PAIRS_A_STEP = 250
_NAME: Likeness = "name"
_OF_ITEMS = frozenset({"name", "signs", "spaces", "order", "letter"})
"""Titles are neither shortened to initials nor have middle names."""


@dataclass(frozen=True)
class ScoredPair:
    """Two nodes with the probability that they are one.

    Attributes:
        left, right: ids, in their order.
        names: of both.
        degrees: how many relations each has.
        reasons: the evidence for and against it, the most first, each with its log-odds.
    """

    kind: MergeKind
    type: str
    left: str
    right: str
    names: tuple[str, str]
    degrees: tuple[int, int]
    score: float
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class _Names:
    """Names of the nodes of one type, the first of each, and the nodes that have a name."""

    first: dict[str, str]
    nodes: dict[str, list[str]]

    def pairs(self, one: str, other: str) -> Iterator[Two]:
        """Yield the pairs of nodes that have two names."""
        for left in self.nodes[one]:
            for right in self.nodes[other]:
                if left != right:
                    yield (left, right) if left < right else (right, left)


def scored_pairs(
    store: GraphStore, kind: MergeKind, own_type: str, *, progress: Progress = SILENT
) -> Iterator[ScoredPair]:
    """Yield the pairs of nodes of one type that may be one, without order.

    Args:
        own_type: the label of the type.
    """
    read = _read_names(store, kind, own_type)
    ways: dict[Two, Way] = {}
    for how, one, other in _alike(tuple(sorted(read.nodes))):
        if kind == "item" and how not in _OF_ITEMS:
            continue
        for pair in read.pairs(one, other):
            known = ways.get(pair)
            if known is None or ORDER[how] < ORDER[known[0]]:
                ways[pair] = how, one, other
    words, rivals = Words(read.first.values()), _rivals(ways, read.first)
    with progress.task(f"compare {own_type}", len(ways)) as task:
        for part in batched(sorted(ways), _PAIRS_A_STEP):
            around = neighbourhoods(store, kind, own_type, part)
            for pair in part:
                how, one, other = ways[pair]
                evidence = of_names(how, one, other, words, rivals[pair])
                scored = _scored(kind, own_type, pair, how, evidence, around, read.first)
                if scored is not None:
                    yield scored
            task.advance(len(part))


def _scored(
    kind: MergeKind,
    own_type: str,
    pair: Two,
    how: Likeness,
    evidence: Evidence,
    around: Neighbourhoods,
    names: Mapping[str, str],
) -> ScoredPair | None:
    traits = [around.traits.get(node) for node in pair]
    if None in traits or pair not in around.together:
        return None  # one of them has vanished in the meantime
    one, other = (each or NodeTraits() for each in traits)
    given = (one, other, around.together[pair], len(names), around.degrees)
    found = of_items(*given) if kind == "item" else of_entities(how, *given)
    every = [*evidence, *found]
    left, right = pair
    return ScoredPair(
        kind,
        own_type,
        left,
        right,
        (names[left], names[right]),
        (one.degree, other.degree),
        probability(every),
        reasons(every),
    )


def _rivals(ways: Mapping[Two, Way], names: Mapping[str, str]) -> dict[Two, int]:
    """Return how many other names are as like to one of the two; spellings of one count once."""
    partners: dict[str, dict[str, int]] = defaultdict(dict)
    for (one, other), (how, *_) in ways.items():
        for node, partner in ((one, other), (other, one)):
            key = spelling(names[partner]).sorted
            partners[node][key] = min(ORDER[how], partners[node].get(key, len(ORDER)))
    found = {}
    for (one, other), (how, *_) in ways.items():
        keys = {spelling(names[node]).sorted for node in (one, other)}
        rivals: set[str] = set()
        for node in (one, other):
            rivals |= {key for key, n in partners[node].items() if n <= ORDER[how]}
        found[one, other] = len(rivals - keys)
    return found


@lru_cache(maxsize=1)
def _alike(names: tuple[str, ...]) -> tuple[Way, ...]:
    """Return how names are alike; a merge changes whose they are and not what they are."""
    same = [(_NAME, name, name) for name in names]
    return (*same, *((how, names[i], names[j]) for i, j, how in alike(names)))


def _read_names(store: GraphStore, kind: MergeKind, own_type: str) -> _Names:
    slots = {**node_slots(kind), "label": own_type, "name": "title" if kind == "item" else "name"}
    read, after = _Names({}, {}), ""
    while True:
        given: dict[str, Any] = {"after": after, "limit": _NAMES_A_PAGE}
        rows: Sequence[Mapping[str, Any]] = store.read("resolve/name_page", slots, **given)
        if not rows or not rows[0]["ids"]:
            return read
        page = rows[0]
        for node, name, aliases in zip(page["ids"], page["names"], page["aliases"], strict=True):
            if name:
                read.first[node] = name
                for each in dict.fromkeys([name, *aliases]):
                    read.nodes.setdefault(each, []).append(node)
        after = max(page["ids"])


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
