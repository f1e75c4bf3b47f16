"""Intervals and tests against numbers computed by hand or known from theory."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgrec.errors import DataError
from kgrec.evaluation.report import metrics_of
from kgrec.metrics.intervals import (
    compare,
    compare_at,
    holm,
    intervals,
    permutation_test,
    resampled,
    weights_of,
)


def test_the_interval_of_a_constant_is_a_point() -> None:
    low, high = intervals(np.full((50, 1), 0.25))
    assert (low[0], high[0]) == pytest.approx((0.25, 0.25))


def test_the_interval_of_two_users_by_hand() -> None:
    # Means of two draws from {0, 1}: 0, ½, ½, 1 with ¼ each, so 95 % lie between 0 and 1.
    low, high = intervals(np.array([[0.0], [1.0]]))
    assert (low[0], high[0]) == (0.0, 1.0)
    low, high = intervals(np.array([[0.0], [1.0]]), level=0.4)
    assert (low[0], high[0]) == (0.5, 0.5)


def test_the_interval_is_that_of_the_normal_for_many_users() -> None:
    values = np.random.default_rng(1).normal(3.0, 2.0, size=(4000, 1))
    low, high = intervals(values, resamples=4000)
    error = values.std() / np.sqrt(4000)
    assert low[0] == pytest.approx(values.mean() - 1.96 * error, abs=0.15 * error)
    assert high[0] == pytest.approx(values.mean() + 1.96 * error, abs=0.15 * error)


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(2)
    held = 0
    for seed in range(200):
        low, high = intervals(rng.exponential(size=(60, 1)), resamples=400, seed=seed)
        held += low[0] <= 1.0 <= high[0]
    assert 0.88 <= held / 200 <= 0.98


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(1, 30), st.integers(0, 1000))
def test_weights_are_counts_of_draws(users: int, resamples: int, seed: int) -> None:
    weights = np.concatenate(list(weights_of(users, resamples, seed=seed)))
    assert weights.shape == (resamples, users)
    np.testing.assert_allclose(weights.sum(axis=1), 1.0)
    np.testing.assert_allclose(weights * users, np.rint(weights * users), atol=1e-9)


def test_any_statistic_has_an_interval() -> None:
    values = np.array([0.0, 1.0, 1.0, 1.0])
    low, high = resampled(lambda weights: (weights @ values)[:, None] * 10, 4)
    assert 0 <= low[0] < 7.5 < high[0] <= 10


def test_metrics_leave_out_users_without_a_value() -> None:
    found = metrics_of({"some": np.array([1.0, np.nan, 3.0]), "none": np.full(3, np.nan)})
    assert found["some"].mean == 2.0
    assert found["some"].error == pytest.approx(np.sqrt(2) / np.sqrt(2))
    assert 1.0 <= found["some"].low <= found["some"].high <= 3.0
    assert found["none"].mean == 0.0


def test_the_permutation_test_agrees_with_all_permutations() -> None:
    difference = np.array([0.5, 0.2, 0.1, -0.05, 0.3, 0.0])
    signs = np.array(list(itertools.product([-1, 1], repeat=6)))
    exact = (np.abs(signs @ difference) >= difference.sum() - 1e-12).mean()
    found = permutation_test(difference[:, None], permutations=40_000)[0]
    assert found == pytest.approx(exact, abs=0.005)


def test_p_values_of_rankers_alike_are_uniform() -> None:
    rng = np.random.default_rng(3)
    found = permutation_test(rng.normal(size=(40, 300)), permutations=400)
    assert 0.02 <= (found < 0.05).mean() <= 0.09
    assert 0.4 <= found.mean() <= 0.6


def test_holm_by_hand() -> None:
    # Sorted .01, .02, .03, .04 times 4, 3, 2, 1 is .04, .06, .06, .04, never falling.
    np.testing.assert_allclose(holm(np.array([0.04, 0.01, 0.03, 0.02])), [0.06, 0.04, 0.06, 0.06])
    np.testing.assert_allclose(holm(np.array([0.6, 0.7])), [1.0, 1.0])


def test_a_better_ranker_is_better_and_one_alike_is_not() -> None:
    rng = np.random.default_rng(4)
    theirs = rng.random(300)
    ours = {"recall": theirs + 0.05, "ndcg": theirs + rng.normal(0, 0.2, 300)}
    found = compare(ours, {"recall": theirs, "ndcg": theirs, "mrr": theirs})
    assert set(found) == {"recall", "ndcg"}
    assert found["recall"].mean == pytest.approx(0.05)
    assert found["recall"].low == pytest.approx(0.05)
    assert found["recall"].p_value == pytest.approx(1 / 10_001)
    assert found["recall"].p_holm == pytest.approx(2 / 10_001)
    assert found["ndcg"].low < 0 < found["ndcg"].high
    assert found["ndcg"].p_value > 0.05


def test_the_same_ranker_differs_in_nothing() -> None:
    values = {"recall": np.array([0.0, 0.5, 1.0])}
    found = compare(values, values)["recall"]
    assert (found.mean, found.low, found.high, found.p_value) == (0.0, 0.0, 0.0, 1.0)
    assert compare_at({5: values}, {5: values})[5]["recall"] == found


def test_what_cannot_be_compared_is_an_error() -> None:
    with pytest.raises(DataError, match="same metrics and users"):
        compare({"recall": np.zeros(3)}, {"recall": np.zeros(2)})
    with pytest.raises(DataError, match="same metrics and users"):
        compare({"recall": np.zeros(3)}, {"ndcg": np.zeros(3)})
    with pytest.raises(DataError, match="no user"):
        compare({"recall": np.zeros(0)}, {"recall": np.zeros(0)})
