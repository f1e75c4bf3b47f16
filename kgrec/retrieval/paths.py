"""Knowledge paths: from a history item over facts and links to a recommended item.

A path is as long as it has relations: an item–item link is 1 hop, item–entity–item 2, and
item–entity–entity–item or item–item–entity–item 3. Every relation in it was read from the graph.
Walks from both ends meet in the middle, and no walk leads from an entity to further items, since
those are the items of other paths; so the work grows with the facts of the given items alone.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice, pairwise
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from pydantic import Field

from kgrec.config import FrozenModel
from kgrec.graph.pages import RelationTypes, relation_types, type_of
from kgrec.graph.store import GraphStore
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


class PathNode(FrozenModel):
    """An item or an entity on a path, with the label that its domain gives it."""

    kind: NodeKind
    id: str
    name: str
    type: str


class PathStep(FrozenModel):
    """One relation of a path, walked from the history towards the recommended item.

    Attributes:
        node: where the step arrives.
        forward: whether the relation leads the way that the path goes.
        meaning: the sentence of the relation, with `{item}` and `{entity}`, or with `{head}` and
            `{tail}`.
        source, evidence: its origin, and the words that state it; empty where unknown.
    """

    node: PathNode
    relation: str
    forward: bool
    confidence: float
    meaning: str
    source: str = ""
    evidence: str = ""


class PathFact(FrozenModel):
    """One relation of an item, as it was found.

    Attributes:
        entity_id, entity, entity_type: the other end; on a path over an item–item link an item.
        meaning: the sentence of the relation, with `{item}` and `{entity}` in it.
        source, evidence: its origin, and the words that state it; empty where unknown.
    """

    item_id: str
    title: str
    relation: str
    entity_id: str
    entity: str
    entity_type: str
    confidence: float
    meaning: str
    source: str = ""
    evidence: str = ""


class KnowledgePath(FrozenModel):
    """A chain of relations between a history item and a recommended item.

    Attributes:
        history, item: the relation at the history item, and at the recommended item.
        steps: all relations from the history item to the recommended item.
        degree: how many relations the commonest node between the two has.
        weight: log(items / degree), times all confidences, times `decay` for each hop beyond two.
    """

    history: PathFact
    item: PathFact
    degree: int
    weight: float
    steps: tuple[PathStep, ...] = ()

    @property
    def hops(self) -> int:
        """The number of relations."""
        return len(self.steps) or 2

    @property
    def meeting(self) -> bool:
        """Whether the path is two facts that meet in one entity."""
        return self.hops == 2 and not (self.steps and self.steps[0].node.kind == "item")


def read_paths(
    store: GraphStore,
    history: Mapping[str, str],
    items: Mapping[str, str],
    *,
    num_items: int | None = None,
    meanings: Mapping[str, str] | None = None,
    config: PathConfig | None = None,
) -> list[KnowledgePath]:
    """Return the paths from items of a history to items, the heaviest first.

    Args:
        history, items: id to title.
        num_items: size of the catalogue.
        meanings: sentence of each relation type; None takes those of the known domains.
        config: how far, and how much, is read.
    """
    if not history or not items:
        return []
    search = _Search(store, config or PathConfig(), num_items, meanings)
    return sorted(search.paths(history, items), key=_order)


_TYPES_LAST = 20.0
"""Seconds after which relation types that others wrote are seen."""
_TYPES: WeakKeyDictionary[GraphStore, tuple[float, int, RelationTypes]] = WeakKeyDictionary()

_Place = tuple[NodeKind, str]
"""Kind and id of a node."""


class _Edge(NamedTuple):
    """A relation as it is walked: `outgoing` from the place that it was found at."""

    to: _Place
    outgoing: bool
    relation: str
    confidence: float
    source: str
    evidence: str


_Walk = tuple[tuple[_Place, ...], tuple[_Edge, ...]]
"""The places of a walk and the edges between them."""


class _Search:
    """The search for the paths of one request."""

    def __init__(
        self,
        store: GraphStore,
        config: PathConfig,
        num_items: int | None,
        meanings: Mapping[str, str] | None,
    ) -> None:
        self._store = store
        self._config = config
        self._size = num_items or config.catalogue
        self._meanings = meanings_of(None) if meanings is None else meanings
        self._types = _types_of(store)
        self._edges: dict[_Place, list[_Edge]] = {}
        self._nodes: dict[_Place, PathNode] = {}

    def paths(
        self, history: Mapping[str, str], items: Mapping[str, str]
    ) -> Iterator[KnowledgePath]:
        """Yield the paths in no particular order."""
        label = load_schema().labels.item
        for i, title in chain(history.items(), items.items()):
            self._nodes["item", i] = PathNode(kind="item", id=i, name=title, type=label)
        targets: list[_Place] = [("item", i) for i in items]
        starts: list[_Place] = [("item", i) for i in history]
        self._expand([*targets, *starts])
        half = (self._config.max_hops + 1) // 2
        ahead = self._walks(targets, half, whole=half)
        behind = self._walks(starts, half, whole=self._config.max_hops // 2)
        found = list(islice(self._joined(ahead, behind), self._config.max_paths))
        of_items, of_links = self._degrees(found)
        for walk in found:
            degree = self._degree(walk, of_items, of_links)
            if degree <= self._config.max_degree:
                yield self._path(walk, degree)

    def _walks(
        self, starts: Sequence[_Place], length: int, *, whole: int
    ) -> list[dict[_Place, list[_Walk]]]:
        """Return the walks of each length by their ends; beyond `whole` only items are left."""
        layers: list[dict[_Place, list[_Walk]]] = [{one: [((one,), ())] for one in starts}]
        for step in range(1, length + 1):
            before = {
                place: walks
                for place, walks in layers[-1].items()
                if place[0] == "item" or step <= whole
            }
            self._expand(before)
            layer: dict[_Place, list[_Walk]] = defaultdict(list)
            for place, walks in before.items():
                for edge in self._edges.get(place, ()):
                    if place[0] == "entity" and edge.to[0] == "item":
                        continue
                    for places, edges in walks:
                        if edge.to not in places:
                            layer[edge.to].append(((*places, edge.to), (*edges, edge)))
            layers.append(dict(layer))
        return layers

    def _joined(
        self,
        ahead: Sequence[Mapping[_Place, list[_Walk]]],
        behind: Sequence[Mapping[_Place, list[_Walk]]],
    ) -> Iterator[_Walk]:
        """Yield each whole walk from a history item to an item once, short ones first."""
        seen = set()
        lengths = [(a, b) for a in range(len(ahead)) for b in range(len(behind))]
        for a, b in sorted(lengths, key=sum):
            if not 1 <= a + b <= self._config.max_hops:
                continue
            for place in ahead[a].keys() & behind[b].keys():
                for places, edges in behind[b][place]:
                    for others, ways in ahead[a][place]:
                        if len({*places, *others}) < len(places) + len(others) - 1:
                            continue
                        walk = _whole(places, edges, others, ways)
                        key = walk[0], tuple(edge.relation for edge in walk[1])
                        if key not in seen:
                            seen.add(key)
                            yield walk

    def _expand(self, places: Iterable[_Place]) -> None:
        """Read what ties the places to others, unless it was read before."""
        new = [place for place in places if place not in self._edges]
        kinds: tuple[NodeKind, ...] = ("item", "entity")
        for kind in kinds:
            ids = [node for one, node in new if one == kind]
            for node in ids:
                self._edges[kind, node] = []
            others: tuple[NodeKind, ...] = kinds if kind == "item" else ("entity",)
            for other in others:
                self._read(kind, other, ids)

    def _read(self, kind: NodeKind, other: NodeKind, ids: list[str]) -> None:
        types = self._between(kind, other)
        if not ids or not types:
            return
        ends = load_schema().core.end_slots(kind, other)
        name = "title" if other == "item" else "name"
        slots = {**ends, "tail_name": name, "relations": types}
        bounds = {"max_degree": self._config.max_degree, "limit": self._config.max_edges}
        for page in self._store.read("recommend/neighbours", slots, nodes=ids, **bounds):
            nodes = ("nodes", "others", "names", "labels")
            edges = ("outgoing", "relations", "confidences", "sources", "evidence")
            columns = [page[name] for name in (*nodes, *edges)]
            for row, to, name, labels, *value in zip(*columns, strict=True):
                place: _Place = (other, to)
                self._edges[kind, ids[row]].append(_Edge(place, *value))
                if place not in self._nodes:
                    label = type_of(labels, ends["tail"])
                    self._nodes[place] = PathNode(kind=other, id=to, name=name, type=label)

    def _between(self, one: NodeKind, other: NodeKind) -> str:
        """Return the relation types between two kinds of node, in either direction, for a slot."""
        return "|".join(
            sorted({*self._types.between(one, other), *self._types.between(other, one)})
        )

    def _degrees(self, walks: Sequence[_Walk]) -> tuple[dict[str, int], dict[str, int]]:
        """Return how many items, and on longer paths entities, lead to those between."""
        between, linked = set(), set()
        for places, edges in walks:
            entities = {node for kind, node in places if kind == "entity"}
            between |= entities
            if len(edges) > 2:
                linked |= entities
        return self._counted(between, "item"), self._counted(linked, "entity")

    def _counted(self, entities: set[str], other: NodeKind) -> dict[str, int]:
        if not entities:
            return {}
        slots = {"other": load_schema().core.label_of(other)}
        counts: dict[str, int] = {}
        for page in self._store.read("recommend/degrees", slots, entities=sorted(entities)):
            counts.update(zip(page["entities"], page["degrees"], strict=True))
        return counts

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

    def _path(self, walk: _Walk, degree: int) -> KnowledgePath:
        places, edges = walk
        nodes = [self._nodes[place] for place in places]
        steps = tuple(
            PathStep(
                node=node,
                relation=edge.relation,
                forward=edge.outgoing,
                confidence=edge.confidence,
                meaning=self._meaning(edge.relation, start, node),
                source=edge.source,
                evidence=edge.evidence,
            )
            for (start, node), edge in zip(pairwise(nodes), edges, strict=True)
        )
        rarity = math.log(max(self._size, degree + 1) / degree)
        sure = math.prod(edge.confidence for edge in edges)
        decay = self._config.decay ** max(0, len(edges) - 2)
        return KnowledgePath(
            history=_fact(nodes[0], nodes[1], steps[0], outgoing=steps[0].forward),
            item=_fact(nodes[-1], nodes[-2], steps[-1], outgoing=not steps[-1].forward),
            degree=degree,
            weight=rarity * sure * decay,
            steps=steps,
        )

    def _meaning(self, relation: str, start: PathNode, end: PathNode) -> str:
        names = "{head} and {tail}" if start.kind == end.kind else "{item} and {entity}"
        one, _, two = names.partition(" and ")
        plain = f"{one} {relation.lower().replace('_', ' ')} {two}"
        found = self._meanings.get(relation, plain).rstrip(". ")
        return found if one in found else plain


def _types_of(store: GraphStore) -> RelationTypes:
    """Return the relation types of a graph, read anew once in a while: they rarely change."""
    until, writes, types = _TYPES.get(store, (-math.inf, 0, None))
    if types is None or writes != store.writes or time.monotonic() > until:
        writes, types = store.writes, relation_types(store)
        _TYPES[store] = time.monotonic() + _TYPES_LAST, writes, types
    return types


def _whole(
    places: tuple[_Place, ...],
    edges: tuple[_Edge, ...],
    others: tuple[_Place, ...],
    ways: tuple[_Edge, ...],
) -> _Walk:
    """Join a walk from the history and one from the item, which is turned round."""
    back = tuple(
        way._replace(to=place, outgoing=not way.outgoing)
        for way, place in zip(reversed(ways), reversed(others[:-1]), strict=True)
    )
    return (*places, *reversed(others[:-1])), (*edges, *back)


def _fact(item: PathNode, other: PathNode, step: PathStep, *, outgoing: bool) -> PathFact:
    """Return a step at one end of a path as a relation of that item."""
    head, tail = ("{item}", "{entity}") if outgoing else ("{entity}", "{item}")
    return PathFact(
        item_id=item.id,
        title=item.name,
        relation=step.relation,
        entity_id=other.id,
        entity=other.name,
        entity_type=other.type,
        confidence=step.confidence,
        meaning=step.meaning.replace("{head}", head).replace("{tail}", tail),
        source=step.source,
        evidence=step.evidence,
    )


def _order(path: KnowledgePath) -> tuple[Any, ...]:
    nodes = tuple(step.node.id for step in path.steps)
    return (-path.weight, path.item.item_id, path.history.item_id, path.item.entity_id, nodes)
