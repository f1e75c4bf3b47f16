"""How far an agent's scores spread under any part of one history, without scoring the items.

The squared spread is a quadratic form: with s_h what history item h gives every item, less its
mean, and b the prior less its mean, it is |n^-p · Σ s_h + b|² / I. Taking a few items out of the
sum needs only inner products with the whole sum and among those few.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from kgrec.data.dataset import IntArray
from kgrec.model.histories import Histories, one_history
from kgrec.model.kernel import Kernel
from kgrec.model.remaining import Remaining

Floats = NDArray[np.float64]
# Where a square is smaller than this share of what it is the difference of, digits are lost.
_LOST = 1e-7
# Sparse rows of at most so many cells are multiplied as dense matrices, which takes less time.
_DENSE = 4_000_000
# Of a history of at most so many items all inner products are computed, once.
_WHOLE_GRAM = 1_000


@dataclass(frozen=True, eq=False)
class Moments:
    """Inner products over all items of what the items of a history give them.

    Attributes:
        kernel: the kernel.
        history: the whole history, of H items that count alike (v_h = 1).
        whole: |Σ s_h|².
        prior: |b|².
        with_whole, with_prior: s_h · Σ s_h and s_h · b, [H].
        squares: |s_h|², [H].
    """

    kernel: Kernel
    history: Histories
    whole: float
    prior: float
    with_whole: Floats
    with_prior: Floats
    squares: Floats

    @classmethod
    def of(cls, kernel: Kernel, history: Histories) -> Moments:
        """Take the moments of one history: O(H D²) and its sparse rows, once."""
        history = one_history(history)
        vectors = _ScoreVectors.of(kernel, history.item)
        with_whole = vectors.products(vectors.summed())[:, 0]
        last = kernel.second_moment[-1]
        with_prior = vectors.factors @ last[:-1] + vectors.crossed[:, -1]
        whole, prior = float(with_whole.sum()), float(last[-1])
        return cls(kernel, history, whole, prior, with_whole, with_prior, vectors.squares())

    def spreads(self, removed: IntArray, weights: Floats | None = None) -> Floats:
        """Return the standard deviation of the scores over all items, [S].

        Args:
            removed: positions in the history that are removed, distinct in each row, [S, N].
            weights: what the kernel's `weights_without` gives for them, [S, H], where it is known.
        """
        if self.kernel.attention is not None:  # what is left counts otherwise than before
            return self._attended(Remaining(self.history, removed), weights)
        count = len(self.history.item) - removed.shape[1]
        scale = max(count, 1) ** -self.kernel.history_power
        summed = self.whole - 2.0 * self.with_whole[removed].sum(axis=1) + self._among(removed)
        crossed = self.with_prior.sum() - self.with_prior[removed].sum(axis=1)
        square = scale**2 * summed + 2.0 * scale * crossed + self.prior
        size = scale**2 * (self.whole + self.squares[removed].sum(axis=1)) + self.prior
        spreads = np.sqrt(np.maximum(square / self.kernel.num_counted, 0.0))
        for row in np.flatnonzero((square < _LOST * size) | (count == 0)):
            spreads[row] = self._afresh(removed[row])
        return np.asarray(spreads)

    def _attended(self, remaining: Remaining, weights: Floats | None) -> Floats:
        """Return `spreads` where the weights depend on what is left."""
        kernel = self.kernel
        if weights is None:
            weights = kernel.weights_without(remaining)
        if kernel.rows is not None or kernel.history_factors is None:
            return kernel.spread(remaining.histories, weights[remaining.kept].astype(np.float32))
        query = weights @ kernel.history_factors[self.history.item].astype(np.float64)
        query = np.hstack([query, np.ones((len(query), 1))])
        square = np.einsum("sd,sd->s", query @ kernel.second_moment, query)
        return np.asarray(np.sqrt(np.maximum(square / kernel.num_counted, 0.0)))

    def _among(self, removed: IntArray) -> Floats:
        """Return |Σ s_h|² of the removed items, [S]."""
        if removed.shape[1] == 0:
            return np.zeros(len(removed))
        if removed.shape[1] == 1:
            return self.squares[removed[:, 0]]
        if len(self.history.item) <= _WHOLE_GRAM:
            place, gram = removed, self._gram
        else:
            positions, place = np.unique(removed, return_inverse=True)
            place = place.reshape(removed.shape)
            vectors = _ScoreVectors.of(self.kernel, self.history.item[positions])
            gram = vectors.products(vectors)
        return np.asarray(gram[place[:, :, None], place[:, None, :]].sum(axis=(1, 2)))

    @cached_property
    def _gram(self) -> Floats:
        """The inner products s_h · s_h' of all history items, [H, H], for a search of many sets."""
        vectors = _ScoreVectors.of(self.kernel, self.history.item)
        return vectors.products(vectors)

    def _afresh(self, removed: IntArray) -> float:
        return float(self.kernel.spread(self.history.without(removed[None, :]))[0])


@dataclass(frozen=True, eq=False)
class _ScoreVectors:
    """What some history items give every item: factors [N, D], sparse rows, sums, products."""

    kernel: Kernel
    factors: Floats
    rows: sp.csr_matrix
    crossed: Floats
    sums: Floats

    @classmethod
    def of(cls, kernel: Kernel, history: IntArray) -> _ScoreVectors:
        factors = np.zeros((len(history), 0))
        if kernel.history_factors is not None:
            factors = kernel.history_factors[history].astype(np.float64)
        rows = sp.csr_matrix((len(history), kernel.num_counted))
        if kernel.counted_rows is not None:
            rows = sp.csr_matrix(kernel.counted_rows[history], dtype=np.float64)
        crossed, sums = kernel.rows_with_centred[history], kernel.row_sums[history]
        return cls(kernel, factors, rows, crossed, sums)

    def summed(self) -> _ScoreVectors:
        """Add them up."""
        rows = sp.csr_matrix(self.rows.sum(axis=0))
        parts = [part.sum(axis=0, keepdims=True) for part in (self.factors, self.crossed)]
        return _ScoreVectors(self.kernel, parts[0], rows, parts[1], np.array([self.sums.sum()]))

    def products(self, other: _ScoreVectors) -> Floats:
        """Return the inner products with others over the centred items, [N, M]."""
        products = self.factors @ self.kernel.second_moment[:-1, :-1] @ other.factors.T
        products += self.crossed[:, :-1] @ other.factors.T + self.factors @ other.crossed[:, :-1].T
        products += self._of_rows(other)
        return np.asarray(products - np.outer(self.sums, other.sums) / self.kernel.num_counted)

    def _of_rows(self, other: _ScoreVectors) -> Floats:
        """Return the inner products of the sparse rows, [N, M]."""
        if math.prod(self.rows.shape) <= _DENSE:
            return np.asarray(self.rows.toarray() @ other.rows.toarray().T)
        if other.rows.shape[0] == 1:
            return np.asarray(self.rows @ other.rows.toarray().T)
        return np.asarray((self.rows @ other.rows.T).toarray())

    def squares(self) -> Floats:
        """Return the squared lengths, [N]."""
        moment = self.kernel.second_moment[:-1, :-1]
        squares = np.einsum("nd,nd->n", self.factors @ moment, self.factors)
        squares += 2.0 * np.einsum("nd,nd->n", self.crossed[:, :-1], self.factors)
        squares += np.asarray(self.rows.multiply(self.rows).sum(axis=1)).ravel()
        return np.asarray(squares - self.sums**2 / self.kernel.num_counted)
