"""The parts of new items in the knowledge agent: attention over their entities, and their text.

    A = [0 ; c · rownorm(T x + Σ_e a_e (1 + v_r) ⊙ h_e)], or without texts the sum alone

with `x` the text in principal directions, `h_e` the entities as the training left them, and `a_e`
a softmax over the entities of the item. The first block is learned from interactions, so it is 0.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from kgrec.data.dataset import FloatArray, IntArray
from kgrec.model.folding.formulas import Formula, in_directions
from kgrec.model.folding.inductive import LEAST, FoldedRows, Multiply, NewItems, unit_rows


@dataclass(frozen=True, eq=False)
class AttentionFormula(Formula):
    """Parts from the entities of an item, by the attention of its relations, and from its text.

    Attributes:
        entities: h_e of the entities of the typed graph, float32 [N, X].
        entity_rows: their rows among the entities of the training data, int64 [N].
        degree: log of the facts of each of them, float32 [N].
        query, key: float32 [X, d].
        relation_key, relation_value: 1 + w_r and 1 + v_r, float32 [R, d] and [R, X].
        relation_bias: b_r, float32 [R].
        hub: factor of the degree.
        tau: temperature of the cosine.
        cold_prior: prior of a cold item.
        width: size of the first block of the factors, which is 0 for a cold item.
        weight: c, factor of the second block.
        mean, directions: of the sentence vectors, float32 [S] and [S, X'], or None without texts.
        map: T, float32 [X', X], or None.
        max_names: maximum number of entity names that are added to a text.
    """

    name: ClassVar[str] = "attention"

    entities: FloatArray
    entity_rows: IntArray
    degree: FloatArray
    query: FloatArray
    key: FloatArray
    relation_key: FloatArray
    relation_value: FloatArray
    relation_bias: FloatArray
    hub: float
    tau: float
    cold_prior: float
    width: int
    weight: float
    mean: FloatArray | None
    directions: FloatArray | None
    map: FloatArray | None
    max_names: int

    def fold(self, new: NewItems, multiply: Multiply) -> FoldedRows:
        """Return the parts of new items; see `Inductive.fold`."""
        items = np.zeros((len(new), self.entities.shape[1]), dtype=np.float32)
        if self.mean is not None and self.directions is not None and self.map is not None:
            texts, written = new.sentence_vectors(self.max_names, len(self.mean))
            items = in_directions(texts, written, self.mean, self.directions) @ self.map
        vectors = unit_rows(items + self._messages(new, items), LEAST)
        first = np.zeros((len(new), self.width), dtype=np.float32)
        vectors = np.hstack([first, np.float32(self.weight) * vectors])
        prior = np.full(len(new), self.cold_prior, dtype=np.float32)
        return FoldedRows(np.asarray(vectors / self.tau, dtype=np.float32), vectors, prior)

    def revise(
        self, changed: NewItems, trained: FoldedRows, rows: IntArray, multiply: Multiply
    ) -> FoldedRows:
        """Return the parts with a second block from the new text and facts, of the length it had.

        Without texts there is one block, which starts from what interactions taught; it stays.
        """
        vectors, factors = trained.item_factors, trained.history_factors
        if self.map is None or vectors is None or factors is None:
            return trained
        new = self.fold(changed, multiply).item_factors
        assert new is not None  # noqa: S101 - fold has returned them
        length = np.linalg.norm(vectors[:, self.width :], axis=1, keepdims=True)
        length[length < LEAST] = self.weight  # it had neither text nor facts
        block = np.float32(1 / self.weight) * length * new[:, self.width :]
        both = np.hstack([vectors[:, : self.width], block]).astype(np.float32)
        first = factors[:, : self.width]
        wide = np.hstack([first, block / self.tau]).astype(np.float32)
        return replace(trained, history_factors=wide, item_factors=both)

    def _messages(self, new: NewItems, items: FloatArray) -> FloatArray:
        """Return what the entities of each item send to it, float32 [M, X]."""
        facts, index = new.data.facts, new.index
        place = np.full(len(index.entities) + 1, -1, dtype=np.int64)  # the last stands for unknown
        place[self.entity_rows] = np.arange(len(self.entity_rows))
        entity = place[index.entities.rows(new.data.entities.ids)][facts.entity]
        names = {name: n for n, name in enumerate(index.relations)}
        codes = np.array([names.get(name, -1) for name in facts.relations] or [-1], dtype=np.int64)
        relation = codes[facts.relation]
        kept = (entity >= 0) & (relation >= 0)
        item, entity, relation = facts.item[kept], entity[kept], relation[kept]
        ends = (self.entities @ self.key)[entity] * self.relation_key[relation]
        logits = np.einsum("ed,ed->e", (items @ self.query)[item], ends)
        logits = logits * self.query.shape[1] ** -0.5 + np.log(facts.confidence[kept])
        logits = logits + self.relation_bias[relation] + self.hub * self.degree[entity]
        top = np.full(len(new), -np.inf)
        np.maximum.at(top, item, logits)
        strength = np.exp(logits - top[item])
        total = np.bincount(item, weights=strength, minlength=len(new))
        share = strength / total[item]
        messages = np.zeros(items.shape, dtype=np.float64)
        sent = share[:, None] * self.relation_value[relation] * self.entities[entity]
        np.add.at(messages, item, sent)
        return messages.astype(np.float32)
