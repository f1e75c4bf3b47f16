"""The diversity knob: trades score for unlikeness, and records each trade.

Maximal marginal relevance (Carbonell and Goldstein 1998) over the scores, brought to [0, 1]. The
similarity of two items is the team's own: what one contributes to the score of the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kgrec.data.dataset import IntArray
from kgrec.model.histories import Histories
from kgrec.model.team import Team
from kgrec.retrieval.query import Query
from kgrec.retrieval.records import Move


@dataclass(frozen=True)
class Pick:
    """One item that is shown.

    Attributes:
        position: its place in the order of scores, from 0.
        nearest: the position of the item above it that it is most similar to, where diversity
            moved it down; None where it did not.
    """

    position: int
    nearest: int | None = None


def picks(query: Query, pool: int) -> list[Pick]:
    """Pick the items that are shown, in their order.

    Args:
        pool: with diversity, so many of the best for each item that is shown come into question.
    """
    knobs, scored = query.knobs, query.scored
    if not knobs.diversity:
        return [Pick(position) for position in range(min(knobs.k, len(scored)))]
    size = min(knobs.k * pool, len(scored))
    alike = likeness(query.live.team, scored.rows[:size])
    chosen = diversify(scored.scores[:size], alike, k=knobs.k, diversity=knobs.diversity)
    found = []
    for to, position in enumerate(chosen):
        above = chosen[:to]
        nearest = max(above, key=lambda other: alike[position, other]) if position < to else None
        found.append(Pick(position, nearest))
    return found


def moves(pick: Pick, rank: int, titles: Mapping[int, str]) -> tuple[Move, ...]:
    """Return what diversity did to the rank of an item that is shown.

    Args:
        rank: from 1, as shown.
        titles: of the items that are shown, by their position in the order of scores.
    """
    if pick.position == rank - 1:
        return ()
    why = "less like what stands above it"
    if pick.nearest is not None:
        why = f"alike: {titles[pick.nearest]}"
    return (Move(rule="diversity", from_rank=pick.position + 1, to_rank=rank, why=why),)


def likeness(team: Team, rows: IntArray) -> NDArray[np.float64]:
    """Return how alike items are, float64 [C, C] in [0, 1], symmetric, with ones on the diagonal.

    The items are scored with themselves as the history; the contributions both ways, summed over
    the agents, are divided by the largest.
    """
    scorer = team.scorer(Histories.one(rows, len(team.items)))
    weights = scorer.contributions(rows, ranked=False).by_item.sum(axis=0)
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
        diversity: 0 keeps the order of the scores, 1 uses unlikeness alone.
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
