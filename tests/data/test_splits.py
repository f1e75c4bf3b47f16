from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgrec.data.dataset import Interactions
from kgrec.data.protocols import Rounding, core, part_sizes, split_by_ratio, split_by_time
from kgrec.errors import ConfigError


def draw(seed: int, rows: int) -> Interactions:
    rng = np.random.default_rng(seed)
    return Interactions(
        rng.integers(8, size=rows),
        rng.integers(10, size=rows),
        np.arange(rows, dtype=np.float32),
        rng.permutation(rows),
    )


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 120), st.sampled_from(["cut", "floor"]))
def test_every_interaction_goes_to_one_part(seed: int, rows: int, rounding: Rounding) -> None:
    whole = draw(seed, rows)
    parts = split_by_ratio(whole, (0.8, 0.1, 0.1), seed=seed, rounding=rounding)
    values = np.sort(np.concatenate([part.value for part in parts]))
    np.testing.assert_array_equal(values, np.arange(rows))
    for user, count in enumerate(np.bincount(whole.user)):
        sizes = [int((part.user == user).sum()) for part in parts]
        assert sizes == part_sizes(int(count), (0.8, 0.1, 0.1), rounding)


@pytest.mark.parametrize(
    ("total", "rounding", "sizes"),
    [
        (10, "floor", [8, 1, 1]),
        (30, "floor", [24, 3, 3]),
        (19, "floor", [17, 1, 1]),
        (5, "floor", [3, 1, 1]),
        (2, "floor", [1, 0, 1]),
        (1, "floor", [1, 0, 0]),
        (10, "cut", [8, 1, 1]),
        (19, "cut", [15, 2, 2]),
        (5, "cut", [4, 0, 1]),
    ],
)
def test_sizes_of_the_parts(total: int, rounding: Rounding, sizes: list[int]) -> None:
    assert part_sizes(total, (0.8, 0.1, 0.1), rounding) == sizes


def test_the_latest_go_to_the_last_part() -> None:
    whole = draw(3, 80)
    first, last = split_by_time(whole, (0.7, 0.3))
    for user in range(8):
        assert first.at[first.user == user].max() < last.at[last.user == user].min()


def test_the_same_seed_gives_the_same_split() -> None:
    whole = draw(3, 80)
    one, two = (split_by_ratio(whole, (0.5, 0.5), seed=4)[0] for _ in range(2))
    np.testing.assert_array_equal(one.value, two.value)
    assert not np.array_equal(one.value, split_by_ratio(whole, (0.5, 0.5), seed=5)[0].value)


def test_ratios_must_sum_to_one() -> None:
    with pytest.raises(ConfigError, match="sum to one"):
        split_by_ratio(draw(1, 10), (0.8, 0.1), seed=1)


@given(st.integers(0, 500), st.integers(1, 4))
def test_the_core_has_enough_everywhere_and_is_the_largest_such(seed: int, minimum: int) -> None:
    left = core(draw(seed, 60), minimum)
    if len(left):
        assert np.bincount(left.user)[left.user].min() >= minimum
        assert np.bincount(left.item)[left.item].min() >= minimum
    assert len(core(left, minimum)) == len(left)
