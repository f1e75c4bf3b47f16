"""Novelty: items with fewer interactions first."""

from __future__ import annotations

import numpy as np

from kgrec.retrieval.query import Query
from kgrec.retrieval.reranking import Pick, worth


def by_novelty(query: Query, ranked: list[Pick]) -> list[Pick]:
    """Trade score for self-information by the novelty of the query; a `Reranker`.

    Vargas and Castells (2011), "Rank and relevance in novelty and diversity metrics": -log2 of the
    share of interactions that an item has, with one more for each, so that none is infinite. Both
    sides are brought to [0, 1] over the items that are reranked.
    """
    novelty = query.knobs.novelty
    if not novelty or not ranked:
        return ranked
    counts = query.traits.interactions(query.scored.rows[[pick.position for pick in ranked]])
    surprise = -np.log2(counts + 1.0)
    span = float(np.ptp(surprise))
    new = (surprise - surprise.min()) / span if span > 0 else np.zeros(len(ranked))
    order = np.argsort(-((1 - novelty) * worth(query, ranked) + novelty * new), kind="stable")
    return [
        Pick(ranked[n].position, "novelty", f"{counts[n]} interactions") for n in order.tolist()
    ]
