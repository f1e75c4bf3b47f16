"""What is one new module and one line in a table: a metric, an engine, a reranker."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from planted import planted
from tastes import tastes

from kgrec.data.atomic import SplitDataset
from kgrec.errors import ConfigError
from kgrec.evaluation.measure import HeldOutQueries, measure
from kgrec.explain.explainer import Explainer
from kgrec.graph.dialects import DIALECTS, Neo4jDialect, dialect_of
from kgrec.graph.store import GraphStore
from kgrec.learning.agent import FitContext
from kgrec.learning.linear.agent import LinearAgent, LinearConfig
from kgrec.metrics.ranking import METRICS, metric
from kgrec.metrics.validation import Objective, Validation
from kgrec.model.histories import Histories
from kgrec.retrieval.query import Query
from kgrec.retrieval.recommender import Recommender
from kgrec.retrieval.reranking import RERANKERS, Pick


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


def test_a_reranker_is_a_module_and_a_line(
    store: GraphStore, plugin: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It reorders every list, is on record there, and the explanation agrees."""

    def oldest_first(query: Query, ranked: list[Pick]) -> list[Pick]:
        order = sorted(ranked, key=lambda pick: query.ids([pick.position])[0])
        return [Pick(pick.position, "oldest", "older films first") for pick in order]

    live = planted(store, tmp_path)
    before = Recommender(store, tmp_path).recommend("u0001", 5)
    plugin.oldest_first = oldest_first  # type: ignore[attr-defined]
    monkeypatch.setitem(RERANKERS, "oldest", "plugged_in:oldest_first")
    recommender = Recommender(store, tmp_path)
    after = recommender.recommend("u0001", 5)
    ids = [item.item_id for item in after.items]
    assert ids == sorted(ids)
    assert ids != [item.item_id for item in before.items]
    moved = [item for item in after.items if item.moves]
    assert moved
    assert {(move.rule, move.why) for item in moved for move in item.moves} == {
        ("oldest", "older films first")
    }
    explanation = Explainer(recommender).explain("u0001", ids[0], request_id=after.request_id)
    assert explanation.list_rank == 1
    assert explanation.moves == after.items[0].moves
    assert explanation.score == after.items[0].score
    assert live.model_id == after.model_id
