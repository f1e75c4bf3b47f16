"""Sentence vectors in principal directions: centred, whitened and truncated."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kgrec.data.dataset import FloatArray
from kgrec.learning.agent import Encode


def memoised(encode: Encode) -> Encode:
    """Return an encoder that computes each text once, since agents encode the same texts."""
    known: dict[str, FloatArray] = {}

    def encode_once(texts: Sequence[str]) -> FloatArray:
        fresh = [text for text in dict.fromkeys(texts) if text not in known]
        if fresh or not texts:
            encoded = encode(fresh)
            if not texts:
                return encoded
            known.update(zip(fresh, encoded, strict=True))
        return np.stack([known[text] for text in texts])

    return encode_once


def principal_vectors(
    vectors: FloatArray, size: int, *, whitening: float = 0.5
) -> FloatArray | None:
    """Return unit vectors on the first principal directions, float32 [N, min(size, D)].

    Half whitened by default (Su et al. 2021, "Whitening Sentence Representations"). A zero vector,
    of an empty text, stays zero and does not influence the directions.

    Args:
        vectors: float32 [N, D].
        size: number of directions.
        whitening: 0 keeps the variances of the directions, 1 makes them equal.

    Returns:
        None where fewer than two texts are not empty.
    """
    directions = directions_of(vectors)
    return None if directions is None else directions.project(size, whitening)


def directions_of(vectors: FloatArray) -> Directions | None:
    """Return the principal directions of sentence vectors, [N, D]; see `principal_vectors`."""
    rows = np.flatnonzero(vectors.any(axis=1))
    return None if len(rows) < 2 else Directions(vectors[rows], rows, len(vectors))


class Directions:
    """The principal directions of sentence vectors.

    Args:
        encoded: vectors of these rows, float32 [N, D].
        rows: rows with a text, int64 [N].
        num_rows: I.

    Attributes:
        mean: of the vectors, float64 [D].
    """

    def __init__(self, encoded: FloatArray, rows: NDArray[np.intp], num_rows: int) -> None:
        self._rows, self._num_rows = rows, num_rows
        self.mean = encoded.mean(axis=0, dtype=np.float64)
        self._centred = encoded.astype(np.float64) - self.mean
        variance, directions = np.linalg.eigh(self._centred.T @ self._centred / len(encoded))
        order = np.argsort(-variance)
        self._variance, self._directions = variance[order], directions[:, order]

    def project(self, size: int | None, whitening: float) -> FloatArray:
        """Return unit vectors on the first `size` directions or all, float32 [I, min(size, D)]."""
        projected = self._centred @ self.matrix(size, whitening)
        length = np.linalg.norm(projected, axis=1, keepdims=True)
        projected = np.divide(projected, length, out=np.zeros_like(projected), where=length > 1e-9)
        vectors = np.zeros((self._num_rows, projected.shape[1]), dtype=np.float32)
        vectors[self._rows] = projected
        return vectors

    def matrix(self, size: int | None, whitening: float) -> NDArray[np.float64]:
        """Return the map of centred vectors to the first `size` directions, [D, min(size, D)]."""
        scale = np.maximum(self._variance[:size], 1e-9) ** (-whitening / 2)
        return np.asarray(self._directions[:, :size] * scale)
