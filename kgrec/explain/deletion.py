"""Deletion effects of one recommendation: its score without each item of the history.

A ranker reorders the best candidates alone, so without a history item the score may change because
the recommendation is among these no more. To know that takes the scores of hundreds of others
without each item. Bounds on them show that it stays, for nearly all history items, from scores
that are known; only for the rest the others are scored.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kgrec.data.dataset import IntArray
from kgrec.explain.rescoring import Rescoring
from kgrec.model.kernel import Kernel
from kgrec.model.scorer import Scorer
from kgrec.retrieval.query import Query

Floats = NDArray[np.float64]
_ROUNDING = 1e-6
"""Share of a score by which the bounds are widened: far more than rounding is."""


def deletion_effects(query: Query, position: int) -> Floats | None:
    """Return how a candidate's score changes without each item, float64 [H + D].

    None where no history is scored.

    Args:
        position: of the candidate in the order of scores.
    """
    scorer, scored = query.scorer, query.scored
    if not isinstance(scorer, Scorer):
        return None
    score = float(scored.scores[position])
    if scorer.reordering is None or not scored.reordered[position] or len(scorer.counted):
        rescoring = Rescoring.of_query(query, position, 0)
        return None if rescoring is None else rescoring.effects(score)
    one = scored.rows[[position]]
    alone = Rescoring.of(query.live.team, scorer, one, recent=query.recent)
    effects = alone.effects(score)
    unsure = np.flatnonzero(~_stays(alone, scorer, Rescoring.beside(query, position, 0)))
    if len(unsure) and (wide := Rescoring.of_query(query, position, 0)) is not None:
        effects[unsure] = wide.scores(unsure[:, None])[:, 0] - score
    return effects


def _stays(alone: Rescoring, scorer: Scorer, others: IntArray) -> NDArray[np.bool_]:
    """Tell without which history items a candidate is reordered for sure, bool [H].

    Args:
        alone: of the candidate.
        others: rows of those that may come before it, [C].
    """
    length, ranker = len(alone), scorer.reordering
    if ranker is None or len(others) < ranker.top:
        return np.ones(length, dtype=np.bool_)
    counting, alike = alone.counting_without_each, bool(np.all(scorer.history.weight == 1.0))
    own, left, more = np.zeros(length), np.zeros(counting.alpha.shape), np.zeros(length)
    for k, each in enumerate(scorer.sums):
        counts = None if counting.counts is None else counting.counts[k]
        if counts is None and not (alike and each.kernel.attention is None):
            return np.zeros(length, dtype=np.bool_)  # how the rest counts is not known
        item, loss, reach = (
            alone.similarity[k, :length, 0],
            *_extremes(each.kernel, each.items, others),
        )
        if counts is None:
            left[k] = (max(length - 1, 1) / length) ** -each.kernel.history_power
            kept, slack = left[k] * (each.values @ item - each.values * item), 0.0
        else:
            others_count = each.values.sum() - each.values
            left[k] = counts.sum(axis=1) / np.where(others_count > 0, others_count, np.inf)
            kept = counts @ item
            moved = np.abs(counts - left[k][:, None] * each.values)
            np.fill_diagonal(moved, 0.0)
            slack = moved @ reach
        own += counting.alpha[k] * (kept + alone.priors[k, 0])
        share = left[k] * each.values  # of what the removed item gave; readers may subtract one
        more += counting.alpha[k] * (np.maximum(share, 0) * loss - np.minimum(share, 0) * reach)
        more += counting.alpha[k] * slack
    most = (counting.alpha * left).T @ np.stack([each.scores(others) for each in scorer.sums])
    most += counting.alpha.T @ np.stack([each.kernel.priors(others) for each in scorer.sums])
    most += more[:, None]
    if scorer.added is not None:
        own += scorer.added[alone.rows[0]]
        most += scorer.added[others]
    margin = _ROUNDING * (np.abs(own) + np.abs(most).max(axis=1))
    return np.asarray((most >= (own - margin)[:, None]).sum(axis=1) < ranker.top)


def _extremes(kernel: Kernel, items: IntArray, others: IntArray) -> tuple[Floats, Floats]:
    """Return the most that -S(h, i), and that |S(h, i)|, may be for any of some others, [H]."""
    most = np.zeros(len(items))
    if kernel.history_factors is not None and kernel.item_factors is not None:
        lengths = np.linalg.norm(kernel.history_factors[items].astype(np.float64), axis=1)
        reach = np.linalg.norm(kernel.exact_rows(others), axis=1)
        most = lengths * reach.max(initial=0.0)
    return most - kernel.least_entries[items], most + kernel.largest_entries[items]
