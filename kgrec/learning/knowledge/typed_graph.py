"""The typed graph as columns: facts between items and entities, and the links beyond them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kgrec.data.dataset import FloatArray, IntArray
from kgrec.export.pyg import HeteroData, edges_between
from kgrec.learning.knowledge_features import both_ways


@dataclass(frozen=True)
class EdgeTable:
    """Typed edges between two kinds of node, sorted by row.

    Attributes:
        row, relation, column: int64 [E]; the nodes of an edge, and its type.
        confidence: float32 [E] in (0, 1].
        row_degree, column_degree: number of edges of each node, float32 [R] and [C].
        relations: relation types.
    """

    row: IntArray
    relation: IntArray
    column: IntArray
    confidence: FloatArray
    row_degree: FloatArray
    column_degree: FloatArray
    relations: tuple[str, ...]

    @classmethod
    def of(
        cls,
        columns: tuple[IntArray, IntArray, IntArray, FloatArray],
        size: tuple[int, int],
        relations: tuple[str, ...],
    ) -> EdgeTable:
        """Sort row, relation, column and confidence, [E] each."""
        row, relation, column, confidence = columns
        order = np.lexsort((relation, column, row))
        row_degree = np.bincount(row, minlength=size[0]).astype(np.float32)
        column_degree = np.bincount(column, minlength=size[1]).astype(np.float32)
        columns = row[order], relation[order], column[order], confidence[order]
        return cls(*columns, row_degree, column_degree, relations)

    def __len__(self) -> int:
        return len(self.row)

    @property
    def size(self) -> tuple[int, int]:
        """Number of nodes on either side."""
        return len(self.row_degree), len(self.column_degree)

    def sample(self, most: int, rng: np.random.Generator) -> EdgeTable:
        """Return a uniform sample of at most `most` edges, with the same nodes and degrees."""
        if len(self) <= most:
            return self
        sampled: NDArray[np.int64] = np.sort(rng.choice(len(self), most, replace=False))
        columns = ("row", "relation", "column", "confidence")
        kept: dict[str, Any] = {name: getattr(self, name)[sampled] for name in columns}
        return replace(self, **kept)


@dataclass(frozen=True)
class TypedGraph:
    """Facts of items, and links among entities and among items.

    An entity with a single edge connects no two nodes and is left out.

    Attributes:
        facts: rows are items, columns the entities that are kept.
        entity_links: rows and columns are entities; a link is an edge in either direction, the
            relation type of the reverse direction has the suffix `~`.
        item_links: the same for items.
        entities: rows of the kept entities in the data set, int64 [N].
    """

    facts: EdgeTable
    entity_links: EdgeTable
    item_links: EdgeTable
    entities: IntArray

    @classmethod
    def of(cls, data: HeteroData, *, links: bool = True) -> TypedGraph:
        """Build from the facts of a graph, and from its links unless they are left out."""
        num_items, num_entities = data["item"].num_nodes, data["entity"].num_nodes
        relations, item, relation, entity, confidence = edges_between(data, "item", "entity")
        link_types, columns = _links(data, "entity", links)
        head, kind, tail, sure = columns
        kept = _connecting(np.stack([item, entity]), np.stack([head, tail]), num_entities)
        place = np.cumsum(kept) - 1
        mask = kept[entity]
        facts = item[mask], relation[mask], place[entity[mask]], confidence[mask]
        mask = kept[head] & kept[tail]
        columns = place[head[mask]], kind[mask], place[tail[mask]], sure[mask]
        entities = np.flatnonzero(kept).astype(np.int64)
        count = len(entities)
        item_types, beside = _links(data, "item", links)
        return cls(
            EdgeTable.of(facts, (num_items, count), relations),
            EdgeTable.of(columns, (count, count), link_types),
            EdgeTable.of(beside, (num_items, num_items), item_types),
            entities,
        )

    @property
    def num_items(self) -> int:
        return self.facts.size[0]

    @property
    def num_entities(self) -> int:
        return len(self.entities)


def _connecting(facts: IntArray, links: IntArray, num_entities: int) -> NDArray[np.bool_]:
    """Return which entities connect two nodes or more, bool [N].

    Args:
        facts: items and entities, int64 [2, F].
        links: in both directions, int64 [2, L].
    """
    pairs = np.unique(facts[::-1], axis=1)
    links = np.unique(links[:, links[0] != links[1]], axis=1)
    holders = np.bincount(pairs[0], minlength=num_entities)
    kept = np.ones(num_entities, dtype=np.bool_)
    while True:  # removing an entity may leave another with a single edge
        linked = np.bincount(links[0][kept[links[1]]], minlength=num_entities)
        still = kept & (holders + linked >= 2)
        if (still == kept).all():
            return kept
        kept = still


def _links(
    data: HeteroData, kind: str, wanted: bool
) -> tuple[tuple[str, ...], tuple[IntArray, IntArray, IntArray, FloatArray]]:
    """Return relation types and edges among nodes of one kind, reverses with suffix `~`."""
    if not wanted:
        none = np.empty(0, dtype=np.int64)
        return (), (none, none, none, np.empty(0, dtype=np.float32))
    types, head, relation, tail, confidence = edges_between(data, kind, kind)
    columns = both_ways(head, relation, tail, confidence, len(types))
    return (*types, *(f"{name}~" for name in types)), columns
