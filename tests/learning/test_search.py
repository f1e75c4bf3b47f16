"""Searching settings: what helps by more than noise stays, and the time that is given holds."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field
from tastes import encode_words, tastes

from kgrec.cli.train import described
from kgrec.config import parse_config, seconds_of
from kgrec.data.dataset import Dataset, Interactions
from kgrec.data.vocabulary import Vocabulary
from kgrec.errors import ConfigError, ModelError
from kgrec.learning.agent import (
    Agent,
    AgentConfig,
    Choices,
    FitContext,
    Range,
    Space,
    setting_of,
    with_settings,
)
from kgrec.learning.blending.blend import choose_among
from kgrec.learning.blending.ranker import RankerConfig
from kgrec.learning.blending.search import SearchConfig, SettingsSearch, _Study
from kgrec.learning.blending.weights import CoordinatorConfig, GateConfig
from kgrec.learning.fit_team import fit_team
from kgrec.learning.linear.agent import LinearConfig
from kgrec.learning.registry import AGENTS, agent_class
from kgrec.learning.team_config import TeamConfig
from kgrec.metrics.validation import Objective
from kgrec.model.kernel import Kernel
from kgrec.stages.train import TrainSummary

USERS, ITEMS = 60, 30


class NeedleConfig(AgentConfig):
    """What the needle looks at: right at `place` 3 and `width` 0.1, wrong the further away."""

    searched: ClassVar[Mapping[str, Space]] = {
        "place": Choices((0, 1, 2, 3, 4)),
        "width": Range(0.1, 10.0, log=True),
    }

    place: int = 1
    width: float = Field(default=1.0, gt=0)
    unsearched: int = 7


@dataclass
class Needle:
    """An agent whose kernel is right in the more cases the better its settings are."""

    config: NeedleConfig = field(default_factory=NeedleConfig)
    name: ClassVar[str] = "needle"
    Config: ClassVar[type[NeedleConfig]] = NeedleConfig

    def fit(self, context: FitContext) -> Kernel:
        if self.config.place == 0:
            raise ModelError("no place for a needle")
        miss = abs(self.config.place - 3) + np.log10(self.config.width / 0.1)
        right = np.roll(np.eye(ITEMS, dtype=np.float32), 1, axis=1)
        wrong = np.roll(np.eye(ITEMS, dtype=np.float32), 2, axis=1)
        wrong += np.roll(np.eye(ITEMS, dtype=np.float32), 3, axis=1)
        share = np.arange(ITEMS)[:, None] >= 6 * miss
        return Kernel(self.name, rows=sp.csr_matrix(np.where(share, right, wrong)))


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(AGENTS, "needle", "test_search:Needle")


class Clock:
    """A clock that a fit of the needle moves by ten seconds."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def fit(self, agent: Agent, context: FitContext) -> Kernel:
        self.now += 10.0
        return agent.fit(context)


def context() -> FitContext:
    """Every user had item u % ITEMS and wants the next one."""
    users = np.arange(USERS, dtype=np.int64)
    had, ones = users % ITEMS, np.ones(USERS, dtype=np.float32)
    train = Interactions(users, had, ones, users)
    dataset = Dataset(
        Vocabulary(f"u{n}" for n in range(USERS)), Vocabulary(f"i{n}" for n in range(ITEMS)), train
    )
    return FitContext(dataset, Interactions(users, (had + 1) % ITEMS, ones, users))


def search(
    config: SearchConfig | None = None, *, until: float = 600.0, seed: int = 2024
) -> tuple[Any, Clock]:
    clock, known = Clock(), replace(context(), seed=seed)
    agent = Needle()
    objective = Objective(k=1)
    team = CoordinatorConfig(objective=objective, gate=GateConfig(use="never"))

    def choose(kernels: Any) -> Any:
        return choose_among(kernels, known, team, RankerConfig(use="never"))

    looked = SettingsSearch(
        [agent],
        choose([agent.fit(known)]),
        {"needle": 10.0},
        known,
        lambda each: clock.fit(each, known),
        config or SearchConfig(),
        clock,
    )
    return looked.improve(choose, until, refit=False), clock


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_search_finds_better_settings_and_says_what_it_tried(seed: int) -> None:
    (choice, told), _ = search(seed=seed)
    found = choice.kernels[0].chosen
    assert told["settings"] == {"needle": found}
    assert found["place"] == 3
    assert told["before"] == pytest.approx(12 / 30)
    assert told["after"] > 0.8
    assert told["after"] == pytest.approx(max(trial["metric"] or 0 for trial in told["trials"]))
    kept = [trial for trial in told["trials"] if trial["kept"]]
    assert told["before"] + sum(trial["gain"] for trial in kept) == pytest.approx(told["after"])
    assert all(trial["seconds"] == 10.0 for trial in told["trials"])
    assert all(trial["settings"] for trial in told["trials"])


