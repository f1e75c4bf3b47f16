"""The typed graph as columns: facts between items and the entities that items share."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kgrec.data.dataset import Dataset, FloatArray, IntArray


@dataclass(frozen=True)
class TypedGraph:
    """Facts, sorted by item.

    An entity that a single item holds connects it with nothing and is left out.

    Attributes:
        item, relation, entity: int64 [F]; `entity` counts the entities that are kept.
        confidence: float32 [F] in (0, 1].
        entities: rows of the kept entities in the data set, int64 [N].
        item_degree, entity_degree: facts that a node is in, float32 [I] and [N].
        relations: relation types, [R].
    """

    item: IntArray
    relation: IntArray
    entity: IntArray
    confidence: FloatArray
    entities: IntArray
    item_degree: FloatArray
    entity_degree: FloatArray
    relations: tuple[str, ...]

    @classmethod
    def of(cls, dataset: Dataset) -> TypedGraph:
        """Take the facts of a data set."""
        facts = dataset.facts
        pair = np.unique(facts.entity * max(dataset.num_items, 1) + facts.item)
        holders = np.bincount(pair // max(dataset.num_items, 1), minlength=len(dataset.entities))
        entities = np.flatnonzero(holders >= 2).astype(np.int64)
        order = np.lexsort((facts.relation, facts.entity, facts.item))
        order = order[holders[facts.entity[order]] >= 2]
        item = facts.item[order]
        entity = np.searchsorted(entities, facts.entity[order]).astype(np.int64)
        return cls(
            item,
            facts.relation[order],
            entity,
            facts.confidence[order],
            entities,
            np.bincount(item, minlength=dataset.num_items).astype(np.float32),
            np.bincount(entity, minlength=len(entities)).astype(np.float32),
            facts.relations,
        )

    def __len__(self) -> int:
        return len(self.item)

    @property
    def num_items(self) -> int:
        return len(self.item_degree)

    @property
    def num_entities(self) -> int:
        return len(self.entities)

    def sample(self, most: int, rng: np.random.Generator) -> TypedGraph:
        """Return at most so many of the facts, drawn by chance, over the same nodes and degrees."""
        if len(self) <= most:
            return self
        drawn: NDArray[np.int64] = np.sort(rng.choice(len(self), most, replace=False))
        return replace(
            self,
            item=self.item[drawn],
            relation=self.relation[drawn],
            entity=self.entity[drawn],
            confidence=self.confidence[drawn],
        )
