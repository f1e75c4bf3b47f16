from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from kgrec.errors import ModelError
from kgrec.model.histories import Histories
from kgrec.model.kernel import Kernel
from kgrec.model.moments import Moments
from kgrec.model.summed_history import SummedHistory


def random_kernel(seed: int, *, factors: bool, rows: bool, prior: bool, items: int = 9) -> Kernel:
    rng = np.random.default_rng(seed)
    sparse = sp.random_array((items, items), density=0.4, rng=rng, dtype=np.float32)
    return Kernel(
        "any",
        history_factors=rng.normal(size=(items, 4)).astype(np.float32) if factors else None,
        item_factors=rng.normal(size=(items, 4)).astype(np.float32) if factors else None,
        rows=sp.csr_matrix(sparse) if rows else None,
        prior=rng.normal(size=items).astype(np.float32) if prior else None,
        history_power=float(rng.random()),
    )


def random_histories(seed: int, users: int = 5, items: int = 9) -> sp.csr_matrix:
    rng = np.random.default_rng(seed)
    sparse = sp.random_array((users, items), density=0.4, rng=rng, dtype=np.float32)
    return sp.csr_matrix(sparse)


forms = st.sampled_from([(True, False), (False, True), (True, True)])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), forms, st.booleans())
def test_spread_is_the_standard_deviation_of_the_scores(
    seed: int, form: tuple[bool, bool], prior: bool
) -> None:
    kernel = random_kernel(seed, factors=form[0], rows=form[1], prior=prior)
    histories = random_histories(seed + 1)
    expected = kernel.scores(histories).astype(np.float64).std(axis=1)
    np.testing.assert_allclose(kernel.spread(histories), expected, rtol=1e-4, atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), forms, st.booleans())
def test_parts_sum_to_the_scores(seed: int, form: tuple[bool, bool], prior: bool) -> None:
    kernel = random_kernel(seed, factors=form[0], rows=form[1], prior=prior)
    history = random_histories(seed + 1, users=1)
    weights = kernel.weights(Histories.from_matrix(history)).astype(np.float64)
    parts = weights[:, None] * kernel.similarity(history.indices, np.arange(9))
    expected = kernel.scores(history)[0]
    scale = np.abs(expected).max() + 1e-6
    np.testing.assert_allclose(parts.sum(axis=0) + kernel.priors(), expected, atol=1e-5 * scale)


def test_spread_does_not_depend_on_the_batch() -> None:
    kernel = random_kernel(3, factors=True, rows=True, prior=True)
    histories = random_histories(4, users=20)
    alone = np.concatenate([kernel.spread(histories[row]) for row in range(20)])
    # One history is summed in float64, a batch in float32.
    np.testing.assert_allclose(kernel.spread(histories), alone, rtol=1e-7)


def test_an_empty_history_leaves_the_prior() -> None:
    kernel = random_kernel(1, factors=True, rows=True, prior=True)
    empty = sp.csr_matrix((1, 9), dtype=np.float32)
    np.testing.assert_array_equal(kernel.scores(empty)[0], kernel.prior)


def test_a_kernel_without_content_is_an_error() -> None:
    with pytest.raises(ModelError, match="neither"):
        Kernel("nothing")
    with pytest.raises(ModelError, match="reverse"):
        Kernel("half", history_factors=np.zeros((2, 2), dtype=np.float32))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), forms, st.booleans(), st.integers(0, 3))
def test_moments_give_the_spread_of_every_part_of_a_history(
    seed: int, form: tuple[bool, bool], prior: bool, number: int
) -> None:
    kernel = random_kernel(seed, factors=form[0], rows=form[1], prior=prior)
    history = np.random.default_rng(seed).permutation(9)[:3].astype(np.int64)
    sets = list(combinations(range(3), number))
    removed = np.array(sets, dtype=np.int64).reshape(len(sets), number)
    expected = []
    for positions in removed:
        left = np.delete(history, positions)
        row = sp.csr_matrix((np.ones(len(left)), left, [0, len(left)]), shape=(1, 9))
        expected.append(kernel.scores(row)[0].astype(np.float64).std())
    spreads = Moments.of(kernel, Histories.one(history, 9)).spreads(removed)
    np.testing.assert_allclose(spreads, expected, rtol=1e-4, atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), forms, st.booleans())
def test_totals_are_the_sums_of_the_parts(seed: int, form: tuple[bool, bool], prior: bool) -> None:
    kernel = random_kernel(seed, factors=form[0], rows=form[1], prior=prior)
    history, candidates = random_histories(seed + 1, users=1), np.array([3, 0, 7])
    weights = kernel.weights(Histories.from_matrix(history))
    parts = weights.astype(np.float64)[:, None] * kernel.similarity(history.indices, candidates)
    scores = SummedHistory.of(kernel, history.indices, weights).scores(candidates)
    np.testing.assert_allclose(scores, parts.sum(axis=0), rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(kernel.priors(candidates), kernel.priors()[candidates])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), forms, st.lists(st.integers(0, 2999), min_size=1, max_size=1500))
def test_a_score_does_not_depend_on_what_is_scored_with_it(
    seed: int, form: tuple[bool, bool], chosen: list[int]
) -> None:
    """To the last bit, over more items than are scored at a time."""
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(2, 3000, 37)).astype(np.float32)
    rows = sp.random_array((3000, 3000), density=0.01, rng=rng, dtype=np.float32)
    kernel = Kernel(
        "any",
        history_factors=factors[0] if form[0] else None,
        item_factors=factors[1] if form[0] else None,
        rows=sp.csr_matrix(rows) if form[1] else None,
    )
    history, weights = rng.choice(3000, 50, replace=False), rng.random(50, dtype=np.float32)
    whole = SummedHistory.of(kernel, history, weights).scores()
    some = np.array(chosen, dtype=np.int64)
    np.testing.assert_array_equal(
        SummedHistory.of(kernel, history, weights).scores(some), whole[some]
    )
