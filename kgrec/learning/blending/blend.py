"""Blending of fitted kernels: shares, gate, rejected items and ranker."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from kgrec.learning.agent import FitContext
from kgrec.learning.blending.ranker import Decided, RankerConfig, learn_ranker
from kgrec.learning.blending.rejection import RejectionConfig, choose_rejection
from kgrec.learning.blending.weights import CoordinatorConfig, choose_coordinator
from kgrec.learning.profile import Chosen, ContextConfig, choose_contexts
from kgrec.metrics.validation import Objective, Validation
from kgrec.model.coordinator import Coordinator
from kgrec.model.kernel import Kernel
from kgrec.model.ranker import Ranker
from kgrec.model.rejection import RejectionWeights
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
        rejection: how much rejected items count; None where they do not.
        rejected: by kind, what `choose_rejection` measured.
        contexts: by field, what `choose_contexts` chose.
        seconds: duration of the choice.
    """

    kernels: list[Kernel]
    coordinator: Coordinator
    measured: dict[str, float]
    objective: Objective
    decided: Decided | None
    reordered: dict[str, float]
    rejection: RejectionWeights | None
    rejected: dict[str, dict[str, float]]
    contexts: Chosen
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
    kernels: Sequence[Kernel],
    context: FitContext,
    team: CoordinatorConfig,
    ranker: RankerConfig,
    rejection: RejectionConfig | None = None,
    contexts: ContextConfig | None = None,
) -> Choice:
    """Choose shares and gate, what rejected items count, and a ranker over both.

    The first process does it for all.
    """
    begun, workers = time.perf_counter(), context.workers
    held_out = context.held_out(team.objective)
    coordinator, measured = workers.once(
        lambda: choose_coordinator(
            kernels, held_out, team, seed=context.seed, progress=context.progress
        )
    )
    blended = Team(context.train.items, tuple(kernels), coordinator)
    kept = None if held_out is None else held_out.kept(context.seed)
    weights, rejected = workers.once(
        lambda: choose_rejection(
            blended, kept, context.unwanted, rejection, progress=context.progress
        )
    )
    blended = replace(blended, rejection=weights)
    fields = workers.once(
        lambda: choose_contexts(
            blended, context, team.objective, contexts, progress=context.progress
        )
    )
    decided, reordered = workers.once(lambda: _rank(blended, context, held_out, ranker))
    seconds = time.perf_counter() - begun
    chosen = coordinator, measured, team.objective, decided, reordered
    return Choice(list(kernels), *chosen, weights, rejected, fields, seconds)


def _rank(
    unranked: Team, context: FitContext, held_out: Validation | None, ranker: RankerConfig
) -> tuple[Decided | None, dict[str, float]]:
    if held_out is None or context.validation is None:
        return None, {}
    return learn_ranker(
        unranked.active,
        unranked.scores,
        held_out,
        context.validation,
        context.train.interactions,
        ranker,
        seed=context.seed,
        progress=context.progress,
    )
