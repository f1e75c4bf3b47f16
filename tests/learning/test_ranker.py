"""The ranker: a softmax over a history whose parts add up, learned where it helps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kgrec.data.dataset import FloatArray, Interactions
from kgrec.learning.blending.listwise import RankedUser, _Network, _Tensors, learn, ratings_of
from kgrec.learning.blending.ranker import RankerConfig, learn_ranker
from kgrec.metrics.validation import Objective, Validation
from kgrec.model.histories import Histories
from kgrec.model.kernel import Kernel
from kgrec.model.ranker import Ranker, Ratings, best_rows

ITEMS = 12


def random_kernels(seed: int, items: int = ITEMS) -> list[Kernel]:
    rng = np.random.default_rng(seed)
    rows = sp.random_array((items, items), density=0.4, rng=rng, data_sampler=rng.normal)
    factors = rng.normal(size=(2, items, 5)).astype(np.float32)
    return [
        Kernel("linear", rows=sp.csr_matrix(rows, dtype=np.float32)),
        Kernel("collaborative", history_factors=factors[0], item_factors=factors[1]),
    ]


def random_ranker(seed: int, *, rated: bool = True, top: int = 200) -> Ranker:
    rng = np.random.default_rng(seed)
    item_mean = rng.uniform(1, 5, ITEMS).astype(np.float32)
    return Ranker(
        attention_weights=rng.normal(size=2),
        value_weights=rng.normal(size=2),
        popularity_weights=rng.normal(size=2),
        recency=0.1,
        liking=0.3,
        popularity=rng.normal(size=ITEMS).astype(np.float32),
        prior=rng.normal(size=ITEMS).astype(np.float32),
        ratings=Ratings(item_mean, 0, 0.8, 0.5) if rated else None,
        blend=0.7,
        top=top,
    )


def random_history(seed: int, size: int, *, weighted: bool = True) -> Histories:
    rng = np.random.default_rng(seed)
    return Histories.one(
        rng.choice(ITEMS, size, replace=False),
        ITEMS,
        weight=rng.uniform(0.5, 2.0, size) if weighted else None,
        at=rng.integers(1, 10**10, size),
        value=rng.integers(1, 6, size),
    )


def read_by(
    kernels: list[Kernel], history: Histories, candidates: np.ndarray
) -> tuple[list[np.ndarray], Histories, np.ndarray]:
    """Return what a ranker reads: similarities, history, candidates."""
    return [k.similarity(history.item, candidates) for k in kernels], history, candidates


def test_the_score_is_the_one_computed_by_hand() -> None:
    rows = sp.csr_matrix(np.array([[0, 0, 2.0], [0, 0, 1.0], [0, 0, 0]], dtype=np.float32))
    ranker = Ranker(
        attention_weights=np.array([np.log(2.0)]),
        value_weights=np.array([3.0]),
        popularity_weights=np.array([1.0, -1.0]),
        recency=0.0,
        liking=0.0,
        popularity=np.array([1.0, 2.0, 4.0], dtype=np.float32),
        prior=np.array([0.0, 0.0, 0.5], dtype=np.float32),
        ratings=Ratings(np.array([3.0, 3.0, 4.0], dtype=np.float32), kind=0, trust=0.5, weight=2.0),
        blend=10.0,
    )
    history = Histories.one([0, 1], 3, value=[5.0, 3.0])
    # Strengths 2² : 2¹, so weights 2/3 and 1/3. What is pooled: 6 + 4 − 3 + 2·.5·2 and 3 + 8 − 2.
    parts = ranker.read(*read_by([Kernel("linear", rows=rows)], history, np.array([2])))
    np.testing.assert_allclose(parts.contributions()[:, 0], [10 * 2 / 3 * 9, 10 * 1 / 3 * 9])
    np.testing.assert_allclose(parts.priors, [10 * (0.5 + 2 * 4)])
    expected = ranker.expected(*read_by([Kernel("linear", rows=rows)], history, np.array([2])))
    np.testing.assert_allclose(expected, [4 + 2 / 3 * 0.5 * 2])


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(0, 8), st.booleans())
def test_contributions_and_priors_sum_to_what_is_added(seed: int, size: int, rated: bool) -> None:
    kernels, ranker = random_kernels(seed), random_ranker(seed, rated=rated)
    history, candidates = random_history(seed, size), np.arange(ITEMS)
    reading = ranker.read(*read_by(kernels, history, candidates))
    summed = reading.contributions().sum(axis=0) + reading.priors
    best = ranker.chosen(candidates, np.zeros(ITEMS))
    np.testing.assert_allclose(summed, ranker.added(kernels, history, candidates, best), atol=1e-9)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(1, 8))
def test_what_is_left_out_might_as_well_never_have_been(seed: int, size: int) -> None:
    kernels, ranker = random_kernels(seed), random_ranker(seed)
    history, candidates = random_history(seed, size), np.arange(ITEMS)
    removed = np.arange(size, dtype=np.int64)[:, None]
    kept = ~np.eye(size, dtype=np.bool_)
    found = ranker.read(*read_by(kernels, history, candidates)).totals(kept)
    left = history.without(removed)
    for row in range(size):
        expected = ranker.read(*read_by(kernels, left[row : row + 1], candidates)).totals()[0]
        np.testing.assert_allclose(found[row], expected, atol=1e-7)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(1, 10))
def test_only_the_best_are_reordered_and_the_others_stay_below(seed: int, top: int) -> None:
    rng = np.random.default_rng(seed)
    kernels, ranker = random_kernels(seed), random_ranker(seed, top=top)
    history = random_history(seed, 3)
    before = rng.normal(size=(1, ITEMS)).astype(np.float32)
    after = ranker.reorder(kernels, history, before.copy())[0]
    fresh = np.setdiff1d(np.arange(ITEMS), history.item)
    best = fresh[np.argsort(-before[0, fresh])][:top]
    rest = np.setdiff1d(np.arange(ITEMS), best)
    added = ranker.read(*read_by(kernels, history, best)).totals()[0]
    np.testing.assert_allclose(after[best], before[0, best] + added, atol=1e-5)
    np.testing.assert_allclose(after[rest] - before[0, rest], added.min(), atol=1e-5)
    others = np.intersect1d(rest, fresh)
    if len(others):
        assert after[others].max() <= after[best].min() + 1e-5


def test_the_best_rows_leave_out_what_is_masked() -> None:
    scores = np.array([1.0, -np.inf, 3.0, 2.0], dtype=np.float32)
    ties = np.arange(4)
    np.testing.assert_array_equal(best_rows(scores, 2, ties), [2, 3])
    np.testing.assert_array_equal(best_rows(scores, 9, ties), [0, 2, 3])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 100))
def test_which_of_equal_candidates_is_reordered_says_nothing_of_the_catalogue(
    seed: int, top: int
) -> None:
    """Neither the order in which candidates are given nor their rows decide."""
    rng = np.random.default_rng(seed)
    items = 400
    popularity, prior = rng.normal(size=(2, items)).astype(np.float32)
    ones = np.ones(2)
    ranker = Ranker(ones, ones, ones, 0.0, 0.0, popularity, prior, top=top)
    scores = rng.integers(0, 2, items).astype(float)
    every = np.arange(items)
    chosen = ranker.chosen(every, scores)
    assert len(chosen) == top
    assert scores[chosen].min() >= np.sort(scores)[-top]
    shuffled = rng.permutation(items)
    again = shuffled[ranker.chosen(shuffled, scores[shuffled])]
    np.testing.assert_array_equal(np.sort(again), chosen)


def test_equal_items_are_reordered_from_all_over_the_catalogue() -> None:
    items, top = 10_000, 500
    zeros, rising = np.zeros(items, dtype=np.float32), np.arange(items, dtype=np.float32)
    ranker = Ranker(np.zeros(1), np.zeros(1), np.zeros(2), 0.0, 0.0, zeros, rising, top=top)
    kernel = Kernel("linear", rows=sp.csr_matrix((items, items), dtype=np.float32))
    histories = Histories.one([], items)
    added = ranker.reorder([kernel], histories, np.zeros((1, items), dtype=np.float32))[0]
    chosen = np.flatnonzero(added > added.min())
    assert len(chosen) == top - 1
    assert abs(chosen.mean() / items - 0.5) < 0.1


def blocks(seed: int, users: int = 30, candidates: int = 8) -> list[RankedUser]:
    rng = np.random.default_rng(seed)
    kernels, made = random_kernels(seed), []
    for user in range(users):
        history = random_history(seed + user, int(rng.integers(1, 5)), weighted=False)
        items = rng.choice(ITEMS, candidates, replace=False)
        target = rng.random(candidates) < 0.4
        value = np.where(target, rng.integers(1, 6, candidates), np.nan)
        similarity = np.stack([kernel.similarity(history.item, items) for kernel in kernels])
        scores = rng.normal(size=candidates).astype(np.float32)
        made.append(
            RankedUser(history, items, scores, target, value, similarity.astype(np.float32))
        )
    return made


def test_every_number_gets_a_gradient_from_the_task_it_serves() -> None:
    item_mean = Ratings(np.full(ITEMS, 3.0, dtype=np.float32), 0, 1.0)
    popular = np.random.default_rng(1).normal(size=ITEMS).astype(np.float32)
    data = _Tensors.of(blocks(1), popular, item_mean)
    for rated in (True, False):
        network = _Network(2, rated)
        torch.nn.init.constant_(network.value_weights, 0.1)
        network.loss(data).backward()
        without = set() if rated else {"trust"}
        for name, parameter in network.named_parameters():
            moved = parameter.grad is not None and bool((parameter.grad != 0).all())
            assert moved == (name not in without), name


def test_the_ridge_pulls_to_nothing() -> None:
    popular = np.random.default_rng(1).normal(size=ITEMS).astype(np.float32)
    sizes = [
        np.abs(learn(blocks(2), popular, None, ridge=ridge, iterations=20).value_weights).sum()
        for ridge in (0.0, 1.0, 100.0)
    ]
    assert sizes[0] > sizes[1] > sizes[2]


def test_what_was_learned_scores_as_it_did_while_learning() -> None:
    made = blocks(3)
    item_mean = Ratings(np.full(ITEMS, 3.0, dtype=np.float32), 0, 1.0)
    popular = np.random.default_rng(2).normal(size=ITEMS).astype(np.float32)
    learned = learn(made, popular, item_mean, ridge=0.01, iterations=5)
    ranker = Ranker(
        learned.attention_weights,
        learned.value_weights,
        learned.popularity_weights,
        learned.recency,
        learned.liking,
        popular,
        (learned.prior[0] * popular + learned.prior[1] * popular**2).astype(np.float32),
        item_mean,
    )
    loss, targets = 0.0, 0
    sharpness = _sharpness(made, popular, item_mean)
    for block in made:
        added = ranker.read(block.similarity.astype(float), block.history, block.items).totals()[0]
        logits = sharpness * (block.scores + added)
        logits -= np.log(np.exp(logits).sum())
        loss -= logits[block.target].sum()
        targets += int(block.target.sum())
    data = _Tensors.of(made, popular, item_mean)
    network = _fitted(made, popular, item_mean)
    network.rated = False
    assert np.log(loss / targets) == pytest.approx(float(network.loss(data).detach()), abs=1e-4)


def _fitted(made: list[RankedUser], popular: FloatArray, item_mean: Ratings) -> _Network:
    """Learn as `learn` does, and return the network."""
    data, network = _Tensors.of(made, popular, item_mean), _Network(2, rated=True)
    optimiser = torch.optim.LBFGS(network.parameters(), max_iter=5, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        loss = network.loss(data) + 0.01 * network.square()
        loss.backward()
        return loss

    optimiser.step(closure)
    return network


def _sharpness(made: list[RankedUser], popular: FloatArray, item_mean: Ratings) -> float:
    return float(_fitted(made, popular, item_mean).sharpness.exp().detach())


USERS, GROUPS, EACH = 150, 5, 12


def planted(*, nearest: bool) -> tuple[list[Kernel], Validation, Interactions, Interactions]:
    """Users have one item of a group and three of others that lie close together.

    With `nearest`, they want the neighbour of the one that is alone, which a sum cannot see; else
    what the sum says.
    """
    rng = np.random.default_rng(4)
    items = GROUPS * EACH
    likeness = rng.uniform(0.0, 0.4, (items, items)).astype(np.float32)
    train, wanted = [], []
    for user in range(USERS):
        history = rng.choice(items, 5, replace=False)
        train += [(user, int(item)) for item in history]
        likeness_sum = likeness[history].sum(axis=0)
        likeness_sum[history] = -1
        best = int(likeness_sum.argmax())
        if nearest:
            closest = likeness[history].max(axis=0)
            closest[history] = -1
            best = int(closest.argmax())
        wanted.append((user, best))
    made = [_interactions(rows) for rows in (train, wanted)]
    histories = Histories.of(made[0], USERS, items)
    kernels = [Kernel("linear", rows=sp.csr_matrix(likeness))]
    return kernels, Validation(histories, made[1], Objective(k=5)), made[1], made[0]


def _interactions(rows: list[tuple[int, int]]) -> Interactions:
    user, item = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
    value = (2 + user % 3 + item % 2).astype(np.float32)  # severe and kind users, good items
    return Interactions(user, item, value, np.zeros(len(rows), dtype=np.int64))


def test_attention_finds_the_nearest_neighbour_that_a_sum_does_not_see() -> None:
    kernels, validation, held_out, train = planted(nearest=True)
    config = RankerConfig(top=40, iterations=40, ridge=1e-5, blends=(1.0, 10.0))
    decided, report = learn_ranker(kernels, kernels[0].scores, validation, held_out, train, config)
    assert decided is not None
    assert decided.learned.attention_weights[0] > 0
    assert report["ranker"] > report["team"] + 5 * report["error"]
    again = Validation(validation.histories, _own(held_out, validation), Objective(k=5))
    ranker = decided.ranker(train, kernels[0].num_items)
    after = ranker.reorder(kernels, validation.histories, kernels[0].scores(validation.histories))
    assert again.per_user(after).mean() > report["team"]


def test_a_team_that_tells_nothing_apart_is_not_measured_by_the_order_of_the_catalogue() -> None:
    """Everybody takes the first item of the catalogue, and the team scores all items alike."""
    items = 160
    held_out = _interactions([(user, 0) for user in range(150)])
    train = _interactions([(user, 1 + user) for user in range(150)])
    histories = Histories.of(train, 150, items)
    validation = Validation(histories, held_out, Objective(k=5))
    kernels = random_kernels(1, items)

    def alike(histories: Histories) -> FloatArray:
        return np.zeros((len(histories), items), dtype=np.float32)

    _, report = learn_ranker(
        kernels, alike, validation, held_out, train, RankerConfig(iterations=1)
    )
    assert report["team"] == 0.0


def test_values_are_those_of_one_kind_and_targets_may_be_of_another() -> None:
    kernels, validation, held_out, train = planted(nearest=True)
    kinds = np.where(np.arange(len(held_out)) % 2, 5, 1)
    mixed = replace(held_out, kind=kinds), replace(train, kind=np.full(len(train), 5))
    decided, report = learn_ranker(
        kernels, kernels[0].scores, validation, *mixed, RankerConfig(iterations=5)
    )
    assert decided is not None
    assert decided.learned.rated
    assert report["value_error"] > 0


def test_what_cannot_be_told_apart_or_learned_from_leaves_numbers() -> None:
    """The team is right of everybody, there is one candidate alone, or nobody has a history."""
    item_mean = Ratings(np.full(ITEMS, 3.0, dtype=np.float32), 0, 1.0)
    popular = np.random.default_rng(1).normal(size=ITEMS).astype(np.float32)
    first = np.arange(8) == 0
    sure = [replace(block, target=first, scores=200.0 * first) for block in blocks(1)]
    alone = [replace(block.first(1), target=np.array([True])) for block in blocks(1)]
    nobody = Histories.one([], ITEMS)
    empty = [
        replace(block, history=nobody, similarity=block.similarity[:, :0]) for block in blocks(1)
    ]
    for made in (sure, alone, empty):
        for ratings in (None, item_mean):
            learned = learn(made, popular, ratings, ridge=1e-3, iterations=5)
            numbers = [
                learned.attention_weights,
                learned.value_weights,
                learned.popularity_weights,
                learned.prior,
            ]
            assert np.isfinite(np.concatenate(numbers)).all()
            assert np.isfinite([learned.recency, learned.liking, learned.trust]).all()


def _own(held_out: Interactions, validation: Validation) -> Interactions:
    rows = np.searchsorted(validation.users, held_out.user)
    return Interactions(rows, held_out.item, held_out.value, held_out.at)


def test_where_the_team_is_right_nothing_is_added_but_values_are_expected() -> None:
    kernels, validation, held_out, train = planted(nearest=False)
    decided, report = learn_ranker(kernels, kernels[0].scores, validation, held_out, train)
    assert decided is not None
    assert decided.blend == report["blend"] == 0.0
    assert report["value_error"] < 0.8 * report["usual_error"]
    unrated = _unrated(held_out), _unrated(train)
    assert learn_ranker(kernels, kernels[0].scores, validation, *unrated)[0] is None


def _unrated(rows: Interactions) -> Interactions:
    return Interactions(rows.user, rows.item, np.ones_like(rows.value), rows.at)


def test_too_few_users_or_never_is_no_ranker() -> None:
    kernels, validation, held_out, train = planted(nearest=True)
    for config in (RankerConfig(least_users=151), RankerConfig(use="never")):
        assert learn_ranker(kernels, kernels[0].scores, validation, held_out, train, config) == (
            None,
            {},
        )


def test_counts_are_no_ratings_and_one_value_for_all_is_none() -> None:
    many = np.arange(30, dtype=np.int64)
    counts = Interactions(many, many, many.astype(np.float32), many)
    for rows in (counts, _unrated(counts), Interactions.empty()):
        assert ratings_of(rows, 30) is None


def test_usual_values_are_means_of_one_kind_drawn_to_the_mean() -> None:
    rows = Interactions(
        np.array([0, 1, 2, 3]),
        np.array([0, 0, 1, 2]),
        np.array([5.0, 5.0, 2.0, 1.0], dtype=np.float32),
        np.zeros(4, dtype=np.int64),
        np.array([6, 6, 6, 2]),
    )
    ratings = ratings_of(rows, 3, damping=2.0)
    assert ratings is not None
    expected = [(10 + 8) / 4, (2 + 8) / 3, 4.0]
    np.testing.assert_allclose(ratings.item_mean, expected, rtol=1e-6)
    history = Histories.one([0, 2], 3, kind=[6, 2], value=[5.0, 1.0])
    np.testing.assert_allclose(ratings.residual(history), [0.5, 0.0])
