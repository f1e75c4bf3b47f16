"""Knowledge paths: from a history item over facts and links to a recommended item.

A path is as long as it has relations: an item–item link is 1 hop, item–entity–item 2, and
item–entity–entity–item or item–item–entity–item 3. Every relation in it was read from the graph.
Walks from both ends meet in the middle, and no walk leads from an entity to further items, since
those are the items of other paths; so the work grows with the facts of the given items alone.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from pydantic import Field

from kgrec.config import FrozenModel
from kgrec.graph.store import GraphStore
from kgrec.retrieval.knowledge_path import KnowledgePath, PathNode, PathStep
from kgrec.retrieval.neighbourhood import Edge, GraphNeighbourhood, Neighbourhood, Place
from kgrec.retrieval.walked import WalkedStep
from kgrec.schema import NodeKind, load_schema, meanings_of


class PathConfig(FrozenModel):
    """Bounds of the search for paths.

    Attributes:
        max_hops: relations of the longest path.
        max_degree: entities that more items share, and nodes with more links, are passed by.
        catalogue: size of the catalogue that rarity is measured against when it is unknown.
        decay: factor of the weight for each relation beyond two.
        max_edges: edges that one step of the search reads at most.
        max_paths: paths that are looked at in all.
    """

    max_hops: int = Field(default=3, ge=1, le=4)
    max_degree: int = 1000
    catalogue: int = 10_000
    decay: float = Field(default=0.5, gt=0, le=1)
    max_edges: int = Field(default=20_000, ge=1)
    max_paths: int = Field(default=20_000, ge=1)


@dataclass(frozen=True, eq=False, slots=True)
class FoundPath:
    """A path that was found and is not put into words yet.

    Attributes:
        places: its nodes, from the history item to the recommended item.
        edges: the relations between them.
        degree, weight: see `KnowledgePath`.
    """

    places: tuple[Place, ...]
    edges: tuple[Edge, ...]
    degree: int
    weight: float
    _search: PathSearch

    @property
    def history_id(self) -> str:
        return self.places[0][1]

    @property
    def item_id(self) -> str:
        return self.places[-1][1]

    @property
    def last_id(self) -> str:
        """The id of the node before the recommended item."""
        return self.places[-2][1]

    def record(self) -> KnowledgePath:
        """Return the path as it leaves kgrec."""
        return self._search.record(self)


def read_paths(
    source: GraphStore | Neighbourhood,
    history: Mapping[str, str],
    items: Mapping[str, str],
    *,
    num_items: int | None = None,
    meanings: Mapping[str, str] | None = None,
    config: PathConfig | None = None,
) -> list[KnowledgePath]:
    """Return the paths from items of a history to items, the heaviest first; see `find_paths`."""
    found = find_paths(
        source, history, items, num_items=num_items, meanings=meanings, config=config
    )
    return [path.record() for path in found]


def find_paths(
    source: GraphStore | Neighbourhood,
    history: Mapping[str, str],
    items: Mapping[str, str],
    *,
    num_items: int | None = None,
    meanings: Mapping[str, str] | None = None,
    config: PathConfig | None = None,
    sources: Mapping[str, Collection[str]] | None = None,
) -> list[FoundPath]:
    """Find the paths from items of a history to items, the heaviest first.

    Args:
        source: the graph, or what knows its relations.
        history, items: id to title.
        num_items: size of the catalogue.
        meanings: sentence of each relation type; None takes those of the known domains.
        config: how far, and how much, is read.
        sources: ids of the history items that matter for an item, by its id; all when absent.
    """
    if not history or not items:
        return []
    config = config or PathConfig()
    given = (
        GraphNeighbourhood(source, config.max_edges) if isinstance(source, GraphStore) else source
    )
    search = PathSearch(given, config, num_items, meanings)
    search.named = {**history, **items}
    return sorted(search.paths(history, items, sources), key=weight_order)


def weight_order(path: FoundPath) -> tuple[Any, ...]:
    """Return what paths are sorted by: the heaviest first, then by their nodes."""
    nodes = tuple(node for _, node in path.places[1:])
    return (-path.weight, path.item_id, path.history_id, path.last_id, nodes)


_Walk = tuple[tuple[Place, ...], tuple[Edge, ...]]
"""The places of a walk and the edges between them."""


class PathSearch:
    """The search for the paths of one request.

    Args:
        neighbourhood: knows the relations.
        config: bounds.
        num_items: size of the catalogue, where it is known.
        meanings: sentence of each relation type; None takes those of the known domains.

    Attributes:
        config: bounds.
        named: titles of the ends of the paths, by id.
        size: of the catalogue, which rarity is measured against.
    """

    def __init__(
        self,
        neighbourhood: Neighbourhood,
        config: PathConfig,
        num_items: int | None,
        meanings: Mapping[str, str] | None,
    ) -> None:
        self._neighbourhood = neighbourhood
        self.config = config
        self.size = num_items or config.catalogue
        self._meanings = meanings_of(None) if meanings is None else meanings
        self._edges: dict[Place, list[Edge]] = {}
        self.named: Mapping[str, str] = {}

    def paths(
        self,
        history: Mapping[str, str],
        items: Mapping[str, str],
        sources: Mapping[str, Collection[str]] | None,
        *,
        meetings: bool = True,
    ) -> Iterator[FoundPath]:
        """Yield the paths in no particular order; `meetings=False` leaves those out."""
        targets: list[Place] = [("item", i) for i in items]
        starts: list[Place] = [("item", i) for i in history]
        self._expand([*targets, *starts])
        half = (self.config.max_hops + 1) // 2
        ahead = self._walks(targets, half, whole=half)
        reached = frozenset[Place]().union(*ahead)
        behind = self._walks(starts, half, whole=self.config.max_hops // 2, toward=reached)
        walks = self._joined(ahead, behind, sources, meetings=meetings)
        found = list(islice(walks, self.config.max_paths))
        of_items, of_links = self._degrees(found)
        for walk in found:
            degree = self._degree(walk, of_items, of_links)
            if degree <= self.config.max_degree:
                yield FoundPath(*walk, degree, self._weight(walk[1], degree), self)

    def _walks(
        self,
        starts: Sequence[Place],
        length: int,
        *,
        whole: int,
        toward: Collection[Place] | None = None,
    ) -> list[dict[Place, list[_Walk]]]:
        """Return the walks of each length by their ends; beyond `whole` only items are left.

        Args:
            toward: walks that end elsewhere are left out, unless they go on.
        """
        layers: list[dict[Place, list[_Walk]]] = [{one: [((one,), ())] for one in starts}]
        for step in range(1, length + 1):
            before = {
                place: walks
                for place, walks in layers[-1].items()
                if place[0] == "item" or step <= whole
            }
            self._expand(before)
            layer: dict[Place, list[_Walk]] = defaultdict(list)
            for place, walks in before.items():
                for edge in self._edges.get(place, ()):
                    if place[0] == "entity" and edge.to[0] == "item":
                        continue
                    onward = step < length and (edge.to[0] == "item" or step < whole)
                    if toward is not None and not onward and edge.to not in toward:
                        continue
                    for places, edges in walks:
                        if edge.to not in places:
                            layer[edge.to].append(((*places, edge.to), (*edges, edge)))
            layers.append(dict(layer))
        return layers

    def _joined(
        self,
        ahead: Sequence[Mapping[Place, list[_Walk]]],
        behind: Sequence[Mapping[Place, list[_Walk]]],
        sources: Mapping[str, Collection[str]] | None,
        *,
        meetings: bool,
    ) -> Iterator[_Walk]:
        """Yield each whole walk from a history item to an item once, short ones first."""
        seen = set()
        lengths = [(a, b) for a in range(len(ahead)) for b in range(len(behind))]
        for a, b in sorted(lengths, key=sum):
            if not 1 <= a + b <= self.config.max_hops:
                continue
            for place in ahead[a].keys() & behind[b].keys():
                if a == b == 1 and place[0] == "entity" and not meetings:
                    continue
                for places, edges in behind[b][place]:
                    for others, ways in ahead[a][place]:
                        if sources is not None and places[0][1] not in sources[others[0][1]]:
                            continue
                        if len({*places, *others}) < len(places) + len(others) - 1:
                            continue
                        walk = _whole(places, edges, others, ways)
                        key = walk[0], tuple(edge.relation for edge in walk[1])
                        if key not in seen:
                            seen.add(key)
                            yield walk

    def _expand(self, places: Iterable[Place]) -> None:
        """Look up what ties the places to others, unless that was done before."""
        new = [place for place in dict.fromkeys(places) if place not in self._edges]
        kinds: tuple[NodeKind, ...] = ("item", "entity")
        for kind in kinds:
            ids = [node for one, node in new if one == kind]
            for node in ids:
                self._edges[kind, node] = []
            others: tuple[NodeKind, ...] = kinds if kind == "item" else ("entity",)
            for other in others:
                edges = self._neighbourhood.edges(kind, ids, other, self.config.max_degree)
                for node, found in edges.items():
                    self._edges[kind, node].extend(found)

    def _degrees(self, walks: Sequence[_Walk]) -> tuple[Mapping[str, int], Mapping[str, int]]:
        """Return how many items, and on longer paths entities, lead to those between."""
        between, linked = set(), set()
        for places, edges in walks:
            entities = {node for kind, node in places if kind == "entity"}
            between |= entities
            if len(edges) > 2:
                linked |= entities
        degrees = self._neighbourhood.degrees
        return degrees(between, "item"), degrees(linked, "entity")

    def _degree(self, walk: _Walk, of_items: Mapping[str, int], of_links: Mapping[str, int]) -> int:
        """Return the degree of the commonest node between the ends, at least 1."""
        places, edges = walk
        degrees = [
            of_items.get(node, 0) + (of_links.get(node, 0) if len(edges) > 2 else 0)
            for kind, node in places
            if kind == "entity"
        ]
        for place, edge in zip(places, edges, strict=False):
            if place[0] == edge.to[0] == "item":
                alike = (one.relation == edge.relation for one in self._edges.get(place, ()))
                degrees.append(sum(alike))
        return max([1, *degrees])

    def _weight(self, edges: Sequence[Edge], degree: int) -> float:
        rarity = math.log(max(self.size, degree + 1) / degree)
        sure = math.prod(edge.confidence for edge in edges)
        return rarity * sure * self.config.decay ** max(0, len(edges) - 2)

    def record(self, path: FoundPath) -> KnowledgePath:
        """Name the nodes of a path."""
        walked = [self._walked(*each) for each in zip(path.places, path.edges, strict=False)]
        return KnowledgePath(
            history=walked[0].first,
            item=walked[-1].last,
            degree=path.degree,
            weight=path.weight,
            steps=tuple(each.step for each in walked),
        )

    def _walked(self, place: Place, edge: Edge) -> WalkedStep:
        """Return a relation of a path with its nodes named, which depends on these names alone."""
        names = (self.named.get(place[1]), self.named.get(edge.to[1]))
        sentence = self._meanings.get(edge.relation)

        def make() -> WalkedStep:
            start, node = self._node(place), self._node(edge.to)
            step = PathStep(
                node=node,
                relation=edge.relation,
                forward=edge.outgoing,
                confidence=edge.confidence,
                meaning=self._meaning(edge.relation, start, node),
                source=edge.source,
                evidence=edge.evidence,
            )
            return WalkedStep(start, step)

        return self._neighbourhood.walked.of((place, edge, names, sentence), make)

    def _node(self, place: Place) -> PathNode:
        if place[0] != "item" or place[1] not in self.named:
            return self._neighbourhood.node(place)
        label = load_schema().labels.item
        return PathNode(kind="item", id=place[1], name=self.named[place[1]], type=label)

    def _meaning(self, relation: str, start: PathNode, end: PathNode) -> str:
        names = "{head} and {tail}" if start.kind == end.kind else "{item} and {entity}"
        one, _, two = names.partition(" and ")
        plain = f"{one} {relation.lower().replace('_', ' ')} {two}"
        found = self._meanings.get(relation, plain).rstrip(". ")
        return found if one in found else plain


def _whole(
    places: tuple[Place, ...],
    edges: tuple[Edge, ...],
    others: tuple[Place, ...],
    ways: tuple[Edge, ...],
) -> _Walk:
    """Join a walk from the history and one from the item, which is turned round."""
    back = tuple(
        way._replace(to=place, outgoing=not way.outgoing)
        for way, place in zip(reversed(ways), reversed(others[:-1]), strict=True)
    )
    return (*places, *reversed(others[:-1])), (*edges, *back)
