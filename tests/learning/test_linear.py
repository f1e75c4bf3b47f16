from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp
from tastes import Tastes, tastes

from kgrec.data.dataset import Dataset, Facts, Interactions
from kgrec.data.vocabulary import Vocabulary
from kgrec.learning.agent import FitContext
from kgrec.learning.knowledge_features import degree_features
from kgrec.learning.linear.agent import FormName, LinearAgent, LinearConfig
from kgrec.learning.linear.blocks import BlockConfig, ItemBlock, cut, solve_blocks
from kgrec.learning.linear.forms import LinearSearch, Setting
from kgrec.learning.linear.gram import Evidence, WeightConfig, closed_form, last_columns
from kgrec.metrics.ranking import Values
from kgrec.model.kernel import Kernel
from kgrec.progress import SILENT

FORMS: tuple[FormName, ...] = ("dense", "sparse", "low-rank")
PLAIN = WeightConfig(user_power=0.0, value_power=0.0, ridge_power=0.0)
SMALL = BlockConfig(targets=12, context=24)


@pytest.fixture(scope="module")
def world() -> Tastes:
    return tastes()


def fitted(world: Tastes, form: FormName, **settings: object) -> Kernel:
    config = LinearConfig.model_validate({"form": form, "ridge": 20.0, "knowledge": 2.0} | settings)
    return LinearAgent(config).fit(FitContext(world.train))


def weights(kernel: Kernel) -> np.ndarray:
    total = np.zeros((kernel.num_items, kernel.num_items))
    if kernel.rows is not None:
        total += kernel.rows.toarray()
    if kernel.history_factors is not None and kernel.item_factors is not None:
        total += kernel.history_factors @ kernel.item_factors.T
    return total


def test_two_items_by_hand() -> None:
    # Item 0 is taken by users 0, 1, 2 and item 1 by users 2, 3; G = [[3, 1], [1, 2]] and λ = 1, so
    # that B_10 = 1 / (2 + 1) and B_01 = 1 / (3 + 1): each item regressed on the other.
    user, item = np.array([0, 1, 2, 2, 3]), np.array([0, 0, 0, 1, 1])
    taken = Interactions(user, item, np.ones(5, np.float32), np.zeros(5, np.int64))
    data = Dataset(Vocabulary("abcd"), Vocabulary("xy"), taken)
    for form in FORMS:
        config = LinearConfig(form=form, ridge=1.0, weights=PLAIN)
        kernel = LinearAgent(config).fit(FitContext(data))
        np.testing.assert_allclose(weights(kernel), [[0.0, 1 / 4], [1 / 3, 0.0]], atol=1e-6)


def test_the_weights_are_those_of_the_closed_form(world: Tastes) -> None:
    rows = weights(fitted(world, "dense", weights=PLAIN))
    matrix = world.train.matrix().toarray().astype(np.float64)
    features = degree_features(world.train)
    assert features is not None
    dense = features.toarray().astype(np.float64)
    gram = matrix.T @ matrix + 2.0 * dense @ dense.T + 20.0 * np.eye(world.train.num_items)
    inverse = np.linalg.inv(gram)
    expected = -inverse / np.diag(inverse)
    np.fill_diagonal(expected, 0.0)
    np.testing.assert_allclose(rows, expected, atol=2e-6)


def test_users_weigh_less_the_more_they_take_and_values_count_within_a_user() -> None:
    # User a takes x once and y sixteen times, user b takes four things once.
    user, item = np.array([0, 0, 1, 1, 1, 1]), np.array([0, 1, 0, 1, 2, 3])
    value = np.array([1, 16, 3, 3, 3, 3], np.float32)
    taken = Interactions(user, item, value, np.zeros(6, np.int64))
    data = Dataset(Vocabulary("ab"), Vocabulary("wxyz"), taken)
    users = Evidence.of(data, WeightConfig(user_power=1.0, value_power=0.25)).users.toarray()
    assert (users**2).sum() == pytest.approx(6)
    # 16^¼ = 2: against their mean 1.5 they are 2/3 and 4/3; over √2. The others are 1 over √4.
    expected = np.array([[2 / 3, 4 / 3, 0, 0] / np.sqrt(2), np.full(4, 0.5)])
    np.testing.assert_allclose(users / users[1, 0], expected / 0.5, rtol=1e-5)


