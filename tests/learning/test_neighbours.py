from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from tastes import tastes

from kgrec.learning.knowledge_features import (
    cosine_rows,
    longest_kept,
    strongest,
    strongest_of_rows,
    strongest_products,
    unit_features,
    widest_kept,
)


@given(st.integers(0, 2**31), st.integers(1, 12))
def test_the_strongest_of_sparse_rows_are_those_of_dense_ones(seed: int, size: int) -> None:
    matrix = sp.random_array((9, 10), density=0.5, rng=seed, format="csr", dtype=np.float32)
    kept = strongest_of_rows(sp.csr_matrix(matrix), size)
    np.testing.assert_array_equal(kept.toarray(), strongest(matrix.toarray(), size).toarray())


@given(st.integers(0, 2**31), st.integers(1, 12))
def test_a_large_negative_weight_may_count_as_much_as_a_positive_one(seed: int, size: int) -> None:
    weights = np.random.default_rng(seed).normal(size=(9, 10)).astype(np.float32)
    kept = strongest(weights, size, by_size=True).toarray()
    order = np.argsort(-np.abs(weights), axis=1)
    for row, near in enumerate(order):
        np.testing.assert_array_equal(np.flatnonzero(kept[row]), np.sort(near[:size]))


@given(st.integers(0, 2**31), st.integers(1, 12), st.integers(1, 60))
def test_products_in_blocks_are_those_of_the_whole_less_the_diagonal(
    seed: int, size: int, max_entries: int
) -> None:
    left = sp.csr_matrix(sp.random_array((11, 5), density=0.4, rng=seed, dtype=np.float32))
    whole = (left @ left.T).toarray()
    np.fill_diagonal(whole, 0.0)
    right = sp.csr_matrix(left.T)
    all_of_them = strongest_products(left, right, 11, max_entries=max_entries)
    np.testing.assert_allclose(all_of_them.toarray(), whole, atol=1e-6)
    few = strongest_products(left, right, size, max_entries=max_entries).toarray()
    expected = np.sort(whole, axis=1)[:, ::-1][:, :size]  # equal ones may be any of them
    np.testing.assert_allclose(np.sort(few, axis=1)[:, ::-1][:, :size], expected, atol=1e-6)


def test_the_cosine_of_features_is_that_of_the_dense_product() -> None:
    train = tastes().train
    features = unit_features(train)
    assert features is not None
    dense = (features @ features.T).toarray()
    np.fill_diagonal(dense, 0.0)
    whole = cosine_rows(train, train.num_items, max_entries=500)
    assert whole is not None
    np.testing.assert_allclose(whole.toarray(), dense, atol=1e-6)


def test_rows_that_cost_too_much_are_dropped_or_cut() -> None:
    lengths = np.array([1, 2, 2, 10])  # squares 1, 4, 4, 100
    assert widest_kept(lengths, 109) == 10
    assert widest_kept(lengths, 108) == 2
    assert widest_kept(lengths, 8) == 1
    assert widest_kept(lengths, 0) == 0
    assert longest_kept(lengths, 109) == 10
    assert longest_kept(lengths, 58) == 7  # 1 + 4 + 4 + 49
    assert longest_kept(lengths, 57) == 6


@pytest.mark.parametrize("size", [1, 3])
def test_wide_features_are_left_out_where_they_cost_too_much(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Every genre of this world is held by a quarter of the items: without them nothing is alike.
    monkeypatch.setattr("kgrec.learning.knowledge_features.FREE_PRODUCTS", 0)
    rows = cosine_rows(tastes().train, size, products_per_entry=1)
    assert rows is not None
    assert rows.nnz == 0
