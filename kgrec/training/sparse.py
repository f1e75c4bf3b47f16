"""Bipartite message passing on torch-geometric's sparse matrices."""

from __future__ import annotations

import warnings

import numpy as np
import torch
from torch import Tensor

from kgrec.data.dataset import IntArray

with warnings.catch_warnings():
    # torch-geometric scripts some of its classes when it is imported, which torch deprecates.
    warnings.simplefilter("ignore")
    from torch_geometric.utils import spmm


def csr_tensor(
    row: IntArray, column: IntArray, value: Tensor, size: tuple[int, int], device: str = "cpu"
) -> Tensor:
    """Build a sparse CSR tensor from entries that are sorted by row.

    Args:
        row, column: int64 [E].
        value: float32 [E].
    """
    counts = np.bincount(row, minlength=size[0])
    start = torch.from_numpy(np.concatenate([[0], np.cumsum(counts)]))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        matrix = torch.sparse_csr_tensor(
            start, torch.from_numpy(column), value, size=size, check_invariants=False
        )
        return matrix.to(device)


def aggregate(adjacency: Tensor, features: Tensor) -> Tensor:
    """Sum the features of neighbours: [N, M] sparse times [M, D] gives [N, D]."""
    with warnings.catch_warnings(), torch.autocast(features.device.type, enabled=False):
        warnings.filterwarnings("ignore", message="Sparse")
        # Sparse products have no half precision on every device.
        summed: Tensor = spmm(adjacency, features.to(adjacency.dtype))
    return summed
