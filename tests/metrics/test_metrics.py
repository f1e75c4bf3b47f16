"""Metrics against numbers computed by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgrec.metrics.ranking import gini, in_tail, list_metrics, user_metrics

# User 0 has 3 right items, hit at ranks 2 and 4; user 1 has 1, hit at rank 5; user 2 has 2, none.
HITS = np.array(
    [
        [False, True, False, True, False],
        [False, False, False, False, True],
        [False, False, False, False, False],
    ]
)
NUM_RIGHT = np.array([3, 1, 2])


def test_metrics_at_four() -> None:
    found = user_metrics(HITS, NUM_RIGHT, 4)
    gain = 1 / np.log2(3) + 1 / np.log2(5)
    best = 1 + 1 / np.log2(3) + 1 / np.log2(4)
    assert found["recall"] == pytest.approx([2 / 3, 0, 0])
    assert found["precision"] == pytest.approx([1 / 2, 0, 0])
    assert found["f1"] == pytest.approx([4 / 7, 0, 0])
    assert found["ndcg"] == pytest.approx([gain / best, 0, 0])
    assert found["mrr"] == pytest.approx([1 / 2, 0, 0])
    assert found["hit"] == pytest.approx([1, 0, 0])


def test_metrics_at_five() -> None:
    found = user_metrics(HITS, NUM_RIGHT, 5)
    assert found["recall"] == pytest.approx([2 / 3, 1, 0])
    assert found["precision"] == pytest.approx([2 / 5, 1 / 5, 0])
    assert found["ndcg"][1] == pytest.approx(1 / np.log2(6))
    assert found["mrr"] == pytest.approx([1 / 2, 1 / 5, 0])


def test_precision_divides_by_k_where_the_list_is_shorter() -> None:
    found = user_metrics(np.array([[True, True]]), np.array([4]), 10)
    assert found["precision"] == pytest.approx([0.2])
    assert found["recall"] == pytest.approx([0.5])


def test_the_perfect_list_scores_one() -> None:
    found = user_metrics(np.ones((1, 3), dtype=bool), np.array([3]), 3)
    assert {name: float(value[0]) for name, value in found.items()} == dict.fromkeys(found, 1.0)


def test_measures_of_all_lists() -> None:
    top = np.array([[0, 1], [0, -1]])
    found = list_metrics(top, np.array([7, 1, 0, 0]), num_users=7)
    assert found["coverage"] == 0.5
    # Counts 2, 1, 0, 0: (−3·0 − 1·0 + 1·1 + 3·2) / (4 · 3).
    assert found["gini"] == pytest.approx(7 / 12)
    assert found["novelty"] == pytest.approx((0 + 2 + 0) / 3)


def test_the_head_is_the_most_popular_fifth_and_what_is_as_popular() -> None:
    assert (
        in_tail(np.array([9, 1, 8, 1, 1, 1, 1, 1, 1, 1])).tolist() == [False, True] * 2 + [True] * 6
    )
    assert not in_tail(np.array([2, 2, 2])).any()
    assert in_tail(np.array([0, 0, 0])).all()
    found = list_metrics(np.array([[0, 1, 2, -1]]), np.array([9, 1, 1, 1, 1]), num_users=9)
    assert found["long_tail"] == pytest.approx(2 / 3)


def test_coverage_among_some_items() -> None:
    top = np.array([[0, 1], [0, 1]])
    found = list_metrics(top, np.array([1, 1, 1, 1]), num_users=4, among=np.array([0, 1, 2]))
    assert found["coverage"] == pytest.approx(2 / 3)


def test_gini_of_equal_counts_is_nought_and_of_one_among_many_nearly_one() -> None:
    assert gini(np.array([3, 3, 3])) == 0.0
    assert gini(np.array([0] * 99 + [5])) == pytest.approx(0.99)
    assert gini(np.zeros(4, dtype=np.int64)) == 0.0


@given(st.lists(st.lists(st.booleans(), min_size=6, max_size=6), min_size=1), st.integers(1, 6))
def test_metrics_lie_between_nought_and_one(rows: list[list[bool]], k: int) -> None:
    hits = np.array(rows)
    right = np.maximum(hits.sum(axis=1), 1)
    for values in user_metrics(hits, right, k).values():
        assert (values >= 0).all()
        assert (values <= 1 + 1e-12).all()
