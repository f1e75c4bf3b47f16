from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from tastes import tastes

from kgrec.data.dataset import FloatArray, Interactions
from kgrec.data.vocabulary import Vocabulary
from kgrec.errors import ConfigError, DataError, ModelError
from kgrec.evaluation.ablation import audited
from kgrec.evaluation.protocol import HeldOutTargets, evaluate_ranking, rank_all
from kgrec.metrics.ranking import TopLists
from kgrec.metrics.validation import Objective, Validation
from kgrec.model.coordinator import Coordinator
from kgrec.model.kernel import Kernel
from kgrec.model.team import Team


class Fixed:
    """Gives every user the same scores."""

    def __init__(self, scores: list[float]) -> None:
        self._scores = np.array(scores, dtype=np.float32)

    def scores(self, histories: sp.csr_matrix) -> FloatArray:
        return np.tile(self._scores, (histories.shape[0], 1))


def interactions(*pairs: tuple[int, int]) -> Interactions:
    user, item = (np.array(column, dtype=np.int64) for column in zip(*pairs, strict=True))
    return Interactions(user, item, np.ones(len(pairs), dtype=np.float32), user * 0)


def test_what_was_seen_is_not_ranked() -> None:
    histories = interactions((0, 0), (1, 1)).matrix(2, 4)
    seen = interactions((0, 0), (0, 1), (1, 1)).matrix(2, 4)
    test = interactions((0, 2), (1, 0))
    report, lists = evaluate_ranking(Fixed([4, 3, 2, 1]), histories, seen, test, (1, 4))
    assert lists.items.tolist() == [[2, 3, -1, -1], [0, 2, 3, -1]]
    assert report.at[1]["recall"].mean == 1.0
    assert report.at[1]["recall"].error == 0.0
    assert (report.users, report.items, report.targets, report.repeated) == (2, 4, 2, 0)


def test_a_test_item_that_was_seen_cannot_be_found_and_is_counted() -> None:
    histories = interactions((0, 0), (1, 1)).matrix(2, 3)
    test = interactions((0, 0), (0, 2), (1, 1))
    report, lists = evaluate_ranking(Fixed([3, 2, 1]), histories, histories, test, (2,))
    assert lists.users.tolist() == [0]
    assert (report.targets, report.repeated) == (1, 2)


def test_some_items_are_ranked_among_themselves() -> None:
    histories = interactions((0, 0), (1, 1)).matrix(2, 4)
    test = interactions((0, 2), (1, 3))
    report, lists = evaluate_ranking(
        Fixed([4, 3, 2, 1]), histories, histories, test, (2,), among=np.array([2, 3])
    )
    assert lists.items.tolist() == [[2, 3], [2, 3]]
    assert report.items == 2
    assert report.lists[2]["coverage"] == 1.0
    assert report.at[2]["mrr"].mean == 0.75


def test_a_sample_of_users_is_drawn_by_the_seed() -> None:
    world = tastes()
    seen = world.train.matrix()

    def drawn(seed: int) -> HeldOutTargets:
        return HeldOutTargets.of(seen, world.test, max_users=20, seed=seed)

    assert (len(drawn(1)), drawn(1).eligible) == (20, 120)
    assert drawn(1).users.tolist() == drawn(1).users.tolist() != drawn(2).users.tolist()
    whole = HeldOutTargets.of(seen, world.test)
    kept = np.searchsorted(whole.users, drawn(1).users)
    assert (drawn(1).truth != whole.truth[kept]).nnz == 0
    assert drawn(1).num_right.tolist() == whole.num_right[kept].tolist()


def test_scores_that_are_no_numbers_are_an_error() -> None:
    histories = interactions((0, 0), (1, 1)).matrix(2, 3)
    with pytest.raises(ModelError, match=r"not numbers.*2 of 2 users"):
        evaluate_ranking(
            Fixed([1, np.nan, 2]), histories, histories, interactions((0, 1), (1, 2)), (1,)
        )


def test_nothing_to_find_is_an_error() -> None:
    histories = interactions((0, 0)).matrix(1, 2)
    with pytest.raises(DataError, match="no test user"):
        evaluate_ranking(Fixed([1, 2]), histories, histories, interactions((0, 0)), (1,))
    with pytest.raises(ConfigError, match="at least 1"):
        evaluate_ranking(Fixed([1, 2]), histories, histories, interactions((0, 1)), (0,))


def test_batches_do_not_change_the_lists() -> None:
    world = tastes()
    matrix = world.train.matrix()

    class Overlap:
        def scores(self, histories: sp.csr_matrix) -> FloatArray:
            return np.asarray((histories @ (matrix.T @ matrix)).toarray(), dtype=np.float32)

    users = np.arange(world.train.num_users)
    whole = rank_all(Overlap(), matrix, matrix, users, 10)
    pieces = rank_all(Overlap(), matrix, matrix, users, 10, max_cells=300)
    np.testing.assert_array_equal(whole.items, pieces.items)


