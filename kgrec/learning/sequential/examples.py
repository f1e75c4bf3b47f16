"""Training examples: histories and their targets, sampled from users' interactions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kgrec.data.dataset import IntArray
from kgrec.model.histories import Histories
from kgrec.training.workers import Workers

Mask = NDArray[np.bool_]

_ORDERED = 0.1
"""Minimum share of interactions in histories with several times, for an order to be learned."""


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
    """Samples two kinds of examples from whole histories.

    *Next items*: a time is sampled; the items before it are the history, the next ones the
    targets, and the query time is theirs or, half of the time, right after the history. *Masked
    items*: items are masked anywhere, and the others are the history (the cloze task of BERT4Rec,
    Sun et al. 2019, with the query time after the end).

    Args:
        histories: histories of all users.
        fill: share of examples with masked items.
        hidden: share of the items that are masked.
        horizon: number of next items that are targets; items of one time are all in or out.
        timeless: share of the histories whose times are dropped, so that histories without times
            are learned as well.
    """

    def __init__(
        self, histories: Histories, *, fill: float, hidden: float, horizon: int, timeless: float
    ) -> None:
        self._histories = histories
        self._fill, self._hidden = fill, hidden
        self._horizon, self._timeless = horizon, timeless
        enough = histories.lengths > 1 if fill else _ordered(histories)
        self._users = np.flatnonzero(enough)

    def sample(self, size: int, rng: np.random.Generator) -> Examples:
        """Sample `size` examples; users are sampled with replacement."""
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
    """Whether enough of the interactions have times that differ within a history."""
    lengths = histories.lengths
    return bool(lengths[_ordered(histories)].sum() > _ORDERED * lengths.sum())


def ranks(histories: Histories) -> IntArray:
    """Return the number of earlier items in the same history, for each entry, int64 [N]."""
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
    """Return which histories have several distinct times, bool [B]."""
    several = ranks(histories) > 0
    return np.bincount(histories.owner[several], minlength=len(histories)) > 0


def _cut(histories: Histories, rank: IntArray, rng: np.random.Generator) -> IntArray:
    """Sample the rank of an item that is not of the first time, or a rank beyond all, [B]."""
    chance = np.where(rank > 0, rng.random(len(rank)), -1.0)
    order = np.lexsort((chance, histories.owner))
    sampled = rank[order[histories.start[1:] - 1]]
    return np.where(sampled > 0, sampled, len(rank))


def _time_at(histories: Histories, chosen: Mask) -> IntArray:
    at = np.zeros(len(histories), dtype=np.int64)
    at[histories.owner[chosen]] = histories.at[chosen]
    return at


def shared_examples(examples: Examples, workers: Workers) -> tuple[Examples, float]:
    """Return the examples of this process, and the weight of its mean loss among all processes."""
    if workers.world == 1:
        return examples, 1.0
    mine = workers.share(np.arange(len(examples.histories)))
    place = np.full(len(examples.histories), -1, dtype=np.int64)
    place[mine] = np.arange(len(mine))
    row = place[examples.row]
    kept = row >= 0
    share = float(kept.sum()) * workers.world / max(len(row), 1)
    return Examples(examples.histories[mine], row[kept], examples.item[kept]), share
