"""Hyper-parameter search within a time budget, on the validation part.

Optuna proposes settings by TPE (Bergstra et al. 2011, "Algorithms for Hyper-Parameter
Optimization"; all settings of an agent jointly), in one study per agent that starts at its current
settings. Agents take turns, active ones more often. Two things differ from optuna's own loop. A
proposal becomes the incumbent only if it beats it by more than the noise between users, in a paired
comparison. And a trial that would exceed the budget, estimated from the agent's earlier trials, is
not started. Agents with a joint loss are not searched: fitted alone, such an agent would not be
comparable with itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from kgrec.config import FrozenModel
from kgrec.data.dataset import FloatArray
from kgrec.errors import ModelError
from kgrec.learning.agent import (
    Agent,
    Choices,
    FitContext,
    Number,
    Space,
    setting_of,
    with_settings,
)
from kgrec.learning.blending.blend import Choice
from kgrec.learning.registry import build_agent
from kgrec.metrics.ranking import Values
from kgrec.model.coordinator import standardised
from kgrec.model.kernel import Kernel

if TYPE_CHECKING:
    import optuna

_REPEATS = 20
"""Consecutive repeated proposals after which the search of an agent ends."""


class SearchConfig(FrozenModel):
    """Settings of the search.

    Attributes:
        most_trials: maximum number of trials. A search that ends by it, and not by the clock,
            gives the same result on any machine.
        startup: random trials of an agent before TPE proposes.
        standard_errors: minimum gain over the incumbent, in standard errors of the paired
            difference between users.
    """

    most_trials: int | None = Field(default=None, ge=1)
    startup: int = Field(default=5, ge=1)
    standard_errors: float = Field(default=1.0, ge=0)


@dataclass(frozen=True)
class SettingsTrial:
    """One agent, fitted with other settings.

    Attributes:
        settings: the settings that differ from the incumbent.
        metric: metric of the team with this kernel in place of the agent's incumbent; of the
            agent alone where it is not active; None where it could not be fitted.
        gain: difference to the incumbent.
        kept: whether it became the incumbent.
    """

    agent: str
    settings: dict[str, Number]
    metric: float | None
    gain: float
    seconds: float
    kept: bool


@dataclass
class Found:
    """The incumbents and trials of a search.

    Attributes:
        kernels: the incumbent of each agent.
        settings: changed settings by agent.
        trials: all trials in order.
    """

    kernels: dict[str, Kernel]
    settings: dict[str, dict[str, Number]] = field(default_factory=dict)
    trials: list[SettingsTrial] = field(default_factory=list)


class SettingsSearch:
    """Searches better settings of fitted agents.

    Args:
        agents: the agents to search, as configured.
        choice: the kernels of all agents, with the settings that they chose, and their weights.
        seconds: duration of the first fit by agent.
        context: data and resources of the fits, with a validation part.
        fit: fits an agent.
        config: settings of the search.
        clock: returns the time in seconds.
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
        held_out = held_out.kept(context.seed)
        self._choice, self._context, self._validation = choice, context, held_out
        self._weights, self._seconds = choice.weights, seconds
        self._fit, self._config, self._clock = fit, config, clock
        self._durations = {name: [spent] for name, spent in seconds.items()}
        self._scores = {
            kernel.agent: standardised(kernel, held_out.histories) for kernel in choice.kernels
        }
        self._best = {name: self._measured(name, self._scores[name]) for name in self._scores}
        self.found = Found({kernel.agent: kernel for kernel in choice.kernels})
        self._shift = dict.fromkeys(self._scores, 0.0)
        searched = [name for name in self._scores if name in self._agents]
        order = sorted(searched, key=lambda name: -self._weights.get(name, 0.0))
        self._studies = {
            name: _Study(
                {key: agent.config.searched[key] for key in self._present(name)},
                self._present(name),
                float(self._best[name].mean()),
                startup=config.startup,
                seed=context.seed,
            )
            for name in order
            for agent in [self._agents[name]]
        }

    def improve(
        self, choose: Callable[[Sequence[Kernel]], Choice], until: float, *, refit: bool
    ) -> tuple[Choice, dict[str, Any]]:
        """Search, then blend again; the result is kept if the whole team is better with it.

        Args:
            choose: blends kernels.
            until: time by the clock at which to end, the second blending and, with `refit`, the
                second fit included.

        Returns:
            the choice, and the trials as plain values.
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
        """Search until all trials are used, or no trial would end in time.

        Args:
            until: time by the clock at which the last trial should end.
        """
        with self._context.progress.task("search settings") as task:
            for name in self._turns(until):
                trial = self._try(name)
                if trial is None:
                    self._studies.pop(name)
                    continue
                task.advance()
                shown = ", ".join(f"{key} {value:g}" for key, value in trial.settings.items())
                task.describe(f"{name}: {shown}")
        return self.found

    def _turns(self, until: float) -> Iterator[str]:
        """Yield agents in turn: in each round the active ones, and one of the others."""
        with_share = [name for name in self._studies if self._weights.get(name, 0.0) > 0]
        others = [name for name in self._studies if name not in with_share]
        rest = cycle(others)
        tried = True
        while tried:
            tried = False
            for name in [*with_share, *([next(rest)] if others else [])]:
                may = name in self._studies and self._context.workers.once(
                    lambda name=name: self._may(name, until)  # type: ignore[misc]
                )
                if may:
                    tried = True
                    yield name

    def _try(self, name: str) -> SettingsTrial | None:
        """Fit an agent with proposed settings; None when its search space is exhausted."""
        study = self._studies[name]
        settings = study.propose()
        if settings is None:
            return None
        changed = {
            key: value for key, value in settings.items() if value != self._present(name)[key]
        }
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
                self._keep(name, kernel, scores, values, settings, gain)
        # Less the gains of other agents since the study began, so that its metrics are comparable.
        study.record(None if metric is None else metric - self._shift[name])
        spent = self._clock() - begun
        self._durations[name].append(spent)
        trial = SettingsTrial(name, changed, metric, gain, round(spent, 3), kept)
        self.found.trials.append(trial)
        return trial

    def _keep(
        self,
        name: str,
        kernel: Kernel,
        scores: FloatArray,
        values: Values,
        settings: dict[str, Number],
        gain: float,
    ) -> None:
        self._scores[name] = scores
        if self._weights.get(name, 0.0) > 0:
            for other in self._best:
                if self._weights.get(other, 0.0) > 0:
                    self._best[other] = values
                    self._shift[other] += gain if other != name else 0.0
        else:
            self._best[name] = values
        self.found.settings[name] = settings
        self.found.kernels[name] = replace(kernel, chosen={**kernel.chosen, **settings})

    def _present(self, name: str) -> dict[str, Number]:
        """Return the searched settings of an agent's incumbent."""
        agent = self._agents[name]
        known = with_settings(agent.config.model_dump(), self.found.kernels[name].chosen)
        present = {key: setting_of(known, key) for key in agent.config.searched}
        return {key: value for key, value in present.items() if isinstance(value, int | float)}

    def _fitted(self, name: str, settings: Mapping[str, Number]) -> Kernel | None:
        config = self._agents[name].config.model_dump()
        try:
            return self._fit(build_agent(name, with_settings(config, settings)))
        except ModelError:  # such as a loss that is not finite: these settings cannot be used
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
        """Whether another trial of an agent would end in time."""
        most = self._config.most_trials
        if most is not None and len(self.found.trials) >= most:
            return False
        # The first fit also chose settings; later durations are closer to that of a trial.
        durations = self._durations[name][1:][-3:] or self._durations[name]
        return self._clock() + max(durations) <= until


