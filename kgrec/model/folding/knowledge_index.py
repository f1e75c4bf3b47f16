"""The knowledge features of the trained items, by which those of new items are found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from kgrec.data.dataset import Dataset, FloatArray, IntArray, LinkType
from kgrec.data.vocabulary import Vocabulary

OF_FACTS, OF_LINKED_ENTITIES, OF_LINKED_ITEMS = 0, 1, 2
"""Kinds of feature: (relation, entity), (relation, link, entity) and (link, item)."""


@dataclass(frozen=True, eq=False)
class KnowledgeIndex:
    """Features of the trained items, and what each of them stands for.

    Attributes:
        entities: of the training data.
        relations: relation types of facts.
        link_types: relation types of links; links of the reverse direction follow them.
        keys: kind, relation or -1, link or -1, and entity or item of each feature, int64 [K, 4].
        features: confidences, CSR float32 [I, K]; those of a single item are here as well, since a
            new item may share them, and features over links are not discounted.
        links: entity, link, linked entity, int64 [L, 3], in both directions.
        link_confidence: float32 [L].
        arriving: what an item adds to the degrees of its features: 1 for a new one, 0 for a trained
            one, which they count already.
    """

    entities: Vocabulary
    relations: tuple[str, ...]
    link_types: tuple[LinkType, ...]
    keys: IntArray
    features: sp.csr_matrix
    links: IntArray
    link_confidence: FloatArray
    arriving: int = 1

    @cached_property
    def held_by(self) -> IntArray:
        """Number of trained items with each feature, int64 [K]."""
        return np.bincount(self.features.indices, minlength=len(self.keys)).astype(np.int64)

    @property
    def learned(self) -> IntArray:
        """Columns of the facts that two trained items or more have, as of embeddings, int64."""
        return np.flatnonzero((self.keys[:, 0] == OF_FACTS) & (self.held_by >= 2))

    def by_degree(self, features: sp.csr_matrix, decay: float) -> sp.csr_matrix:
        """Return features with weights 1/√degree, the degree with one new item, CSR float32.

        Args:
            features: of trained or new items, [N, K].
            decay: weight of features over links.
        """
        scale = np.maximum(self.held_by + self.arriving, 1.0) ** -0.5 * self._discount(decay)
        return sp.csr_matrix(features @ sp.diags_array(scale), dtype=np.float32)

    def cosines(self, new: sp.csr_matrix, decay: float) -> sp.csr_matrix:
        """Return the cosine of features with IDF weights, CSR float32 [M, I].

        Degrees are those with one new item; in the length of a trained item, as in the training, a
        feature of that item alone has no part.

        Args:
            new: features of new items, CSR [M, K].
            decay: weight of features over links.
        """
        size, discount = self.features.shape[0], self._discount(decay)
        degree = np.maximum(self.held_by + self.arriving, 1.0)
        weight = np.maximum(np.log(size / degree), 0.0) * discount
        trained = sp.csr_matrix(self.features @ sp.diags_array(weight))
        shared = np.where(self.held_by >= 2, weight, 0.0)
        trained = _divided(trained, _lengths(self.features @ sp.diags_array(shared)))
        weighted = sp.csr_matrix(new @ sp.diags_array(np.where(degree >= 2, weight, 0.0)))
        own = _divided(weighted, _lengths(weighted))
        found = sp.csr_matrix(own @ trained.T, dtype=np.float32)
        found.data = np.minimum(found.data, 1.0)
        return found

    def _discount(self, decay: float) -> FloatArray:
        """Return the weight of each feature, `decay` for those over links, float32 [K]."""
        return np.where(self.keys[:, 0] == OF_FACTS, 1.0, decay).astype(np.float32)

    def features_of(self, data: Dataset) -> sp.csr_matrix:
        """Return the features of new items that trained items have too, CSR float32 [M, K].

        Links between entities are those of the training data; links of the new items to other
        items are left out.
        """
        facts = data.facts
        relation = _places(self.relations, facts.relations)[facts.relation]
        entity = self.entities.rows(data.entities.ids)[facts.entity]
        known = (relation >= 0) & (entity >= 0)
        item, relation, entity = facts.item[known], relation[known], entity[known]
        sure = facts.confidence[known]
        hop = self._over_links(item, relation, entity, sure)
        none = np.full(len(item), -1, dtype=np.int64)
        kinds = np.full(len(item), OF_FACTS, dtype=np.int64)
        keys = np.concatenate([np.column_stack([kinds, relation, none, entity]), hop[1]])
        rows, values = np.concatenate([item, hop[0]]), np.concatenate([sure, hop[2]])
        column = self._columns(keys)
        kept = column >= 0
        return _largest(rows[kept], column[kept], values[kept], (data.num_items, len(self.keys)))

    def _over_links(
        self, item: IntArray, relation: IntArray, entity: IntArray, sure: FloatArray
    ) -> tuple[IntArray, IntArray, FloatArray]:
        """Return items, keys and confidences of the features over the links of their entities."""
        head = self.links[:, 0]  # sorted
        first, last = np.searchsorted(head, entity), np.searchsorted(head, entity, side="right")
        count = last - first
        fact = np.repeat(np.arange(len(entity)), count)
        edge = np.arange(count.sum()) + np.repeat(first - (np.cumsum(count) - count), count)
        kinds = np.full(len(edge), OF_LINKED_ENTITIES, dtype=np.int64)
        keys = np.column_stack([kinds, relation[fact], self.links[edge, 1], self.links[edge, 2]])
        values = sure[fact] * self.link_confidence[edge]
        return item[fact], keys.reshape(-1, 4), np.asarray(values, dtype=np.float32)

    def _columns(self, keys: IntArray) -> IntArray:
        """Return the column of each key, int64 [N]; -1 for one that no trained item has."""
        place = self._place
        rows = (place.get(tuple(key), -1) for key in keys.tolist())
        return np.fromiter(rows, dtype=np.int64, count=len(keys))

    @cached_property
    def _place(self) -> dict[tuple[int, ...], int]:
        return {tuple(key): column for column, key in enumerate(self.keys.tolist())}

    def settings(self) -> dict[str, Any]:
        """Return what is no array, as plain values."""
        return {
            "entities": list(self.entities.ids),
            "relations": list(self.relations),
            "link_types": [list(kind) for kind in self.link_types],
            "items": int(self.features.shape[0]),
        }

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays by name."""
        return {
            "keys": self.keys,
            "data": self.features.data.astype(np.float32),
            "indices": self.features.indices.astype(np.int32),
            "indptr": self.features.indptr.astype(np.int64),
            "links": self.links,
            "link_confidence": self.link_confidence,
        }

    @classmethod
    def load(cls, settings: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Read what `settings` and `arrays` returned."""
        shape = int(settings["items"]), len(arrays["keys"])
        parts = arrays["data"], arrays["indices"], arrays["indptr"]
        return cls(
            Vocabulary(settings["entities"]),
            tuple(settings["relations"]),
            tuple(LinkType(*kind) for kind in settings["link_types"]),
            arrays["keys"],
            sp.csr_matrix(parts, shape=shape),
            arrays["links"],
            arrays["link_confidence"],
        )


def _places(known: tuple[str, ...], names: tuple[str, ...]) -> IntArray:
    place = {name: n for n, name in enumerate(known)}
    return np.array([place.get(name, -1) for name in names] or [-1], dtype=np.int64)


def _largest(
    item: IntArray, column: IntArray, value: FloatArray, shape: tuple[int, int]
) -> sp.csr_matrix:
    """Return the largest value of each cell, CSR float32."""
    cell, place = np.unique(item * max(shape[1], 1) + column, return_inverse=True)
    largest = np.zeros(len(cell), dtype=np.float32)
    np.maximum.at(largest, place, value)
    return sp.csr_matrix((largest, np.divmod(cell, max(shape[1], 1))), shape=shape)


def _lengths(rows: sp.csr_matrix) -> NDArray[np.float64]:
    return np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1), dtype=np.float64)).ravel()


def _divided(rows: sp.csr_matrix, lengths: NDArray[np.float64]) -> sp.csr_matrix:
    scale = np.divide(1.0, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    return sp.csr_matrix(sp.diags_array(scale) @ rows)
