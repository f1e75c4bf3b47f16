"""Early stopping: the parameters that validation liked best, and when to stop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from kgrec.training.resume import prefixed, under
from kgrec.training.schedule import Schedule


class Keeper:
    """Remembers the best parameters and says when to stop.

    Args:
        measure: the metric of the present parameters, larger is better; None stops never.
    """

    def __init__(
        self, model: nn.Module, schedule: Schedule, measure: Callable[[], float] | None
    ) -> None:
        self._model, self._schedule, self._measure = model, schedule, measure
        self._state: dict[str, Tensor] = {}
        self._step = 0
        self._misses = 0
        self.best: float | None = None
        self.latest: float | None = None

    @property
    def enough(self) -> bool:
        """Whether it has not got better for too long."""
        return self._misses >= self._schedule.patience

    def look(self, step: int, *, last: bool) -> float | None:
        """Measure the parameters after a step, where it is time to; return the metric then."""
        schedule = self._schedule
        due = step >= schedule.check_from and step % schedule.check_every == 0
        if self._measure is None or not (due or last):
            return None
        value = self.latest = self._measure()
        if self.best is None or value > self.best:
            self.best, self._step, self._misses = value, step, 0
            self._state = {k: v.detach().clone() for k, v in self._model.state_dict().items()}
        else:
            self._misses += 1
        return value

    def restore(self, steps: int) -> int:
        """Give the model its best parameters; return the step they are of."""
        if self._state:
            self._model.load_state_dict(self._state)
            return self._step
        return steps

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return what is remembered, for a checkpoint."""
        record = {"step": self._step, "misses": self._misses, "best": self.best}
        return prefixed("best", self._state), record

    def set_state(self, tensors: dict[str, Tensor], record: dict[str, Any]) -> None:
        """Remember what `state` returned."""
        present = self._model.state_dict()
        self._state = {k: v.to(present[k].device) for k, v in under("best", tensors).items()}
        self._step, self._misses, self.best = record["step"], record["misses"], record["best"]
