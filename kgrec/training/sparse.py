"""Sparse matrix products for message passing, with gradients.

Attention over the edges of a graph needs two products: its logits are inner products of the two
ends of an edge (sampled dense-dense), and its messages are summed with learned weights (sparse
times dense). No tensor of edges × dimensions is held, which is what makes gathering slow.
"""

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
    """A sparse matrix with its transpose, which the gradient of a product needs.

    Attributes:
        matrix: CSR [N, M].
        transposed: CSR [M, N].
    """

    matrix: Tensor
    transposed: Tensor

    @classmethod
    def of(cls, matrix: sp.csr_matrix, device: str = "cpu") -> Adjacency:
        """Build from a SciPy matrix, CSR float32 [N, M]."""
        transposed = sp.csr_matrix(matrix.T)
        return cls(_tensor(matrix, device), _tensor(transposed, device))


def aggregate(adjacency: Tensor | Adjacency, features: Tensor) -> Tensor:
    """Sum the features of neighbours: [N, M] sparse times [M, D] gives [N, D]."""
    if isinstance(adjacency, Adjacency):
        summed: Tensor = _Aggregate.apply(adjacency, features)  # type: ignore[no-untyped-call]
        return summed
    return multiply(adjacency, features)


class _Aggregate(torch.autograd.Function):
    """The product with a constant sparse matrix; torch's own transposes it in every backward."""

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


@dataclass(frozen=True)
class Pattern:
    """The positions of E entries in a sparse matrix [N, M], by row and, for gradients, by column.

    Attributes:
        by_row: CSR [N, M], its values are 0.
        by_column: CSR [M, N], the same positions in the transposed matrix.
        order: the entry of `by_row` that each entry of `by_column` is, int64 [E].
    """

    by_row: Tensor
    by_column: Tensor
    order: Tensor

    @classmethod
    def of(
        cls, row: IntArray, column: IntArray, size: tuple[int, int], device: str = "cpu"
    ) -> Pattern:
        """Build from positions sorted by row, int64 [E] each."""
        order = np.argsort(column, kind="stable")
        zeros = torch.zeros(len(row))
        return cls(
            csr_tensor(row, column, zeros, size, device),
            csr_tensor(column[order], row[order], zeros, size[::-1], device),
            torch.from_numpy(order).to(device),
        )

    def matrix(self, weight: Tensor) -> Tensor:
        """Return the matrix with these entries, float32 [E]: CSR [N, M]."""
        return _filled(self.by_row, weight)

    def transposed(self, weight: Tensor) -> Tensor:
        """Return the transposed matrix with these entries, float32 [E]: CSR [M, N]."""
        return _filled(self.by_column, weight[self.order])


def inner_products(pattern: Pattern, left: Tensor, right: Tensor) -> Tensor:
    """Return ⟨left_i, right_j⟩ at each position (i, j) of the pattern, float32 [E].

    Args:
        left: [N, D].
        right: [M, D].
    """
    products: Tensor = _InnerProducts.apply(pattern, left, right)  # type: ignore[no-untyped-call]
    return products


def weighted_sum(pattern: Pattern, weight: Tensor, features: Tensor) -> Tensor:
    """Return the matrix with these entries times the features, [N, D].

    Args:
        weight: [E].
        features: of the columns, [M, D].
    """
    return _summed(pattern, weight, features, back=False)


def weighted_sum_back(pattern: Pattern, weight: Tensor, features: Tensor) -> Tensor:
    """Return the transposed matrix with these entries times the features, [M, D].

    Args:
        weight: [E].
        features: of the rows, [N, D].
    """
    return _summed(pattern, weight, features, back=True)


def _summed(pattern: Pattern, weight: Tensor, features: Tensor, *, back: bool) -> Tensor:
    function = _WeightedSum
    summed: Tensor = function.apply(pattern, weight, features, back)  # type: ignore[no-untyped-call]
    return summed


class _InnerProducts(torch.autograd.Function):
    """Sampled inner products: their gradient to either side is a sparse product of the other."""

    @staticmethod
    def forward(ctx: Any, pattern: Pattern, left: Tensor, right: Tensor) -> Tensor:
        ctx.pattern = pattern
        ctx.save_for_backward(left, right)
        return _sampled(pattern, left, right)

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[None, Tensor, Tensor]:
        left, right = ctx.saved_tensors
        to_left = multiply(ctx.pattern.matrix(outer[0]), right)
        return None, to_left, multiply(ctx.pattern.transposed(outer[0]), left)


class _WeightedSum(torch.autograd.Function):
    """A sparse product whose gradient to the entries is computed at their positions alone.

    Torch's own gradient of a sparse matrix is dense, [N, M].
    """

    @staticmethod
    def forward(ctx: Any, pattern: Pattern, weight: Tensor, features: Tensor, back: bool) -> Tensor:
        ctx.pattern, ctx.back = pattern, back
        ctx.save_for_backward(weight, features)
        return multiply(pattern.transposed(weight) if back else pattern.matrix(weight), features)

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[None, Tensor, Tensor, None]:
        weight, features = ctx.saved_tensors
        pattern, back = ctx.pattern, ctx.back
        ends = (features, outer[0]) if back else (outer[0], features)
        other_way = pattern.matrix(weight) if back else pattern.transposed(weight)
        return None, _sampled(pattern, *ends), multiply(other_way, outer[0]), None


def _filled(pattern: Tensor, value: Tensor) -> Tensor:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        return torch.sparse_csr_tensor(
            pattern.crow_indices(),
            pattern.col_indices(),
            value.to(pattern.dtype),
            size=pattern.shape,
            check_invariants=False,
        )


def _sampled(pattern: Pattern, left: Tensor, right: Tensor) -> Tensor:
    with torch.autocast(left.device.type, enabled=False):
        left, right = (part.to(pattern.by_row.dtype) for part in (left, right))
        found: Tensor = torch.sparse.sampled_addmm(pattern.by_row, left, right.T, beta=0.0)
    return found.values()
