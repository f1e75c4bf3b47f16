"""Metrics of one list beyond accuracy: diversity of its items, calibration to the history."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from kgrec.data.dataset import Dataset, Facts, FloatArray, IntArray
from kgrec.errors import ConfigError
from kgrec.metrics.ranking import Values

SMOOTHING = 0.01
_WORD = re.compile(r"\w{2,}")


def intra_list_diversity(top: IntArray, features: sp.csr_matrix) -> Values:
    """Return the mean distance, 1 less cosine, of the pairs of each list, float64 [B].

    Ziegler et al. (2005), as a distance in place of a similarity. Items without features are left
    out, since of them nothing is known; a list with fewer than two others has no value (nan).

    Args:
        top: item rows of the lists, int64 [B, k], -1 for none.
        features: rows of length 1 or 0, CSR [I, K].
    """
    known = np.diff(features.indptr) > 0
    row, rank = np.nonzero((top >= 0) & known[top])
    ones = np.ones(len(row))
    lists = sp.csr_matrix((ones, (row, top[row, rank])), shape=(len(top), features.shape[0]))
    summed = sp.csr_matrix(lists @ features, dtype=np.float64)  # [B, K]
    together = np.asarray(summed.multiply(summed).sum(axis=1)).ravel()
    count = np.bincount(row, minlength=len(top)).astype(np.float64)
    pairs = count * (count - 1)
    likeness = np.divide(together - count, pairs, out=np.full(len(top), np.nan), where=pairs > 0)
    return np.asarray(1.0 - likeness)


def item_features(dataset: Dataset) -> tuple[str, sp.csr_matrix] | None:
    """Return the features that distances are measured by, `facts` or `texts`, unit rows [I, K].

    The facts that two items or more share, each alike, where half of the items have some or no
    more have a text, else the words of the texts, of which rare ones weigh more (IDF). With such
    weights, or with facts that one item alone has, nearly all pairs of items would be wholly
    unlike. None where there is neither.
    """
    facts = dataset.features()
    words = word_counts(dataset.item_texts, dataset.num_items)
    with_facts, with_words = (int((np.diff(m.indptr) > 0).sum()) for m in (facts, words))
    if not with_facts and not with_words:
        return None
    if with_facts >= min(with_words, dataset.num_items / 2):
        return "facts", unit_rows(facts)
    held_by = np.maximum(np.bincount(words.indices, minlength=words.shape[1]), 1)
    weight = np.log1p(dataset.num_items / held_by)
    return "texts", unit_rows(sp.csr_matrix(words @ sp.diags_array(weight)))


def word_counts(texts: Sequence[str], num_items: int) -> sp.csr_matrix:
    """Count the words of texts, CSR float32 [I, W]."""
    column: dict[str, int] = {}
    rows: list[int] = []
    columns: list[int] = []
    counts: list[int] = []
    for row, text in enumerate(texts):
        for word, count in Counter(_WORD.findall(text.lower())).items():
            rows.append(row)
            columns.append(column.setdefault(word, len(column)))
            counts.append(count)
    values: FloatArray = np.array(counts, dtype=np.float32)
    return sp.csr_matrix((values, (rows, columns)), shape=(num_items, max(len(column), 1)))


def unit_rows(features: sp.csr_matrix) -> sp.csr_matrix:
    """Give each row that has any features the length 1."""
    length = np.sqrt(np.asarray(features.multiply(features).sum(axis=1)).ravel())
    scale = np.divide(1.0, length, out=np.zeros_like(length), where=length > 0)
    return sp.csr_matrix(sp.diags_array(scale) @ features)


def miscalibration(
    top: IntArray, histories: sp.csr_matrix, kinds: sp.csr_matrix, *, smoothing: float = SMOOTHING
) -> Values:
    """Return the divergence of each list from its history, KL(p ‖ q̃) in nats, float64 [B].

    Steck (2018), "Calibrated Recommendations": p is the mean of the history items' distributions
    over the kinds, q that of the list's, and q̃ = (1 − α) q + α p. All history items and all
    ranks count alike. 0 is perfect; a user without either has no value (nan).

    Args:
        top: item rows of the lists, int64 [B, k], -1 for none.
        histories: CSR [B, I], nonzero where a user had the item.
        kinds: the distribution of each item over kinds, such as genres, CSR [I, G]; rows sum to
            one, or are empty where the kinds are unknown.
        smoothing: α.
    """
    wanted = _distribution(histories.astype(np.bool_).astype(np.float64) @ kinds)
    row, rank = np.nonzero(top >= 0)
    shape = (len(top), kinds.shape[0])
    lists = sp.csr_matrix((np.ones(len(row)), (row, top[row, rank])), shape=shape)
    listed = _distribution(lists @ kinds)
    mixed = (1 - smoothing) * listed + smoothing * wanted
    ratio = np.divide(wanted, mixed, out=np.ones_like(wanted), where=wanted > 0)
    divergence = (wanted * np.log(ratio)).sum(axis=1)
    return np.where(np.isnan(wanted).any(axis=1) | np.isnan(listed).any(axis=1), np.nan, divergence)


def kinds_of(dataset: Dataset, relation: str | None = None) -> tuple[str, sp.csr_matrix] | None:
    """Return a relation and the items' distributions over its entities, CSR [I, G].

    Args:
        relation: which; when absent, the one that divides items into kinds best: that most items
            have and whose entities are held by many items each. It is the relation with the
            largest share of items that share one of its commonest twenty entities.

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
