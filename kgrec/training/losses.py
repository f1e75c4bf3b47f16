"""Losses over score matrices of histories and candidates, and the sampling of candidates.

Each candidate of a sampled softmax has a known inclusion probability, which the loss corrects for.
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
    """Return the inclusion probability of each item as a candidate, float64 [I].

    Args:
        degree: interactions of each item, int64 [I]; one without any counts as one with one.
        count: expected number of candidates, the sum of the probabilities; with at most `count`
            items all are 1.
        sampler: `uniform` or `popularity`; for `batch` the count is the number of targets, each
            sampled by popularity.
        power: exponent of the popularity (0.75 in Mikolov et al. 2013).
    """
    if sampler == "batch":
        share = degree / max(int(degree.sum()), 1)
        return np.asarray(-np.expm1(count * np.log1p(-np.minimum(share, 1 - 1e-12))))
    if count >= len(degree):
        return np.ones(len(degree))
    weight = np.maximum(degree, 1.0) ** (0.0 if sampler == "uniform" else power)
    return _scaled(weight, count)


def _scaled(weight: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Scale weights to probabilities that sum to `count`, none above 1.

    Weights that reach 1 are fixed there, and the others scaled again, until nothing changes.
    """
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


def poisson_sample(probability: NDArray[np.float64], rng: np.random.Generator) -> IntArray:
    """Sample each item independently with its probability; return sorted rows, int64 [C].

    Where no item is sampled, the most likely one is returned, since a softmax needs a candidate.
    """
    sampled = np.flatnonzero(rng.random(len(probability)) < probability)
    return sampled if len(sampled) else np.array([int(np.argmax(probability))])


class LossConfig(FrozenModel):
    """The loss and its negative sampling.

    Attributes:
        kind: `softmax` is the negative log-likelihood of the targets among the candidates; `bpr`
            compares each target with one candidate (Rendle et al. 2009).
        candidates: None for all items where the rows of `min_rows` users fit in memory, and
            else `drawn` sampled ones; a number is the expected number sampled in each step. Each
            logit is corrected by the log of its probability (log-Q, Bengio and Senécal 2008).
        drawn: number of sampled candidates in a step where not all items fit.
        min_rows: number of users whose rows of scores must fit.
        sampler: distribution of the candidates: `uniform`, `popularity` (to the power of
            `popularity_power`), or `batch`, the targets of all users of the step (in-batch
            negatives), or a sample of these where not all fit.
        hard_negatives: number of negatives of each user that count, those with the highest
            current scores; None counts all. With sampled candidates, and for `bpr`, whose negative
            is the best of as many, this is dynamic negative sampling (Zhang et al. 2013).
        smoothing: label smoothing, the share of the target distribution that is uniform over
            the candidates (Szegedy et al. 2016).
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
        scores: float32 [B, C]; minus infinity where a candidate is masked.
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
    """Return the loss of targets against candidates, which need not include the targets.

    With all items as candidates and the default config it is `softmax_loss`. With sampled
    candidates, the sum in the softmax is an unbiased estimate of the one over all items.

    Args:
        positive: scores of the targets, float32 [T].
        target_row: the row of the history of each target, int64 [T].
        negatives: scores of the candidates, float32 [B, C]; minus infinity where one is masked
            or a target of the history.
        log_inclusion: log of each candidate's inclusion probability, float32 [C]; None where all
            items are candidates.

    Returns:
        A scalar; 0 where there are no targets.
    """
    if not len(positive):
        return positive.sum() + negatives[:0].sum()
    if config.kind == "bpr":
        return bpr_loss(positive, target_row, negatives, config.hard_negatives)
    logits = negatives if log_inclusion is None else negatives - log_inclusion
    if config.hard_negatives is not None:
        # Selected by the uncorrected score: the correction would prefer rarely sampled items.
        best = negatives.detach().topk(min(config.hard_negatives, negatives.shape[1]), dim=1)
        logits = logits.gather(1, best.indices)  # [B, hard]
    log_partition = _with_targets(torch.logsumexp(logits, dim=1), positive, target_row)
    loss = (_sum_over_targets(log_partition, target_row) - positive.sum()) / len(positive)
    if config.smoothing:
        even = (_sum_over_targets(log_partition - _mean(logits), target_row)) / len(positive)
        loss = (1.0 - config.smoothing) * loss + config.smoothing * even
    return loss


def bpr_loss(
    positive: Tensor, target_row: Tensor, negatives: Tensor, num_negatives: int | None = None
) -> Tensor:
    """Return the mean of -log σ(target - negative), with one sampled negative for each target.

    Rendle et al., UAI 2009.

    Args:
        positive, target_row, negatives: as in `ranking_loss`.
        num_negatives: candidates sampled for a target, the best of which is its negative; None
            means 1.
    """
    shape = (len(target_row), num_negatives or 1)
    sampled = torch.randint(negatives.shape[1], shape, device=negatives.device)  # [T, N]
    margin = positive - negatives[target_row[:, None].expand(shape), sampled].amax(dim=1)
    # The margin is infinite where all sampled candidates of a target are masked.
    found = torch.isfinite(margin)
    return torch.nn.functional.softplus(-margin[found]).sum() / found.sum().clamp(min=1)


def _sum_over_targets(of_row: Tensor, target_row: Tensor) -> Tensor:
    """Return Σ_t of_row[target_row[t]], as counts · values: faster than gathering."""
    each = torch.bincount(target_row, minlength=len(of_row)).to(of_row.dtype)
    return torch.where(each > 0, of_row, 0.0) @ each


def _with_targets(log_sum: Tensor, positive: Tensor, target_row: Tensor) -> Tensor:
    """Add the scores of each row's targets to its log-sum-exp, [B]."""
    top = log_sum.detach().clone()
    top = top.scatter_reduce(0, target_row, positive.detach(), "amax")
    top = torch.where(torch.isfinite(top), top, 0.0)
    own = torch.zeros_like(log_sum).index_add(0, target_row, torch.exp(positive - top[target_row]))
    return top + torch.log(torch.exp(log_sum - top) + own)


