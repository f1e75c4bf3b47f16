"""The diversity knob: trades score for unlikeness, and keeps a record of each trade.

Maximal marginal relevance (Carbonell and Goldstein 1998) over the scores, brought to [0, 1]. How
alike two items are is asked of the team itself: the kernels say how much one speaks for the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kgrec.data.dataset import IntArray
from kgrec.model.team import Team
from kgrec.retrieval.records import Move
from kgrec.retrieval.scoring import Scored


@dataclass(frozen=True)
class Pick:
    """One item that is shown.

    Attributes:
        position: its place in the order of scores, from 0.
        moves: what changed that place.
    """

    position: int
    moves: tuple[Move, ...] = ()


def in_order(scored: Scored, k: int) -> list[Pick]:
    """Pick the best `k`."""
    return [Pick(position) for position in range(min(k, len(scored)))]


def varied(team: Team, scored: Scored, k: int, diversity: float, pool: int) -> list[Pick]:
    """Pick `k` of the best `pool`, trading score for unlikeness, each trade on record."""
    pool = min(pool, len(scored))
    alike = likeness(team, scored.rows[:pool])
    positions = diversify(scored.scores[:pool], alike, k=k, diversity=diversity)
    return [Pick(p, _moves(scored, alike, positions[:to], p)) for to, p in enumerate(positions)]


def likeness(team: Team, rows: IntArray) -> NDArray[np.float64]:
    """Return how alike items are, float64 [C, C] in [0, 1], symmetric, with ones on the diagonal.

    The kernels' weights both ways, added over the agents, divided by the largest of them.
    """
    weights = team.parts(rows, rows, ranked=False).contributions.sum(axis=0)
    weights = np.maximum(weights + weights.T, 0.0)
    np.fill_diagonal(weights, 0.0)
    largest = float(weights.max(initial=0.0))
    alike = weights / largest if largest > 0 else weights
    np.fill_diagonal(alike, 1.0)
    return np.asarray(alike)


def diversify(
    scores: NDArray[np.float64], alike: NDArray[np.float64], *, k: int, diversity: float
) -> list[int]:
    """Choose `k` items one after another and return their positions.

    Args:
        scores: in falling order, [C].
        alike: float64 [C, C] in [0, 1].
        diversity: 0 keeps the order of the scores, 1 looks at unlikeness alone.
    """
    span = float(np.ptp(scores)) if len(scores) else 0.0
    worth = (scores - scores.min()) / span if span > 0 else np.zeros(len(scores))
    nearest = np.zeros(len(scores))
    left = np.ones(len(scores), dtype=np.bool_)
    chosen: list[int] = []
    while len(chosen) < k and left.any():
        gain = np.where(left, (1 - diversity) * worth - diversity * nearest, -np.inf)
        best = int(np.argmax(gain))
        chosen.append(best)
        left[best] = False
        nearest = np.maximum(nearest, alike[best])
    return chosen


def _moves(
    scored: Scored, alike: NDArray[np.float64], above: list[int], position: int
) -> tuple[Move, ...]:
    to = len(above)
    if position == to:
        return ()
    why = "less like what stands above it"
    if position < to:
        likest = max(above, key=lambda other: alike[position, other])
        why = f"alike: {scored.titles[likest]}"
    return (Move(rule="diversity", from_rank=position + 1, to_rank=to + 1, why=why),)
