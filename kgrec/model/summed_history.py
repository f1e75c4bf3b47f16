"""One history summed by one kernel, once for all that is computed from the sums.

The spread of the scores, the scores of the catalogue and those of the gate's probes all need the
same two sums over the history: its query, Σ_h w_h F_h, and its sparse rows, Σ_h w_h R_h.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kgrec.data.dataset import FloatArray, IntArray
from kgrec.model.kernel import Kernel
from kgrec.model.sparse_rows import sum_of_rows

Floats = NDArray[np.float64]
_BLOCK = 512
"""So many items are scored at a time: their factors in float64 stay within the cache."""


@dataclass(frozen=True, eq=False)
class SummedHistory:
    """A history as a kernel sums it.

    Attributes:
        kernel: the kernel.
        items: rows of the history, int64 [H].
        values: what `Kernel.weights` gives for it, float64 [H].
    """

    kernel: Kernel
    items: IntArray
    values: Floats

    @classmethod
    def of(cls, kernel: Kernel, items: IntArray, weights: FloatArray | Floats) -> SummedHistory:
        """Read a history by the weights of its items, [H]; nothing is summed before it is used."""
        return cls(kernel, items, weights.astype(np.float64))

    @cached_property
    def query(self) -> Floats | None:
        """The weighted sum of the history factors, float64 [D]; None where there are none."""
        if self.kernel.history_factors is None:
            return None
        factors = self.kernel.history_factors[self.items].astype(np.float64)
        return np.asarray(np.einsum("h,hd->d", self.values, factors))

    @cached_property
    def rows(self) -> Floats | None:
        """The weighted sum of the sparse rows, float64 [I]; None where there are none."""
        if self.kernel.rows is None:
            return None
        return sum_of_rows(self.kernel.rows, self.items, self.values, self.kernel.num_items)

    def forget_rows(self) -> None:
        """Let go of `rows`, which are summed again at the next use."""
        self.__dict__.pop("rows", None)

    def scores(self, candidates: IntArray | None = None) -> Floats:
        """Return what the history contributes to the scores of items, priors left out.

        The score of an item does not depend on which others are scored with it, to the last bit:
        so a filtered list, an explanation and a batch agree. That is why no matrix product is used
        here, but an inner product for each row: the order in which BLAS sums the rows of a matrix
        depends on where a row stands.

        Args:
            candidates: rows to score, [C]; None scores the whole catalogue.

        Returns:
            float64 [C], or [I].
        """
        scores = np.zeros(self.kernel.num_items if candidates is None else len(candidates))
        if self.query is not None:
            for begin in range(0, len(scores), _BLOCK):
                part = slice(begin, begin + _BLOCK)
                block = self.kernel.exact_rows(part if candidates is None else candidates[part])
                np.vecdot(block, self.query, out=scores[part])
        if self.rows is not None:
            scores += self.rows if candidates is None else self.rows[candidates]
        return scores

    @property
    def spread(self) -> float:
        """The standard deviation of the scores over the counted items; see `Kernel.spread`."""
        kernel, count = self.kernel, self.kernel.num_counted
        query = np.ones(1) if self.query is None else np.append(self.query, 1.0)
        square, mean = float(query @ kernel.second_moment @ query), 0.0
        if self.rows is not None:
            square += float(np.square(self._counted(count)).sum())
            crossed = self.values @ kernel.rows_with_centred[self.items]
            square += 2.0 * float(crossed @ query)
            mean = float(self.values @ kernel.row_sums[self.items]) / count
        return math.sqrt(max(square / count - mean**2, 0.0))

    def _counted(self, count: int) -> Floats:
        """Return the weighted sum of the sparse rows that the spread is over, [count]."""
        kernel = self.kernel
        if kernel.counted_as is None and self.rows is not None:
            return self.rows[:count]
        assert kernel.counted_as is not None  # noqa: S101 - the caller looked at the rows
        return sum_of_rows(kernel.counted_as, self.items, self.values, count)
