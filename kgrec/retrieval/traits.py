"""What rules know of items: their facts, texts and interactions, and which pass a filter.

Read when a rule needs it and for the items that it needs, from the catalogue in memory where there
is one, else from the graph; each once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kgrec.data.dataset import IntArray
from kgrec.graph.store import GraphStore
from kgrec.retrieval.filters import Filter, passing_rows
from kgrec.retrieval.live import LiveModel
from kgrec.retrieval.snapshot import Snapshot

Fact = tuple[str, str]
"""A relation type and the id of an entity."""


@dataclass(frozen=True, eq=False)
class Traits:
    """Reads and keeps what rules need of the items of a model.

    Attributes:
        store: the graph.
        live: the model; rows are those of its items.
        snapshot: the catalogue in memory, or None.
    """

    store: GraphStore
    live: LiveModel
    snapshot: Snapshot | None = None
    _facts: dict[int, frozenset[Fact]] = field(default_factory=dict)
    _interactions: dict[int, int] = field(default_factory=dict)
    _texts: dict[int, str] = field(default_factory=dict)
    _passed: dict[Filter, NDArray[np.bool_]] = field(default_factory=dict)

    def facts(self, rows: IntArray) -> list[frozenset[Fact]]:
        """Return the facts of items."""
        left = [row for row in rows.tolist() if row not in self._facts]
        if left:
            some = self._read_facts(self._ids(left))
            self._facts.update(zip(left, map(frozenset, some), strict=True))
        return [self._facts[row] for row in rows.tolist()]

    def entities(self, rows: IntArray, relations: Sequence[str]) -> list[list[str]]:
        """Return the entities that some relations tie items to, in the order of their ids."""
        return [
            sorted({entity for relation, entity in facts if relation in relations})
            for facts in self.facts(rows)
        ]

    def interactions(self, rows: IntArray) -> IntArray:
        """Return how many interactions items have, int64 [C]."""
        left = [row for row in rows.tolist() if row not in self._interactions]
        if left:
            label = self.live.selection.label
            answer = self.store.read("recommend/popularity_of", items=self._ids(left), label=label)
            counts = {row["item_id"]: int(row["interactions"]) for row in answer}
            ids = self._ids(left)
            self._interactions.update(zip(left, (counts.get(i, 0) for i in ids), strict=True))
        return np.array([self._interactions[row] for row in rows.tolist()], dtype=np.int64)

    def texts(self, rows: IntArray) -> list[str]:
        """Return title and description of items."""
        left = [row for row in rows.tolist() if row not in self._texts]
        if left:
            answer = self.store.read("recommend/texts_of_items", items=self._ids(left))
            texts = {row["item_id"]: str(row["text"]) for row in answer}
            ids = self._ids(left)
            self._texts.update(zip(left, (texts.get(i, "") for i in ids), strict=True))
        return [self._texts[row] for row in rows.tolist()]

    def passing(self, group: Filter) -> NDArray[np.bool_]:
        """Return which items of the model pass a filter, bool [I]."""
        if group not in self._passed:
            items = self.live.team.items
            passed = passing_rows(self.store, items, [group], self.snapshot)
            assert passed is not None  # noqa: S101 - there is a filter
            self._passed[group] = passed
        return self._passed[group]

    def _read_facts(self, ids: list[str]) -> list[set[Fact]]:
        snapshot = self.snapshot
        if snapshot is not None and snapshot.ties:
            return [snapshot.facts_of(each) for each in ids]
        found: list[set[Fact]] = [set() for _ in ids]
        for page in self.store.read("recommend/facts_of_items", items=ids):
            columns = (page["rows"], page["relations"], page["entities"])
            for row, relation, entity in zip(*columns, strict=True):
                found[row].add((relation, entity))
        return found

    def _ids(self, rows: Sequence[int]) -> list[str]:
        return self.live.team.items.take(np.array(rows, dtype=np.int64))
