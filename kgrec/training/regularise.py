"""What keeps a model from learning its training data by heart: views, noise, an adversary."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from kgrec.config import FrozenModel


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
