"""Drawing the candidates of a sampled softmax, each with a known probability.

Losses over score matrices of histories and candidates.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from kgrec.config import FrozenModel
from kgrec.data.dataset import IntArray

Sampler = Literal["uniform", "popularity", "batch"]


def inclusion(
    degree: IntArray, count: int, sampler: Sampler, *, power: float = 0.75
) -> NDArray[np.float64]:
    """Return the probability of each item to be a candidate, float64 [I].

    Args:
        degree: interactions of each item, int64 [I]; one without any counts as one with one.
        count: candidates to expect, the sum; all items are certain where there are no more.
        sampler: `uniform` or `popularity`; for `batch` the count is that of the targets, each
            drawn by popularity.
        power: of the popularity.
    """
    if sampler == "batch":
        share = degree / max(int(degree.sum()), 1)
        return np.asarray(-np.expm1(count * np.log1p(-np.minimum(share, 1 - 1e-12))))
    if count >= len(degree):
        return np.ones(len(degree))
    weight = np.maximum(degree, 1.0) ** (0.0 if sampler == "uniform" else power)
    return _scaled(weight, count)


def _scaled(weight: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Scale weights so that, none of them over 1, they sum to the count."""
    chance = weight * (count / weight.sum())
    for _ in range(20):
        sure = chance >= 1.0
        left = count - int(sure.sum())
        if not sure.any() or left <= 0:
            break
        scaled = np.where(sure, 1.0, weight * (left / weight[~sure].sum()))
        if np.array_equal(scaled, chance):
            break
        chance = scaled
    return np.asarray(np.minimum(chance, 1.0))


def draw(chance: NDArray[np.float64], rng: np.random.Generator) -> IntArray:
    """Draw each item on its own with its chance; return the rows drawn, int64 sorted.

    Where none is drawn, the likeliest is, since a softmax needs one.
    """
    drawn = np.flatnonzero(rng.random(len(chance)) < chance)
    return drawn if len(drawn) else np.array([int(np.argmax(chance))])


class LossConfig(FrozenModel):
    """What a wrong score costs.

    Attributes:
        kind: `softmax` is the negative log-likelihood of the targets among the candidates; `bpr`
            compares each target with one candidate (Rendle et al. 2009).
        candidates: None for all items where the rows of `min_rows` users fit in memory, and
            else draws `drawn`; a number draws about so many in each step. Each is corrected for
            its probability to be drawn (log-Q, Bengio and Senécal 2008).
        drawn: candidates of a step where not all items fit.
        min_rows: users for whom the rows must fit.
        sampler: what candidates are drawn by: `uniform`, `popularity` (to the power of
            `popularity_power`), or `batch`, the targets of all users of the step, or a draw of
            these where not all fit.
        hard_negatives: only so many negatives of each user count, those with the highest scores
            at present; None counts all. Where candidates are drawn, and for `bpr`, whose negative
            is the best of so many, this is dynamic negative sampling (Zhang et al. 2013).
        smoothing: share of the likelihood that every candidate is owed alike.
    """

    kind: Literal["softmax", "bpr"] = "softmax"
    candidates: int | None = Field(default=None, ge=1)
    drawn: int = Field(default=4096, ge=1)
    min_rows: int = Field(default=1024, ge=1)
    sampler: Sampler = "popularity"
    popularity_power: float = Field(default=0.75, ge=0, le=1)
    hard_negatives: int | None = Field(default=None, ge=1)
    smoothing: float = Field(default=0.0, ge=0, lt=1)


def softmax_loss(scores: Tensor, target_row: Tensor, target_column: Tensor) -> Tensor:
    """Return the mean negative log-likelihood of the targets under a softmax over each row.

    Args:
        scores: [B, C]; minus infinity where a candidate is out of the question.
        target_row, target_column: positions of the targets, int64 [T].

    Returns:
        A scalar; 0 where there are no targets.
    """
    if not len(target_row):
        return scores[:0].sum()
    positive = scores[target_row, target_column].sum()
    return (_sum_over_targets(torch.logsumexp(scores, dim=1), target_row) - positive) / len(
        target_row
    )


def ranking_loss(
    positive: Tensor,
    target_row: Tensor,
    negatives: Tensor,
    config: LossConfig,
    log_inclusion: Tensor | None = None,
) -> Tensor:
    """Return the loss of targets against candidates that need not hold them.

    With every candidate and the defaults of the config it is `softmax_loss`. With candidates that
    are drawn, the sum in the softmax is an unbiased estimate of the one over all items.

    Args:
        positive: scores of the targets, [T].
        target_row: the histories that they belong to, int64 [T].
        negatives: scores of the candidates, [B, C]; minus infinity where one is out of the
            question or a target of the history.
        log_inclusion: logarithm of each candidate's probability to be one in this step, [C]; None
            where all items are.
    """
    if not len(positive):
        return positive.sum() + negatives[:0].sum()
    if config.kind == "bpr":
        return bpr_loss(positive, target_row, negatives, config.hard_negatives)
    logits = negatives if log_inclusion is None else negatives - log_inclusion
    if config.hard_negatives is not None:
        best = negatives.detach().topk(min(config.hard_negatives, negatives.shape[1]), dim=1)
        logits = logits.gather(1, best.indices)  # [B, hard]
    log_partition = _with_targets(torch.logsumexp(logits, dim=1), positive, target_row)
    loss = (_sum_over_targets(log_partition, target_row) - positive.sum()) / len(positive)
    if config.smoothing:
        even = (_sum_over_targets(log_partition - _mean(logits), target_row)) / len(positive)
        loss = (1.0 - config.smoothing) * loss + config.smoothing * even
    return loss


