"""Sentence vectors along their principal directions: centred, whitened, cut to a few."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kgrec.data.dataset import Dataset, FloatArray
from kgrec.errors import ModelError
from kgrec.learning.agent import Encode


def remembering(encode: Encode) -> Encode:
    """Return an encoder that computes each text once, as agents read the same texts."""
    known: dict[str, FloatArray] = {}

    def remembered(texts: Sequence[str]) -> FloatArray:
        fresh = [text for text in dict.fromkeys(texts) if text not in known]
        if fresh or not texts:
            encoded = encode(fresh)
            if not texts:
                return encoded
            known.update(zip(fresh, encoded, strict=True))
        return np.stack([known[text] for text in texts])

    return remembered


def item_texts(dataset: Dataset, max_names: int) -> list[str]:
    """Return the text of each item followed by the distinct names of its entities, [I]."""
    names: list[dict[str, None]] = [{} for _ in range(dataset.num_items)]
    if dataset.entity_names:
        for item, entity in zip(dataset.facts.item, dataset.facts.entity, strict=True):
            if dataset.entity_names[entity]:
                names[item][dataset.entity_names[entity]] = None
    texts = dataset.item_texts or ("",) * dataset.num_items
    return [
        ". ".join(
            [text.strip().rstrip(".")] * bool(text.strip()) + [", ".join(known)] * bool(known)
        )
        for text, known in ((t, list(n)[:max_names]) for t, n in zip(texts, names, strict=True))
    ]


def sentence_inputs(
    texts: Sequence[str], encode: Encode | None, size: int, *, whitening: float = 0.5
) -> FloatArray | None:
    """Return unit vectors on the first principal directions, float32 [N, min(size, D)].

    Half whitened (Su et al. 2021, "Whitening Sentence Representations"), by default. An empty
    text has the zero vector.

    Args:
        size: directions that are kept.
        whitening: 0 leaves the directions as long as they are, 1 makes them equally long.

    Returns:
        None where fewer than two texts say anything, or there is no encoder.
    """
    rows = np.flatnonzero([bool(text.strip()) for text in texts])
    if len(rows) < 2 or encode is None:
        return None
    try:
        encoded = encode([texts[int(row)] for row in rows])
    except ModelError:  # No language model is at hand; what is known in edges remains.
        return None
    return Directions(encoded, rows, len(texts)).project(size, whitening)


class Directions:
    """The principal directions of sentence vectors.

    Args:
        encoded: float32 [N, D] of the rows in `spoken`.
        spoken: rows that have a text, int64 [N].
        num_rows: I.
    """

    def __init__(self, encoded: FloatArray, spoken: NDArray[np.intp], num_rows: int) -> None:
        self._spoken, self._num_rows = spoken, num_rows
        self._centred = encoded.astype(np.float64) - encoded.mean(axis=0, dtype=np.float64)
        variance, directions = np.linalg.eigh(self._centred.T @ self._centred / len(encoded))
        order = np.argsort(-variance)
        self._variance, self._directions = variance[order], directions[:, order]

    def project(self, size: int | None, whitening: float) -> FloatArray:
        """Return unit vectors on the first `size` directions or all, float32 [I, min(size, D)]."""
        scale = np.maximum(self._variance[:size], 1e-9) ** (-whitening / 2)
        projected = self._centred @ (self._directions[:, :size] * scale)
        length = np.linalg.norm(projected, axis=1, keepdims=True)
        projected = np.divide(projected, length, out=np.zeros_like(projected), where=length > 1e-9)
        vectors = np.zeros((self._num_rows, projected.shape[1]), dtype=np.float32)
        vectors[self._spoken] = projected
        return vectors
