"""Our metrics and tests beside those of torch-geometric and SciPy, on the same lists and users.

ranx would do too, but brings numba, pandas, seaborn and ir-datasets for what these two have.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from kgrec.metrics.intervals import intervals, permutation_test
from kgrec.metrics.ranking import user_metrics

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # of torch, about what PyG imports
    from torch_geometric import metrics as pyg

METRICS = {
    "recall": pyg.LinkPredRecall,
    "precision": pyg.LinkPredPrecision,
    "f1": pyg.LinkPredF1,
    "ndcg": pyg.LinkPredNDCG,
    "mrr": pyg.LinkPredMRR,
    "hit": pyg.LinkPredHitRatio,
}


def drawn(users: int, items: int, seed: int) -> tuple[Any, Any]:
    """Return rankings of all items, int64 [B, I], and what is right, bool [B, I], at least one."""
    rng = np.random.default_rng(seed)
    top = np.argsort(rng.random((users, items)), axis=1)
    right = rng.random((users, items)) < rng.random((users, 1)) * 0.5
    right[np.arange(users), rng.integers(items, size=users)] = True
    return top, right


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 12), st.integers(2, 30), st.data(), st.integers(0, 10_000))
@pytest.mark.parametrize("name", METRICS)
def test_metrics_are_those_of_torch_geometric(
    name: str, users: int, items: int, data: st.DataObject, seed: int
) -> None:
    k = data.draw(st.integers(1, items), label="k")
    top, right = drawn(users, items, seed)
    hits = np.take_along_axis(right, top, axis=1)
    ours = user_metrics(hits, right.sum(axis=1), k)[name]
    theirs = METRICS[name](k)
    theirs.update(torch.from_numpy(top[:, :k].copy()), torch.from_numpy(np.argwhere(right).T))
    assert ours.mean() == pytest.approx(float(theirs.compute()), abs=1e-5)


@pytest.mark.parametrize("shape", ["normal", "skewed", "mostly zero"])
def test_intervals_are_those_of_scipy(shape: str) -> None:
    rng = np.random.default_rng(3)
    values = {
        "normal": rng.normal(1.0, 2.0, 400),
        "skewed": rng.exponential(size=400),
        "mostly zero": (rng.random(400) < 0.1) / rng.integers(1, 10, 400),
    }[shape]
    low, high = intervals(values[:, None], resamples=8000, seed=1)
    theirs = stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=8000, rng=np.random.default_rng(2)
    ).confidence_interval
    # Two bootstraps of 8,000 draws differ by some hundredths of the standard error.
    error = values.std() / np.sqrt(len(values))
    assert (low[0], high[0]) == pytest.approx((theirs.low, theirs.high), abs=0.12 * error)


@pytest.mark.parametrize("shift", [0.0, 0.3, 0.8])
def test_p_values_are_those_of_scipy(shift: float) -> None:
    difference = np.random.default_rng(4).normal(shift, 1.0, 14)
    exact = stats.permutation_test(  # all 2^14 signs
        (difference, np.zeros(14)),
        lambda ours, theirs, axis: np.mean(ours - theirs, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=np.inf,
    ).pvalue
    ours = permutation_test(difference[:, None], permutations=20_000, seed=5)[0]
    noise = np.sqrt(exact * (1 - exact) / 20_000) + 1 / 20_000
    assert ours == pytest.approx(exact, abs=4 * noise)


def test_p_values_of_many_users_are_near_those_of_the_t_test() -> None:
    difference = np.random.default_rng(6).normal(0.1, 1.0, 500)
    ours = permutation_test(difference[:, None], permutations=20_000, seed=7)[0]
    assert ours == pytest.approx(stats.ttest_1samp(difference, 0.0).pvalue, abs=0.01)