def bpr_loss(
    positive: Tensor, target_row: Tensor, negatives: Tensor, draws: int | None = None
) -> Tensor:
    """Return the mean of -log σ(target - negative), with one negative drawn for each target.

    Args:
        positive, target_row, negatives: as in `ranking_loss`.
        draws: candidates that are drawn for a target, of which the best is its negative; None
            draws one.
    """
    shape = (len(target_row), draws or 1)
    drawn = torch.randint(negatives.shape[1], shape, device=negatives.device)  # [T, draws]
    margin = positive - negatives[target_row[:, None].expand(shape), drawn].amax(dim=1)
    # A target all of whose draws are out of the question has nothing to be compared with.
    found = torch.isfinite(margin)
    return torch.nn.functional.softplus(-margin[found]).sum() / found.sum().clamp(min=1)


def _sum_over_targets(of_row: Tensor, target_row: Tensor) -> Tensor:
    """Return the sum of each target's row value; by counts, as adding in turn is slower."""
    each = torch.bincount(target_row, minlength=len(of_row)).to(of_row.dtype)
    return torch.where(each > 0, of_row, 0.0) @ each


def _with_targets(log_sum: Tensor, positive: Tensor, target_row: Tensor) -> Tensor:
    """Add the targets of each row to a log-sum of exponentials, [B]."""
    top = log_sum.detach().clone()
    top = top.scatter_reduce(0, target_row, positive.detach(), "amax")
    top = torch.where(torch.isfinite(top), top, 0.0)
    own = torch.zeros_like(log_sum).index_add(0, target_row, torch.exp(positive - top[target_row]))
    return top + torch.log(torch.exp(log_sum - top) + own)


def _mean(logits: Tensor) -> Tensor:
    """Return the mean over the candidates that are not out of the question, [B]."""
    allowed = torch.isfinite(logits)
    total = logits.masked_fill(~allowed, 0.0).sum(dim=1)
    return total / allowed.sum(dim=1).clamp(min=1)


class ContrastConfig(FrozenModel):
    """Two views of the items that are to agree.

    Attributes:
        weight: of the contrastive loss; 0 leaves it out.
        view: `noise` adds a random step to every vector (SimGCL, Yu et al. 2022); `edges` makes
            the vectors from two graphs that lack a share of the edges each (SGL, Wu et al. 2021).
        noise: length of the random step, where vectors have length 1.
        drop: share of the edges that a view lacks.
        temperature: of the softmax over the items of the other view.
        items: so many are drawn for a step at most.
    """

    weight: float = Field(default=0.0, ge=0)
    view: Literal["noise", "edges"] = "noise"
    noise: float = Field(default=0.1, gt=0)
    drop: float = Field(default=0.1, gt=0, lt=1)
    temperature: float = Field(default=0.2, gt=0)
    items: int = Field(default=1024, ge=2)


class AdversaryConfig(FrozenModel):
    """The worst small change of the item vectors (APR, He et al. 2018), which also has to rank.

    Attributes:
        weight: of the loss under the change; 0 leaves it out.
        epsilon: length of the change of each vector, where vectors have length 1.
    """

    weight: float = Field(default=0.0, ge=0)
    epsilon: float = Field(default=0.1, gt=0)


class RegulariseConfig(FrozenModel):
    """What is done against learning by heart, beside hiding edges and weight decay.

    Attributes:
        history_dropout: share of a history's items that a step leaves out of the sum; the graph
            keeps their edges.
    """

    history_dropout: float = Field(default=0.0, ge=0, lt=1)
    contrast: ContrastConfig = ContrastConfig()
    adversary: AdversaryConfig = AdversaryConfig()


def info_nce(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """Return how badly each row of one view finds itself in the other (van den Oord et al. 2018).

    Args:
        first, second: unit rows, [N, D].

    Returns:
        A scalar; 0 where there are no rows.
    """
    if not len(first):
        return (first + second).sum()
    alike = first @ second.T / temperature  # [N, N]
    return nn.functional.cross_entropy(alike, torch.arange(len(first), device=first.device))


def noisy(vectors: Tensor, length: float) -> Tensor:
    """Add a random step of this length to each row, within its orthant; unit rows, [N, D]."""
    step = nn.functional.normalize(torch.rand_like(vectors), dim=1) * torch.sign(vectors)
    return nn.functional.normalize(vectors + length * step, dim=1)


def adversarial_loss(
    loss: Tensor, vectors: Tensor, again: Callable[[Tensor], Tensor], epsilon: float
) -> Tensor:
    """Return the loss at vectors that are moved by `epsilon` up its gradient, row by row.

    Args:
        loss: of `vectors`, a scalar whose graph is kept.
        vectors: [N, D].
        again: computes the loss of other vectors.
    """
    (gradient,) = torch.autograd.grad(loss, vectors, retain_graph=True)
    step = nn.functional.normalize(gradient.detach(), dim=1)
    return again(vectors + epsilon * step)
