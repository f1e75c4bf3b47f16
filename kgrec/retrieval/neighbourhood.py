"""What ties nodes to others, for the search of paths: read from the graph."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol
from weakref import WeakKeyDictionary

from kgrec.graph.pages import RelationTypes, relation_types, type_of
from kgrec.graph.store import GraphStore
from kgrec.retrieval.knowledge_path import PathNode
from kgrec.retrieval.walked import WalkedSteps
from kgrec.schema import NodeKind, load_schema

_TYPES_LAST = 20.0
"""Seconds after which relation types that others wrote are seen."""
_TYPES: WeakKeyDictionary[GraphStore, tuple[float, int, RelationTypes]] = WeakKeyDictionary()

Place = tuple[NodeKind, str]
"""Kind and id of a node."""


class Edge(NamedTuple):
    """A relation as it is walked: `outgoing` from the place that it was found at."""

    to: Place
    outgoing: bool
    relation: str
    confidence: float
    source: str
    evidence: str


class Neighbourhood(Protocol):
    """Knows the relations of nodes; nodes with more relations than a bound are hubs."""

    @property
    def walked(self) -> WalkedSteps:
        """Relations of paths in words, which searches keep for each other."""

    def edges(
        self, kind: NodeKind, ids: Sequence[str], other: NodeKind, max_degree: int
    ) -> Mapping[str, Sequence[Edge]]:
        """Return the relations of some nodes with nodes of another kind, none of hubs, by id."""

    def node(self, place: Place) -> PathNode:
        """Return a node that `edges` led to."""

    def degrees(self, entities: Iterable[str], other: NodeKind) -> Mapping[str, int]:
        """Return how many relations lead to some entities from nodes of a kind."""


class GraphNeighbourhood:
    """Reads the relations from the graph; for one search.

    Args:
        store: the graph.
        limit: edges that one step of the search reads at most.
    """

    def __init__(self, store: GraphStore, limit: int) -> None:
        self._store = store
        self._limit = limit
        self._types = _types_of(store)
        self._nodes: dict[Place, PathNode] = {}
        self.walked = WalkedSteps()

    def edges(
        self, kind: NodeKind, ids: Sequence[str], other: NodeKind, max_degree: int
    ) -> Mapping[str, Sequence[Edge]]:
        """Return the relations of some nodes; see `Neighbourhood`."""
        types = self._between(kind, other)
        if not ids or not types:
            return {}
        ends = load_schema().core.end_slots(kind, other)
        name = "title" if other == "item" else "name"
        slots = {**ends, "tail_name": name, "relations": types}
        bounds = {"max_degree": max_degree, "limit": self._limit}
        found: dict[str, list[Edge]] = {}
        for page in self._store.read("recommend/neighbours", slots, nodes=list(ids), **bounds):
            nodes = ("nodes", "others", "names", "labels")
            edges = ("outgoing", "relations", "confidences", "sources", "evidence")
            columns = [page[name] for name in (*nodes, *edges)]
            for row, to, title, labels, *value in zip(*columns, strict=True):
                place: Place = (other, to)
                found.setdefault(ids[row], []).append(Edge(place, *value))
                if place not in self._nodes:
                    label = type_of(labels, ends["tail"])
                    self._nodes[place] = PathNode(kind=other, id=to, name=title, type=label)
        return found

    def node(self, place: Place) -> PathNode:
        """Return a node that `edges` led to."""
        return self._nodes[place]

    def degrees(self, entities: Iterable[str], other: NodeKind) -> Mapping[str, int]:
        """Return how many relations lead to some entities from nodes of a kind."""
        wanted = sorted(entities)
        if not wanted:
            return {}
        slots = {"other": load_schema().core.label_of(other)}
        counts: dict[str, int] = {}
        for page in self._store.read("recommend/degrees", slots, entities=wanted):
            counts.update(zip(page["entities"], page["degrees"], strict=True))
        return counts

    def _between(self, one: NodeKind, other: NodeKind) -> str:
        """Return the relation types between two kinds of node, in either direction, for a slot."""
        return "|".join(
            sorted({*self._types.between(one, other), *self._types.between(other, one)})
        )


def _types_of(store: GraphStore) -> RelationTypes:
    """Return the relation types of a graph, read anew once in a while: they rarely change."""
    until, writes, types = _TYPES.get(store, (-math.inf, 0, None))
    if types is None or writes != store.writes or time.monotonic() > until:
        writes, types = store.writes, relation_types(store)
        _TYPES[store] = time.monotonic() + _TYPES_LAST, writes, types
    return types
