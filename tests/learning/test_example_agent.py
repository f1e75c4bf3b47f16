"""The example of a torch-geometric module as an agent: short, better than popularity, explained."""

from __future__ import annotations

import importlib.util
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from tastes import tastes

from kgrec.errors import ConfigError
from kgrec.learning.fit_team import fit_team
from kgrec.learning.registry import AGENTS, register
from kgrec.learning.team_config import TeamConfig
from kgrec.model.histories import Histories

EXAMPLE = Path(__file__).parents[2] / "examples" / "sage_agent.py"


@pytest.fixture(scope="module")
def example() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("sage_agent", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["sage_agent"] = module
    with warnings.catch_warnings():  # torch-geometric scripts classes, which torch deprecates
        warnings.simplefilter("ignore")
        spec.loader.exec_module(module)
    yield module
    del AGENTS["sage"], sys.modules["sage_agent"]


def test_it_is_short() -> None:
    assert len(EXAMPLE.read_text(encoding="utf-8").splitlines()) <= 60


def test_it_trains_in_a_team_beats_popularity_and_is_explained(example: ModuleType) -> None:
    world = tastes()
    settings = {"sage": {"embedding_dim": 16, "tau": 0.3, "schedule": {"steps": 60}}}
    config = TeamConfig.model_validate(
        {"agents": ("linear", "sage"), "settings": settings, "ranker": {"use": "never"}}
    )
    team = fit_team(world.train, world.valid, config)
    assert set(team.metrics["weights"]) == {"linear", "sage"}
    alone = config.model_copy(update={"agents": ("sage",)})
    sage = fit_team(world.train, world.valid, alone)
    seen, wanted = world.train.matrix(), world.test.matrix(*world.train.matrix().shape)
    popular = np.tile(np.asarray(seen.sum(axis=0)), (seen.shape[0], 1))
    assert recall(sage.scores(seen), seen, wanted) > 1.5 * recall(popular, seen, wanted)
    candidates = np.array([1, 30, 90])
    scorer = sage.scorer(Histories.from_matrix(seen[5]))
    parts = scorer.contributions(candidates)
    assert parts.agents == ("sage",)
    assert parts.by_item.shape == (1, seen[5].nnz, 3)
    np.testing.assert_allclose(parts.total, sage.scores(seen[5])[0, candidates], rtol=1e-4)


def recall(scores: np.ndarray, seen: object, wanted: object) -> float:
    """Return Recall@10 of scores, [B, I]."""
    found = np.where(seen.toarray() > 0, -np.inf, scores)  # type: ignore[attr-defined]
    top = np.argsort(-found, axis=1, kind="stable")[:, :10]
    hits = np.take_along_axis(wanted.toarray(), top, axis=1).sum(axis=1)  # type: ignore[attr-defined]
    asked = np.asarray(wanted.sum(axis=1)).ravel()  # type: ignore[attr-defined]
    return float((hits[asked > 0] / asked[asked > 0]).mean())


def test_a_name_is_taken_once(example: ModuleType) -> None:
    assert register(example.SageAgent) is example.SageAgent
    other = type("Other", (), {"name": "sage"})
    with pytest.raises(ConfigError, match="another agent"):
        register(other)
