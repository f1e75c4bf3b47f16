"""Optuna's proposals beside pattern search: what each finds in equally many trials.

    python examples/benchmarks/search.py FOLDER [--agent linear] [--settings JSON] [--items 800]
        [--trials 16] [--seeds 3]

Users of the validation part are halved: settings are searched on one half, with the same paired
test of noise, and the gain over the start is measured on the other. The search is that of kgrec
with other proposals: `tpe` is what it has, `gp` optuna's Gaussian process, `pattern` the search of
Hooke and Jeeves (1961), one setting a step up or down, then steps of half the size. A fit is made
once for each combination of settings, so the number of trials is the budget. `--settings` is where
the search begins; `--items` keeps the most frequent items, so that a fit takes a second.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna

from kgrec.data.atomic import read_folder
from kgrec.data.dataset import Dataset, Interactions
from kgrec.data.vocabulary import Vocabulary
from kgrec.learning.agent import Agent, Choices, FitContext, Number, Space
from kgrec.learning.blending import search as searching
from kgrec.learning.blending.blend import choose_among
from kgrec.learning.blending.ranker import RankerConfig
from kgrec.learning.blending.search import SearchConfig, SettingsSearch
from kgrec.learning.blending.weights import CoordinatorConfig, GateConfig
from kgrec.learning.registry import build_agent
from kgrec.metrics.validation import Objective, Validation
from kgrec.model.coordinator import standardised
from kgrec.model.kernel import Kernel

Study: Any = searching._Study


class GaussianStudy(Study):
    """Proposals of optuna's Gaussian process."""

    def __init__(self, *args: Any, startup: int, seed: int) -> None:
        super().__init__(*args, startup=startup, seed=seed)
        self._study.sampler = optuna.samplers.GPSampler(n_startup_trials=startup, seed=seed)


class PatternStudy:
    """Proposals of pattern search, answered like those of optuna."""

    def __init__(
        self,
        spaces: Mapping[str, Space],
        present: Mapping[str, Number],
        metric: float,
        *,
        startup: int,
        seed: int,
    ) -> None:
        self._spaces, self._best, self._metric = spaces, dict(present), metric
        self._helped, self._steps = False, self._walk()
        self._settings: dict[str, Number] = {}
        self._known = {tuple(self._best.values())}

    def propose(self) -> dict[str, Number] | None:
        """Return the next step, None when no step helps."""
        found = next(self._steps, None)
        self._settings = found or {}
        return found

    def tell(self, metric: float | None) -> None:
        """Go on from there where the step helped."""
        self._helped = metric is not None and metric > self._metric
        if metric is not None and self._helped:
            self._best, self._metric = dict(self._settings), metric

    def _walk(self) -> Iterator[dict[str, Number]]:
        for scale in (1.0, 0.5):
            helped = True
            while helped:
                helped = False
                for name in self._spaces:
                    for way in (1, -1):
                        moved = False
                        while (value := self._moved(name, way * scale)) is not None:
                            settings = self._best | {name: value}
                            if tuple(settings.values()) in self._known:
                                break
                            self._known.add(tuple(settings.values()))
                            yield settings
                            if not self._helped:
                                break
                            helped = moved = True
                        if moved:
                            break

    def _moved(self, name: str, step: float) -> Number | None:
        space, value = self._spaces[name], self._best[name]
        if isinstance(space, Choices):
            place = list(space.values).index(value) + int(step)
            inside = abs(step) >= 1 and 0 <= place < len(space.values)
            return space.values[place] if inside else None
        # A step is a sixth of the range, or of its logarithm.
        if space.log:
            found = value * (space.high / space.low) ** (step / 6)
        else:
            found = value + step * (space.high - space.low) / 6
        found = float(f"{min(max(found, space.low), space.high):.4g}")
        return None if found == value else found


STUDIES: Mapping[str, Any] = {"pattern": PatternStudy, "tpe": Study, "gp": GaussianStudy}


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
    parser.add_argument("--trials", type=int, default=16)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--items", type=int)
    options = parser.parse_args()
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    data = read_folder(options.folder)
    train, valid = data.train, data.valid
    if options.items:
        train, valid = frequent(train, valid, options.items)
    searched, checked = halves(valid, train.num_users)
    context, objective = FitContext(train, searched), Objective()
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
    print(f"start: {base.mean():.4f} on the other half; a fit takes {seconds[agent.name]:.1f} s")
    print("search   seed  gain here  best after  gain there  ± s.e.  trials")
    for name, study in STUDIES.items():
        for seed in range(options.seeds if name != "pattern" else 1):
            searching._Study = study
            known = replace(context, seed=seed)
            search = SettingsSearch([agent], choice, seconds, known, fit, config)
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
