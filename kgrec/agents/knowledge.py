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
