"""Knowledge features of items as the agents weigh them."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from kgrec.agents.neighbours import product_budget, strongest_products, widest_kept
from kgrec.data.dataset import Dataset


def degree_features(train: Dataset) -> sp.csr_matrix | None:
    """Return F, item x (relation, entity) with weights 1/√degree, CSR float32 [I, K].

    The degree is the number of items that hold the feature. None where no two items share one.
    """
    features = train.features()
    if not features.nnz:
        return None
    held_by = np.maximum(np.bincount(features.indices, minlength=features.shape[1]), 1)
    return sp.csr_matrix(features @ sp.diags_array(held_by**-0.5), dtype=np.float32)


def unit_features(train: Dataset) -> sp.csr_matrix | None:
    """Return the features with IDF weights and rows of length 1, CSR float32 [I, K], or None."""
    features = train.features()
    if not features.nnz:
        return None
    held_by = np.maximum(np.bincount(features.indices, minlength=features.shape[1]), 1)
    weighted = sp.csr_matrix(features @ sp.diags_array(np.log(train.num_items / held_by)))
    length = np.sqrt(np.asarray(weighted.multiply(weighted).sum(axis=1)).ravel())
    scale = np.divide(1.0, length, out=np.zeros_like(length), where=length > 0)
    return sp.csr_matrix(sp.diags_array(scale) @ weighted, dtype=np.float32)


def cosine_rows(
    train: Dataset, row_size: int, *, products_per_entry: int = 300, max_entries: int = 20_000_000
) -> sp.csr_matrix | None:
    """Return Kc, the cosine of the items' features, CSR float32 [I, I] with a zero diagonal.

    Time and memory grow with the facts. Features that so many items hold that the products of
    all pairs would be too many are left out of the sums, though not of the lengths: their IDF is
    small.

    Args:
        row_size: for each candidate (column) only so many history items (rows) are kept, the
            most alike, so that rare items keep theirs.
        products_per_entry: at most so many products for each entry of the features.
        max_entries: about so many cosines are held at a time.

    Returns:
        None where no two items share a feature.
    """
    features = unit_features(train)
    if features is None:
        return None
    columns = sp.csr_matrix(features.T)
    held_by = np.diff(columns.indptr).astype(np.int64)
    widest = widest_kept(held_by, product_budget(features.nnz, products_per_entry))
    columns = sp.csr_matrix(columns[held_by <= widest])
    near = strongest_products(sp.csr_matrix(columns.T), columns, row_size, max_entries=max_entries)
    return sp.csr_matrix(near.T, dtype=np.float32)
