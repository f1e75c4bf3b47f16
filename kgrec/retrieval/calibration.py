"""Calibration: a list with the history's own mix of genres, or of another relation's entities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from kgrec.metrics.beyond_accuracy import SMOOTHING
from kgrec.retrieval.filters import relations_of
from kgrec.retrieval.query import Query
from kgrec.retrieval.reranking import Pick, worth

Floats = NDArray[np.float64]


def by_calibration(query: Query, ranked: list[Pick]) -> list[Pick]:
    """Trade score for nearness to the history's mix; a `Reranker`.

    Steck (2018), "Calibrated Recommendations": items are chosen greedily by (1 - c) times the sum
    of the scores, brought to [0, 1], less c times KL(p ‖ q̃), where p is the mean of the history
    items' distributions over the entities, q that of the items chosen, and q̃ a little of p in q.
    All history items count alike. A history without such facts leaves the order as it is.
    """
    knobs = query.knobs
    if not knobs.calibration or not ranked or not len(query.history):
        return ranked
    relations = relations_of(knobs.calibrate_by, query.live.selection.domain)
    traits = query.traits
    wanted = traits.entities(query.history.rows, relations)
    rows = query.scored.rows[[pick.position for pick in ranked]]
    offered = traits.entities(rows, relations)
    kinds, p = _distributions(wanted, offered)
    if not p.sum():
        return ranked
    known = np.array([bool(some) for some in offered])
    order = calibrate(
        worth(query, ranked), kinds, known, p / p.sum(), calibration=knobs.calibration
    )
    why = f"brings the list nearer to the history's mix of {knobs.calibrate_by}"
    return [
        Pick(ranked[n].position, "calibration", why if n > to else None)
        for to, n in enumerate(order)
    ]


def calibrate(
    scores: Floats,
    kinds: sp.csr_matrix,
    known: NDArray[np.bool_],
    p: Floats,
    *,
    calibration: float,
) -> list[int]:
    """Choose items one after another and return their places.

    Args:
        scores: in [0, 1], [C].
        kinds: the distribution of each item over entities, of which those of the history are the
            columns, CSR [C, G]; rows sum to one or less.
        known: which items have such entities at all, bool [C]; the others change no mix.
        p: the history's distribution, float64 [G].
        calibration: 0 keeps the order of the scores, 1 uses the mix alone.
    """
    owner = np.repeat(np.arange(len(scores)), np.diff(kinds.indptr))
    column, value = kinds.indices, kinds.data
    left = np.ones(len(scores), dtype=np.bool_)
    total, number, chosen = np.zeros(len(p)), 0, list[int]()

    def divergence(mass: Floats, size: float, of: Floats) -> Floats:
        mixed = (1 - SMOOTHING) * mass / max(size, 1.0) + SMOOTHING * of
        return np.asarray(of * np.log(of / mixed))

    for _ in range(len(scores)):
        now = float(divergence(total, number, p).sum())
        base = divergence(total, number + 1, p)  # of one item more, before its own entities
        change = divergence(total[column] + value, number + 1, p[column]) - base[column]
        after = base.sum() + np.bincount(owner, weights=change, minlength=len(scores))
        cost = np.where(known, after, now)
        gain = np.where(left, (1 - calibration) * scores - calibration * cost, -np.inf)
        best = int(np.argmax(gain))
        chosen.append(best)
        left[best] = False
        if known[best]:
            run = slice(kinds.indptr[best], kinds.indptr[best + 1])
            total[column[run]] += value[run]
            number += 1
    return chosen


def _distributions(
    wanted: Sequence[Sequence[str]], offered: Sequence[Sequence[str]]
) -> tuple[sp.csr_matrix, Floats]:
    """Return the items' distributions, CSR [C, G], and the sum of the history's, float64 [G]."""
    names = sorted({entity for some in wanted for entity in some})
    column = {entity: n for n, entity in enumerate(names)}
    p = np.zeros(len(names))
    for some in wanted:
        for entity in some:
            p[column[entity]] += 1 / len(some)
    entries = [
        (row, column[entity], 1 / len(some))
        for row, some in enumerate(offered)
        for entity in some
        if entity in column
    ]
    rows, columns, values = np.array(entries, dtype=np.float64).reshape(-1, 3).T
    places = (rows.astype(np.int64), columns.astype(np.int64))
    shape = (len(offered), max(len(names), 1))
    return sp.csr_matrix((values, places), shape=shape), p
