"""How unlike the items of one list are, by their facts or by their words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp

from kgrec.data.dataset import Dataset, FloatArray, IntArray
from kgrec.metrics.ranking import Values

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
    """Return by what items are told apart, `facts` or `texts`, and their unit features [I, K].

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