def _mean(logits: Tensor) -> Tensor:
    """Return the mean over the candidates that are not masked, [B]."""
    allowed = torch.isfinite(logits)
    total = logits.masked_fill(~allowed, 0.0).sum(dim=1)
    return total / allowed.sum(dim=1).clamp(min=1)


class ContrastConfig(FrozenModel):
    """Contrastive loss between two views of the items.

    Attributes:
        weight: weight of the contrastive loss; 0 disables it.
        view: `noise` adds a random vector to every embedding (SimGCL, Yu et al. 2022); `edges`
            computes the embeddings from two graphs with edge dropout (SGL, Wu et al. 2021).
        noise: norm of the random vector, for embeddings of norm 1.
        drop: edge dropout of a view.
        temperature: temperature of the softmax over the items of the other view.
        items: maximum number of sampled items in a step.
    """

    weight: float = Field(default=0.0, ge=0)
    view: Literal["noise", "edges"] = "noise"
    noise: float = Field(default=0.1, gt=0)
    drop: float = Field(default=0.1, gt=0, lt=1)
    temperature: float = Field(default=0.2, gt=0)
    items: int = Field(default=1024, ge=2)


class AdversaryConfig(FrozenModel):
    """Adversarial regularisation of the item vectors (APR, He et al. 2018).

    Attributes:
        weight: weight of the loss under the perturbation; 0 disables it.
        epsilon: norm of the perturbation of each vector, for vectors of norm 1.
    """

    weight: float = Field(default=0.0, ge=0)
    epsilon: float = Field(default=0.1, gt=0)


class RegulariseConfig(FrozenModel):
    """Regularisation beside hidden edges and weight decay.

    Attributes:
        history_dropout: dropout of history items in the sum of a history; the graph keeps their
            edges.
    """

    history_dropout: float = Field(default=0.0, ge=0, lt=1)
    contrast: ContrastConfig = ContrastConfig()
    adversary: AdversaryConfig = AdversaryConfig()


def info_nce(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """Return the InfoNCE loss between two views of the same rows (van den Oord et al. 2018).

    Args:
        first, second: unit rows, float32 [N, D].
        temperature: temperature of the softmax over the rows of `second`.

    Returns:
        A scalar; 0 where there are no rows.
    """
    if not len(first):
        return (first + second).sum()
    alike = first @ second.T / temperature  # [N, N]
    return nn.functional.cross_entropy(alike, torch.arange(len(first), device=first.device))


def noisy(vectors: Tensor, length: float) -> Tensor:
    """Add a random vector of this norm to each row, in the row's orthant; unit rows, [N, D]."""
    step = nn.functional.normalize(torch.rand_like(vectors), dim=1) * torch.sign(vectors)
    return nn.functional.normalize(vectors + length * step, dim=1)


def adversarial_loss(
    loss: Tensor, vectors: Tensor, again: Callable[[Tensor], Tensor], epsilon: float
) -> Tensor:
    """Return the loss at vectors perturbed by `epsilon` along its gradient, each row by itself.

    Args:
        loss: of `vectors`, a scalar whose graph is kept.
        vectors: [N, D].
        again: computes the loss of given vectors, [N, D].
        epsilon: norm of the perturbation of each row.
    """
    # The perturbation is a constant of the second loss: no gradient flows through it.
    (gradient,) = torch.autograd.grad(loss, vectors, retain_graph=True)
    step = nn.functional.normalize(gradient.detach(), dim=1)
    return again(vectors + epsilon * step)
