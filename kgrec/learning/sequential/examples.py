"""Histories with what followed them, drawn from users' interactions to learn from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kgrec.data.dataset import IntArray
from kgrec.model.histories import Histories

Mask = NDArray[np.bool_]

_ORDERED = 0.1
"""So much of the interactions must lie in histories of several moments to give an order."""


@dataclass(frozen=True, eq=False)
class Examples:
    """Histories and their targets.

    Attributes:
        histories: B histories.
        row, item: targets, int64 [N].
    """

    histories: Histories
    row: IntArray
    item: IntArray


class ExampleSource:
    """Draws examples of two sorts from whole histories.

    *Following*: a moment is drawn; the items before it are the history, the next ones the
    targets, and the request comes at their time or, half of the time, right after the history.
    *Filling in*: items are hidden wherever they lie, and the others are the history (the cloze
    of BERT4Rec, Sun et al. 2019, with the request after the end).

    Args:
        histories: of all users.
        fill: share of the examples that fill in.
        hidden: share of the items that are hidden to be filled in.
        horizon: how many of the next items are targets; those of one moment go together.
        timeless: share of the histories that lose their times, so that such are read as well.
    """

    def __init__(
        self, histories: Histories, *, fill: float, hidden: float, horizon: int, timeless: float
    ) -> None:
        self._histories = histories
        self._fill, self._hidden = fill, hidden
        self._horizon, self._timeless = horizon, timeless
        enough = histories.lengths > 1 if fill else _ordered(histories)
        self._users = np.flatnonzero(enough)

    def draw(self, size: int, rng: np.random.Generator) -> Examples:
        """Draw `size` examples; a user may be drawn more than once."""
        whole = self._histories[rng.choice(self._users, size)]
        row, rank = whole.owner, ranks(whole)
        filling = rng.random(size) < self._fill
        first = _cut(whole, rank, rng)
        following = (rank >= first[row]) & (rank < first[row] + self._horizon)
        target = np.where(filling[row], rng.random(len(row)) < self._hidden, following)
        visible = np.where(filling[row], ~target, rank < first[row])
        unknown = filling | (rng.random(size) < 0.5)
        now = np.where(unknown, 0, _time_at(whole, rank == first[row]))
        timeless = rng.random(size) < self._timeless
        at = np.where(timeless[row], 0, whole.at)
        histories = Histories(
            np.concatenate([[0], np.cumsum(np.bincount(row[visible], minlength=size))]),
            whole.item[visible],
            whole.weight[visible],
            at[visible],
            whole.kind[visible],
            whole.value[visible],
            now,
            whole.num_items,
        )
        return Examples(histories, row[target], whole.item[target])


def has_order(histories: Histories) -> bool:
    """Say whether enough of the interactions have times that differ within a history."""
    lengths = histories.lengths
    return bool(lengths[_ordered(histories)].sum() > _ORDERED * lengths.sum())


def ranks(histories: Histories) -> IntArray:
    """Return how many items of the same history lie in earlier moments, for each entry, [N]."""
    row = histories.owner
    order = np.lexsort((histories.at, row))
    at = histories.at[order]
    fresh = np.ones(len(at), dtype=np.bool_)
    fresh[1:] = (row[1:] != row[:-1]) | (at[1:] != at[:-1])
    begin = np.maximum.accumulate(np.where(fresh, np.arange(len(at)), 0))
    rank = np.empty(len(at), dtype=np.int64)
    rank[order] = begin - histories.start[:-1][row]
    return rank


def _ordered(histories: Histories) -> Mask:
    """Return which histories have several moments, [B]."""
    several = ranks(histories) > 0
    return np.bincount(histories.owner[several], minlength=len(histories)) > 0


def _cut(histories: Histories, rank: IntArray, rng: np.random.Generator) -> IntArray:
    """Draw the rank of an item that is not of the first moment; where none is, a rank of none."""
    chance = np.where(rank > 0, rng.random(len(rank)), -1.0)
    order = np.lexsort((chance, histories.owner))
    drawn = rank[order[histories.start[1:] - 1]]
    return np.where(drawn > 0, drawn, len(rank))


def _time_at(histories: Histories, chosen: Mask) -> IntArray:
    at = np.zeros(len(histories), dtype=np.int64)
    at[histories.owner[chosen]] = histories.at[chosen]
    return at
