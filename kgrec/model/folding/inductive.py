"""What an agent needs to compute the parts of an item that came after its training."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Protocol

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from kgrec.data.dataset import Dataset, FloatArray, IntArray
from kgrec.errors import ModelError
from kgrec.model.folding.knowledge_index import KnowledgeIndex

Floats = NDArray[np.float64]
Encode = Callable[[Sequence[str]], FloatArray]
Multiply = Callable[[Floats], Floats]
"""The similarities of the trained kernel times columns, [I, M] → [I, M]."""
LEAST = 1e-6
"""Least length that a vector is divided by, as in torch's normalize of the networks."""


@dataclass(frozen=True, eq=False)
class NewItems:
    """What is known of M items that came after the training.

    Attributes:
        data: texts, facts and links of these items alone, without interactions.
        index: the knowledge features of the trained items.
        encode: the text encoder, or None where there is none.
    """

    data: Dataset
    index: KnowledgeIndex
    encode: Encode | None

    def __len__(self) -> int:
        return self.data.num_items

    @cached_property
    def features(self) -> sp.csr_matrix:
        """The knowledge features that trained items have as well, CSR float32 [M, K]."""
        return self.index.features_of(self.data)

    def sentence_vectors(self, max_names: int | None, width: int) -> tuple[FloatArray, Any]:
        """Return sentence vectors of the texts, zeros for an empty one, and which are not empty.

        Args:
            max_names: maximum number of entity names that are added to a text; None adds none.
            width: size of the vectors.

        Returns:
            float32 [M, width] and bool [M].

        Raises:
            ModelError: the encoder fails, or gives vectors of another size.
        """
        texts = list(self.data.item_texts or ("",) * len(self))
        if max_names is not None:
            texts = self.data.described_items(max_names)
        written = np.array([bool(text.strip()) for text in texts], dtype=np.bool_)
        vectors = np.zeros((len(self), width), dtype=np.float32)
        if not written.any() or self.encode is None:
            return vectors, np.zeros(len(self), dtype=np.bool_)
        found = self.encode([text for text, kept in zip(texts, written, strict=True) if kept])
        if found.shape[1] != width:
            raise ModelError(
                "the text encoder is not the one that the model was trained with",
                value=f"{found.shape[1]} dimensions, expected {width}",
                remedy="Name the encoder of the training, or train again.",
            )
        vectors[written] = found
        return vectors, written


@dataclass(frozen=True, eq=False)
class FoldedRows:
    """The parts of M new items in one kernel.

    Attributes:
        history_factors, item_factors: float32 [M, D], or None of a kernel without factors.
        prior: float32 [M], or None of a kernel without a prior.
        received: what trained history items add to the new items, CSR float32 [I, M], or None of
            a kernel without sparse rows.
        given: what the new items add to trained items, CSR float32 [M, I].
        content: vectors of the new items in the history reader, float32 [M, d], or None.
    """

    history_factors: FloatArray | None = None
    item_factors: FloatArray | None = None
    prior: FloatArray | None = None
    received: sp.csr_matrix | None = None
    given: sp.csr_matrix | None = None
    content: FloatArray | None = None


class Inductive(Protocol):
    """Computes the parts of new items in one kernel; what is learned from interactions is 0."""

    name: ClassVar[str]

    def fold(self, new: NewItems, multiply: Multiply) -> FoldedRows:
        """Return the parts of new items.

        Args:
            new: the items.
            multiply: the similarities of the trained kernel times columns.

        Raises:
            ModelError: the text encoder fails.
        """

    def revise(
        self, changed: NewItems, trained: FoldedRows, rows: IntArray, multiply: Multiply
    ) -> FoldedRows:
        """Return the parts of trained items whose text or facts are others now.

        What was learned from the interactions of an item stays; an item that has not changed keeps
        its parts.

        Args:
            changed: the items as they are now; their index counts no new item.
            trained: their parts in the trained kernel.
            rows: of the items in the training, int64 [M].
        """

    def settings(self) -> dict[str, Any]:
        """Return what is no array, as plain values."""

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays by name."""


@dataclass(frozen=True, eq=False)
class Folding:
    """What a team needs to fold items in; stored beside the model.

    Attributes:
        index: the knowledge features of the trained items.
        formulas: by agent; an agent without one knows nothing of a new item.
        mean_value: value that an item without ratings gets on average.
        marks: of the trained items (see `marks_of`), by which a change of text or facts is found;
            none of a model of an earlier version, whose trained items stay as they are.
    """

    index: KnowledgeIndex
    formulas: Mapping[str, Inductive]
    mean_value: float = 0.0
    marks: tuple[str, ...] = ()


def marks_of(data: Dataset) -> list[str]:
    """Return 8 hex digits of the text and 8 of the facts of each item, which change with them."""
    facts, own = data.facts, [[] for _ in range(data.num_items)]  # type: ignore[var-annotated]
    columns = facts.item, facts.relation, facts.entity, facts.confidence
    for item, relation, entity, sure in zip(*(each.tolist() for each in columns), strict=True):
        own[item].append((facts.relations[relation], data.entities.id(entity), round(sure, 6)))
    texts = data.item_texts or ("",) * data.num_items
    return [
        _digest(text) + _digest(json.dumps(sorted(known)))
        for text, known in zip(texts, own, strict=True)
    ]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]


def unit_rows(vectors: NDArray[Any], least: float) -> FloatArray:
    """Return rows of length 1; shorter ones than `least` are divided by it."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(length, least), dtype=np.float32)