class _Study:
    """Optuna's study of one agent by ask and tell.

    Args:
        spaces: search space of each setting.
        present: the settings that it starts at.
        metric: metric of those.
    """

    def __init__(
        self,
        spaces: Mapping[str, Space],
        present: Mapping[str, Number],
        metric: float,
        *,
        startup: int,
        seed: int,
    ) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        sampler = optuna.samplers.TPESampler(
            n_startup_trials=startup, multivariate=True, seed=seed % 2**32
        )
        self._study = optuna.create_study(direction="maximize", sampler=sampler)
        self._spaces = {key: _distribution(space) for key, space in spaces.items()}
        self._study.enqueue_trial(
            {key: _inside(spaces[key], value) for key, value in present.items()}
        )
        self._metrics: dict[tuple[Number, ...], float | None] = {}
        self._proposal = self._study.ask(self._spaces)
        self._settings = dict(present)
        self.record(metric)

    def propose(self) -> dict[str, Number] | None:
        """Return settings to try; None where nearly all have been tried."""
        for _ in range(_REPEATS if self._spaces else 0):
            self._proposal = self._study.ask(self._spaces)
            self._settings = {key: _short(value) for key, value in self._proposal.params.items()}
            key = tuple(self._settings.values())
            if key not in self._metrics:
                return self._settings
            self.record(self._metrics[key])
        return None

    def record(self, metric: float | None) -> None:
        """Record the metric of the last proposal; None where it could not be fitted."""
        import optuna

        self._metrics[tuple(self._settings.values())] = metric
        state = optuna.trial.TrialState.FAIL if metric is None else None
        self._study.tell(self._proposal, metric, state=state)


def _distribution(space: Space) -> optuna.distributions.BaseDistribution:
    import optuna

    if isinstance(space, Choices):
        return optuna.distributions.CategoricalDistribution(tuple(space.values))
    return optuna.distributions.FloatDistribution(space.low, space.high, log=space.log)


def _inside(space: Space, value: Number) -> Number:
    """Return the nearest value of a space."""
    if isinstance(space, Choices):
        return min(space.values, key=lambda each: abs(each - value))
    return min(max(float(value), space.low), space.high)


def _short(value: Number) -> Number:
    """Return a float rounded to four significant digits, as it is shown."""
    return value if isinstance(value, int) else float(f"{value:.4g}")
