"""How alike items are: by the model, by shared facts, or by the words of their texts."""

from __future__ import annotations

from collections import Counter

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from kgrec.data.dataset import IntArray
from kgrec.metrics.beyond_accuracy import unit_rows, word_counts
from kgrec.model.histories import Histories
from kgrec.model.team import Team
from kgrec.retrieval.traits import Traits


def by_model(team: Team, rows: IntArray) -> NDArray[np.float64]:
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


def by_facts(traits: Traits, rows: IntArray) -> NDArray[np.float64]:
    """Return the cosines of the facts that items share, float64 [C, C] in [0, 1].

    Facts that one of the items alone has make no difference.
    """
    facts = traits.facts(rows)
    count = Counter(fact for some in facts for fact in some)
    column = {fact: n for n, fact in enumerate(sorted(f for f, held in count.items() if held > 1))}
    pairs = [
        (row, column[fact]) for row, some in enumerate(facts) for fact in some if fact in column
    ]
    row, place = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    shape = (len(rows), max(len(column), 1))
    return _cosines(sp.csr_matrix((np.ones(len(row)), (row, place)), shape=shape))


def by_text(traits: Traits, rows: IntArray) -> NDArray[np.float64]:
    """Return the cosines of the words of the items' texts, float64 [C, C] in [0, 1].

    Words weigh by the inverse of how many of the items have them.
    """
    words = word_counts(traits.texts(rows), len(rows))
    held = np.maximum(np.bincount(words.indices, minlength=words.shape[1]), 1)
    weight = np.log1p(len(rows) / held)
    return _cosines(sp.csr_matrix(words @ sp.diags_array(weight)))


def _cosines(features: sp.csr_matrix) -> NDArray[np.float64]:
    unit = unit_rows(features)
    alike = np.clip(np.asarray((unit @ unit.T).todense(), dtype=np.float64), 0.0, 1.0)
    np.fill_diagonal(alike, 1.0)
    return alike
