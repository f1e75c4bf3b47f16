"""Whether a list holds each kind of item in the share in which the history does."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from kgrec.data.dataset import Dataset, Facts, IntArray
from kgrec.errors import ConfigError
from kgrec.metrics.ranking import Values

SMOOTHING = 0.01


def miscalibration(
    top: IntArray, histories: sp.csr_matrix, kinds: sp.csr_matrix, *, smoothing: float = SMOOTHING
) -> Values:
    """Return the divergence of each list from its history, KL(p ‖ q̃) in nats, float64 [B].

    Steck (2018), "Calibrated Recommendations": p is the mean of the history items' distributions
    over the kinds, q that of the list's, and q̃ = (1 − α) q + α p. All history items and all
    ranks count alike. 0 is perfect; a user for whom either is unknown has no value (nan).

    Args:
        top: item rows of the lists, int64 [B, k], -1 for none.
        histories: CSR [B, I], nonzero where a user had the item.
        kinds: the distribution of each item over kinds, such as genres, CSR [I, G]; rows sum to
            one, or are empty where the kinds are unknown.
        smoothing: α.
    """
    wanted = _distribution(sp.csr_matrix(histories != 0, dtype=np.float64) @ kinds)
    row, rank = np.nonzero(top >= 0)
    shape = (len(top), kinds.shape[0])
    lists = sp.csr_matrix((np.ones(len(row)), (row, top[row, rank])), shape=shape)
    given = _distribution(lists @ kinds)
    mixed = (1 - smoothing) * given + smoothing * wanted
    ratio = np.divide(wanted, mixed, out=np.ones_like(wanted), where=wanted > 0)
    divergence = (wanted * np.log(ratio)).sum(axis=1)
    return np.where(np.isnan(wanted).any(axis=1) | np.isnan(given).any(axis=1), np.nan, divergence)


def kinds_of(dataset: Dataset, relation: str | None = None) -> tuple[str, sp.csr_matrix] | None:
    """Return a relation and the items' distributions over its entities, CSR [I, G].

    Args:
        relation: which; when absent, the one that tells kinds best: that most items have and
            whose entities are held by many items each. It is the relation with the largest
            share of items that share one of its commonest twenty entities.

    Returns:
        None where there are no facts.

    Raises:
        ConfigError: the data has no such relation.
    """
    facts = dataset.facts
    if relation is not None:
        if relation not in facts.relations:
            raise ConfigError(
                "the data has no such relation",
                value=relation,
                remedy=f"Known: {', '.join(facts.relations[:12]) or 'none'}.",
            )
        return relation, _kinds(facts, facts.relations.index(relation), dataset.num_items)
    reach = [_reach(facts, row) for row in range(len(facts.relations))]
    if not reach or not max(reach):
        return None
    best = int(np.argmax(reach))
    return facts.relations[best], _kinds(facts, best, dataset.num_items)


def _reach(facts: Facts, relation: int, commonest: int = 20) -> int:
    """Count the items that hold one of a relation's commonest entities, if it has two or more."""
    own = facts.relation == relation
    entity, held_by = np.unique(facts.entity[own], return_counts=True)
    if len(entity) < 2:
        return 0
    common = entity[np.argsort(-held_by, kind="stable")[:commonest]]
    # Were nearly all facts of one entity, such as a language, every list would be like any other.
    if held_by.max() > 0.8 * held_by.sum():
        return 0
    return len(np.unique(facts.item[own & np.isin(facts.entity, common)]))


def _kinds(facts: Facts, relation: int, num_items: int) -> sp.csr_matrix:
    own = facts.relation == relation
    _, column = np.unique(facts.entity[own], return_inverse=True)
    shape = (num_items, int(column.max(initial=0)) + 1)
    held = sp.csr_matrix((np.ones(own.sum()), (facts.item[own], column)), shape=shape)
    held.sum_duplicates()
    held.data[:] = 1.0
    count = np.maximum(np.diff(held.indptr), 1)
    return sp.csr_matrix(sp.diags_array(1.0 / count) @ held)


def _distribution(summed: sp.csr_matrix) -> NDArray[np.float64]:
    """Return rows that sum to one, float64 [B, G]; nan where a row is empty."""
    dense = np.asarray(summed.todense(), dtype=np.float64)
    total = dense.sum(axis=1, keepdims=True)
    out = np.full_like(dense, np.nan)
    return np.asarray(np.divide(dense, total, out=out, where=total > 0))
