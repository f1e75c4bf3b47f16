"""Ablations take the fitted agents where that is exact, and leave nothing out."""

from __future__ import annotations

import numpy as np
import pytest
from tastes import encode_words, tastes

from kgrec.agents.coordinator import CoordinatorConfig, GateConfig
from kgrec.agents.fit import TeamConfig, fit_team
from kgrec.agents.kernel import Kernel
from kgrec.data.atomic import SplitDataset
from kgrec.stages.ablate import ablate, variants
from kgrec.stages.measure import Asked, measure

AGENTS = ("linear", "semantic")
QUICK = {"semantic": {"steps": 0}}
FIXED = CoordinatorConfig(gate=GateConfig(use="never"))


def test_the_variants_of_a_team() -> None:
    names = [v.name for v in variants(("a", "b", "c"), facts=True, texts=True)]
    assert names == [
        *("a alone", "b alone", "c alone", "without a", "without b", "without c"),
        *("without facts", "without texts", "without knowledge", "shuffled knowledge"),
    ]
    assert [v.name for v in variants(("a", "b"), facts=False, texts=False)] == [
        "a alone",
        "b alone",
    ]
    assert [v.name for v in variants(("a",), facts=True, texts=False)] == [
        "without knowledge",
        "shuffled knowledge",
    ]
    without = {v.name: v.agents for v in variants(("a", "b", "c"), facts=False, texts=False)}
    assert without["without b"] == ("a", "c")


def test_an_agent_that_is_taken_as_it_is_equals_one_fitted_again() -> None:
    world = tastes()
    data = SplitDataset("tastes", world.train, world.valid, world.test)
    asked, config = (
        Asked(data, "train", (5,)),
        TeamConfig(agents=AGENTS, settings=QUICK, coordinator=FIXED),
    )
    fitted: dict[str, Kernel] = {}
    team = fit_team(data.train, data.valid, config, fitted=fitted, encode=encode_words)
    assert set(fitted) == set(AGENTS)
    kernels = dict(fitted)
    report = ablate(measure(team, asked), asked, config, fitted, encode=encode_words)
    rows = {row.name: row for row in report.rows}
    assert fitted == kernels
    for name in AGENTS:
        again = fit_team(
            data.train,
            data.valid,
            TeamConfig(agents=(name,), settings=QUICK, coordinator=FIXED),
            encode=encode_words,
        )
        found = measure(again, asked).ranking.at[5]["ndcg"]
        assert rows[f"{name} alone"].at[5]["ndcg"] == found
    # Without facts and texts the semantic agent has nothing to say, and takes no part.
    assert rows["without knowledge"].failed is None
    assert rows["semantic alone"].less_team[5]["recall"].mean < 0


def test_a_variant_with_nothing_to_learn_from_says_so() -> None:
    world = tastes()
    data = SplitDataset("tastes", world.train, world.valid, world.test)
    asked, config = (
        Asked(data, "train", (5,)),
        TeamConfig(agents=("semantic",), settings=QUICK, coordinator=FIXED),
    )
    fitted: dict[str, Kernel] = {}
    team = fit_team(data.train, data.valid, config, fitted=fitted, encode=encode_words)
    report = ablate(measure(team, asked), asked, config, fitted, encode=encode_words)
    [row] = [row for row in report.rows if row.name == "without knowledge"]
    assert row.failed is not None
    assert "no agent finds anything" in row.failed
    assert not row.at


@pytest.mark.parametrize("name", AGENTS)
def test_a_kernel_that_is_known_is_not_fitted_again(name: str) -> None:
    world = tastes()
    config = TeamConfig(agents=(name,), settings=QUICK, coordinator=FIXED)
    fitted: dict[str, Kernel] = {}
    first = fit_team(world.train, world.valid, config, fitted=fitted, encode=encode_words)
    second = fit_team(world.train, world.valid, config, fitted=fitted, encode=encode_words)
    assert second.kernels[0] is first.kernels[0]
    matrix = world.train.matrix()
    np.testing.assert_array_equal(first.scores(matrix), second.scores(matrix))
