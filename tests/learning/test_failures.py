"""What fails in a team is in its metrics, with the reason, and never passed over."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import pytest
from tastes import Tastes, encode_words, tastes

from kgrec.data.dataset import FloatArray
from kgrec.errors import ModelError
from kgrec.learning.agent import FitContext
from kgrec.learning.fit_team import fit_team
from kgrec.learning.linear.agent import LinearAgent
from kgrec.learning.team_config import TeamConfig

QUICK = {"knowledge": {"embedding_dim": 8, "schedule": {"steps": 4, "check_from": 2}}}


@pytest.fixture(scope="module")
def world() -> Tastes:
    return tastes()


def broken_encoder(texts: Sequence[str]) -> FloatArray:
    raise ModelError("the weights of the encoder cannot be read", value="minilm")


def test_an_encoder_that_cannot_load_is_told_of_every_agent_that_reads_texts(
    world: Tastes,
) -> None:
    config = TeamConfig(agents=("linear", "semantic", "knowledge"), settings=QUICK)
    team = fit_team(world.train, world.valid, config, encode=broken_encoder)
    failed = team.metrics["failed"]
    assert set(failed) == {"semantic", "knowledge"}
    assert all("weights of the encoder cannot be read" in reason for reason in failed.values())
    assert team.metrics["skipped"] == {}
    assert "linear" in team.metrics["weights"]
    assert "knowledge" in team.metrics["weights"]  # it has the edges to learn from


def test_an_agent_that_raises_does_not_stop_the_others(
    world: Tastes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fit(agent: LinearAgent, context: FitContext) -> None:
        raise ZeroDivisionError("a column of zeros")

    monkeypatch.setattr(LinearAgent, "fit", fit)
    config = TeamConfig(agents=("linear", "semantic"))
    with caplog.at_level(logging.WARNING, logger="kgrec.learning"):
        team = fit_team(world.train, world.valid, config, encode=encode_words)
    assert team.agents == ("semantic",)
    assert team.metrics["failed"] == {"linear": "ZeroDivisionError: a column of zeros"}
    assert "a column of zeros" in caplog.text
    with pytest.raises(ModelError, match="no agent could be fitted") as caught:
        fit_team(world.train, world.valid, TeamConfig(agents=("linear",)))
    assert "linear: ZeroDivisionError" in str(caught.value.value)


def test_an_agent_that_fails_when_it_is_fitted_again_keeps_what_it_was_chosen_with(
    world: Tastes, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = TeamConfig(agents=("linear",))
    chosen = fit_team(world.train, world.valid, config)
    fit = LinearAgent.fit

    def once(agent: LinearAgent, context: FitContext) -> object:
        if context.validation is None:
            raise RuntimeError("out of memory")
        return fit(agent, context)

    monkeypatch.setattr(LinearAgent, "fit", once)
    again = fit_team(world.train, world.valid, config.model_copy(update={"refit": True}))
    assert again.metrics["failed"] == {
        "linear": "not fitted again on all data: RuntimeError: out of memory"
    }
    rows = [team.kernels[0].rows for team in (again, chosen)]
    assert rows[0] is not None
    assert rows[1] is not None
    np.testing.assert_array_equal(rows[0].toarray(), rows[1].toarray())
