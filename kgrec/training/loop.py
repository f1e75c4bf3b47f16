"""The training loop of every agent that learns by gradients."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from kgrec.errors import ModelError
from kgrec.progress import SILENT, Progress
from kgrec.training.logs import StepRecord, TrainingFiles, TrainingLog
from kgrec.training.optimisation import Schedule, clip_gradient, optimisers_of
from kgrec.training.resume import (
    FORMAT,
    Keeper,
    load_parameters,
    optimiser_state,
    prefixed,
    random_state,
    read_state,
    set_optimiser_state,
    set_random_state,
    under,
    write_state,
)

__all__ = ["Schedule", "Trained", "seeded", "train"]


@dataclass(frozen=True)
class Trained:
    """The result of a training.

    Attributes:
        steps: step of the parameters that were kept.
        best: the validation metric of those parameters; None without validation.
        losses: training loss of every step.
        fell: the step at which the rate of a `plateau` fell; None where it did not before `steps`.
        course: the metric of each validation, by step.
    """

    steps: int
    best: float | None
    losses: tuple[float, ...]
    fell: int | None = None
    course: Mapping[int, float] = field(default_factory=dict)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed all random generators within the block, and restore their states after it.

    Generators: Python's `random`, NumPy's global one and torch's on the CPU.
    """
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
    generator: np.random.Generator | None = None,
    row_wise: Sequence[nn.Parameter] = (),
    files: TrainingFiles | None = None,
    rest_every: int = 1,
    least: Mapping[int, float] | None = None,
    time_is_up: Callable[[], bool] = lambda: False,
) -> Trained:
    """Minimise a loss with Adam, and keep the parameters with the best validation metric.

    Args:
        model: its parameters are trained in place.
        loss_of_step: samples a batch and returns its loss, a scalar.
        schedule: learning rate, number of steps, validation and early stopping.
        measure: the metric of the current parameters on the validation part, larger is better;
            None trains for the whole schedule.
        stop_after: number of steps after which to stop, such as the best step of an earlier
            training; the learning rate still follows the whole schedule.
        name: of the progress bar, the log and the checkpoint.
        generator: random generator of `loss_of_step`, saved in checkpoints with those of torch
            and NumPy.
        row_wise: parameters whose gradients are sparse.
        files: where to write logs, and checkpoints from which a killed training resumes.
        rest_every: interval of steps at which `loss_of_step` holds no state of its own;
            checkpoints are written only then.
        least: metrics by step; the training ends at a validation there if its metric is lower.
        time_is_up: whether the next step is the last, however many were planned.

    Returns:
        Number of steps, best metric and losses; the model has the best parameters.

    Raises:
        ModelError: the loss is not a finite number, a file cannot be written, or a checkpoint
            belongs to other data or settings.
    """
    keeper = Keeper(model, schedule, measure, least)
    run = _Run(model, schedule, keeper, generator, row_wise, name)
    files = files or TrainingFiles()
    most = schedule.steps if measure is not None else schedule.usual
    total = stop_after or most if schedule.curve == "plateau" else min(most, stop_after or most)
    path = files.checkpoint(name)
    if path is not None:
        run.resume(path, files.fingerprint)
    log = (
        TrainingLog(files.logs, name, after=run.steps)
        if files.logs is not None and files.first
        else None
    )
    saved = time.monotonic()
    over = False
    with closing(log) if log is not None else nullcontext(), progress.task(name, total) as task:
        task.advance(run.steps)
        while run.steps < total and not run.keeper.enough and not over:
            over = time_is_up()
            record = run.step(loss_of_step, last=over or run.steps + 1 == total)
            if log is not None:
                log.write(StepRecord(run.steps, *record[:2], log.seconds(), *record[2:]))
            task.advance()
            task.describe(run.status())
            finished = run.steps == total or run.keeper.enough or over
            due = run.steps % rest_every == 0 and time.monotonic() - saved >= files.seconds
            if path is not None and files.first and (due or finished):
                run.save(path, files.fingerprint)
                saved = time.monotonic()
    steps, fell = run.keeper.restore(run.steps), run.keeper.fell
    kept = fell if fell is not None and fell < steps else None
    return Trained(steps, run.keeper.best, tuple(run.losses), kept, run.keeper.course)


