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
from kgrec.model.sparse_rows import entries_of

Floats = NDArray[np.float64]
# Where a square is smaller than this share of what it is the difference of, digits are lost.
_LOST = 1e-7
# Sparse rows of at most so many cells are multiplied as dense matrices, which takes less time.
_DENSE = 4_000_000
# Of a history of at most so many items all inner products are computed, once.
_WHOLE_GRAM = 1_000
# A history of more than one item in so many is multiplied with the whole matrix, which takes less
# time than to look for its rows.
_MANY = 12


@dataclass(frozen=True, eq=False)
class Moments:
    """Inner products over all items of what the items of a history give them.

    Attributes:
        kernel: the kernel.
        history: the whole history, of H items that count alike (v_h = 1).
    """

    kernel: Kernel
    history: Histories

    @classmethod
    def of(cls, kernel: Kernel, history: Histories) -> Moments:
        """Take the moments of one history; each is computed where it is first needed."""
        return cls(kernel, one_history(history))

    @property
    def prior(self) -> float:
        """|b|²."""
        return float(self.kernel.second_moment[-1, -1])

    @cached_property
    def factors(self) -> Floats:
        """The history factors of the items, [H, D]; D is 0 where there are none."""
        if self.kernel.history_factors is None:
            return np.zeros((len(self.history.item), 0))
        return np.asarray(self.kernel.history_factors[self.history.item], dtype=np.float64)

    @cached_property
    def with_whole(self) -> Floats:
        """s_h · Σ s_h, [H]."""
        kernel, items = self.kernel, self.history.item
        crossed, sums = kernel.rows_with_centred[items][:, :-1], kernel.row_sums[items]
        query, moment = self.factors.sum(axis=0), kernel.second_moment[:-1, :-1]
        found = self.factors @ (moment @ query + crossed.sum(axis=0)) + crossed @ query
        rows = kernel.counted_rows
        if rows is not None and len(items) * _MANY > rows.shape[0]:
            times = np.bincount(items, minlength=rows.shape[0]).astype(np.float64)
            found += (rows @ (times @ rows))[items]
        elif rows is not None:
            owner, column, weight = entries_of(rows, items)
            whole = np.bincount(column, weight, minlength=kernel.num_counted)
            found += np.bincount(owner, weight * whole[column], minlength=len(items))
        return np.asarray(found - sums * (sums.sum() / kernel.num_counted))

    @cached_property
    def whole(self) -> float:
        """|Σ s_h|²."""
        return float(self.with_whole.sum())

    @cached_property
    def with_prior(self) -> Floats:
        """s_h · b, [H]."""
        crossed = self.kernel.rows_with_centred[self.history.item][:, -1]
        return np.asarray(self.factors @ self.kernel.second_moment[-1, :-1] + crossed)

    @cached_property
    def squares(self) -> Floats:
        """|s_h|², [H]."""
        return self.kernel.squared_lengths[self.history.item]

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
            place, gram = place.reshape(removed.shape), self._products(positions)
        return np.asarray(gram[place[:, :, None], place[:, None, :]].sum(axis=(1, 2)))

    @cached_property
    def _gram(self) -> Floats:
        """The inner products s_h · s_h' of all history items, [H, H], for a search of many sets."""
        return self._products(np.arange(len(self.history.item)))

    def _products(self, positions: IntArray) -> Floats:
        """Return the inner products s_h · s_h' of history items at some positions, [N, N]."""
        kernel, items, factors = self.kernel, self.history.item[positions], self.factors[positions]
        crossed = kernel.rows_with_centred[items][:, :-1] @ factors.T
        products = factors @ kernel.second_moment[:-1, :-1] @ factors.T + crossed + crossed.T
        if kernel.counted_rows is not None:
            rows = sp.csr_matrix(kernel.counted_rows[items], dtype=np.float64)
            if math.prod(rows.shape) <= _DENSE:
                dense = rows.toarray()
                products += dense @ dense.T
            else:
                products += (rows @ rows.T).toarray()
        sums = kernel.row_sums[items]
        return np.asarray(products - np.outer(sums, sums) / kernel.num_counted)

    def _afresh(self, removed: IntArray) -> float:
        return float(self.kernel.spread(self.history.without(removed[None, :]))[0])