def test_ties_follow_no_order_of_the_rows() -> None:
    flat = np.zeros((1, 500), dtype=np.float32)
    first = TopLists(500, 50, seed=1)(flat)[0][0]
    second = TopLists(500, 50, seed=2)(flat)[0][0]
    assert 150 < first.mean() < 350
    assert set(first) != set(second)
    np.testing.assert_array_equal(first, TopLists(500, 50, seed=1)(flat)[0][0])


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 12))
def test_top_k_is_the_sorted_head(seed: int, k: int) -> None:
    scores = np.random.default_rng(seed).permutation(12).astype(np.float32)[None]
    items, values = TopLists(12, k, seed=seed)(scores)
    np.testing.assert_array_equal(values[0], np.arange(11, 11 - k, -1))
    np.testing.assert_array_equal(scores[0, items[0]], values[0])


def _worst(scores: FloatArray, order: np.ndarray, k: int) -> list[int]:
    """Sort one row as a stranger would, by the score and then by the order of ties."""
    place = np.argsort(order)
    return sorted(range(len(scores)), key=lambda item: (-scores[item], place[item]))[:k]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 15), st.sampled_from([0, 3, 40, 5_000]))
def test_a_search_near_the_best_finds_what_a_sort_finds(seed: int, k: int, levels: int) -> None:
    """With many ties, few, or none; with rows of which little or nothing is left."""
    rng = np.random.default_rng(seed)
    scores = rng.standard_normal((9, 1_003)).astype(np.float32)
    if levels:
        scores = np.rint(scores * levels / 3).astype(np.float32)
    scores[rng.random(scores.shape) < 0.2] = -np.inf
    scores[3], scores[5, 10:] = -np.inf, -np.inf
    top = TopLists(1_003, k, seed=seed)
    items, values = top(scores)
    whole, same = top._of_all(scores)
    np.testing.assert_array_equal(items, whole)
    np.testing.assert_array_equal(values, same)
    for row in range(len(scores)):
        best = _worst(scores[row], top._order, k)
        np.testing.assert_array_equal(values[row], scores[row, best])
        if len(np.unique(scores[row, best])) == k and np.isfinite(values[row]).all():
            higher = values[row] > values[row, -1]
            assert items[row][higher].tolist() == np.array(best)[higher].tolist()


def test_batches_that_are_ranked_at_once_give_the_same_lists() -> None:
    rng = np.random.default_rng(5)
    vectors = rng.standard_normal((900, 8)).astype(np.float32)
    rows = sp.csr_matrix(sp.random_array((900, 900), density=0.01, rng=rng), dtype=np.float32)
    kernels = (
        Kernel("a", history_factors=vectors, item_factors=vectors, history_power=0.5),
        Kernel("b", rows=rows),
    )
    team = Team(Vocabulary(f"i{row}" for row in range(900)), kernels, Coordinator([0.5, 0.5]))
    matrix = sp.csr_matrix(sp.random_array((300, 900), density=0.02, rng=rng), dtype=np.float32)
    matrix.data[:] = 1.0
    users = np.arange(300)
    one = rank_all(team, matrix, matrix, users, 10, threads=1, max_cells=40_000)
    four = rank_all(team, matrix, matrix, users, 10, threads=4, max_cells=160_000)
    np.testing.assert_array_equal(one.items, four.items)
    np.testing.assert_array_equal(one.scores, four.scores)
    assert len(four.items) == 300


def test_validation_asks_only_for_what_is_new() -> None:
    train = interactions((0, 0), (1, 1)).matrix(3, 4)
    held_out = interactions((0, 0), (0, 3), (2, 1))
    validation = Validation(train, held_out, Objective(metric="recall", k=1))
    assert validation.users.tolist() == [0, 2]
    assert validation.measure(Fixed([9, 1, 0, 5]).scores) == 0.5


def test_validation_draws_users_where_there_are_too_many() -> None:
    world = tastes()
    validation = Validation(world.train.matrix(), world.valid, Objective(max_users=10))
    assert len(validation) == 10
    few = validation.sample(4, seed=1)
    assert len(few) == 4
    assert set(few.users) < set(validation.users)
    scores = np.random.default_rng(1).random(few.truth.shape, dtype=np.float32)
    every = np.zeros((10, scores.shape[1]), dtype=np.float32)
    rows = np.searchsorted(validation.users, few.users)
    every[rows] = scores
    np.testing.assert_array_equal(few.per_user(scores), validation.per_user(every)[rows])
    assert validation.sample(10, seed=1) is validation


def test_the_audit_takes_knowledge_away_or_gives_it_to_others() -> None:
    dataset = tastes().train
    assert audited(dataset, "full", seed=1) is dataset
    none = audited(dataset, "none", seed=1)
    assert not len(none.facts)
    assert not none.item_texts
    assert none.interactions is dataset.interactions
    assert audited(dataset, "no-facts", seed=1).item_texts == dataset.item_texts
    assert not len(audited(dataset, "no-facts", seed=1).facts)
    assert not audited(dataset, "no-text", seed=1).item_texts
    assert len(audited(dataset, "no-text", seed=1).facts) == len(dataset.facts)
    shuffled = audited(dataset, "shuffled", seed=1)
    assert len(shuffled.facts) == len(dataset.facts)
    assert sorted(shuffled.item_texts) == sorted(dataset.item_texts)
    assert shuffled.item_texts != dataset.item_texts
    # An item gets the facts and the text of one and the same other item.
    names = dict(zip(shuffled.facts.item, shuffled.facts.entity, strict=True))
    for row, text in enumerate(shuffled.item_texts):
        assert text.endswith(dataset.entity_names[names[row]])
