"""The training loop of every agent that learns by gradients."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from kgrec.config import FrozenModel
from kgrec.errors import ModelError
from kgrec.progress import SILENT, Progress


class Schedule(FrozenModel):
    """How long and how fast to learn.

    Attributes:
        steps: optimiser steps at most.
        rate: learning rate of Adam after warm-up.
        betas: decay of Adam's two moments.
        weight_decay: of AdamW.
        warmup: steps in which the rate rises linearly from 0.
        decay_at: share of `steps` after which the rate is multiplied by `decay`.
        check_every: steps between two looks at the validation part; none before `check_from`.
        patience: looks without an improvement after which training stops.
    """

    steps: int = Field(default=120, ge=1)
    rate: float = Field(default=0.03, gt=0)
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = Field(default=0.0, ge=0)
    warmup: int = Field(default=10, ge=0)
    decay_at: float = Field(default=0.7, gt=0, le=1)
    decay: float = Field(default=0.3, gt=0, le=1)
    check_every: int = Field(default=20, ge=1)
    check_from: int = Field(default=60, ge=0)
    patience: int = Field(default=2, ge=1)

    def rate_at(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0."""
        risen = min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        return self.rate * risen * (self.decay if step >= self.decay_at * self.steps else 1.0)


@dataclass(frozen=True)
class Trained:
    """How a training ended.

    Attributes:
        steps: of the parameters that were kept.
        best: the validation metric of those parameters; None without validation.
        losses: loss of every step.
    """

    steps: int
    best: float | None
    losses: tuple[float, ...]


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Fix every random draw of the block, and give back the caller's generators after it."""
    state = random.getstate(), np.random.get_state(), torch.get_rng_state()
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(state[0])
        np.random.set_state(state[1])
        torch.set_rng_state(state[2])


def train(
    model: nn.Module,
    loss_of_step: Callable[[], Tensor],
    schedule: Schedule,
    *,
    measure: Callable[[], float] | None = None,
    stop_after: int | None = None,
    name: str = "train",
    progress: Progress = SILENT,
) -> Trained:
    """Minimise a loss with Adam, and keep the parameters that validation liked best.

    Args:
        model: its parameters are trained in place.
        loss_of_step: draws what is random in a step and returns the loss, a scalar.
        schedule: rates and lengths.
        measure: the metric of the present parameters on the validation part, larger is better.
        stop_after: end after so many steps of the schedule, as an earlier training found best.
        name: of the progress bar.

    Raises:
        ModelError: the loss is not a finite number.
    """
    optimiser = torch.optim.AdamW(
        model.parameters(),
        lr=schedule.rate,
        betas=schedule.betas,
        weight_decay=schedule.weight_decay,
    )
    keeper = _Keeper(model, schedule, measure)
    losses: list[float] = []
    total = min(schedule.steps, stop_after or schedule.steps)
    with progress.task(name, total) as task:
        for step in range(total):
            for group in optimiser.param_groups:
                group["lr"] = schedule.rate_at(step)
            optimiser.zero_grad(set_to_none=True)
            loss = loss_of_step()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            losses.append(float(loss.detach()))
            if not np.isfinite(losses[-1]):
                raise ModelError(
                    f"{name}: the loss of step {step + 1} is no number",
                    value=losses[-1],
                    remedy="Use a smaller learning rate.",
                )
            task.advance()
            if keeper.enough(step + 1, last=step + 1 == total):
                break
            task.describe(keeper.words or f"loss {losses[-1]:.3f}")
    return Trained(keeper.restore(len(losses)), keeper.best, tuple(losses))


class _Keeper:
    """Remembers the best parameters and says when to stop."""

    def __init__(
        self, model: nn.Module, schedule: Schedule, measure: Callable[[], float] | None
    ) -> None:
        self._model, self._schedule, self._measure = model, schedule, measure
        self._state: dict[str, Tensor] = {}
        self._step = 0
        self._misses = 0
        self.best: float | None = None
        self.words = ""

    def enough(self, step: int, *, last: bool) -> bool:
        schedule = self._schedule
        if self._measure is None or step < min(schedule.check_from, schedule.steps):
            return False
        if step % schedule.check_every and not last:
            return False
        value = self._measure()
        self.words = f"validation {value:.4f}"
        if self.best is None or value > self.best:
            self.best, self._step, self._misses = value, step, 0
            self._state = {k: v.detach().clone() for k, v in self._model.state_dict().items()}
        else:
            self._misses += 1
        return self._misses >= schedule.patience

    def restore(self, steps: int) -> int:
        if self._state:
            self._model.load_state_dict(self._state)
            return self._step
        return steps