@pytest.mark.parametrize(("until", "trials"), [(5.0, 0), (35.0, 3), (41.0, 4)])
def test_no_trial_begins_that_would_end_too_late(until: float, trials: int) -> None:
    (_, told), clock = search(until=until)
    assert len(told["trials"]) == trials
    assert clock.now <= until


def test_as_many_trials_give_the_same_result() -> None:
    (_, whole), _ = search()
    (_, part), _ = search(SearchConfig(most_trials=8))
    assert part["trials"] == whole["trials"][:8]
    (_, other), _ = search(SearchConfig(most_trials=8), seed=7)
    assert other["trials"] != part["trials"]


def test_settings_that_cannot_be_fitted_are_on_record_and_passed_over() -> None:
    (_, told), _ = search(SearchConfig(standard_errors=1000.0))
    failed = [trial for trial in told["trials"] if trial["settings"].get("place") == 0]
    assert failed
    assert {trial["metric"] for trial in failed} == {None}
    assert not any(trial["kept"] for trial in told["trials"])
    assert told["settings"] == {}


def test_a_space_that_was_tried_whole_ends_the_search() -> None:
    study = _Study({"place": Choices((1, 2, 3))}, {"place": 1}, 0.5, startup=5, seed=1)
    proposed = []
    while (settings := study.propose()) is not None:
        proposed.append(settings["place"])
        study.record(None if settings["place"] == 2 else 0.1)
    assert sorted(proposed) == [2, 3]
    nothing = _Study({}, {}, 0.5, startup=5, seed=1)
    assert nothing.propose() is None


@given(st.floats(0.01, 1000.0))
def test_lengths_of_time_are_read(number: float) -> None:
    shown = f"{number:.4f}"
    assert seconds_of(number) == pytest.approx(number)
    assert seconds_of(f"{shown} m") == pytest.approx(60 * float(shown))
    assert seconds_of(f"{shown}h") == pytest.approx(3600 * float(shown))
    assert seconds_of(f"{shown}s") == float(shown)


@pytest.mark.parametrize("given", ["", "ten", "-5s", "0", "5 d", "1h30"])
def test_what_is_no_length_of_time_is_refused_with_a_remedy(given: str) -> None:
    with pytest.raises(ConfigError, match="not a duration") as caught:
        parse_config(TeamConfig, {"budget": given}, origin="test")
    assert "10m" in str(caught.value.remedy)


def test_every_setting_that_is_searched_is_one_of_its_agent() -> None:
    for name in AGENTS:
        config = agent_class(name).Config()
        for setting, space in config.searched.items():
            values = space.values if isinstance(space, Choices) else (space.low, space.high)
            for value in values:
                changed = with_settings(config.model_dump(), {setting: value})
                again = type(config).model_validate(changed)
                assert setting_of(again.model_dump(), setting) == value


def test_a_team_is_searched_within_a_budget_and_fitted_again_with_what_was_found() -> None:
    world = tastes(users=80)
    config = TeamConfig(
        agents=("linear",),
        budget=60.0,
        refit=True,
        search=SearchConfig(most_trials=4, standard_errors=0.0),
        ranker=RankerConfig(use="never"),
    )
    team = fit_team(world.train, world.valid, config, encode=encode_words)
    told = team.metrics["search"]
    assert 1 <= len(told["trials"]) <= 4
    tried = {name for trial in told["trials"] for name in trial["settings"]}
    assert tried <= set(LinearConfig.searched)
    assert told["after"] >= told["before"]
    for agent, settings in told["settings"].items():
        assert settings.items() <= team.metrics["chosen"][agent].items()
        assert settings.items() <= team.config["settings"][agent].items()
    plain = fit_team(world.train, world.valid, config.model_copy(update={"budget": None}))
    assert plain.metrics["search"] == {}


