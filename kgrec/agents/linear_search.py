"""The choice of the linear agent's ridge and weight of knowledge, on a part of the catalogue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp

from kgrec.agents.base import FitContext
from kgrec.agents.linear_forms import Form
from kgrec.data.dataset import FloatArray, IntArray, Interactions
from kgrec.evaluation.validation import Objective, Validation
from kgrec.progress import Task


@dataclass(frozen=True, eq=False)
class Trial:
    """Ranks the items of a form's sample for users who took one of them in the validation part.

    Attributes:
        held_out: the validation part over the sample alone.
        histories: of its users over all items, CSR [B, I].
    """

    form: Form
    held_out: Validation
    histories: sp.csr_matrix

    @classmethod
    def of(cls, form: Form, context: FitContext, objective: Objective) -> Trial:
        """Restrict the validation part of a context to the sample of a form."""
        assert context.validation is not None  # noqa: S101 - the caller looked
        matrix = context.histories.matrix
        held_out = Validation(
            sp.csr_matrix(matrix[:, form.sample]),
            _restricted(context.validation, form.sample, matrix.shape[1]),
            objective,
            seed=context.seed,
        )
        return cls(form, held_out, matrix[held_out.users])

    def measure(self, ridge: float, knowledge: float) -> float:
        """Return the metric of a ridge and a weight of knowledge."""

        def score(_: object) -> FloatArray:
            return self.form.scores(self.histories, ridge, knowledge)

        return self.held_out.measure(score)


def _restricted(interactions: Interactions, items: IntArray, num_items: int) -> Interactions:
    place = np.full(num_items, -1, dtype=np.int64)
    place[items] = np.arange(len(items))
    kept = interactions.take(place[interactions.item] >= 0)
    return replace(kept, item=place[kept.item])


class Search:
    """Measures settings on the validation part, each once.

    Args:
        measure: takes a ridge and a weight of knowledge.
    """

    def __init__(self, measure: Callable[[float, float], float], task: Task) -> None:
        self._measure, self._task = measure, task
        self._tried: dict[tuple[float, float], float] = {}

    def measure(self, setting: tuple[float, float]) -> float:
        """Return the metric of a ridge and a weight of knowledge."""
        if setting not in self._tried:
            self._tried[setting] = self._measure(*setting)
            self._task.advance()
            self._task.describe(f"validation {max(self._tried.values()):.4f}")
        return self._tried[setting]

    def ridge(self, start: float, knowledge: float, *, most: int = 8) -> float:
        """Go up or down by fours, then by twos, while that gains; `most` measures at the most."""
        best = start
        for factor in (4.0, 2.0):
            for step in (1.0 / factor, factor):
                begun = best
                while len(self._tried) < most and self._gains(best, best * step, knowledge):
                    best *= step
                if best != begun:
                    break
        return best

    def _gains(self, ridge: float, other: float, knowledge: float) -> bool:
        return self.measure((other, knowledge)) > self.measure((ridge, knowledge))
