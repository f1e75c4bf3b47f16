"""The best candidate of each record, its margins over rivals, and what a record without a partner
would have had in its place.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_WIDEST = 3.0
Float = NDArray[np.float64]
Edges = NDArray[np.int64]


@dataclass(frozen=True)
class Best:
    """One candidate of each of some records.

    Attributes:
        edge: its row among the pairs, [N]; -1 where there is none.
        score: [N]; margins: over the best other candidate of either end, [N, 2], NaN without one.
    """

    edge: Edges
    score: Float
    margins: Float

    def columns(self, scale: float) -> Float:
        """Return the features that depend on rivals, in units of the spread of the scores."""
        bounded = np.clip(self.margins / scale, -_WIDEST, _WIDEST)
        bounded = np.where(np.isnan(bounded), _WIDEST, bounded)
        score = np.nan_to_num(self.score / scale)
        return np.column_stack([bounded.min(axis=1), bounded, score])


class Ranking:
    """Candidates of each row of one end, the best first."""

    def __init__(self, rows: NDArray[np.int64], score: Float, count: int) -> None:
        self.order = np.lexsort((-score, rows))
        self.start = np.searchsorted(rows[self.order], np.arange(count + 1))
        self._score = score
        padded = np.append(self.order, [-1, -1])
        has = np.diff(self.start)
        self.first = np.where(has > 0, padded[self.start[:-1]], -1)
        self.second = np.where(has > 1, padded[self.start[:-1] + 1], -1)

    def of(self, row: int) -> Edges:
        return self.order[self.start[row] : self.start[row + 1]]

    def rival(self, rows: NDArray[np.int64], edges: Edges) -> Float:
        """Return the score of the best candidate of each row but for one, NaN without one."""
        other = np.where(self.first[rows] == edges, self.second[rows], self.first[rows])
        return np.where(other >= 0, self._score[other], np.nan)


def assign(pairs: NDArray[np.int64], score: Float, sizes: tuple[int, int]) -> tuple[Edges, Edges]:
    """Pair each record with at most one, the highest scores first.

    Returns:
        The pair of each left and of each right record, -1 for none.
    """
    left, right = np.full(sizes[0], -1), np.full(sizes[1], -1)
    for edge in np.argsort(-score, kind="stable").tolist():
        i, j = pairs[edge]
        if left[i] < 0 and right[j] < 0:
            left[i] = right[j] = edge
    return left, right


def best_and_next(
    pairs: NDArray[np.int64], score: Float, sizes: tuple[int, int]
) -> tuple[Best, Best]:
    """Return the partner of each left record that has one, and its best without that partner.

    Where the first is right, the second is a draw of the best candidate of a record without a
    partner: what the posterior is measured against. It is another candidate that is free, or
    whose own partner scores less.
    """
    left, right = assign(pairs, score, sizes)
    held = np.where(right >= 0, score[right], -np.inf)
    mine, others = Ranking(pairs[:, 0], score, sizes[0]), Ranking(pairs[:, 1], score, sizes[1])
    edges = left[left >= 0]
    following, margin = np.full(len(edges), -1), np.full(len(edges), np.nan)
    for at, edge in enumerate(edges.tolist()):
        own = mine.of(pairs[edge, 0])
        rest = own[own != edge]
        free = rest[score[rest] > held[pairs[rest, 1]]]
        if len(free):
            following[at] = free[0]
            behind = rest[rest != free[0]]
            if len(behind):
                margin[at] = score[free[0]] - score[behind[0]]
    first = np.column_stack([
        score[edges] - mine.rival(pairs[edges, 0], edges),
        score[edges] - others.rival(pairs[edges, 1], edges),
    ])  # fmt: skip
    there = following >= 0
    over = score[following] - others.rival(pairs[following, 1], following)
    second = np.column_stack([margin, np.where(there, over, np.nan)])
    level = np.where(there, score[following], np.nan)
    return Best(edges, score[edges], first), Best(following, level, second)


def best_within(pairs: NDArray[np.int64], score: Float, count: int) -> Best:
    """Return the nearest other record of each record of one source, which is another thing."""
    ends = np.concatenate([pairs[:, 0], pairs[:, 1]])
    # Both ends of a pair rank it, so an edge stands for its pair in either half.
    ranking = Ranking(ends, np.concatenate([score, score]), count)
    rows = np.flatnonzero(ranking.first >= 0)
    edges = ranking.first[rows] % max(len(pairs), 1)
    other = np.where(pairs[edges, 0] == rows, pairs[edges, 1], pairs[edges, 0])
    second = ranking.second[rows]
    behind = np.where(second >= 0, score[second % max(len(pairs), 1)], np.nan)
    theirs = ranking.first[other] % max(len(pairs), 1) == edges
    place = np.where(theirs, ranking.second[other], ranking.first[other])
    beside = np.where(place >= 0, score[place % max(len(pairs), 1)], np.nan)
    margins = np.column_stack([score[edges] - behind, score[edges] - beside])
    return Best(edges, score[edges], margins)
