"""Search: better settings of the agents within a time, by the validation part.

Pattern search (Hooke and Jeeves 1961, "Direct Search Solution of Numerical and Statistical
Problems"): from the defaults, one setting after another takes a step up or down; what helps stays
and goes on in that direction; when nothing helps the steps are halved. The agents that the team
listens to most are searched first. What differs: a step must help by more than noise between users,
and one that would not end in time, by the time that the agent took before, is not begun. Agents
that learned on one loss are not searched: fitted alone, one of them is another agent than the one
that it would be compared with.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from kgrec.config import FrozenModel
from kgrec.data.dataset import FloatArray
from kgrec.errors import ModelError
from kgrec.learning.agent import Agent, FitContext
from kgrec.learning.blending.blend import Choice
from kgrec.learning.registry import build_agent
from kgrec.learning.search_space import Number, Space, setting_of, with_settings
from kgrec.metrics.ranking import Values
from kgrec.model.coordinator import standardised
from kgrec.model.kernel import Kernel
from kgrec.progress import Task


class SearchConfig(FrozenModel):
    """Settings of the search.

    Attributes:
        most_trials: at most so many trials, however much time is left; the same number of trials
            gives the same result, on a slow machine and on a fast one.
        scales: sizes of the steps, one after another.
        standard_errors: what is tried must beat the best so far by so many, of the paired
            difference between users.
    """

    most_trials: int | None = Field(default=None, ge=1)
    scales: tuple[Annotated[float, Field(gt=0)], ...] = Field(default=(1.0, 0.5), min_length=1)
    standard_errors: float = Field(default=1.0, ge=0)


@dataclass(frozen=True)
class SettingsTrial:
    """One agent fitted with one setting changed.

    Attributes:
        metric: of the team with this kernel in place of the agent's best so far; of the agent
            alone where the team does not listen to it; None where it could not be fitted.
        gain: over the best so far.
        kept: whether it is the best so far from now on.
    """

    agent: str
    setting: str
    value: Number
    metric: float | None
    gain: float
    seconds: float
    kept: bool


@dataclass
class Found:
    """What a search has found so far.

    Attributes:
        kernels: the best of each agent.
        settings: that were changed, by agent.
        trials: in their order.
    """

    kernels: dict[str, Kernel]
    settings: dict[str, dict[str, Number]] = field(default_factory=dict)
    trials: list[SettingsTrial] = field(default_factory=list)


class SettingsSearch:
    """Looks for better settings of agents that are fitted already.

    Args:
        agents: whose settings are searched, as configured.
        choice: the kernels of all agents, with the settings that they chose themselves, and their
            weights.
        seconds: how long each took to fit.
        context: what they are fitted on, with a validation part.
        fit: fits an agent.
        config: settings of the search.
        clock: tells seconds.
    """

    def __init__(
        self,
        agents: Sequence[Agent],
        choice: Choice,
        seconds: Mapping[str, float],
        context: FitContext,
        fit: Callable[[Agent], Kernel],
        config: SearchConfig,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        held_out = context.held_out(choice.objective)
        if held_out is None:
            raise ModelError(
                "settings are searched on a validation part, and there is none",
                remedy="Hold interactions out, or search no settings.",
            )
        self._agents = {agent.name: agent for agent in agents}
        self._choice, self._context, self._validation = choice, context, held_out
        self._weights, self._seconds = choice.weights, seconds
        self._fit, self._config, self._clock = fit, config, clock
        self._took = {name: [spent] for name, spent in seconds.items()}
        self._scores = {
            kernel.agent: standardised(kernel, held_out.histories) for kernel in choice.kernels
        }
        self._best = {name: self._measured(name, self._scores[name]) for name in self._scores}
        self._tried: set[tuple[str, tuple[Any, ...]]] = set()
        self.found = Found({kernel.agent: kernel for kernel in choice.kernels})

    def improve(
        self, choose: Callable[[Sequence[Kernel]], Choice], until: float, *, refit: bool
    ) -> tuple[Choice, dict[str, Any]]:
        """Search, and choose again over what was found; it stays if the team is better as a whole.

        Args:
            choose: chooses over kernels.
            until: time by the clock at which all should be done. Some of it is kept for choosing
                again and, with `refit`, for fitting again.

        Returns:
            the choice, and what was tried, as plain values.
        """
        later = self._choice.seconds
        if refit:
            later += sum(self._seconds[name] for name, w in self._weights.items() if w > 0)
        begun, before = self._clock(), self._choice
        found, after = self.run(until - later), before
        if found.settings:
            again = choose([found.kernels[kernel.agent] for kernel in before.kernels])
            if again.measured.get("team", 1.0) > before.measured.get("team", 0.0):
                after = again
        return after, {
            "seconds": round(self._clock() - begun, 1),
            "before": before.measured.get("team"),
            "after": after.measured.get("team"),
            "settings": found.settings if after is not before else {},
            "trials": [asdict(trial) for trial in found.trials],
            "left_out": [name for name in self._scores if name not in self._agents],
        }

    def run(self, until: float) -> Found:
        """Search until nothing helps, the trials are spent, or no trial would end in time.

        Args:
            until: time by the clock at which the last trial should have ended.
        """
        names = [name for name in self._scores if name in self._agents]
        order = sorted(names, key=lambda name: -self._weights.get(name, 0.0))
        active = [name for name in order if self._weights.get(name, 0.0) > 0]
        with self._context.progress.task("search settings") as task:
            for names in (active, [name for name in order if name not in active]):
                for scale in self._config.scales:
                    self._descend(names, scale, until, task)
        return self.found

    def _descend(self, names: Sequence[str], scale: float, until: float, task: Task) -> None:
        """Go on with steps of one size as long as one of them helps."""
        helped = True
        while helped:
            helped = False
            for trial in self._sweep(names, scale, until):
                helped |= trial.kept
                task.advance()
                task.describe(f"{trial.agent}: {trial.setting} {trial.value:g}")

    def _sweep(self, names: Sequence[str], scale: float, until: float) -> Iterator[SettingsTrial]:
        """Try a step of each setting of these agents, and yield after each."""
        for name in names:
            for setting, space in self._agents[name].config.searched.items():
                for direction in (1, -1):
                    moved = False
                    while value := self._next(name, setting, space, direction, scale, until):
                        trial = self._try(name, setting, value[0])
                        yield trial
                        if not trial.kept:
                            break
                        moved = True
                    if moved:
                        break

    def _next(
        self, name: str, setting: str, space: Space, direction: int, scale: float, until: float
    ) -> tuple[Number] | None:
        """Return the value that a step leads to; None where it was tried, or there is no time."""
        present = self._present(name)
        if setting not in present:
            return None
        value = space.moved(present[setting], direction, scale)
        if value is None or self._key(name, present | {setting: value}) in self._tried:
            return None
        return (value,) if self._context.workers.once(lambda: self._may(name, until)) else None

    def _try(self, name: str, setting: str, value: Number) -> SettingsTrial:
        """Fit an agent with one setting changed, and keep what helps."""
        settings = self._present(name) | {setting: value}
        self._tried.add(self._key(name, settings))
        begun = self._clock()
        kernel = self._fitted(name, settings)
        kept, metric, gain = False, None, 0.0
        if kernel is not None:
            scores = standardised(kernel, self._validation.histories)
            values = self._measured(name, scores)
            difference = values - self._best[name]
            noise = float(difference.std()) / np.sqrt(len(difference))
            metric, gain = float(values.mean()), float(difference.mean())
            kept = bool(gain > max(self._config.standard_errors * noise, 1e-12))
            if kept:
                self._keep(name, kernel, scores, values, settings)
        spent = self._clock() - begun
        self._took[name].append(spent)
        trial = SettingsTrial(name, setting, value, metric, gain, round(spent, 3), kept)
        self.found.trials.append(trial)
        return trial

    def _keep(
        self,
        name: str,
        kernel: Kernel,
        scores: FloatArray,
        values: Values,
        settings: dict[str, Number],
    ) -> None:
        self._scores[name] = scores
        if self._weights.get(name, 0.0) > 0:
            for other in self._best:
                if self._weights.get(other, 0.0) > 0:
                    self._best[other] = values
        else:
            self._best[name] = values
        self.found.settings[name] = settings
        self.found.kernels[name] = replace(kernel, chosen={**kernel.chosen, **settings})

    def _present(self, name: str) -> dict[str, Number]:
        """Return the settings of an agent that may be searched, as they are best so far."""
        agent = self._agents[name]
        known = with_settings(agent.config.model_dump(), self.found.kernels[name].chosen)
        present = {key: setting_of(known, key) for key in agent.config.searched}
        return {key: value for key, value in present.items() if isinstance(value, int | float)}

    def _fitted(self, name: str, settings: Mapping[str, Number]) -> Kernel | None:
        config = self._agents[name].config.model_dump()
        try:
            return self._fit(build_agent(name, with_settings(config, settings)))
        except ModelError:  # such as a loss that is no number: these settings are of no use
            return None

    def _measured(self, name: str, scores: FloatArray) -> Values:
        """Return the metric of each user by the team with these scores of an agent."""
        if self._weights.get(name, 0.0) <= 0:
            return self._validation.per_user(scores.copy())
        mixed = np.zeros_like(scores)
        for other, own in self._scores.items():
            weight = self._weights.get(other, 0.0)
            if weight > 0:
                mixed += np.float32(weight) * (scores if other == name else own)
        return self._validation.per_user(mixed)

    def _may(self, name: str, until: float) -> bool:
        """Say whether another trial of an agent would end in time."""
        most = self._config.most_trials
        if most is not None and len(self.found.trials) >= most:
            return False
        # The first time is that of a fit that chose more for itself; later ones tell better.
        took = self._took[name][1:][-3:] or self._took[name]
        return self._clock() + max(took) <= until

    @staticmethod
    def _key(name: str, settings: Mapping[str, Number]) -> tuple[str, tuple[Any, ...]]:
        return name, tuple(sorted(settings.items()))