def test_the_other_forms_are_the_dense_one_when_nothing_is_left_out(world: Tastes) -> None:
    dense = weights(fitted(world, "dense"))
    whole = {"targets": 1000, "column_size": 1000}
    np.testing.assert_allclose(weights(fitted(world, "sparse", blocks=whole)), dense, atol=2e-6)
    full = fitted(world, "low-rank", rank=1000)
    np.testing.assert_allclose(weights(full), dense, atol=1e-4)
    np.testing.assert_allclose(np.diag(weights(full)), 0.0, atol=1e-6)


def test_a_block_among_all_items_has_the_weights_of_the_whole(world: Tastes) -> None:
    evidence, rows = Evidence.of(world.train, WeightConfig()), np.arange(world.train.num_items)
    blocks = [ItemBlock(part, np.setdiff1d(rows, part)) for part in np.array_split(rows, 5)]
    solved, _ = solve_blocks(evidence, blocks, 20.0, 2.0, 1000, workers=2)
    expected = closed_form(evidence.gram(rows, 20.0, 2.0))
    np.testing.assert_allclose(solved.toarray(), expected, atol=2e-6)


def test_the_last_columns_are_those_of_the_whole() -> None:
    sample = np.random.default_rng(0).normal(size=(60, 20)).astype(np.float32)
    gram = sample.T @ sample + 5.0 * np.eye(20, dtype=np.float32)
    expected = closed_form(gram.copy())[:, -7:]
    np.testing.assert_allclose(last_columns(gram.copy(), 7)[0], expected, atol=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_an_item_without_interactions_is_reached_through_its_features(
    world: Tastes, form: FormName
) -> None:
    kernel = fitted(world, form, blocks=SMALL.model_dump(), rank=20)
    taste = np.arange(world.train.num_items) % 4
    liked = (taste == 0).astype(np.float32)
    liked[list(world.cold)] = 0
    scores = kernel.scores(sp.csr_matrix(liked))[0]
    same = [row for row in world.cold if taste[row] == 0]
    other = [row for row in world.cold if taste[row] != 0]
    assert scores[same].min() > 0
    assert scores[same].min() > scores[other].max()


def test_the_cut_makes_every_item_a_target_once_and_follows_tastes(world: Tastes) -> None:
    evidence = Evidence.of(world.train, WeightConfig())
    config = SMALL.model_copy(update={"embedding_dim": 6})
    blocks = cut(evidence, config, (20.0, 2.0), seed=1)
    targets = np.concatenate([block.targets for block in blocks])
    assert sorted(targets) == list(range(world.train.num_items))
    assert max(len(block.targets) for block in blocks) <= 12
    assert max(len(block.context) for block in blocks) <= 24
    assert not any(np.intersect1d(block.targets, block.context).size for block in blocks)
    own = [np.bincount(block.targets % 4).max() / len(block.targets) for block in blocks]
    assert np.mean(own) > 0.6


def test_no_more_weights_than_asked(world: Tastes) -> None:
    rows = fitted(world, "dense", row_size=5).rows
    assert rows is not None
    assert np.diff(rows.indptr).max() <= 5
    columns = fitted(world, "sparse", blocks=SMALL.model_dump() | {"column_size": 5}).rows
    assert columns is not None
    assert np.bincount(columns.indices).max() <= 5


def test_large_catalogues_are_sparse(world: Tastes) -> None:
    small = {"dense_items": world.train.num_items - 1, "blocks": SMALL}
    auto = LinearAgent(LinearConfig(ridge=20.0, knowledge=2.0, **small)).fit(
        FitContext(world.train)
    )
    expected = fitted(world, "sparse", blocks=SMALL.model_dump())
    np.testing.assert_array_equal(weights(auto), weights(expected))


def test_the_ridge_moves_to_where_validation_is_best(world: Tastes) -> None:
    context = FitContext(world.train, world.valid)
    kernel = LinearAgent(LinearConfig(ridge_start=0.01)).fit(context)
    assert kernel.chosen["ridge"] > 0.01


@pytest.mark.parametrize("form", FORMS)
def test_what_was_chosen_gives_the_same_weights_again(world: Tastes, form: FormName) -> None:
    config = LinearConfig(form=form, search_items=60, search_sample=60, blocks=SMALL, rank=20)
    kernel = LinearAgent(config).fit(FitContext(world.train, world.valid))
    assert set(kernel.chosen) == {"ridge", "knowledge"}
    again = LinearAgent(config.model_copy(update=dict(kernel.chosen))).fit(FitContext(world.train))
    np.testing.assert_allclose(weights(again), weights(kernel), atol=1e-6)


def test_the_sparse_form_finds_tastes_about_as_well_as_the_dense_one(world: Tastes) -> None:
    context = FitContext(world.train, world.valid)
    held_out = context.held_out(LinearConfig().objective)
    assert held_out is not None
    dense, sparse = (
        held_out.measure(fitted(world, form, blocks=SMALL.model_dump()).scores)
        for form in ("dense", "sparse")
    )
    assert sparse > 0.9 * dense


def test_memory_does_not_grow_with_the_square_of_the_items() -> None:
    rng = np.random.default_rng(0)
    items, users, each = 30_000, 6_000, 10
    user = np.repeat(np.arange(users), each)
    near = rng.integers(items, size=users)[user] + rng.integers(60, size=len(user))
    taken = Interactions(
        user, near % items, np.ones(len(user), np.float32), np.zeros(len(user), np.int64)
    )
    facts = Facts(
        np.arange(items),
        np.zeros(items, np.int64),
        np.arange(items) // 20,
        np.ones(items, np.float32),
        ("HAS_GENRE",),
    )
    data = Dataset(
        Vocabulary(map(str, range(users))),
        Vocabulary(map(str, range(items))),
        taken,
        Vocabulary(map(str, range(items // 20))),
        facts,
    )
    blocks = BlockConfig(context=128, neighbours=16, column_size=32, embedding_dim=8)
    tracemalloc.start()
    rows = LinearAgent(LinearConfig(ridge=5.0, blocks=blocks)).fit(FitContext(data)).rows
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert rows is not None
    assert rows.nnz <= 32 * items
    assert peak < items**2  # a byte a cell; the dense form takes twelve


@pytest.mark.parametrize("best", [12.5, 25.0, 100.0, 200.0, 400.0, 3200.0, 6400.0])
def test_the_search_climbs_to_the_best_ridge_in_few_measures(best: float) -> None:
    asked = []

    def values(setting: Setting) -> Values:
        asked.append(setting.ridge)
        return np.array([-abs(np.log(setting.ridge / best))])

    with SILENT.task("climb") as task:
        assert LinearSearch(values, task).ridge(Setting(200.0, 0.1)).ridge == best
    assert len(asked) <= 8


@pytest.mark.parametrize(("gains", "best"), [((1.0, -1.0), 0.5), ((1.0, 2.0), 0.75), ((0, 9), 0)])
def test_dropout_rises_while_users_gain_by_more_than_noise(
    gains: tuple[float, float], best: float
) -> None:
    users = np.random.default_rng(0).normal(size=100)

    def values(setting: Setting) -> Values:
        gain = {0.0: 0.0, 0.5: gains[0], 0.75: gains[1]}[setting.dropout]
        return users + gain - abs(setting.ridge - 50.0) / 1000

    with SILENT.task("climb") as task:
        found = LinearSearch(values, task).dropout(Setting(200.0, 0.1), (0.5, 0.75))
    assert found.dropout == best
    assert found.ridge == (50.0 if best else 200.0)


def test_the_low_rank_form_has_no_dropout(world: Tastes) -> None:
    kernels = [fitted(world, "low-rank", rank=20, dropout=dropout) for dropout in (0.0, 0.5)]
    assert all("dropout" not in kernel.chosen for kernel in kernels)


def test_dropout_is_the_mean_over_hidden_parts_of_histories(world: Tastes) -> None:
    evidence = Evidence.of(world.train, PLAIN)
    rows, histories = np.arange(evidence.num_items), evidence.users.toarray()
    rng, hidden = np.random.default_rng(1), np.zeros((len(rows), len(rows)))
    for _ in range(200):
        seen = histories * (rng.random(histories.shape) >= 0.5)
        # Unbiased products of what is seen; only those with itself grow with the dropout.
        hidden += seen.T @ seen / 0.25 / 200
    gram = evidence.gram(rows, 0.0, 0.0, 0.5)
    assert np.abs(gram - hidden).max() < 0.15 * np.diag(gram).max()
    np.testing.assert_allclose(np.diag(gram), np.diag(hidden), rtol=0.1)
