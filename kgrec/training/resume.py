"""Checkpoints: the state of an unfinished training in one file, and early stopping.

A resumed training gives bit for bit the parameters of an uninterrupted one, on the same machine
with the same number of threads: beside parameters, moments and step, the file holds the state of
every random generator. With several processes it holds the state of the first alone, and no
compression residuals that wait to be sent; such a training resumes, but not bit for bit.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from kgrec.errors import ModelError
from kgrec.training.optimisation import Schedule

FORMAT = 1


def write_state(path: Path, tensors: dict[str, Tensor], record: dict[str, Any]) -> None:
    """Write tensors and their JSON record to one file, atomically.

    Raises:
        ModelError: the file cannot be written.
    """
    from safetensors.torch import save

    content = save(_apart(tensors), {"record": json.dumps(record)})
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise ModelError(
            f"the checkpoint cannot be written ({error.strerror or error})",
            value=str(path),
            remedy="Choose a directory that you may write to.",
        ) from None


def read_state(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Read a file of `write_state`, or return None where there is none.

    Raises:
        ModelError: the file is broken.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            record = json.loads((file.metadata() or {})["record"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise ModelError(
            f"the checkpoint is broken ({error})",
            value=str(path),
            remedy="Remove the file; the training then begins anew.",
        ) from None
    return tensors, record


def _apart(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Copy tensors to the CPU without shared memory, which safetensors refuses to write."""
    apart: dict[str, Tensor] = {}
    places: set[int] = set()
    for name, tensor in tensors.items():
        near = tensor.cpu().contiguous()
        place = near.untyped_storage().data_ptr()
        apart[name] = near.clone() if place in places else near
        places.add(place)
    return apart


def random_state(
    generator: np.random.Generator | None, device: str
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the state of every random generator that a training may use."""
    kind, key, position, has_gauss, gauss = np.random.get_state(legacy=True)
    tensors = {"random.torch": torch.get_rng_state()}
    if device == "cuda":
        tensors["random.cuda"] = torch.cuda.get_rng_state()
    return tensors, {
        "python": random.getstate(),
        "numpy": [kind, np.asarray(key).tolist(), position, has_gauss, gauss],
        "generator": None if generator is None else generator.bit_generator.state,
    }


def set_random_state(
    generator: np.random.Generator | None, tensors: dict[str, Tensor], record: dict[str, Any]
) -> None:
    """Restore the generators to a state of `random_state`."""
    version, key, gauss = record["python"]
    random.setstate((version, tuple(key), gauss))
    kind, keys, *rest = record["numpy"]
    np.random.set_state((kind, np.array(keys, dtype=np.uint32), *rest))
    torch.set_rng_state(tensors["random.torch"])
    if "random.cuda" in tensors:
        torch.cuda.set_rng_state(tensors["random.cuda"])
    if generator is not None:
        generator.bit_generator.state = record["generator"]


def optimiser_state(
    optimiser: torch.optim.Optimizer, name: str
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the moments of an optimiser as named tensors, and its step counters."""
    tensors: dict[str, Tensor] = {}
    counters: dict[str, Any] = {}
    for index, state in optimiser.state_dict()["state"].items():
        for key, value in state.items():
            where = tensors if isinstance(value, Tensor) else counters
            where[f"{name}.{index}.{key}"] = value
    return tensors, counters


def set_optimiser_state(
    optimiser: torch.optim.Optimizer,
    name: str,
    tensors: dict[str, Tensor],
    counters: dict[str, Any],
) -> None:
    """Restore the moments of an optimiser from `optimiser_state`."""
    state: dict[int, dict[str, Any]] = {}
    for full, value in {**tensors, **counters}.items():
        if full.startswith(f"{name}."):
            _, index, key = full.split(".", 2)
            state.setdefault(int(index), {})[key] = value
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})


def prefixed(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors with the prefix before their names."""
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors whose names begin with the prefix, without it."""
    start = f"{prefix}."
    return {name[len(start) :]: t for name, t in tensors.items() if name.startswith(start)}


def load_parameters(model: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Load the parameters of a model; raises ModelError where they do not fit it."""
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise ModelError(
            "the checkpoint belongs to another model",
            value=str(error).splitlines()[0],
            remedy="Remove the checkpoints; the training then begins anew.",
        ) from None


class Keeper:
    """Early stopping: keeps the best parameters and decides when to stop.

    Args:
        measure: the metric of the current parameters, larger is better; None never stops early.
        least: by step, the least metric of a validation there with which the training goes on.

    Attributes:
        course: the metric of each validation, by step.
        fell: the step after which the rate of a `plateau` fell; None before.
        best: the best metric so far.
        latest: the last metric.
    """

    def __init__(
        self,
        model: nn.Module,
        schedule: Schedule,
        measure: Callable[[], float] | None,
        least: Mapping[int, float] | None = None,
    ) -> None:
        self._model, self._schedule, self._measure = model, schedule, measure
        self._least = {} if least is None else least
        self._state: dict[str, Tensor] = {}
        self._step = 0
        self._without_gain = 0
        self._passed: float | None = None
        self.fell: int | None = None
        self.course: dict[int, float] = {}
        self.best: float | None = None
        self.latest: float | None = None

    @property
    def enough(self) -> bool:
        """Whether a validation or the last `patience` of them were not worth going on."""
        behind = any(value < self._least.get(step, value) for step, value in self.course.items())
        return behind or self._without_gain >= self._schedule.patience

    def look(self, step: int, *, last: bool) -> float | None:
        """Validate after a step where one is due; return the metric, None where none is."""
        schedule = self._schedule
        due = step >= schedule.check_from and step % schedule.check_every == 0
        if self._measure is None or not (due or last):
            return None
        value = self.latest = self._measure()
        self.course[step] = value
        if self.best is None or value > self.best:
            self.best, self._step = value, step
            self._state = {k: v.detach().clone() for k, v in self._model.state_dict().items()}
        least = schedule.least_gain if schedule.curve == "plateau" else 0.0
        if self._passed is None or value > self._passed + least * abs(self._passed):
            self._passed, self._without_gain = value, 0
        else:
            self._without_gain += 1
        if self._without_gain and self.waits:
            self.fell, self._without_gain = step, 0
        return value

    @property
    def waits(self) -> bool:
        """Whether the rate is still to fall when the validation stops improving."""
        plateau = self._schedule.curve == "plateau" and self._schedule.falls_at is None
        return plateau and self._measure is not None and self.fell is None

    def restore(self, steps: int) -> int:
        """Load the best parameters into the model; return their step."""
        if self._state:
            self._model.load_state_dict(self._state)
            return self._step
        return steps

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return best parameters and counters, for a checkpoint."""
        record: dict[str, Any] = {
            "step": self._step,
            "misses": self._without_gain,
            "best": self.best,
        }
        record |= {"fell": self.fell, "passed": self._passed}
        record["course"] = list(self.course.items())
        return prefixed("best", self._state), record

    def set_state(self, tensors: dict[str, Tensor], record: dict[str, Any]) -> None:
        """Restore a result of `state`."""
        present = self._model.state_dict()
        self._state = {k: v.to(present[k].device) for k, v in under("best", tensors).items()}
        self._step, self._without_gain, self.best = record["step"], record["misses"], record["best"]
        self.fell, self._passed = record.get("fell"), record.get("passed", self.best)
        self.course = {int(step): value for step, value in record.get("course", [])}
