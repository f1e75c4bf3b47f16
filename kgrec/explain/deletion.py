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
    alike = bool(np.all(scorer.history.weight == 1.0))
    if not alike or any(kernel.attention is not None for kernel in scorer.kernels):
        return np.zeros(length, dtype=np.bool_)  # what is left would count otherwise
    own = np.zeros(length)
    most = np.zeros((length, len(others)))
    for alpha, each, item, prior in zip(
        alone.counting_without_each.alpha,
        scorer.sums,
        alone.similarity[:, :length, 0],
        alone.priors[:, 0],
        strict=True,
    ):
        kernel, mean = each.kernel, each.values[0]
        left = alpha * (max(length - 1, 1) / length) ** -kernel.history_power
        own += left * (mean * (item.sum() - item)) + alpha * prior
        most += np.outer(left, each.scores(others)) + np.outer(alpha, kernel.priors(others))
        most += (left * mean * _largest_loss(kernel, scorer.history.item, others))[:, None]
    if scorer.added is not None:
        own += scorer.added[alone.rows[0]]
        most += scorer.added[others]
    margin = _ROUNDING * (np.abs(own) + np.abs(most).max(axis=1))
    return np.asarray((most >= (own - margin)[:, None]).sum(axis=1) < ranker.top)


def _largest_loss(kernel: Kernel, items: IntArray, others: IntArray) -> Floats:
    """Return the most that -S(h, i) may be for any of some others, float64 [H]."""
    most = np.zeros(len(items))
    if kernel.history_factors is not None and kernel.item_factors is not None:
        lengths = np.linalg.norm(kernel.history_factors[items].astype(np.float64), axis=1)
        reach = np.linalg.norm(kernel.item_factors[others].astype(np.float64), axis=1)
        most += lengths * reach.max(initial=0.0)
    return np.asarray(most - kernel.least_entries[items])
