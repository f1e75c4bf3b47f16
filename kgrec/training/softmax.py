"""The softmax losses of link prediction: over all items, and over sampled candidates.

The matrix of scores is the largest tensor of a step, and a softmax composed of torch's operations
goes over it a dozen times. Here it never exists as a whole: scores are computed for a block of
histories that fits into the cache of a processor, and their gradient with them, in one pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

_BLOCK_CELLS = 1 << 19
"""Scores of a block on a processor: 2 MiB. A GPU takes all histories at once."""


@dataclass(frozen=True)
class Cells:
    """Entries of a sparse [B, I] matrix, by row.

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
    """Return a sparse [B, I] as its entries, or dense where more than a share `dense` is filled."""
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
        blocked: row · I + column of the cells that are masked, ordered by row, int64 [N].
        targets: row · I + column of the targets, distinct, ordered by row, int64 [T].
    """
    added = None if scale is None else cosine
    places = _Places(added, blocked, targets, targets // max(len(vectors), 1))
    return _softmax(_Inputs(queries, vectors, prior, scale, None), places)


def sampled_softmax(
    queries: Tensor,
    vectors: Tensor,
    prior: Tensor,
    scale: Tensor | None,
    cosine: Cells | Tensor | None,
    blocked: Tensor,
    positive: Tensor,
    target_row: Tensor,
) -> Tensor:
    """Return the mean negative log-likelihood of the targets among these and the candidates.

    The same as `kgrec.training.losses.ranking_loss` of the softmax, in one pass.

    Args:
        queries, scale, cosine, blocked: as in `softmax_over_all`, with C candidates for I items.
            The cells of targets are among the blocked ones.
        vectors: [C, D].
        prior: [C], less the log of the inclusion probability of each candidate.
        positive: scores of the targets, [T].
        target_row: the row of the history of each target, ordered, int64 [T].
    """
    added = None if scale is None else cosine
    places = _Places(added, blocked, None, target_row)
    return _softmax(_Inputs(queries, vectors, prior, scale, positive), places)


@dataclass(frozen=True)
class _Places:
    """What is constant in a softmax: added scores, and where masked cells and targets are.

    Attributes:
        added: [B, C] as `added_scores` returns it.
        blocked: row · C + column, ordered by row, int64 [N].
        targets: row · C + column, ordered by row; None of targets that have no cell, int64 [T].
        target_row: int64 [T].
    """

    added: Cells | Tensor | None
    blocked: Tensor
    targets: Tensor | None
    target_row: Tensor


class _Inputs(NamedTuple):
    """What a softmax has gradients for; see `softmax_over_all` and `sampled_softmax`."""

    queries: Tensor
    vectors: Tensor
    prior: Tensor
    scale: Tensor | None
    positive: Tensor | None


def _softmax(inputs: _Inputs, places: _Places) -> Tensor:
    device = inputs.queries.device.type
    half = torch.is_autocast_enabled(device)
    with torch.autocast(device, enabled=False):
        loss: Tensor = _Softmax.apply(places, half, *inputs)  # type: ignore[no-untyped-call]
    return loss


def _product(left: Tensor, right: Tensor, half: bool) -> Tensor:
    if half:
        return (left.bfloat16() @ right.bfloat16()).float()
    return left @ right


class _Softmax(torch.autograd.Function):
    """Softmax loss whose gradient is computed with it, block by block."""

    @staticmethod
    def forward(ctx: Any, places: _Places, half: bool, *given: Any) -> Tensor:
        inputs = _Inputs(*given)
        work, queries, vectors = _Pass(inputs, places, half), inputs.queries, inputs.vectors
        rows, columns = len(queries), max(len(vectors), 1)
        size = max(1, rows if queries.is_cuda else _BLOCK_CELLS // columns)
        for start in range(0, rows, size):
            work.block(start, min(start + size, rows))
        ctx.save_for_backward(*work.gradients)
        return work.loss

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        found = [None if part is None else part * outer[0] for part in ctx.saved_tensors]
        return (None, None, *found)


class _Pass:
    """One pass over the histories: adds up the loss and its gradients."""

    def __init__(self, inputs: _Inputs, places: _Places, half: bool) -> None:
        self.queries, self.vectors, self.prior, self.scale, self.positive = inputs
        self.places, self.half = places, half
        self.columns, self.number = len(self.vectors), max(len(places.target_row), 1)
        each = torch.bincount(places.target_row, minlength=len(self.queries))
        self.each = each.to(self.queries.dtype)
        self.loss = self.queries.new_zeros(())
        if self.positive is not None:
            self.loss -= self.positive.sum() / self.number
        self.by_query = torch.empty_like(self.queries)
        self.by_vector, self.by_prior = torch.zeros_like(self.vectors), torch.zeros_like(self.prior)
        self.by_scale = None if self.scale is None else torch.zeros_like(self.scale)
        self.by_positive = None if self.positive is None else torch.empty_like(self.positive)

    @property
    def gradients(self) -> tuple[Tensor | None, ...]:
        return self.by_query, self.by_vector, self.by_prior, self.by_scale, self.by_positive

    def block(self, start: int, stop: int) -> None:
        """Add what the histories of these rows contribute."""
        queries, each = self.queries[start:stop], self.each[start:stop]
        scores = self._scores(queries, start, stop)
        flat = scores.view(-1)
        own = _between(self.places.target_row, start, stop)
        row = self.places.target_row[own] - start
        top = scores.amax(dim=1)
        positive = None if self.positive is None else self.positive[own]
        if positive is not None:
            top = top.scatter_reduce(0, row, positive, "amax")
        top = torch.where(torch.isfinite(top), top, 0.0)
        if self.places.targets is not None:
            cells = self.places.targets[own] - start * self.columns
            self.loss -= flat[cells].sum() / self.number
        total = scores.sub_(top[:, None]).exp_().sum(dim=1)  # [b]
        if positive is not None:
            likely = torch.exp(positive - top[row])
            total.index_add_(0, row, likely)
        counted = each > 0
        self.loss += torch.where(counted, torch.log(total) + top, 0.0) @ each / self.number
        # d loss / d score = weight · (exp(score) - [target] · total / targets of the row): from
        # here on `scores` holds the bracket, and `weight` [b, 1] its factor.
        if self.places.targets is not None:
            flat[cells] -= (total / each)[row]
        weight = torch.where(counted, each / (total * self.number), 0.0)
        if positive is not None and self.by_positive is not None:
            self.by_positive[own] = likely * weight[row] - 1.0 / self.number
        self._gradient(queries, scores, weight[:, None], start, stop)

    def _scores(self, queries: Tensor, start: int, stop: int) -> Tensor:
        """Return the scores of some histories, [b, C]; minus infinity where a cell is masked."""
        scores = _product(queries, self.vectors.T, self.half).add_(self.prior)
        flat, added, first = scores.view(-1), self.places.added, start * self.columns
        if isinstance(added, Tensor) and self.scale is not None:
            scores.addcmul_(added[start:stop], self.scale)
        elif isinstance(added, Cells) and self.scale is not None:
            here = _between(added.row, start, stop)
            value = added.value[here] * self.scale[added.column[here]]
            flat.index_add_(0, added.flat[here] - first, value)
        here = _between(self.places.blocked, first, stop * self.columns)
        flat[self.places.blocked[here] - first] = -torch.inf
        return scores

    def _gradient(
        self, queries: Tensor, scores: Tensor, weight: Tensor, start: int, stop: int
    ) -> None:
        """Add the gradients of a block from its brackets, [b, C], and their factors, [b, 1]."""
        self.by_query[start:stop] = _product(scores, self.vectors, self.half) * weight
        self.by_vector += _product(scores.T, queries * weight, self.half)
        self.by_prior += scores.T @ weight[:, 0]
        added = self.places.added
        if isinstance(added, Tensor) and self.by_scale is not None:
            self.by_scale += scores.mul_(added[start:stop]).T @ weight[:, 0]
        elif isinstance(added, Cells) and self.by_scale is not None:
            here = _between(added.row, start, stop)
            values = scores.view(-1)[added.flat[here] - start * self.columns] * added.value[here]
            values = values * weight[added.row[here] - start, 0]
            self.by_scale.index_add_(0, added.column[here], values)


def _between(ordered: Tensor, start: int, stop: int) -> slice:
    """Return the range of the values from `start` to below `stop`; those below come before it."""
    ends = torch.searchsorted(ordered, torch.tensor([start, stop], device=ordered.device))
    return slice(*ends.tolist())
