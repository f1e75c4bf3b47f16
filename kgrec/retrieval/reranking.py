"""Reranking: rules that reorder the best items by something else than the score, each on record.

A rule is a `Reranker` and a line in `RERANKERS`; the rules run in that order, over the best `pool`
items for each that is shown. Diversity is maximal marginal relevance (Carbonell and Goldstein 1998)
over the scores, brought to [0, 1]; the similarity of two items is the team's own: what one
contributes to the score of the other.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping
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
    """One item that may be shown.

    Attributes:
        position: its place in the order of scores, from 0.
        rule: the reranker that moved it last; None where none did.
        why: the rule's reason of the move; None leaves it to `nearest`.
        nearest: the position of the item above it that it is most similar to, where diversity
            moved it down; None where it did not.
    """

    position: int
    rule: str | None = None
    why: str | None = None
    nearest: int | None = None


Reranker = Callable[[Query, list[Pick]], list[Pick]]
"""Reorders the best items of a query; returns them as they are where the knobs do not ask for it.

The list shown is the first `query.knobs.k` of the result, so every pick of the input should be in
it, once. What a rule moves it marks with its name and a reason.
"""

RERANKERS: dict[str, str] = {
    # name: module:function, a `Reranker`
    "diversity": "kgrec.retrieval.reranking:by_diversity",
}


def picks(query: Query, pool: int) -> list[Pick]:
    """Pick the items that are shown, in their order.

    Args:
        pool: so many of the best for each item that is shown are reranked.
    """
    size = min(query.knobs.k * pool, len(query.scored))
    found = [Pick(position) for position in range(size)]
    for place in RERANKERS.values():
        rerank: Reranker = pkgutil.resolve_name(place)
        found = rerank(query, found)
    return found[: query.knobs.k]


def moves(pick: Pick, rank: int, titles: Mapping[int, str]) -> tuple[Move, ...]:
    """Return what reranking did to the rank of an item that is shown.

    Args:
        rank: from 1, as shown.
        titles: of the items that are shown, by their position in the order of scores.
    """
    if pick.rule is None or pick.position == rank - 1:
        return ()
    why = pick.why or "less like what stands above it"
    if pick.nearest is not None:
        why = f"alike: {titles[pick.nearest]}"
    return (Move(rule=pick.rule, from_rank=pick.position + 1, to_rank=rank, why=why),)


def by_diversity(query: Query, ranked: list[Pick]) -> list[Pick]:
    """Trade score for dissimilarity by the diversity of the query; a `Reranker`."""
    diversity = query.knobs.diversity
    if not diversity:
        return ranked
    place = np.array([pick.position for pick in ranked], dtype=np.int64)
    alike = likeness(query.live.team, query.scored.rows[place])
    scores = query.scored.scores[place]
    chosen = diversify(scores, alike, k=query.knobs.k, diversity=diversity)
    found = []
    for to, index in enumerate(chosen):
        above = chosen[:to]
        nearest = max(above, key=lambda other: alike[index, other]) if index < to else None
        near = None if nearest is None else ranked[nearest].position
        found.append(Pick(ranked[index].position, "diversity", nearest=near))
    return found


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