class _Run:
    """A training and all of its state."""

    def __init__(
        self,
        model: nn.Module,
        schedule: Schedule,
        keeper: Keeper,
        generator: np.random.Generator | None,
        row_wise: Sequence[nn.Parameter],
        name: str,
    ) -> None:
        self.model, self.schedule, self.generator, self.name = model, schedule, generator, name
        self.device = next(model.parameters()).device.type
        self.optimisers = optimisers_of(model, schedule, row_wise)
        self.keeper = keeper
        self.losses: list[float] = []

    @property
    def steps(self) -> int:
        """Number of completed steps."""
        return len(self.losses)

    def status(self) -> str:
        latest = self.keeper.latest
        return f"loss {self.losses[-1]:.3f}" if latest is None else f"validation {latest:.4f}"

    def step(
        self, loss_of_step: Callable[[], Tensor], *, last: bool
    ) -> tuple[float, float, float | None, float | None]:
        """Do one step; return loss, learning rate, gradient norm and metric, where measured."""
        # The rate follows from the step and what the keeper has seen, both of which are resumed.
        keeper = self.keeper
        rate = self.schedule.rate_at(self.steps, fell=keeper.fell, waits=keeper.waits)
        for optimiser in self.optimisers.values():
            for group in optimiser.param_groups:
                group["lr"] = rate
            optimiser.zero_grad(set_to_none=True)
        loss = self._gradient(loss_of_step)
        norm = None
        if self.schedule.clip is not None:
            norm = clip_gradient(self.model.parameters(), self.schedule.clip)
        for optimiser in self.optimisers.values():
            optimiser.step()
        self.losses.append(loss)
        return loss, rate, norm, self.keeper.look(self.steps, last=last)

    def _gradient(self, loss_of_step: Callable[[], Tensor]) -> float:
        total = 0.0
        parts = self.schedule.accumulate
        half = self.schedule.precision == "bfloat16"
        for _ in range(parts):
            with torch.autocast(self.device, dtype=torch.bfloat16, enabled=half):
                loss = loss_of_step() / parts
            loss.backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
        if not np.isfinite(total):
            raise ModelError(
                f"{self.name}: the loss of step {self.steps + 1} is not finite",
                value=total,
                remedy="Use a smaller learning rate.",
            )
        return total

    def save(self, path: Path, fingerprint: str) -> None:
        """Write a checkpoint of the whole state."""
        random_tensors, random_record = random_state(self.generator, self.device)
        kept_tensors, kept_record = self.keeper.state()
        tensors = {**prefixed("model", self.model.state_dict()), **random_tensors, **kept_tensors}
        counters: dict[str, object] = {}
        for name, optimiser in self.optimisers.items():
            moments, counts = optimiser_state(optimiser, name)
            tensors |= moments
            counters |= counts
        record = {
            "format": FORMAT,
            "training": self._identity(fingerprint),
            "losses": self.losses,
            "random": random_record,
            "keeper": kept_record,
            "counters": counters,
        }
        write_state(path, tensors, record)

    def resume(self, path: Path, fingerprint: str) -> None:
        """Restore the state that `save` wrote, where there is a checkpoint."""
        found = read_state(path)
        if found is None:
            return
        tensors, record = found
        if record["format"] != FORMAT or record["training"] != self._identity(fingerprint):
            raise ModelError(
                "the checkpoint belongs to other data or settings",
                value=str(path),
                remedy="Remove the file, or name another folder for the checkpoints.",
            )
        load_parameters(self.model, under("model", tensors))
        self.keeper.set_state(tensors, record["keeper"])
        for name, optimiser in self.optimisers.items():
            set_optimiser_state(optimiser, name, tensors, record["counters"])
        set_random_state(self.generator, tensors, record["random"])
        self.losses = list(record["losses"])

    def _identity(self, fingerprint: str) -> list[str]:
        return [self.name, fingerprint, self.schedule.model_dump_json()]
