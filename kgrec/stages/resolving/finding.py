"""Pairs of nodes of one type that are, or may be, one: by names first, then by what is around them.

Names are kept in memory, about a hundred bytes each; neighbourhoods are read for some hundred pairs
at a time. So memory grows with the names alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kgrec.graph.store import GraphStore
from kgrec.progress import SILENT, Progress
from kgrec.resolution.evidence import (
    Evidence,
    NodeTraits,
    Words,
    of_entities,
    of_items,
    of_names,
    probability,
    reasons,
)
from kgrec.resolution.spellings import ORDER, Likeness, alike, spelling
from kgrec.stages.loading.facts import batched
from kgrec.stages.resolving.merging import MergeKind, node_slots
from kgrec.stages.resolving.neighbourhoods import Neighbourhoods, Two, neighbourhoods

Way = tuple[Likeness, str, str]
"""How two nodes are alike, and the names by which they are."""
_NAMES_A_PAGE = 10_000
_PAIRS_A_STEP = 250
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
    """Names and aliases of the nodes of one type, by row."""

    nodes: list[str]
    names: list[str]
    first: dict[str, str]


def scored_pairs(
    store: GraphStore, kind: MergeKind, own_type: str, *, progress: Progress = SILENT
) -> Iterator[ScoredPair]:
    """Yield the pairs of nodes of one type that may be one, without order.

    Args:
        own_type: the label of the type.
    """
    read = _read_names(store, kind, own_type)
    ways: dict[Two, Way] = {}
    for i, j, how in alike(read.names, progress):
        one, other = sorted((read.nodes[i], read.nodes[j]))
        if one == other or (kind == "item" and how not in _OF_ITEMS):
            continue
        known = ways.get((one, other))
        if known is None or ORDER[how] < ORDER[known[0]]:
            ways[one, other] = how, read.names[i], read.names[j]
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


def _read_names(store: GraphStore, kind: MergeKind, own_type: str) -> _Names:
    slots = {**node_slots(kind), "label": own_type, "name": "title" if kind == "item" else "name"}
    read, after = _Names([], [], {}), ""
    while True:
        given: dict[str, Any] = {"after": after, "limit": _NAMES_A_PAGE}
        rows: Sequence[Mapping[str, Any]] = store.read("resolve/name_page", slots, **given)
        if not rows or not rows[0]["ids"]:
            return read
        page = rows[0]
        for node, name, aliases in zip(page["ids"], page["names"], page["aliases"], strict=True):
            if name:
                read.first[node] = name
                every = dict.fromkeys([name, *aliases])
                read.nodes.extend([node] * len(every))
                read.names.extend(every)
        after = max(page["ids"])
