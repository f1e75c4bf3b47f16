"""The softmax over all items in one piece, which touches the score matrix as seldom as it can.

Scores, their softmax and its gradient share one [B, I] buffer; composed of torch's own operations
the same needs about three times the passes over memory, which dominate the time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor


@dataclass(frozen=True)
class Cells:
    """Entries of a sparse [B, I] matrix.

    Attributes:
        flat: row · I + column, int64 [N].
        row, column: int64 [N].
        value: float32 [N].
    """

    flat: Tensor
    row: Tensor
    column: Tensor
    value: Tensor

    @classmethod
    def of(cls, matrix: sp.csr_matrix, device: str = "cpu") -> Cells:
        row = np.repeat(np.arange(matrix.shape[0], dtype=np.int64), np.diff(matrix.indptr))
        column = matrix.indices.astype(np.int64)
        parts = (row * matrix.shape[1] + column, row, column, matrix.data.astype(np.float32))
        return cls(*(torch.from_numpy(part).to(device) for part in parts))


def added_scores(
    matrix: sp.csr_matrix, device: str = "cpu", *, dense: float = 0.2
) -> Cells | Tensor:
    """Return a sparse [B, I] as its entries, or whole where more than a share `dense` is filled."""
    if matrix.nnz <= dense * matrix.shape[0] * matrix.shape[1]:
        return Cells.of(matrix, device)
    return torch.from_numpy(matrix.toarray().astype(np.float32, copy=False)).to(device)


def softmax_over_all(
    queries: Tensor,
    vectors: Tensor,
    prior: Tensor,
    scale: Tensor | None,
    cosine: Cells | Tensor | None,
    blocked: Tensor,
    targets: Tensor,
) -> Tensor:
    """Return the mean negative log-likelihood of the targets among all items.

    The score is queries · vectorsᵀ + cosine · scale + prior.

    Args:
        queries: [B, D].
        vectors: [I, D].
        prior: [I].
        scale: of the columns of `cosine`, [I].
        cosine: [B, I] as `added_scores` returns it, or None.
        blocked: row · I + column of the cells that are masked, int64 [N].
        targets: row · I + column of the targets, distinct, int64 [T].
    """
    half = torch.is_autocast_enabled(queries.device.type)
    with torch.autocast(queries.device.type, enabled=False):
        loss: Tensor = _Softmax.apply(  # type: ignore[no-untyped-call]
            queries, vectors, prior, scale, cosine, blocked, targets, half
        )
    return loss


def _product(left: Tensor, right: Tensor, half: bool) -> Tensor:
    if half:
        return (left.bfloat16() @ right.bfloat16()).float()
    return left @ right


class _Softmax(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        queries: Tensor,
        vectors: Tensor,
        prior: Tensor,
        scale: Tensor | None,
        cosine: Cells | Tensor | None,
        blocked: Tensor,
        targets: Tensor,
        half: bool,
    ) -> Tensor:
        scores = _product(queries, vectors.T, half).add_(prior)  # [B, I]
        flat = scores.view(-1)
        if isinstance(cosine, Tensor) and scale is not None:
            scores.addcmul_(cosine, scale)
        elif isinstance(cosine, Cells) and scale is not None:
            flat.index_add_(0, cosine.flat, cosine.value * scale[cosine.column])
        flat[blocked] = -torch.inf
        positive = flat[targets].sum()
        top = scores.amax(dim=1, keepdim=True)
        top = torch.where(torch.isfinite(top), top, 0.0)
        total = scores.sub_(top).exp_().sum(dim=1)  # [B]
        width = scores.shape[1]
        each = torch.bincount(targets // width, minlength=len(scores)).to(total.dtype)
        log_partition = torch.where(each > 0, torch.log(total) + top[:, 0], 0.0)
        # From here on each row, times its weight, is the gradient of its scores.
        flat[targets] -= (total / each)[targets // width]
        weight = each / (total * max(len(targets), 1))
        weight = torch.where(each > 0, weight, 0.0)[:, None]  # [B, 1]
        ctx.save_for_backward(queries, vectors, scores, weight)
        ctx.cosine, ctx.half = (None if scale is None else cosine), half
        return (log_partition @ each - positive) / max(len(targets), 1)

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        queries, vectors, scores, weight = ctx.saved_tensors
        weight = weight * outer[0]
        by_scale = None
        if isinstance(ctx.cosine, Tensor):
            by_scale = (scores * ctx.cosine).T @ weight[:, 0]
        elif ctx.cosine is not None:
            cells = ctx.cosine
            values = scores.view(-1)[cells.flat] * cells.value * weight[cells.row, 0]
            by_scale = torch.zeros(len(vectors), dtype=values.dtype, device=values.device)
            by_scale.index_add_(0, cells.column, values)
        by_query = _product(scores, vectors, ctx.half) * weight
        by_vector = _product(scores.T, queries * weight, ctx.half)
        by_prior = scores.T @ weight[:, 0]
        return by_query, by_vector, by_prior, by_scale, None, None, None, None
