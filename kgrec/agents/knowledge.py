"""Knowledge features of items as the agents weigh them."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

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


def cosine_rows(train: Dataset, row_size: int, *, block: int = 1024) -> sp.csr_matrix | None:
    """Return Kc, the cosine of the items' features, CSR float32 [I, I] with a zero diagonal.

    Args:
        row_size: for each candidate (column) only so many history items (rows) are kept, the
            most alike, so that rare items keep theirs.
        block: rows that are multiplied at a time.

    Returns:
        None where no two items share a feature.
    """
    features = unit_features(train)
    if features is None:
        return None
    transposed = sp.csc_matrix(features.T)
    blocks = []
    for start in range(0, features.shape[0], block):
        product = sp.csr_matrix(features[start : start + block] @ transposed)
        blocks.append(strongest(product, row_size, first=start))
    return sp.csr_matrix(sp.vstack(blocks).T, dtype=np.float32)


def strongest(matrix: sp.csr_matrix, row_size: int, *, first: int = 0) -> sp.csr_matrix:
    """Keep the largest entries of each row, none of them on the diagonal.

    Args:
        first: the row of the whole matrix at which this block begins.
    """
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    other = (matrix.indices != rows + first) & (matrix.data > 0)
    rows, columns, values = rows[other], matrix.indices[other], matrix.data[other]
    order = np.lexsort((-values, rows))
    rows, columns, values = rows[order], columns[order], values[order]
    kept = np.arange(len(rows)) - np.searchsorted(rows, rows) < row_size
    entries = (values[kept], (rows[kept], columns[kept]))
    return sp.csr_matrix(entries, shape=matrix.shape, dtype=np.float32)
