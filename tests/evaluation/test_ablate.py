"""Ablations take the fitted agents where that is exact, and leave nothing out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tastes import encode_words, tastes

from kgrec.data.atomic import SplitDataset
from kgrec.data.dataset import Dataset, Interactions
from kgrec.evaluation.ablation import Variant, ablate, variants
from kgrec.evaluation.measure import HeldOutQueries, measure
from kgrec.learning.blending.ranker import RankerConfig
from kgrec.learning.blending.weights import CoordinatorConfig, GateConfig
from kgrec.learning.fit_team import fit_team
from kgrec.learning.registry import AGENTS as REGISTRY
from kgrec.learning.team_config import TeamConfig
from kgrec.model.kernel import Kernel
from kgrec.model.team import Team

AGENTS = ("linear", "semantic")
AGENT_NAMES = tuple(REGISTRY)
QUICK = {"semantic": {"steps": 0}}
FIXED = CoordinatorConfig(gate=GateConfig(use="never"))
PLAIN = RankerConfig(use="never")


def planned(*agents: str, **data: bool) -> list[Variant]:
    none = dict.fromkeys(("facts", "texts", "gate", "ranker"), False)
    return list(variants(agents, **none | data))


def test_the_variants_of_a_team() -> None:
    assert [v.name for v in planned("a", "b", "c", facts=True, texts=True)] == [
        *("a alone", "b alone", "c alone", "without a", "without b", "without c"),
        "equal weights",
        *("without facts", "without texts", "without facts and texts", "shuffled knowledge"),
    ]
    assert [v.name for v in planned("a", "b", gate=True, ranker=True)] == [
        *("a alone", "b alone", "without ranker", "weights alike for all", "equal weights"),
    ]
    assert [v.name for v in planned("a", facts=True)] == [
        "without facts",
        "shuffled knowledge",
    ]
    names = [v.name for v in planned(*AGENT_NAMES, facts=True, texts=True, gate=True, ranker=True)]
    assert len(set(names)) == len(names)
    without = {v.name: v.agents for v in planned("a", "b", "c")}
    assert without["without b"] == ("a", "c")


def test_a_variant_changes_what_its_name_says() -> None:
    team = TeamConfig(agents=AGENTS)
    made = {v.name: v.config(team) for v in planned(*AGENTS, gate=True, ranker=True)}
    assert made["without ranker"].ranker.use == "never"
    assert made["without ranker"].coordinator == team.coordinator
    assert made["weights alike for all"].coordinator.gate.use == "never"
    assert made["weights alike for all"].ranker == team.ranker
    assert made["equal weights"].coordinator.weights == {"linear": 1.0, "semantic": 1.0}
    assert made["linear alone"].agents == ("linear",)
    assert made["linear alone"].ranker.use == "never"
    assert all(config.settings == team.settings for config in made.values())


def test_an_agent_that_is_taken_as_it_is_equals_one_fitted_again() -> None:
    world = tastes()
    data = SplitDataset("tastes", world.train, world.valid, world.test)
    asked, config = (
        HeldOutQueries(data, "train", (5,)),
        TeamConfig(agents=AGENTS, settings=QUICK, coordinator=FIXED, ranker=PLAIN),
    )
    fitted: dict[str, Kernel] = {}
    team = fit_team(data.train, data.valid, config, fitted=fitted, encode=encode_words)
    assert set(fitted) == set(AGENTS)
    kernels = dict(fitted)
    report = ablate(team, measure(team, asked), asked, config, fitted, encode=encode_words)
    rows = {row.name: row for row in report.rows}
    assert fitted == kernels
    few = ablate(team, measure(team, asked), asked, config, fitted, knowledge=False)
    assert [row.name for row in few.rows] == [
        name for name in rows if not {"facts", "texts", "knowledge"} & {*name.split()}
    ]
    assert all(row.at == rows[row.name].at for row in few.rows)
    for name in AGENTS:
        again = fit_team(
            data.train,
            data.valid,
            TeamConfig(agents=(name,), settings=QUICK, coordinator=FIXED, ranker=PLAIN),
            encode=encode_words,
        )
        found = measure(again, asked).ranking.at[5]["ndcg"]
        assert rows[f"{name} alone"].at[5]["ndcg"] == found
    # Without facts and texts the semantic agent has nothing to say, and takes no part.
    assert rows["without facts and texts"].failed is None
    assert rows["semantic alone"].less_team[5]["recall"].mean < 0


def test_a_variant_with_nothing_to_learn_from_says_so() -> None:
    world = tastes()
    data = SplitDataset("tastes", world.train, world.valid, world.test)
    asked, config = (
        HeldOutQueries(data, "train", (5,)),
        TeamConfig(agents=("semantic",), settings=QUICK, coordinator=FIXED, ranker=PLAIN),
    )
    fitted: dict[str, Kernel] = {}
    team = fit_team(data.train, data.valid, config, fitted=fitted, encode=encode_words)
    report = ablate(team, measure(team, asked), asked, config, fitted, encode=encode_words)
    [row] = [row for row in report.rows if row.name == "without facts and texts"]
    assert row.failed is not None
    assert "no agent finds anything" in row.failed
    assert not row.at


def test_what_a_search_found_holds_for_every_variant_and_none_searches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = tastes()
    data = SplitDataset("tastes", world.train, world.valid, world.test)
    asked = HeldOutQueries(data, "train", (5,))
    config = TeamConfig(
        agents=AGENTS, settings=QUICK, coordinator=FIXED, ranker=PLAIN, budget=600.0
    )
    fitted: dict[str, Kernel] = {}
    plain = config.model_copy(update={"budget": None})
    team = fit_team(data.train, data.valid, plain, fitted=fitted, encode=encode_words)
    found = {"settings": {"linear": {"weights.user_power": 0.25}}}
    team = replace(team, metrics={**team.metrics, "search": found})
    before, tried = dict(fitted), []

    def noted(train: Dataset, valid: Interactions, config: TeamConfig, **more: Any) -> Team:
        tried.append((config, dict(more["fitted"] or {})))
        return fit_team(train, valid, config, **more)

    monkeypatch.setattr("kgrec.evaluation.ablation.fit_team", noted)
    report = ablate(team, measure(team, asked), asked, config, fitted, encode=encode_words)
    assert len(tried) == len(report.rows) - 1
    for variant, known in tried:
        assert variant.budget is None
        assert variant.settings["linear"]["weights"]["user_power"] == 0.25
        assert variant.settings["semantic"] == QUICK["semantic"]
        assert known.get("linear") is not before["linear"]
    assert tried[0][1] == {"semantic": before["semantic"]}
    assert fitted == before


@pytest.mark.parametrize("name", AGENTS)
def test_a_kernel_that_is_known_is_not_fitted_again(name: str) -> None:
    world = tastes()
    config = TeamConfig(agents=(name,), settings=QUICK, coordinator=FIXED, ranker=PLAIN)
    fitted: dict[str, Kernel] = {}
    first = fit_team(world.train, world.valid, config, fitted=fitted, encode=encode_words)
    second = fit_team(world.train, world.valid, config, fitted=fitted, encode=encode_words)
    assert second.kernels[0] is first.kernels[0]
    matrix = world.train.matrix()
    np.testing.assert_array_equal(first.scores(matrix), second.scores(matrix))
