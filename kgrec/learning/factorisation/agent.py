"""The factorisation agent: users and items as vectors, by alternating least squares."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from kgrec.learning.agent import (
    AgentConfig,
    Choices,
    FitContext,
    NothingToLearnError,
    Range,
    Space,
)
from kgrec.learning.factorisation.als import (
    AlsSetting,
    AlternatingLeastSquares,
    of_features,
    scaled_items,
)
from kgrec.learning.knowledge_features import degree_features
from kgrec.metrics.validation import Objective, Validation
from kgrec.model.folding.formulas import FeatureFormula
from kgrec.model.kernel import Kernel, Source
from kgrec.model.redundancy_reader import RedundancyReader
from kgrec.progress import Task

_Size = Annotated[int, Field(ge=1)]
_STEPS = (("ridge", 3.0), ("unobserved", 3.0), ("ridge", 1.7))
"""Settings in the order in which they are chosen, and the factors between those that are tried."""
_LEARNED_FROM: tuple[Source, ...] = ("interactions", "facts")


class FactorisationConfig(AgentConfig):
    """Settings of the factorisation agent; those of None are chosen on the validation part.

    Attributes:
        factors: D, dimensions of the vectors; None chooses among `factors_choices`, the first of
            which the other settings are chosen with.
        unobserved: weight of a pair without interaction beside one with; None starts at
            `unobserved_start` and multiplies or divides by 3 while the validation metric improves.
        ridge: λ of a user, and of an item of mean popularity; None as above.
        ridge_power: exponent of the relative popularity of an item in its λ.
        feature_ridge: weight of the size of the feature vectors, from which items without
            interactions get theirs.
        sweeps: number of times that users and items are solved.
        search_sweeps: the same while settings are chosen.
        behind: the agent is not searched further when its first setting reaches less than this
            share of another agent's validation metric.
    """

    searched: ClassVar[Mapping[str, Space]] = {
        "ridge": Range(0.3, 100.0, log=True),
        "unobserved": Range(0.003, 1.0, log=True),
        "ridge_power": Range(0.0, 1.0),
        "factors": Choices((32, 64, 128, 256)),
    }

    factors: int | None = Field(default=None, ge=1)
    factors_choices: tuple[_Size, ...] = Field(default=(128, 64), min_length=1)
    unobserved: float | None = Field(default=None, gt=0)
    unobserved_start: float = Field(default=0.1, gt=0)
    ridge: float | None = Field(default=None, gt=0)
    ridge_start: float = Field(default=3.0, gt=0)
    ridge_power: float = Field(default=0.5, ge=0, le=1)
    feature_ridge: float = Field(default=1.0, gt=0)
    sweeps: int = Field(default=8, ge=1)
    search_sweeps: int = Field(default=4, ge=1)
    behind: float = Field(default=0.5, ge=0, le=1)
    objective: Objective = Objective()


class FactorisationAgent:
    """Implicit-feedback matrix factorisation (Hu, Koren and Volinsky 2008), known as iALS.

    How it compares depends on its settings (Rendle et al. 2022, "Revisiting the Performance of iALS
    on Item Recommendation Benchmarks"), which are therefore chosen on the validation
    part. A user is solved from the history when a list is made, which is a sum over the history
    with weights (`kgrec.model.redundancy_reader`). An item without interactions gets
    the vector that its facts predict, by a regression over the others.
    """

    name: ClassVar[str] = "factorisation"
    Config: ClassVar[type[FactorisationConfig]] = FactorisationConfig

    def __init__(self, config: FactorisationConfig | None = None) -> None:
        self.config = config or FactorisationConfig()

    def fit(self, context: FitContext) -> Kernel:
        """Choose the settings and solve; see `Agent.fit`."""
        if not len(context.train.interactions):
            raise NothingToLearnError("the factorisation agent needs interactions")
        config = self.config
        kernel = _Solver(config, context).kernel
        begun = AlsSetting(
            config.factors or config.factors_choices[0],
            config.unobserved or config.unobserved_start,
            config.ridge or config.ridge_start,
        )
        held_out = context.held_out(config.objective)
        if held_out is None or None not in (config.factors, config.unobserved, config.ridge):
            with context.progress.task("factorisation: solve"):
                return kernel(begun, config.sweeps)
        with context.progress.task("factorisation: choose") as task:
            return _Search(config, context, held_out, kernel, task).best(begun)


class _Solver:
    """Solves for the kernel of one data set by any setting."""

    def __init__(self, config: FactorisationConfig, context: FitContext) -> None:
        known = context.train.matrix()
        self._als = AlternatingLeastSquares(known, config.ridge_power, context.seed, context.device)
        self._features = degree_features(context.train, 0.0)
        self._cold = np.bincount(known.indices, minlength=known.shape[1]) == 0
        self._feature_ridge = config.feature_ridge

    def kernel(self, setting: AlsSetting, sweeps: int) -> Kernel:
        """Return the kernel after some sweeps."""
        z = scaled_items(self._als.item_factors(setting, sweeps), setting)
        embeddings, reads = None, _LEARNED_FROM[:1]
        if self._features is not None:
            embeddings = of_features(self._features, z, ~self._cold, self._feature_ridge)
            z[self._cold] = self._features[self._cold] @ embeddings
            reads = _LEARNED_FROM
        return Kernel(
            FactorisationAgent.name,
            history_factors=z,
            item_factors=z,
            attention=RedundancyReader(z),
            chosen=asdict(setting),
            reads={"factors": reads},
            inductive=FeatureFormula(embeddings, setting.factors),
        )


class _Search:
    """Chooses one setting after the other on the validation part."""

    def __init__(
        self,
        config: FactorisationConfig,
        context: FitContext,
        held_out: Validation,
        kernel: Callable[[AlsSetting, int], Kernel],
        task: Task,
    ) -> None:
        self._config, self._context, self._held_out = config, context, held_out
        self._kernel, self._task = kernel, task
        self._tried: dict[AlsSetting, float] = {}

    def best(self, begun: AlsSetting) -> Kernel:
        """Return the kernel of the best setting."""
        config, best = self._config, begun
        others = self._context.validated.values()
        if self._measure(best) >= config.behind * max(others, default=0.0):
            for name, factor in _STEPS:
                if getattr(config, name) is None:
                    best = self._stepped(best, name, factor)
            sizes = config.factors_choices if config.factors is None else ()
            more = [replace(best, factors=size) for size in sizes]
            if len(more) > 1 and not self._context.time_is_up():
                return self._largest(more)
        return self._solved(best)

    def _largest(self, settings: Sequence[AlsSetting]) -> Kernel:
        """Return the kernel of the best of some settings after all sweeps."""
        solved = [self._solved(setting) for setting in settings]
        measured = [self._held_out.measure(kernel.scores) for kernel in solved]
        self._context.validated[FactorisationAgent.name] = max(measured)
        return solved[measured.index(max(measured))]

    def _stepped(self, best: AlsSetting, name: str, factor: float) -> AlsSetting:
        """Multiply or divide a setting by a factor while the metric improves."""
        for step in (factor, 1.0 / factor):
            begun = best
            while not self._context.time_is_up():
                other = replace(best, **{name: getattr(best, name) * step})
                if self._measure(other) <= self._measure(best):
                    break
                best = other
            if best != begun:
                break
        return best

    def _measure(self, setting: AlsSetting) -> float:
        if setting not in self._tried:
            kernel = self._kernel(setting, self._config.search_sweeps)
            self._tried[setting] = self._held_out.measure(kernel.scores)
            self._task.advance()
            self._task.describe(f"validation {max(self._tried.values()):.4f}")
        return self._tried[setting]

    def _solved(self, setting: AlsSetting) -> Kernel:
        self._task.advance()
        return self._kernel(setting, self._config.sweeps)
