from __future__ import annotations

import numpy as np
import pytest
from tastes import Tastes, tastes

from kgrec.agents.base import FitContext
from kgrec.agents.features import degree_features
from kgrec.agents.linear import LinearAgent, LinearConfig


@pytest.fixture(scope="module")
def world() -> Tastes:
    return tastes()


def test_the_weights_are_those_of_the_closed_form(world: Tastes) -> None:
    config = LinearConfig(ridge=20.0, ridge_power=0.0, knowledge=2.0)
    rows = LinearAgent(config).fit(FitContext(world.train)).rows
    assert rows is not None
    matrix = world.train.matrix().toarray().astype(np.float64)
    features = degree_features(world.train)
    assert features is not None
    dense = features.toarray().astype(np.float64)
    gram = matrix.T @ matrix + 2.0 * dense @ dense.T + 20.0 * np.eye(world.train.num_items)
    inverse = np.linalg.inv(gram)
    expected = -inverse / np.diag(inverse)
    np.fill_diagonal(expected, 0.0)
    np.testing.assert_allclose(rows.toarray(), expected, atol=2e-6)


def test_no_more_rows_and_items_than_asked(world: Tastes) -> None:
    config = LinearConfig(row_size=5, max_items=40, search_items=20)
    context = FitContext(world.train, world.valid)
    rows = LinearAgent(config).fit(context).rows
    assert rows is not None
    assert np.diff(rows.indptr).max() <= 5
    held = np.unique(np.concatenate([rows.indices, np.flatnonzero(np.diff(rows.indptr))]))
    assert len(held) <= 40
    counts = np.bincount(world.train.interactions.item, minlength=world.train.num_items)
    assert counts[held].min() >= np.sort(counts)[::-1][39]


def test_the_ridge_moves_to_where_validation_is_best(world: Tastes) -> None:
    context = FitContext(world.train, world.valid)
    kernel = LinearAgent(LinearConfig(ridge_start=0.01)).fit(context)
    assert kernel.chosen["ridge"] > 0.01
