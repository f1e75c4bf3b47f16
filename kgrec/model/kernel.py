"""What an agent learns: how much an item of a history contributes to the score of another item.

The score of agent `k` for a history `H` of `n` items is

    s_k(H, i) = Σ_{h ∈ H} w_h · v_h · S(h, i) + b_i,      S = F Vᵀ + R,      w_h = n^-p

with factors `F`, `V`, sparse rows `R` and a prior `b`, each of which may be absent, and `v_h` the
weight of the history item (1 unless the caller gives another). An agent that reads order and time
gives `w_h` by an attention of its own. The sum is exact, so it splits over the items
(`similarity`). A sum of kernels is a kernel (`kgrec.learning.link_prediction.mean`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from kgrec.data.dataset import FloatArray, IntArray
from kgrec.errors import ModelError
from kgrec.model.folding.inductive import Inductive
from kgrec.model.histories import Histories, HistoryReader, as_histories
from kgrec.model.packed import PackedRows
from kgrec.model.remaining import ReadsParts, Remaining
from kgrec.model.sparse_rows import add_entries, number_of_entries

_EXACT = 1 << 22
"""Item factors of so many numbers are kept in float64 beside those in float32: 32 MiB."""
Part = Literal["factors", "rows", "prior"]
Source = Literal["interactions", "facts", "texts"]

_USUAL_SOURCES: Mapping[str, Mapping[Part, tuple[Source, ...]]] = {
    "collaborative": {"factors": ("interactions", "facts"), "rows": ("facts",)},
    "knowledge": {"factors": ("interactions", "facts", "texts"), "rows": ("facts",)},
    "semantic": {"factors": ("texts",), "prior": ("texts",)},
}


@dataclass(frozen=True, eq=False)
class BatchSums:
    """A batch of histories summed by one kernel, from which come its scores and their spread.

    Attributes:
        weighted: w_h · v_h, CSR float32 [B, I].
        factors: Σ_h w_h · v_h · F_h, [B, D]; None of a kernel without factors.
        rows: Σ_h w_h · v_h · R_h, CSR float32 [B, I]; None of a kernel without rows.
    """

    weighted: sp.csr_matrix
    factors: FloatArray | None
    rows: sp.csr_matrix | None


@dataclass(frozen=True)
class Kernel:
    """An item-to-item kernel.

    Attributes:
        agent: name of the agent that learned it.
        history_factors: F, float32 [I, D] or packed, rows are items in a history.
        item_factors: V, float32 [I, D] or packed, rows are candidates.
        rows: R, CSR float32 [I, I]; row `h` holds the strongest weights of a history item.
        prior: b, float32 [I], added to an item whatever the history.
        history_power: p.
        attention: gives w_h in place of n^-p.
        chosen: settings of the agent that were chosen on the validation part, by name; the agent
            fits the same kernel again when it is given them.
        notes: what the agent reports of what it learned.
        reads: what each part (factors, rows, prior) was learned from: interactions, facts or
            texts. The reasons of a recommendation name them. A part that is not listed, as in
            models of earlier versions, reads what the agent of this name usually reads.
        counted: the spread of scores is over so many items, the first; None means all. Items that
            were folded in after the training are not counted, so that they change the score of no
            other item.
        counted_as: the sparse rows that the spread is over, CSR float32 [I, num_counted], where
            trained items have others by now; None means those of `rows`.
        inductive: computes the parts of items that came after the training; None of an agent that
            cannot. It is stored beside the kernel (`kgrec.model.folding`), not read with it.
    """

    agent: str
    history_factors: FloatArray | PackedRows | None = None
    item_factors: FloatArray | PackedRows | None = None
    rows: sp.csr_matrix | None = None
    prior: FloatArray | None = None
    history_power: float = 0.0
    attention: HistoryReader | None = None
    chosen: Mapping[str, float | int] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)
    reads: Mapping[Part, tuple[Source, ...]] = field(default_factory=dict)
    counted: int | None = None
    counted_as: sp.csr_matrix | None = None
    inductive: Inductive | None = None

    def __post_init__(self) -> None:
        if (self.history_factors is None) != (self.item_factors is None):
            raise ModelError("a kernel has history factors without item factors, or the reverse")
        if self.history_factors is None and self.rows is None:
            raise ModelError("a kernel has neither factors nor rows", value=self.agent)

    @property
    def num_items(self) -> int:
        if self.item_factors is not None:
            return len(self.item_factors)
        assert self.rows is not None  # noqa: S101 - __post_init__ holds it
        return int(self.rows.shape[1])

    @property
    def num_counted(self) -> int:
        """How many items the spread is over; see `counted`."""
        return self.num_items if self.counted is None else self.counted

    @cached_property
    def counted_rows(self) -> sp.csr_matrix | None:
        """The sparse rows to the items that are counted, CSR float32 [I, num_counted]."""
        if self.counted_as is not None or self.rows is None or self.counted is None:
            return self.rows if self.counted_as is None else self.counted_as
        return sp.csr_matrix(self.rows[:, : self.counted])

    def weights(self, histories: Histories) -> FloatArray:
        """Return w_h · v_h of each entry of the histories, float32 [N]."""
        if self.attention is not None:
            return np.asarray(self.attention.weights(histories) * histories.weight)
        count = histories.lengths
        scale = np.repeat(np.maximum(count, 1).astype(np.float64) ** -self.history_power, count)
        return np.asarray(histories.weight * scale, dtype=np.float32)

    def weights_without(self, remaining: Remaining) -> NDArray[np.float64]:
        """Return w_h · v_h in each part of one history, float64 [S, H]; 0 where removed."""
        history = remaining.history
        if self.attention is None:
            scale = np.maximum(remaining.lengths, 1).astype(np.float64) ** -self.history_power
            return np.where(remaining.kept, (history.weight * scale[:, None]).astype(np.float32), 0)
        if isinstance(self.attention, ReadsParts):
            return np.asarray(self.attention.weights_without(remaining) * history.weight, float)
        return remaining.spread_out(self.weights(remaining.histories))

    def sums(
        self, histories: Histories | sp.csr_matrix, weights: FloatArray | None = None
    ) -> BatchSums:
        """Sum a batch of histories; see `scores`."""
        given = as_histories(histories)
        return self._sums(given.weighted(self.weights(given) if weights is None else weights))

    def _sums(self, weighted: sp.csr_matrix) -> BatchSums:
        factors = self.history_factors
        if isinstance(factors, PackedRows):
            factors = factors.product(weighted)
        elif factors is not None:
            factors = weighted @ factors
        return BatchSums(weighted, factors, None if self.rows is None else weighted @ self.rows)

    def scores(
        self,
        histories: Histories | sp.csr_matrix,
        weights: FloatArray | None = None,
        sums: BatchSums | None = None,
    ) -> FloatArray:
        """Score every item for a batch of histories.

        Args:
            histories: B histories, or CSR float32 [B, I] of weights `v_h`, without context.
            weights: what `weights` gives for the histories, where it is known.
            sums: what `sums` gives for them, where it is known.

        Returns:
            float32 [B, I].
        """
        scores = self._scores(self.sums(histories, weights) if sums is None else sums)
        if self.prior is not None:
            scores += self.prior
        return scores

    def summed(self, weighted: sp.csr_matrix) -> FloatArray:
        """Score every item by B sums over items, CSR [B, I] of weights, without the prior, [B, I].

        Items of a sum need be no history; see `kgrec.model.rejection`.
        """
        return self._scores(self._sums(weighted))

    def _scores(self, sums: BatchSums) -> FloatArray:
        rows = None if sums.rows is None else sums.rows.toarray()
        if sums.factors is None or self.item_factors is None:
            assert rows is not None  # noqa: S101 - __post_init__ holds it
            return np.asarray(rows, dtype=np.float32)
        scores = np.asarray(sums.factors @ self.item_factors.T, dtype=np.float32)
        if rows is not None:
            scores += rows
        return scores

    def spread(
        self,
        histories: Histories | sp.csr_matrix,
        weights: FloatArray | None = None,
        sums: BatchSums | None = None,
    ) -> NDArray[np.float64]:
        """Return the standard deviation of each history's scores over all items, float64 [B].

        Exact, from the moments of the factors, without scoring the items: O(D²) and the sparse
        rows that the history touches.

        Args:
            weights, sums: as in `scores`.
        """
        sums = self.sums(histories, weights) if sums is None else sums
        weighted = sums.weighted
        query = np.ones((weighted.shape[0], 1))  # [B, D + 1]
        if sums.factors is not None:
            query = np.hstack([sums.factors.astype(np.float64), query])
        square = np.einsum("bd,bd->b", query @ self.second_moment, query)
        if self.rows is None:
            return np.asarray(np.sqrt(np.maximum(square / self.num_counted, 0.0)))
        square += self._square_of_rows(sums)
        square += 2.0 * np.einsum("bd,bd->b", weighted @ self.rows_with_centred, query)
        mean = (weighted @ self.row_sums) / self.num_counted
        return np.asarray(np.sqrt(np.maximum(square / self.num_counted - mean**2, 0.0)))

    def _square_of_rows(self, sums: BatchSums) -> NDArray[np.float64]:
        """Return the squared length of each history's summed rows, float64 [B]."""
        counted = self.counted_rows
        assert counted is not None  # noqa: S101 - the caller looked
        rows = sums.rows if counted is self.rows else sums.weighted @ counted
        assert rows is not None  # noqa: S101 - the caller looked
        squares = np.square(rows.data.astype(np.float64))
        owner = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
        summed = np.bincount(owner, squares, minlength=rows.shape[0])
        return np.asarray(summed, dtype=np.float64)

    @property
    def centred(self) -> FloatArray:
        """Factors and prior of the counted items less their means, float32 [num_counted, D + 1]."""
        count = self.num_counted
        prior = np.zeros(count) if self.prior is None else self.prior[:count]
        columns = prior.astype(np.float32)[:, None]
        if self.item_factors is not None:
            columns = np.hstack([self.item_factors[:count], columns])
        return np.asarray(columns - columns.mean(axis=0, dtype=np.float64), dtype=np.float32)

    @cached_property
    def second_moment(self) -> NDArray[np.float64]:
        centred = self.centred.astype(np.float64)
        return np.asarray(centred.T @ centred)

    @cached_property
    def rows_with_centred(self) -> NDArray[np.float64]:
        """The products of the sparse rows with the columns of `centred`, float64 [I, D + 1]."""
        width = self.centred.shape[1]
        rows = self.counted_rows
        if rows is None:
            return np.zeros((self.num_items, width))
        return np.asarray(rows @ self.centred.astype(np.float64))

    @cached_property
    def row_sums(self) -> NDArray[np.float64]:
        """The sums of the sparse rows over the counted items, float64 [I]."""
        rows = self.counted_rows
        if rows is None:
            return np.zeros(self.num_items)
        return np.asarray(rows.sum(axis=1, dtype=np.float64)).ravel()

    @cached_property
    def least_entries(self) -> NDArray[np.float64]:
        """The least that each sparse row gives any item, at most 0, float64 [I]."""
        return np.zeros(self.num_items) if self.rows is None else -_largest_of_rows(self.rows, -1.0)

    @cached_property
    def largest_entries(self) -> NDArray[np.float64]:
        """The largest absolute value in each sparse row, float64 [I]."""
        if self.rows is None:
            return np.zeros(self.num_items)
        return np.maximum(_largest_of_rows(self.rows, 1.0), -self.least_entries)

    @cached_property
    def exact_factors(self) -> NDArray[np.float64] | None:
        """The item factors in float64, [I, D]; None where that is much, or they are packed.

        To convert them takes as long as all else that a score takes.
        """
        factors = self.item_factors
        if isinstance(factors, np.ndarray) and factors.size <= _EXACT:
            return factors.astype(np.float64)
        return None

    def exact_rows(self, candidates: IntArray | slice) -> NDArray[np.float64]:
        """Return the factors of some items in float64, [C, D]; there must be factors."""
        if self.exact_factors is not None:
            return self.exact_factors[candidates]
        assert self.item_factors is not None  # noqa: S101 - the caller looked
        return self.item_factors[candidates].astype(np.float64)

    def warm_up(self) -> None:
        """Compute what depends on the kernel alone, which lists and explanations need."""
        _ = self.squared_lengths, self.least_entries, self.largest_entries, self.exact_factors

    @cached_property
    def squared_lengths(self) -> NDArray[np.float64]:
        """The squared length of what each history item gives all, less its mean, float64 [I]."""
        squares = -np.square(self.row_sums) / self.num_counted
        if self.counted_rows is not None:
            entry = np.square(self.counted_rows.data.astype(np.float64))
            owner = np.repeat(np.arange(len(squares)), np.diff(self.counted_rows.indptr))
            squares += np.bincount(owner, entry, minlength=len(squares))
        if self.history_factors is not None:
            moment = self.second_moment[:-1, :-1]
            for begin in range(0, len(squares), 4096):
                part = slice(begin, begin + 4096)
                factors = np.asarray(self.history_factors[part], dtype=np.float64)
                folded = factors @ moment + 2.0 * self.rows_with_centred[part, :-1]
                squares[part] += np.einsum("nd,nd->n", folded, factors)
        return squares

    def priors(self, candidates: IntArray | None = None) -> NDArray[np.float64]:
        """Return what is added to candidates (rows, [C]; None: all) whatever the history, [C]."""
        if self.prior is None:
            return np.zeros(self.num_items if candidates is None else len(candidates))
        prior = self.prior if candidates is None else self.prior[candidates]
        return prior.astype(np.float64)

    def over(self, candidates: IntArray) -> Kernel:
        """Return the same kernel over some candidates (rows, [C]) alone: it scores [B, C]."""
        return replace(
            self,
            item_factors=None if self.item_factors is None else self.item_factors[candidates],
            rows=None if self.rows is None else sp.csr_matrix(self.rows[:, candidates]),
            prior=None if self.prior is None else self.prior[candidates],
            counted=None,
            counted_as=None,
        )

    def similarity(
        self, items: IntArray, candidates: IntArray, source: Source | None = None
    ) -> NDArray[np.float64]:
        """Return S(h, i) of some history items and candidates, float64 [H, C].

        Args:
            items, candidates: rows, [H] and [C].
            source: count only the parts of the kernel that read it; see `reads`.
        """
        similarity = np.zeros((len(items), len(candidates)))
        factors = source is None or source in self.sources("factors")
        if factors and self.history_factors is not None and self.item_factors is not None:
            f = self.history_factors[items].astype(np.float64)
            similarity += f @ self.exact_rows(candidates).T
        if self.rows is not None and (source is None or source in self.sources("rows")):
            of_items, of_candidates = self.rows.indptr, self.columns.indptr
            if number_of_entries(of_items, items) <= number_of_entries(of_candidates, candidates):
                add_entries(similarity, self.rows, items, candidates)
            else:
                add_entries(similarity.T, self.columns, candidates, items)
        return similarity

    @cached_property
    def columns(self) -> sp.csr_matrix:
        """The sparse rows by candidate: their transpose, CSR float32 [I, I]."""
        assert self.rows is not None  # noqa: S101 - the caller looked
        return sp.csr_matrix(self.rows.T)

    @property
    def history_parts(self) -> dict[Part, bool]:
        """Which of the parts that read the history there are."""
        return {"factors": self.item_factors is not None, "rows": self.rows is not None}

    def sources(self, part: Part) -> tuple[Source, ...]:
        """Return what a part of the kernel was learned from; see `reads`."""
        if part in self.reads:
            return self.reads[part]
        if part != "prior" and self.agent == "linear" and self.chosen.get("knowledge"):
            return ("interactions", "facts")
        return _USUAL_SOURCES.get(self.agent, {}).get(part, ("interactions",))


def _largest_of_rows(rows: sp.csr_matrix, sign: float) -> NDArray[np.float64]:
    """Return the largest entry of each row times a sign, at least 0, float64 [I]."""
    largest = np.zeros(rows.shape[0])
    some = np.flatnonzero(np.diff(rows.indptr))
    if len(some):
        largest[some] = np.maximum.reduceat(sign * rows.data, rows.indptr[some])
    return np.maximum(largest, 0.0)
