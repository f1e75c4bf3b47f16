"""Blending of fitted kernels: shares, gate and ranker."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from kgrec.learning.agent import FitContext
from kgrec.learning.blending.ranker import Decided, RankerConfig, learn_ranker
from kgrec.learning.blending.weights import CoordinatorConfig, choose_coordinator
from kgrec.metrics.validation import Objective
from kgrec.model.coordinator import Coordinator
from kgrec.model.kernel import Kernel
from kgrec.model.ranker import Ranker
from kgrec.model.team import Team


@dataclass(frozen=True)
class Choice:
    """Kernels with the coordinator and ranker that were chosen on the validation part.

    Attributes:
        kernels: one an agent, [A].
        coordinator: over these kernels.
        measured: metric on the validation part of each agent and of the `team`; empty without
            that part.
        objective: name of the metric.
        decided: the learned ranker; None where there is none.
        reordered: metrics of the ranker.
        seconds: duration of the choice.
    """

    kernels: list[Kernel]
    coordinator: Coordinator
    measured: dict[str, float]
    objective: Objective
    decided: Decided | None
    reordered: dict[str, float]
    seconds: float

    @property
    def weights(self) -> dict[str, float]:
        """The fixed weight of each agent."""
        shares = map(float, self.coordinator.weights)
        return dict(zip((kernel.agent for kernel in self.kernels), shares, strict=True))

    def ranker(self, context: FitContext) -> Ranker | None:
        """Return the ranker over the interactions of a context."""
        if self.decided is None:
            return None
        return self.decided.ranker(context.train.interactions, context.train.num_items)


def choose_among(
    kernels: Sequence[Kernel], context: FitContext, team: CoordinatorConfig, ranker: RankerConfig
) -> Choice:
    """Choose shares and gate, then a ranker over them; the first process does it for all."""
    begun, workers = time.perf_counter(), context.workers
    held_out = context.held_out(team.objective)
    coordinator, measured = workers.once(
        lambda: choose_coordinator(
            kernels, held_out, team, seed=context.seed, progress=context.progress
        )
    )
    decided, reordered = workers.once(lambda: _rank(kernels, coordinator, context, team, ranker))
    seconds = time.perf_counter() - begun
    chosen = coordinator, measured, team.objective, decided, reordered, seconds
    return Choice(list(kernels), *chosen)


def _rank(
    kernels: Sequence[Kernel],
    coordinator: Coordinator,
    context: FitContext,
    team: CoordinatorConfig,
    ranker: RankerConfig,
) -> tuple[Decided | None, dict[str, float]]:
    held_out = context.held_out(team.objective)
    if held_out is None or context.validation is None:
        return None, {}
    unranked = Team(context.train.items, tuple(kernels), coordinator)
    return learn_ranker(
        unranked.active,
        unranked.scores(held_out.histories),
        held_out,
        context.validation,
        context.train.interactions,
        ranker,
        seed=context.seed,
        progress=context.progress,
    )
