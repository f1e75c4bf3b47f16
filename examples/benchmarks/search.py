"""Pattern search beside optuna: what each finds in equally many trials, and after how many.

    python examples/benchmarks/search.py FOLDER [--agent linear] [--trials 24] [--seeds 3]

Users of the validation part are halved: settings are searched on one half, with the same paired
test of noise for all, and the gain over the defaults is measured on the other. Optuna's samplers
(TPE, Gaussian process) begin at the defaults, as pattern search does. A fit is made once for each
combination of settings, so the number of trials is the budget.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna

from kgrec.data.atomic import read_folder
from kgrec.data.dataset import Dataset, Interactions
from kgrec.data.vocabulary import Vocabulary
from kgrec.learning.agent import Agent, FitContext
from kgrec.learning.blending.blend import choose_among
from kgrec.learning.blending.ranker import RankerConfig
from kgrec.learning.blending.search import Found, SearchConfig, SettingsSearch
from kgrec.learning.blending.weights import CoordinatorConfig, GateConfig
from kgrec.learning.registry import build_agent
from kgrec.learning.search_space import Choices, Number, Space
from kgrec.metrics.validation import Objective, Validation
from kgrec.model.coordinator import standardised
from kgrec.model.kernel import Kernel

Sampler = Callable[[int], optuna.samplers.BaseSampler]

SAMPLERS: Mapping[str, Sampler] = {
    "tpe": lambda seed: optuna.samplers.TPESampler(
        n_startup_trials=5, multivariate=True, seed=seed
    ),
    "gp": lambda seed: optuna.samplers.GPSampler(n_startup_trials=5, seed=seed),
}


class OptunaSearch(SettingsSearch):
    """The same search with optuna's proposals: one study an agent, trials in turn."""

    def __init__(self, sampler: Sampler, seed: int, *args: Any) -> None:
        super().__init__(*args)
        self._studies = {
            name: optuna.create_study(direction="maximize", sampler=sampler(seed))
            for name in self._agents
        }

    def run(self, until: float) -> Found:
        """Try what the studies propose until the trials or the time are spent."""
        for name, study in self._studies.items():
            spaces = self._spaces(name)
            start = {key: _inside(spaces[key], value) for key, value in self._present(name).items()}
            study.enqueue_trial(start)  # the defaults, which are measured already
            study.tell(study.ask(spaces), float(self._best[name].mean()))
        while self._studies:
            for name, study in self._studies.items():
                if not self._may(name, until):
                    return self.found
                asked = study.ask(self._spaces(name))
                metric = self._try_all(name, dict(asked.params))
                state = optuna.trial.TrialState.FAIL if metric is None else None
                study.tell(asked, metric, state=state)
        return self.found

    def _spaces(self, name: str) -> dict[str, optuna.distributions.BaseDistribution]:
        searched = self._agents[name].config.searched
        return {key: _distribution(searched[key]) for key in self._present(name)}

    def _try_all(self, name: str, settings: dict[str, Number]) -> float | None:
        """Try several settings at once, by what tries one."""
        present, kernel = self._present(name), self.found.kernels[name]
        changed = [key for key, value in present.items() if settings[key] != value]
        last = changed[-1] if changed else next(iter(settings))
        # The others change first, as though they had been kept.
        others = {key: value for key, value in settings.items() if key != last}
        self.found.kernels[name] = replace(kernel, chosen={**kernel.chosen, **others})
        trial = self._try(name, last, settings[last])
        if not trial.kept:
            self.found.kernels[name] = kernel
        return trial.metric


def _distribution(space: Space) -> optuna.distributions.BaseDistribution:
    if isinstance(space, Choices):
        return optuna.distributions.CategoricalDistribution(list(space.values))
    return optuna.distributions.FloatDistribution(space.low, space.high, log=space.log)


def _inside(space: optuna.distributions.BaseDistribution, value: Number) -> Number:
    if isinstance(space, optuna.distributions.FloatDistribution):
        return min(max(float(value), space.low), space.high)
    return value


def halves(part: Interactions, users: int) -> tuple[Interactions, Interactions]:
    """Split a validation part by users."""
    first = np.random.default_rng(0).random(users) < 0.5
    return part.take(first[part.user]), part.take(~first[part.user])


def frequent(data: Dataset, part: Interactions, items: int) -> tuple[Dataset, Interactions]:
    """Keep the interactions with the most frequent items, without facts and texts."""
    count = np.bincount(data.interactions.item, minlength=data.num_items)
    kept = np.sort(np.argsort(-count, kind="stable")[:items])
    place = np.full(data.num_items, -1, dtype=np.int64)
    place[kept] = np.arange(len(kept))

    def within(rows: Interactions) -> Interactions:
        rows = rows.take(place[rows.item] >= 0)
        return replace(rows, item=place[rows.item])

    ids = Vocabulary(data.items.ids[row] for row in kept)
    return Dataset(data.users, ids, within(data.interactions)), within(part)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--agent", default="linear")
    parser.add_argument("--settings", type=json.loads, default={})
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--items", type=int, help="so many of the most frequent items only")
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    data = read_folder(options.folder)
    train, valid = data.train, data.valid
    if options.items:
        train, valid = frequent(train, valid, options.items)
    searched, checked = halves(valid, train.num_users)
    context = FitContext(train, searched)
    objective = Objective()
    other = Validation(context.histories, checked, objective, seed=1)
    agent = build_agent(options.agent, options.settings)
    kept: dict[str, Kernel] = {}

    def fit(one: Agent) -> Kernel:
        key = one.config.model_dump_json()
        if key not in kept:
            kept[key] = one.fit(context)
        return kept[key]

    team = CoordinatorConfig(objective=objective, gate=GateConfig(use="never"))

    def choose(kernels: Sequence[Kernel]) -> Any:
        return choose_among(kernels, context, team, RankerConfig(use="never"))

    begun = time.perf_counter()
    choice = choose([fit(agent)])
    seconds = {agent.name: time.perf_counter() - begun}
    config = SearchConfig(most_trials=options.trials)
    base = other.per_user(standardised(choice.kernels[0], other.histories))
    print(f"defaults: {base.mean():.4f} on the other half; a fit takes {seconds[agent.name]:.1f} s")
    print("search   seed  gain here  best after  gain there  ± s.e.  trials")
    arguments = ([agent], choice, seconds, context, fit, config)
    runs: list[tuple[str, int, SettingsSearch]] = [("pattern", 0, SettingsSearch(*arguments))]
    for name, sampler in SAMPLERS.items():
        runs += [(name, s, OptunaSearch(sampler, s, *arguments)) for s in range(options.seeds)]
    for name, seed, search in runs:
        found = search.run(float("inf"))
        gains = [trial.gain for trial in found.trials if trial.kept]
        last = max((n for n, trial in enumerate(found.trials, 1) if trial.kept), default=0)
        scores = standardised(found.kernels[agent.name], other.histories)
        there = other.per_user(scores) - base
        print(
            f"{name:8} {seed:4}  {sum(gains):+9.4f}  {last:10}  {there.mean():+10.4f}"
            f"  {there.std() / np.sqrt(len(there)):6.4f}  {len(found.trials):6}",
            flush=True,
        )


if __name__ == "__main__":
    main()
