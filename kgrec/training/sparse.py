"""Bipartite message passing on torch-geometric's sparse matrices."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
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


@dataclass(frozen=True)
class Adjacency:
    """A sparse matrix that is kept with its transpose, which the gradient of a product needs.

    Attributes:
        matrix: CSR [N, M].
        transposed: CSR [M, N].
    """

    matrix: Tensor
    transposed: Tensor

    @classmethod
    def of(cls, matrix: sp.csr_matrix, device: str = "cpu") -> Adjacency:
        """Take a SciPy matrix, CSR float32 [N, M]."""
        transposed = sp.csr_matrix(matrix.T)
        return cls(_tensor(matrix, device), _tensor(transposed, device))


def aggregate(adjacency: Tensor | Adjacency, features: Tensor) -> Tensor:
    """Sum the features of neighbours: [N, M] sparse times [M, D] gives [N, D]."""
    if isinstance(adjacency, Adjacency):
        summed: Tensor = _Aggregate.apply(adjacency, features)  # type: ignore[no-untyped-call]
        return summed
    return multiply(adjacency, features)


class _Aggregate(torch.autograd.Function):
    """The product with a constant sparse matrix; torch's own transposes it in every step."""

    @staticmethod
    def forward(ctx: Any, adjacency: Adjacency, features: Tensor) -> Tensor:
        ctx.transposed = adjacency.transposed
        return multiply(adjacency.matrix, features)

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[None, Tensor]:
        return None, multiply(ctx.transposed, outer[0])


def _tensor(matrix: sp.csr_matrix, device: str) -> Tensor:
    row = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    value = torch.from_numpy(matrix.data.astype(np.float32, copy=False))
    return csr_tensor(row, matrix.indices.astype(np.int64), value, matrix.shape, device)


def multiply(adjacency: Tensor, features: Tensor) -> Tensor:
    """Return a sparse matrix, CSR [N, M], times features, [M, D]: [N, D]."""
    with warnings.catch_warnings(), torch.autocast(features.device.type, enabled=False):
        warnings.filterwarnings("ignore", message="Sparse")
        # Sparse products have no half precision on every device.
        summed: Tensor = spmm(adjacency, features.to(adjacency.dtype))
    return summed
