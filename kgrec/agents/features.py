"""Knowledge features of items as the agents weigh them."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from kgrec.data.dataset import Dataset, FloatArray


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
    train: Dataset, row_size: int, *, max_cells: int = 8_000_000
) -> sp.csr_matrix | None:
    """Return Kc, the cosine of the items' features, CSR float32 [I, I] with a zero diagonal.

    Args:
        row_size: for each candidate (column) only so many history items (rows) are kept, the
            most alike, so that rare items keep theirs.
        max_cells: at most so many cosines are held at a time.

    Returns:
        None where no two items share a feature.
    """
    features = unit_features(train)
    if features is None:
        return None
    transposed = sp.csc_matrix(features.T)
    block = max(1, max_cells // train.num_items)
    blocks = []
    for start in range(0, train.num_items, block):
        cosine = (features[start : start + block] @ transposed).toarray()  # [N, I]
        rows = np.arange(len(cosine))
        cosine[rows, rows + start] = 0.0
        blocks.append(strongest(cosine, row_size))
    return sp.csr_matrix(sp.vstack(blocks).T, dtype=np.float32)


def strongest(weights: FloatArray, row_size: int, *, by_size: bool = False) -> sp.csr_matrix:
    """Keep the largest entries of each row, CSR float32 of the same shape.

    Args:
        weights: float32 [N, I].
        by_size: whether a large negative entry counts as much as a positive one.
    """
    size = min(row_size, weights.shape[1])
    rank = -np.abs(weights) if by_size else -weights
    near = np.argpartition(rank, size - 1, axis=1)[:, :size]
    start = np.arange(0, near.size + 1, size)
    values = np.take_along_axis(weights, near, axis=1).ravel()
    matrix = sp.csr_matrix((values, near.ravel(), start), shape=weights.shape, dtype=np.float32)
    matrix.eliminate_zeros()
    matrix.sort_indices()
    return matrix