def test_trainings_without_an_end_share_the_time_of_a_budget() -> None:
    """Four trainings, whose schedules would take hours, end within three fifths of it."""
    world = tastes(users=60, items=48)
    endless = {"steps": 10_000_000, "blind_steps": 10_000_000, "check_from": 10_000_000}
    config = TeamConfig.model_validate(
        {
            "agents": ("collaborative", "knowledge", "sequential"),
            "settings": {
                "collaborative": {"schedule": endless, "tau_choices": (0.3, 0.5)},
                "knowledge": {"schedule": endless},
                "sequential": {"schedule": endless},
            },
            "budget": 5.0,
            "ranker": {"use": "never"},
        }
    )
    begun = time.perf_counter()
    team = fit_team(world.train, world.valid, config, encode=encode_words)
    spent = time.perf_counter() - begun
    seconds = team.metrics["seconds"]
    assert 2.0 < seconds["collaborative"] + seconds["knowledge"] + seconds["sequential"] < 4.5
    assert all(seconds[name] > 0.5 for name in config.agents), seconds
    assert all(team.metrics["chosen"][name]["steps"] > 1 for name in config.agents)
    assert spent < 10.0


def test_agents_that_learn_together_are_not_searched() -> None:
    """A trial would fit one of them alone, which is another agent than the one to be bettered."""
    world = tastes(users=60, items=48)
    few = {"steps": 6, "check_from": 6}
    together = {"use": True, "embedding_dim": 4, "schedule": few}
    names = ("collaborative", "knowledge", "linear")
    config = TeamConfig.model_validate(
        {
            "agents": names,
            "settings": {name: {"tau": 0.3} for name in names[:2]},
            "together": together,
            "coordinator": {"weights": {"collaborative": 3, "knowledge": 2, "linear": 1}},
            "budget": 600.0,
            "search": {"most_trials": 3, "standard_errors": 0.0},
            "ranker": {"use": "never"},
            "refit": True,
        }
    )
    team = fit_team(world.train, world.valid, config, encode=encode_words)
    told = team.metrics["search"]
    assert told["left_out"] == ["collaborative", "knowledge"]
    assert [trial["agent"] for trial in told["trials"]] == ["linear"] * 3
    assert ["together" in kernel.notes for kernel in team.kernels] == [True, True, False]
    done = TrainSummary(
        model_id="m",
        trained=True,
        users=1,
        items=1,
        interactions=1,
        facts=0,
        metrics=team.metrics,
        shares=team.weights,
        seconds=1.0,
    )
    assert "since they learn together: collaborative, knowledge." in described(done)[1]
    only = config.model_copy(update={"agents": names[:2], "coordinator": CoordinatorConfig()})
    told = fit_team(world.train, world.valid, only, encode=encode_words).metrics["search"]
    assert (told["left_out"], told["trials"]) == (["collaborative", "knowledge"], [])


def test_trials_leave_the_checkpoints_of_the_fit_alone(tmp_path: Path) -> None:
    world = tastes(users=40)
    schedule = {"steps": 4, "check_from": 2, "check_every": 2, "warmup": 1}
    small = {"tau": 0.3, "embedding_dim": 8, "schedule": schedule}
    config = TeamConfig(
        agents=("collaborative",),
        settings={"collaborative": small},
        budget=600.0,
        search=SearchConfig(most_trials=1),
        ranker=RankerConfig(use="never"),
    )
    parts = {"logs": tmp_path / "logs", "checkpoints": tmp_path / "checkpoints"}
    team = fit_team(world.train, world.valid, config, encode=encode_words, **parts)
    trial = team.metrics["search"]["trials"][0]
    assert "tau" in trial["settings"]
    assert trial["metric"] is not None
    logged = [path.name for path in (tmp_path / "logs").iterdir()]
    shown = f"{trial['settings']['tau']:g}".replace(".", "-")
    assert not any(shown in name for name in logged)
