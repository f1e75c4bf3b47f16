"""Training schedule and optimisers: Adam, for parameters with dense and with sparse gradients."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from kgrec.config import FrozenModel

_Decay = Annotated[float, Field(ge=0, lt=1)]


class Schedule(FrozenModel):
    """Settings of the training loop.

    Attributes:
        steps: maximum number of optimiser steps.
        blind_steps: that of `plateau` where there is no validation to stop it.
        rate: learning rate of Adam after warm-up.
        betas: decay rates of Adam's two moments.
        weight_decay: decoupled weight decay (AdamW, Loshchilov and Hutter 2019); not applied to
            parameters with sparse gradients.
        warmup: number of steps in which the rate rises linearly from 0.
        curve: `step` multiplies the rate by `decay` after `decay_at`; `plateau` does so when a
            validation brings no improvement for the first time, however many steps that takes;
            `cosine` anneals it from the end of the warm-up to `decay` times the rate (Loshchilov
            and Hutter 2017).
        decay_at: fraction of `steps` after which the rate is multiplied by `decay`; of
            `blind_steps` with `plateau`.
        falls_at: the step at which the rate of `plateau` falls, in place of both, such as that of
            an earlier training.
        decay: factor of the rate at the end.
        accumulate: batches whose gradients are averaged for one optimiser step.
        clip: maximum norm of the gradient of all parameters; None does not clip.
        precision: `bfloat16` computes the dense products of a step in that type (autocast).
        check_every: steps between two validations; the first is not before `check_from`.
        patience: validations in a row without improvement after which training stops.
        least_gain: what counts as an improvement of a `plateau`: this share of the metric.
    """

    steps: int = Field(default=120, ge=1)
    blind_steps: int = Field(default=120, ge=1)
    rate: float = Field(default=0.03, gt=0)
    betas: tuple[_Decay, _Decay] = (0.9, 0.99)
    weight_decay: float = Field(default=0.0, ge=0)
    warmup: int = Field(default=10, ge=0)
    curve: Literal["step", "plateau", "cosine"] = "step"
    decay_at: float = Field(default=0.7, gt=0, le=1)
    falls_at: int | None = Field(default=None, ge=0)
    decay: float = Field(default=0.3, gt=0, le=1)
    accumulate: int = Field(default=1, ge=1)
    clip: float | None = Field(default=None, gt=0)
    precision: Literal["float32", "bfloat16"] = "float32"
    check_every: int = Field(default=20, ge=1)
    check_from: int = Field(default=60, ge=0)
    patience: int = Field(default=2, ge=1)
    least_gain: float = Field(default=0.003, ge=0)

    @property
    def usual(self) -> int:
        """The number of steps that the other settings are in proportion to."""
        return self.blind_steps if self.curve == "plateau" else self.steps

    def rate_at(self, step: int, *, fell: int | None = None, waits: bool = False) -> float:
        """Return the learning rate of a step; the first step is 0.

        Args:
            fell: the step at which the validation let the rate of `plateau` fall.
            waits: whether the rate of `plateau` waits for that.
        """
        warm = min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        fixed = fell if self.falls_at is None else self.falls_at
        if self.curve == "plateau" and (fixed is not None or waits):
            return self.rate * warm * (1.0 if fixed is None or step < fixed else self.decay)
        return self.rate * warm * self._decay_factor(step)

    def _decay_factor(self, step: int) -> float:
        if self.curve != "cosine":
            return self.decay if step >= self.decay_at * self.usual else 1.0
        progress = (step - self.warmup) / max(self.steps - 1 - self.warmup, 1)
        wave = 0.5 * (1.0 + math.cos(math.pi * min(max(progress, 0.0), 1.0)))
        return self.decay + (1.0 - self.decay) * wave

    def stretched(self, factor: float) -> Schedule:
        """Return the schedule with `factor` times the steps, warm-up and validation intervals."""
        names = ("steps", "blind_steps", "warmup", "check_every", "check_from")
        return self.model_copy(
            update={name: math.ceil(getattr(self, name) * factor) for name in names}
        )


def optimisers_of(
    model: nn.Module, schedule: Schedule, row_wise: Sequence[nn.Parameter] = ()
) -> dict[str, torch.optim.Optimizer]:
    """Return the optimisers of a model by name: `adam`, and `rows` for sparse gradients.

    Args:
        row_wise: parameters with sparse gradients. SparseAdam updates only the rows that occur
            in a step, moments included, and applies no weight decay.
    """
    # Dense Adam would touch every row of an embedding table in each step, since the moments of a
    # row keep moving it; the cost of a step would grow with the catalogue and not with the batch.
    rows = {id(parameter) for parameter in row_wise}
    dense = [parameter for parameter in model.parameters() if id(parameter) not in rows]
    made: dict[str, torch.optim.Optimizer] = {}
    if dense:
        made["adam"] = torch.optim.AdamW(
            dense, lr=schedule.rate, betas=schedule.betas, weight_decay=schedule.weight_decay
        )
    if rows:
        made["rows"] = torch.optim.SparseAdam(
            list(row_wise), lr=schedule.rate, betas=schedule.betas
        )
    return made


def clip_gradient(parameters: Iterable[nn.Parameter], max_norm: float) -> float:
    """Clip the norm of the gradient over all parameters, in place; return the norm before.

    Unlike torch's `clip_grad_norm_` it also takes sparse gradients.
    """
    values = [_values(parameter) for parameter in parameters if parameter.grad is not None]
    if not values:
        return 0.0
    norm = float(torch.linalg.vector_norm(torch.stack([value.norm() for value in values])))
    if norm > max_norm:
        for value in values:
            value.mul_(max_norm / norm)
    return norm


def _values(parameter: nn.Parameter) -> Tensor:
    gradient = parameter.grad
    assert gradient is not None  # noqa: S101 - the caller looked
    if gradient.is_sparse:
        # A row that occurs several times in a batch has several entries until they are coalesced;
        # the norm is that of their sum.
        parameter.grad = gradient.coalesce()
        return parameter.grad._values()
    return gradient
