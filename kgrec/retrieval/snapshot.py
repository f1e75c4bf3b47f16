"""The catalogue in memory: titles, properties, facts and links, as of one revision of the graph.

Whatever changes items, entities or what ties them counts up the revision in the same transaction,
so a snapshot of the revision that a query has just read holds what the graph holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kgrec.data.dataset import IntArray
from kgrec.graph.pages import (
    entity_pages,
    entity_properties,
    fact_pages,
    item_pages,
    properties_in,
    type_of,
)
from kgrec.graph.pages import relation_types as read_relation_types
from kgrec.graph.store import CATALOGUE, GraphStore
from kgrec.model.histories import runs
from kgrec.retrieval.availability import NONE, Restrictions, read_restrictions
from kgrec.retrieval.knowledge_path import PathNode
from kgrec.retrieval.neighbourhood import Edge, Place
from kgrec.retrieval.nodes import Nodes
from kgrec.retrieval.walked import WalkedSteps
from kgrec.schema import NodeKind, load_schema

MOST_TIES = 3_000_000
"""Of a graph with more facts and links than these, paths are read from the graph itself."""
_KINDS: tuple[NodeKind, ...] = ("item", "entity")


@dataclass(frozen=True, eq=False)
class Ties:
    """The relations between nodes of two kinds, by the node of the first kind, as CSR.

    Attributes:
        start: int64 [N + 1].
        to: row of the other node, int64 [E].
        outgoing: whether a relation leads away from the node of the first kind, bool [E].
        relation, source, evidence: positions in `Snapshot.words`, int64 [E].
        confidence: float64 [E].
    """

    start: IntArray
    to: IntArray
    outgoing: NDArray[np.bool_]
    relation: IntArray
    source: IntArray
    evidence: IntArray
    confidence: NDArray[np.float64]

    @classmethod
    def of(cls, size: int, node: IntArray, columns: Mapping[str, NDArray[Any]]) -> Ties:
        """Sort relations by the node that they are looked up from (rows, [E])."""
        order = np.argsort(node, kind="stable")
        counts = np.bincount(node, minlength=size)
        start = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return cls(start, **{name: column[order] for name, column in columns.items()})


@dataclass(frozen=True, eq=False)
class Snapshot:
    """The catalogue as of one revision; an `Neighbourhood`.

    Attributes:
        revision: 0 of a graph that has none yet.
        nodes: items and entities.
        ties: by the kinds of node on either side; empty where there are too many.
        words: relation types, sources and evidence.
        values: of the domains' item properties, by name: float64 [I] with NaN where there is none,
            or a list of strings and None.
        restrictions: items that are not shown at all times.
        entity_values: of the domains' entity properties, as `values`.
    """

    revision: int
    nodes: Mapping[NodeKind, Nodes]
    ties: Mapping[tuple[NodeKind, NodeKind], Ties]
    words: Sequence[str]
    values: Mapping[str, NDArray[np.float64] | list[str | None]]
    restrictions: Restrictions = NONE
    entity_values: Mapping[str, NDArray[np.float64] | list[str | None]] = field(
        default_factory=dict
    )
    _edges: dict[tuple[Place, NodeKind], list[Edge]] = field(default_factory=dict)
    walked: WalkedSteps = field(default_factory=WalkedSteps)

    def warm_up(self) -> None:
        """Compute once what searches for names and paths read, so that forked workers share it."""
        for nodes in self.nodes.values():
            _ = nodes.index
        if self.ties:
            _ = self.entity_degrees, self.entity_order, self.links_of_items, self.items_near_links

    def titles(self, ids: Iterable[str]) -> dict[str, str]:
        """Return the titles of items, by id; an id that the graph lacks is left out."""
        items = self.nodes["item"]
        rows = {each: items.row[each] for each in ids if each in items.row}
        return {each: items.names[row] for each, row in rows.items()}

    @cached_property
    def entity_degrees(self) -> IntArray:
        """How many relations lead from items to each entity, int64 [E]."""
        ties = self.ties["entity", "item"]
        led = np.concatenate([[0], np.cumsum(~ties.outgoing)])
        return np.diff(led[ties.start])

    @cached_property
    def links_of_items(self) -> NDArray[np.bool_]:
        """Which items a link ties to another item, bool [I]."""
        return np.asarray(np.diff(self.ties["item", "item"].start) > 0)

    @cached_property
    def items_near_links(self) -> NDArray[np.bool_]:
        """Which items are tied to an entity that a link ties to another entity, bool [I]."""
        ties, linked = self.ties["item", "entity"], np.diff(self.ties["entity", "entity"].start) > 0
        near = np.concatenate([[0], np.cumsum(linked[ties.to])])
        return np.asarray(np.diff(near[ties.start]) > 0)

    @cached_property
    def entity_order(self) -> IntArray:
        """The place of each entity in the order of their ids, int64 [E]."""
        ids = self.nodes["entity"].ids
        place = np.empty(len(ids), dtype=np.int64)
        place[sorted(range(len(ids)), key=ids.__getitem__)] = np.arange(len(ids))
        return place

    @property
    def neighbourhood(self) -> Snapshot | None:
        """Itself, where it holds all relations."""
        return self if self.ties else None

    def edges(
        self, kind: NodeKind, ids: Sequence[str], other: NodeKind, max_degree: int
    ) -> Mapping[str, Sequence[Edge]]:
        """Return the relations of some nodes; see `Neighbourhood`."""
        ties, rows = self.ties[kind, other], self.nodes[kind].row
        if not len(ties.to):
            return {}
        found = {}
        for each in ids:
            key = ((kind, each), other)
            edges = self._edges.get(key)
            if edges is None:
                row = rows.get(each, -1)
                if row < 0 or ties.start[row + 1] - ties.start[row] > max_degree:
                    continue
                edges = self._edges[key] = self._read(ties, row, other)
            if 0 < len(edges) <= max_degree:
                found[each] = edges
        return found

    def node(self, place: Place) -> PathNode:
        """Return a node that `edges` led to."""
        kind, each = place
        nodes = self.nodes[kind]
        row = nodes.row[each]
        return PathNode(kind=kind, id=each, name=nodes.names[row], type=nodes.types[row])

    def degrees(self, entities: Iterable[str], other: NodeKind) -> Mapping[str, int]:
        """Return how many relations lead to some entities from nodes of a kind."""
        ties, rows = self.ties["entity", other], self.nodes["entity"].row
        found = {}
        for each in entities:
            if (row := rows.get(each, -1)) >= 0:
                run = slice(ties.start[row], ties.start[row + 1])
                found[each] = int((~ties.outgoing[run]).sum())
        return found

    def facts_of(self, item_id: str) -> set[tuple[str, str]]:
        """Return the facts of an item, as relation types and ids of entities."""
        row = self.nodes["item"].row.get(item_id, -1)
        if row < 0:
            return set()
        ties, ids = self.ties["item", "entity"], self.nodes["entity"].ids
        run = slice(ties.start[row], ties.start[row + 1])
        columns = (ties.relation[run], ties.to[run], ties.outgoing[run])
        edges = zip(*(column.tolist() for column in columns), strict=True)
        return {(self.words[relation], ids[to]) for relation, to, leads in edges if leads}

    def items_with_entity(
        self, relations: Sequence[str], entities: Sequence[str], through: Sequence[str] = ()
    ) -> NDArray[np.bool_]:
        """Return which items one of some relations ties to one of some entities, bool [I].

        Args:
            through: relations from the item to an entity that `relations` lead from; none where
                they lead from the item.
        """
        rows = self.nodes["entity"].rows(entities)
        rows = rows[rows >= 0]
        if through:
            rows = np.flatnonzero(self._leading_to("entity", rows, relations))
        return self._leading_to("item", rows, through or relations)

    def _leading_to(
        self, kind: NodeKind, rows: IntArray, relations: Sequence[str]
    ) -> NDArray[np.bool_]:
        """Return the nodes of a kind from which a relation leads to some entities, bool [N]."""
        ties = self.ties["entity", kind]
        wanted = [n for n, word in enumerate(self.words) if word in relations]
        run = runs(ties.start[rows], ties.start[rows + 1] - ties.start[rows])
        kept = run[np.isin(ties.relation[run], wanted) & ~ties.outgoing[run]]
        found = np.zeros(len(self.nodes[kind].ids), dtype=np.bool_)
        found[ties.to[kept]] = True
        return found

    def items_with_value(
        self,
        name: str,
        least: float | str | None,
        most: float | str | None,
        *,
        through: Sequence[str] = (),
    ) -> NDArray[np.bool_]:
        """Return which items have a property from one value to another, bool [I].

        Args:
            through: relations to the entities that the property is of; none where it is the item's.
        """
        if through:
            rows = np.flatnonzero(_between(self.entity_values[name], least, most))
            return self._leading_to("item", rows.astype(np.int64), through)
        if name not in self.values:  # of a domain that the graph holds nothing of
            return np.zeros(len(self.nodes["item"].ids), dtype=np.bool_)
        return _between(self.values[name], least, most)

    def _read(self, ties: Ties, row: int, other: NodeKind) -> list[Edge]:
        run, ids = slice(ties.start[row], ties.start[row + 1]), self.nodes[other].ids
        columns = (ties.to, ties.outgoing, ties.relation, ties.confidence, ties.source)
        rows = zip(*(column[run].tolist() for column in (*columns, ties.evidence)), strict=True)
        words = self.words
        return [
            Edge((other, ids[to]), outgoing, words[relation], sure, words[source], words[evidence])
            for to, outgoing, relation, sure, source, evidence in rows
        ]


def _between(
    column: NDArray[np.float64] | list[str | None],
    least: float | str | None,
    most: float | str | None,
) -> NDArray[np.bool_]:
    """Return which values of a column lie from one value to another, bool [N]."""
    if isinstance(column, np.ndarray):
        low, high = float(least or 0.0), float(most or 0.0)
        return np.asarray((column >= low) & (column <= high))
    low_text, high_text = str(least), str(most)
    found = [each is not None and low_text <= each <= high_text for each in column]
    return np.array(found, dtype=np.bool_)


def read_revision(store: GraphStore) -> int:
    """Return the number of the revision that the catalogue has; 0 where it has none."""
    rows = store.read("recommend/revision", revision=CATALOGUE)
    return int(rows[0]["number"]) if rows else 0


def read_snapshot(store: GraphStore) -> Snapshot:
    """Read the catalogue; changes that happen meanwhile may or may not be in it.

    Its revision is the one before the reading, so such a snapshot is out of date at once.
    """
    revision = read_revision(store)
    properties = properties_in(store)
    items, entities = Nodes(), Nodes()
    labels = load_schema().labels
    values: list[Sequence[Any]] = []
    for page in item_pages(store, properties=properties):
        names = [title or each for each, title in zip(page["ids"], page["titles"], strict=True)]
        items.add(page["ids"], names, [type_of(all_, labels.item) for all_ in page["labels"]])
        values += page["values"]
    kinds = entity_properties()
    of_entities: list[Sequence[Any]] = []
    for page in entity_pages(store):
        of_entities += [[known.get(name) for name in kinds] for known in page["values"]]
        types = [type_of(all_, labels.entity) for all_ in page["labels"]]
        entities.add(page["ids"], page["names"], types)
    nodes: dict[NodeKind, Nodes] = {"item": items, "entity": entities}
    words = _Words()
    ties = _read_ties(store, nodes, words)
    columns, restrictions = _columns(properties, values), read_restrictions(store)
    known = _columns(list(kinds), of_entities, kinds)
    return Snapshot(revision, nodes, ties, words.known, columns, restrictions, known)


class _Words:
    """Numbers strings in the order in which they come."""

    def __init__(self) -> None:
        self.known: list[str] = []
        self._place: dict[str, int] = {}

    def codes(self, words: Sequence[str]) -> list[int]:
        for word in words:
            if word not in self._place:
                self._place[word] = len(self.known)
                self.known.append(word)
        return [self._place[word] for word in words]


def _read_ties(
    store: GraphStore, nodes: Mapping[NodeKind, Nodes], words: _Words
) -> dict[tuple[NodeKind, NodeKind], Ties]:
    types = read_relation_types(store)
    found: dict[tuple[NodeKind, NodeKind], list[dict[str, NDArray[Any]]]] = {
        (one, other): [] for one in _KINDS for other in _KINDS
    }
    number = 0
    for head in _KINDS:
        for tail in _KINDS:
            for page in fact_pages(store, nodes[head].ids, types, (head, tail)):
                heads, tails = np.asarray(page["heads"]), nodes[tail].rows(page["tails"])
                known = tails >= 0
                shared: dict[str, NDArray[Any]] = {
                    "relation": np.array(words.codes(page["relations"]), dtype=np.int64),
                    "source": np.array(words.codes(page["sources"]), dtype=np.int64),
                    "evidence": np.array(words.codes(page["evidence"]), dtype=np.int64),
                    "confidence": np.array(page["confidences"], dtype=np.float64),
                }
                number += len(heads)
                if number > MOST_TIES:
                    return {}
                for kinds, ends, leads in (
                    ((head, tail), (heads, tails), True),
                    ((tail, head), (tails, heads), False),
                ):
                    columns = {
                        "node": ends[0].astype(np.int64),
                        "to": ends[1].astype(np.int64),
                        "outgoing": np.full(len(heads), leads),
                        **shared,
                    }
                    found[kinds].append({name: one[known] for name, one in columns.items()})
    return {kinds: _ties(len(nodes[kinds[0]].ids), pages) for kinds, pages in found.items()}


_TYPES: dict[str, type] = {
    "node": np.int64,
    "to": np.int64,
    "outgoing": np.bool_,
    "relation": np.int64,
    "source": np.int64,
    "evidence": np.int64,
    "confidence": np.float64,
}


def _ties(size: int, pages: Sequence[Mapping[str, NDArray[Any]]]) -> Ties:
    columns: dict[str, NDArray[Any]] = {
        name: np.concatenate([np.empty(0, dtype), *(page[name] for page in pages)]).astype(dtype)
        for name, dtype in _TYPES.items()
    }
    return Ties.of(size, columns.pop("node"), columns)


def _columns(
    names: Sequence[str], values: Sequence[Sequence[Any]], types: Mapping[str, str] | None = None
) -> dict[str, NDArray[np.float64] | list[str | None]]:
    """Turn the values of each item, or of each entity by `types`, [N, P], into columns."""
    kinds: dict[str, str] = dict(types or {})
    for domain in load_schema().domains.values():
        kinds |= domain.item_properties if types is None else {}
    columns: dict[str, NDArray[np.float64] | list[str | None]] = {}
    for place, name in enumerate(names):
        column = [row[place] for row in values]
        numeric = kinds.get(name) in ("integer", "float")
        if numeric or (name not in kinds and not any(isinstance(one, str) for one in column)):
            numbers = [one if isinstance(one, int | float) else np.nan for one in column]
            columns[name] = np.array(numbers, dtype=np.float64)
        else:
            columns[name] = [one if isinstance(one, str) else None for one in column]
    return columns
