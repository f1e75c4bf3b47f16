"""The parts of items that came, or changed, after the training: computed and put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from kgrec.data.dataset import Dataset, FloatArray, IntArray
from kgrec.model.folding.inductive import (
    Encode,
    Floats,
    FoldedRows,
    Folding,
    Multiply,
    NewItems,
)
from kgrec.model.kernel import Kernel
from kgrec.model.packed import PackedRows
from kgrec.model.team import Team


@dataclass(frozen=True, eq=False)
class FoldedItems:
    """The parts of M items that came after the training of a team, or have changed since.

    Attributes:
        ids: of the items, distinct; the parts of a trained one stand in place of its own.
        rows: their parts in each kernel, by agent.
        mean_value: see `Folding`.
        marks: what each item was computed from, by which a change is found, [M].
    """

    ids: tuple[str, ...] = ()
    rows: Mapping[str, FoldedRows] = field(default_factory=dict)
    mean_value: float = 0.0
    marks: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    def only(self, ids: Sequence[str]) -> FoldedItems:
        """Return some of these items, in the given order."""
        place = {each: n for n, each in enumerate(self.ids)}
        kept = np.array([place[each] for each in ids], dtype=np.int64)
        rows = {agent: _chosen(part, kept) for agent, part in self.rows.items()}
        marks = tuple(self.marks[n] for n in kept.tolist())
        return replace(self, ids=tuple(ids), rows=rows, marks=marks)

    def and_others(self, others: FoldedItems) -> FoldedItems:
        """Return these items and others behind them."""
        if not len(self):
            return others
        if not len(others):
            return self
        rows = {agent: _joined(part, others.rows[agent]) for agent, part in self.rows.items()}
        marks = self.marks + others.marks
        return replace(others, ids=self.ids + others.ids, rows=rows, marks=marks)


def fold_items(
    team: Team, folding: Folding, data: Dataset, encode: Encode | None, marks: Sequence[str]
) -> FoldedItems:
    """Compute the parts of items that came after the training.

    Args:
        team: the trained team.
        data: texts and facts of the items alone.
        marks: see `FoldedItems`.

    Raises:
        ModelError: the text encoder fails or is another one.
    """
    new, rows = NewItems(data, folding.index, encode), {}
    for kernel in team.kernels:
        formula = folding.formulas.get(kernel.agent)
        if formula is None:
            rows[kernel.agent] = _nothing(kernel, len(new))
        else:
            rows[kernel.agent] = formula.fold(new, _multiplied(kernel))
    return FoldedItems(tuple(data.items.ids), rows, folding.mean_value, tuple(marks))


def revise_items(
    team: Team, folding: Folding, data: Dataset, encode: Encode | None, marks: Sequence[str]
) -> FoldedItems:
    """Compute the parts of trained items whose texts or facts have changed; see `fold_items`."""
    changed = NewItems(data, replace(folding.index, arriving=0), encode)
    places, rows = team.items.rows(data.items.ids), {}
    for kernel in team.kernels:
        formula, own = folding.formulas.get(kernel.agent), trained_rows(kernel, places)
        if formula is not None:
            own = formula.revise(changed, own, places, _multiplied(kernel))
        rows[kernel.agent] = own
    return FoldedItems(tuple(data.items.ids), rows, folding.mean_value, tuple(marks))


def trained_rows(kernel: Kernel, items: IntArray) -> FoldedRows:
    """Return the parts of some trained items in their kernel."""

    def of(part: FloatArray | PackedRows | None) -> FloatArray | None:
        return None if part is None else np.asarray(part[items], dtype=np.float32)

    received = given = content = None
    if kernel.rows is not None:
        given = sp.csr_matrix(kernel.rows[items], dtype=np.float32)
        received = sp.csr_matrix(kernel.rows[:, items], dtype=np.float32)
    if kernel.attention is not None:
        content = np.asarray(kernel.attention.content[items], dtype=np.float32)
    prior, parts = of(kernel.prior), (kernel.history_factors, kernel.item_factors)
    return FoldedRows(of(parts[0]), of(parts[1]), prior, received, given, content)


def _multiplied(kernel: Kernel) -> Multiply:
    def multiply(columns: Floats) -> Floats:
        product = np.zeros_like(columns)
        if kernel.history_factors is not None and kernel.item_factors is not None:
            product += kernel.history_factors @ (kernel.item_factors.T @ columns)
        if kernel.rows is not None:
            product += kernel.rows @ columns
        return product

    return multiply


def _nothing(kernel: Kernel, count: int) -> FoldedRows:
    """Return the parts of items of which an agent knows nothing."""
    factors = none = None
    if kernel.item_factors is not None:
        factors = np.zeros((count, kernel.item_factors.shape[1]), dtype=np.float32)
    if kernel.rows is not None:
        none = sp.csr_matrix((count, kernel.num_items)).astype(np.float32)
    return FoldedRows(
        factors,
        factors,
        None if kernel.prior is None else np.zeros(count, dtype=np.float32),
        None if none is None else sp.csr_matrix(none.T),
        none,
        _reader_rows(kernel, count),
    )


def _reader_rows(kernel: Kernel, count: int) -> FloatArray | None:
    if kernel.attention is None:
        return None
    return np.zeros((count, kernel.attention.content.shape[1]), dtype=np.float32)


def _chosen(rows: FoldedRows, kept: NDArray[np.int64]) -> FoldedRows:
    def of(part: FloatArray | None) -> FloatArray | None:
        return None if part is None else part[kept]

    return FoldedRows(
        of(rows.history_factors),
        of(rows.item_factors),
        of(rows.prior),
        None if rows.received is None else sp.csr_matrix(rows.received[:, kept]),
        None if rows.given is None else sp.csr_matrix(rows.given[kept]),
        of(rows.content),
    )


def _joined(one: FoldedRows, other: FoldedRows) -> FoldedRows:
    def of(first: FloatArray | None, second: FloatArray | None) -> FloatArray | None:
        return None if first is None or second is None else np.concatenate([first, second])

    received = given = None
    if one.received is not None and other.received is not None:
        received = sp.csr_matrix(sp.hstack([one.received, other.received]), dtype=np.float32)
    if one.given is not None and other.given is not None:
        given = sp.csr_matrix(sp.vstack([one.given, other.given]), dtype=np.float32)
    return FoldedRows(
        of(one.history_factors, other.history_factors),
        of(one.item_factors, other.item_factors),
        of(one.prior, other.prior),
        received,
        given,
        of(one.content, other.content),
    )
