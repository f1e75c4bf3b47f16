"""Diversity, calibration and groups against numbers computed by hand."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from tastes import tastes

from kgrec.data.atomic import SplitDataset
from kgrec.data.dataset import Facts, FloatArray
from kgrec.errors import ConfigError
from kgrec.evaluation import measure as lists
from kgrec.evaluation.ablation import audited
from kgrec.evaluation.groups import group_report, groups_of
from kgrec.evaluation.measure import HeldOutQueries, measure
from kgrec.metrics.beyond_accuracy import (
    intra_list_diversity,
    item_features,
    kinds_of,
    miscalibration,
    unit_rows,
    word_counts,
)
from kgrec.model.histories import Histories

# Items 0 and 1 are alike, 2 is unlike both, 3 is half way, of 4 nothing is known.
UNIT = sp.csr_matrix(np.array([[1, 0], [1, 0], [0, 1], [0.6, 0.8], [0, 0]], dtype=np.float64))


def test_diversity_by_hand() -> None:
    top = np.array([[0, 1, 2], [0, 1, 4], [0, 4, -1], [2, 3, 0]])
    found = intra_list_diversity(top, UNIT)
    assert found[0] == pytest.approx(2 / 3)
    assert found[1] == pytest.approx(0.0)
    assert np.isnan(found[2])
    assert found[3] == pytest.approx(1 - (0.8 + 0.0 + 0.6) / 3)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.integers(2, 6))
def test_diversity_is_the_mean_over_pairs(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.random((12, 4)) * (rng.random((12, 4)) < 0.7)
    features = unit_rows(sp.csr_matrix(vectors))
    dense = features.toarray()
    top = np.array([rng.choice(12, k, replace=False)])
    known = [item for item in top[0] if dense[item].any()]
    pairs = [1 - dense[a] @ dense[b] for n, a in enumerate(known) for b in known[:n]]
    found = intra_list_diversity(top, features)[0]
    assert np.isnan(found) if len(known) < 2 else found == pytest.approx(np.mean(pairs))


def test_items_are_told_apart_by_facts_or_by_words() -> None:
    train = tastes().train
    by, features = item_features(train) or ("", UNIT)
    assert by == "facts"
    assert intra_list_diversity(np.array([[0, 4, 8]]), features)[0] == pytest.approx(0.0)
    assert intra_list_diversity(np.array([[0, 1, 2]]), features)[0] == pytest.approx(1.0)
    without = Facts.empty()
    bare = audited(train, "none", seed=1)
    assert item_features(bare) is None
    by, _ = item_features(type(train)(**{**train.__dict__, "facts": without})) or ("", UNIT)
    assert by == "texts"


def test_blocks_of_users_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    world = tastes()
    data = SplitDataset("tastes", world.train, world.valid, world.test)
    asked = HeldOutQueries(data, "train", (5,))
    train = world.train.matrix()

    class Overlap:
        def scores(self, histories: Histories) -> FloatArray:
            return np.asarray((histories.matrix @ (train.T @ train)).toarray(), dtype=np.float32)

    found = measure(Overlap(), asked)
    whole = lists.list_report(found, asked)
    assert (whole.features, whole.relation) == ("facts", "HAS_GENRE")
    monkeypatch.setattr(lists, "_MAX_CELLS", 30)
    assert lists.list_report(found, asked) == whole


def test_what_no_list_tells_is_left_out() -> None:
    world = tastes()
    asked = HeldOutQueries(
        SplitDataset("tastes", world.train, world.valid, world.test), "train", (1, 5)
    )

    class Alike:
        def scores(self, histories: Histories) -> FloatArray:
            return np.ones(histories.shape, dtype=np.float32)

    report = lists.list_report(measure(Alike(), asked), asked)
    assert set(report.at[1]) == {"miscalibration"}  # a single item is unlike no other
    assert set(report.at[5]) == {"diversity", "miscalibration"}


def test_words_are_counted() -> None:
    counts = word_counts(["The Sea, the SEA", "", "a sea"], 3)
    assert counts.toarray().tolist() == [[2, 2], [0, 0], [0, 1]]


# Two kinds: items 0 and 1 are of the first, 2 of the second, 3 of both, 4 of none known.
KINDS = sp.csr_matrix(np.array([[1, 0], [1, 0], [0, 1], [0.5, 0.5], [0, 0]], dtype=np.float64))


def test_miscalibration_by_hand() -> None:
    # The first history holds 2.5 items of the first kind and 1.5 of the second.
    histories = sp.csr_matrix(np.array([[1, 1, 1, 1, 0], [1, 0, 0, 0, 0], [0, 0, 0, 0, 1]]))
    top = np.array([[3, 4], [2, -1], [0, 1]])
    found = miscalibration(top, histories, KINDS)
    p, q = np.array([0.625, 0.375]), np.array([0.5, 0.5])
    mixed = 0.99 * q + 0.01 * p
    assert found[0] == pytest.approx((p * np.log(p / mixed)).sum())
    assert found[1] == pytest.approx(np.log(1 / 0.01))
    assert np.isnan(found[2])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1000))
def test_a_list_like_its_history_is_calibrated_and_no_list_is_better(seed: int) -> None:
    rng = np.random.default_rng(seed)
    kinds = sp.csr_matrix(rng.dirichlet(np.ones(3), size=8))
    histories = sp.csr_matrix(rng.random((5, 8)) < 0.6, dtype=np.float64)
    found = miscalibration(np.array([rng.permutation(8)[:4] for _ in range(5)]), histories, kinds)
    assert (found[~np.isnan(found)] >= -1e-12).all()
    same = miscalibration(np.array([[0, 1, 2]]), sp.csr_matrix(np.eye(8)[:3].sum(0)[None]), kinds)
    assert same[0] == pytest.approx(0.0, abs=1e-12)


def test_the_relation_that_tells_kinds_is_found_or_named() -> None:
    train = tastes().train
    own = np.arange(96, dtype=np.int64)
    # A relation whose entities are each held by one item, and one that all items share.
    facts = Facts(
        np.concatenate([own, own, own]),
        np.repeat(np.arange(3, dtype=np.int64), 96),
        np.concatenate([own % 4, own + 4, own * 0 + 3]),
        np.ones(288, dtype=np.float32),
        ("HAS_GENRE", "MADE_BY", "LANGUAGE"),
    )
    wide = type(train)(**{**train.__dict__, "facts": facts})
    relation, kinds = kinds_of(wide) or ("", KINDS)
    assert relation == "HAS_GENRE"
    assert kinds.shape == (96, 4)
    np.testing.assert_allclose(kinds.sum(axis=1), 1.0)
    relation, kinds = kinds_of(wide, "MADE_BY") or ("", KINDS)
    assert kinds.shape == (96, 96)
    assert kinds_of(audited(train, "none", seed=1)) is None
    with pytest.raises(ConfigError, match=r"no such relation.*HAS_GENRE"):
        kinds_of(wide, "genre")


def test_groups_are_values_or_quarters() -> None:
    assert groups_of("sex", ["F", "", "M"]) == ["F", "unknown", "M"]
    ages = [str(age) for age in (20, 21, 30, 31, 40, 41, 50, 60)]
    found = groups_of("age", [*ages, ""])
    assert found[-1] == "unknown"
    assert found[:2] == ["20 to under 30", "20 to under 30"]
    assert found[-2] == "50 to 60"
    with pytest.raises(ConfigError, match="has no value"):
        groups_of("age", ["", ""])
    with pytest.raises(ConfigError, match="too many"):
        groups_of("zip", [f"z{n}" for n in range(31)])


def test_quarters_of_large_numbers_are_four() -> None:
    found = groups_of("zip", [str(1_000_000_000 + number) for number in range(8)])
    assert len(set(found)) == 4
    assert found[0] == "1000000000 to under 1000000002"


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=60))
def test_a_number_lies_in_the_quarter_it_is_put_into(numbers: list[float]) -> None:
    values = [repr(number) for number in numbers]
    for number, label in zip(numbers, groups_of("n", values), strict=True):
        if " to " in label:
            low, high = label.replace("under ", "").split(" to ")
            assert float(low) <= number * (1 + 1e-5) + 1e-5 + abs(number) * 1e-4
            assert number <= float(high) + 1e-5 + abs(number) * 1e-4


def test_groups_by_hand() -> None:
    values = {"recall": np.array([1.0, 0.0, 1.0, 1.0, 0.5])}
    found = group_report("sex", 10, ["F", "F", "M", "M", "unknown"], values, min_users=2)
    assert {name: group.users for name, group in found.groups.items()} == {
        "F": 2,
        "M": 2,
        "unknown": 1,
    }
    assert found.groups["F"].metrics["recall"].mean == 0.5
    gap = found.gaps["recall"]
    assert (gap.best, gap.worst, gap.difference) == ("M", "F", 0.5)
    assert gap.low <= 0.5 <= gap.high
    assert not group_report("sex", 10, ["F"] * 3 + ["M"] * 2, values, min_users=3).gaps


def test_a_gap_by_chance_has_an_interval_over_nought_and_a_real_one_has_not() -> None:
    rng = np.random.default_rng(1)
    labels = ["F" if n % 2 else "M" for n in range(600)]
    values = rng.random(600)
    chance = group_report("sex", 5, labels, {"recall": values}).gaps["recall"]
    assert chance.low < 0 < chance.high
    values[::2] += 0.3
    real = group_report("sex", 5, labels, {"recall": values}).gaps["recall"]
    assert real.best == "M"
    assert real.low > 0.2
