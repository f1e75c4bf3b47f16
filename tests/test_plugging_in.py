"""What is one new module and one line in a table: a metric, a reader, an engine."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from tastes import tastes

from kgrec.data.atomic import SplitDataset
from kgrec.errors import ConfigError
from kgrec.evaluation.measure import HeldOutQueries, measure
from kgrec.graph.dialects import DIALECTS, Neo4jDialect, dialect_of
from kgrec.learning.agent import FitContext
from kgrec.learning.linear.agent import LinearAgent, LinearConfig
from kgrec.metrics.ranking import METRICS, metric
from kgrec.metrics.validation import Objective, Validation
from kgrec.model.histories import Histories


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module that stands for the new file."""
    module = ModuleType("plugged_in")
    monkeypatch.setitem(sys.modules, "plugged_in", module)
    return module


def average_precision(hits: np.ndarray, num_right: np.ndarray, k: int) -> np.ndarray:
    found = hits[:, :k].astype(np.float64)
    precision = found.cumsum(axis=1) / np.arange(1, found.shape[1] + 1)
    return np.asarray((precision * found).sum(axis=1) / np.minimum(num_right, k))


def test_a_metric_is_a_module_and_a_line(
    plugin: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is in every report, and choices can be made by it."""
    plugin.average_precision = average_precision  # type: ignore[attr-defined]
    monkeypatch.setitem(METRICS, "map", "plugged_in:average_precision")
    by_hand = metric("map")(np.array([[True, False, True]]), np.array([2]), 3)
    assert by_hand == pytest.approx((1 + 2 / 3) / 2)
    world = tastes()
    kernel = LinearAgent(LinearConfig()).fit(FitContext(world.train, world.valid))
    split = SplitDataset("tastes", world.train, world.valid, world.test)
    found = measure(kernel, HeldOutQueries(split, ks=(10,)))
    assert 0 < found.ranking.at[10]["map"].mean < found.ranking.at[10]["ndcg"].mean
    objective = Objective(metric="map", k=10)
    histories = Histories.of(world.train.interactions, world.train.num_users, world.train.num_items)
    assert 0 < Validation(histories, world.valid, objective).measure(kernel.scores) < 1


def test_a_metric_that_there_is_not_is_an_error() -> None:
    with pytest.raises(ConfigError, match="no such metric"):
        metric("luck")
    with pytest.raises(ValueError, match="no such metric"):
        Objective(metric="luck")


def test_an_engine_is_a_module_and_a_line(
    plugin: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Othergraph(Neo4jDialect):
        engine = "othergraph"

    plugin.Othergraph = Othergraph  # type: ignore[attr-defined]
    table: dict[str, Any] = {"Othergraph": "plugged_in:Othergraph", **DIALECTS}
    monkeypatch.setattr("kgrec.graph.dialects.DIALECTS", table)
    assert dialect_of("Neo4j/5.2 compatible (Othergraph 1.0)").engine == "othergraph"
    assert dialect_of("Neo4j/5.26.30").engine == "neo4j"
    assert dialect_of("Neo4j/5.0.0 compatible - ArcadeDB 26.1").engine == "arcadedb"
    assert dialect_of("Unknown/1").engine == "neo4j"
