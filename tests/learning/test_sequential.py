"""The sequential agent on worlds in which order, recency or the hour decides."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tastes import encode_words, tastes
from worlds import BEGIN, DAY, GROUPS, HOUR, cycles, group_of, hours, split_last, walks

from kgrec.data.dataset import Dataset, Interactions
from kgrec.data.protocols import split_by_time
from kgrec.learning.agent import FitContext, NothingToLearnError
from kgrec.learning.sequential.agent import SequenceProblem, SequentialAgent, SequentialConfig
from kgrec.learning.sequential.examples import ExampleSource, ranks
from kgrec.learning.sequential.network import ReaderNetwork, TensorTokens
from kgrec.model.coordinator import Coordinator
from kgrec.model.histories import Histories
from kgrec.model.kernel import Kernel
from kgrec.model.sequence_reader import SequenceReader
from kgrec.model.storage import load_team, save_team
from kgrec.model.team import Team
from kgrec.model.tokens import UNKNOWN, ReaderSettings, Tokens
from kgrec.model.tokens import cycles as waves
from kgrec.training.loop import Schedule, seeded
from kgrec.training.losses import LossConfig

QUICK = SequentialConfig(
    embedding_dim=16,
    width=16,
    steps=300,
    batch_size=128,
    schedule=Schedule(steps=300, rate=0.01),
)


DEEP = QUICK.model_copy(update={"layers": 1})


def fitted(dataset: Dataset, config: SequentialConfig = QUICK) -> Kernel:
    return SequentialAgent(config).fit(FitContext(dataset, seed=1))


@pytest.fixture(scope="module")
def cyclic() -> tuple[Kernel, Histories, np.ndarray]:
    left, histories, following = split_last(cycles())
    return fitted(left, DEEP), histories, following


def right_group(kernel: Kernel, histories: Histories, following: np.ndarray) -> float:
    """Return how often the best new item is of the group that comes next."""
    scores = kernel.scores(histories)
    scores[histories.owner, histories.item] = -np.inf
    best = scores.argmax(axis=1)
    size = histories.num_items
    return float((group_of(best, size) == group_of(following, size)).mean())


def test_the_order_decides(cyclic: tuple[Kernel, Histories, np.ndarray]) -> None:
    kernel, histories, following = cyclic
    assert right_group(kernel, histories, following) > 0.85


def test_without_times_the_order_cannot_be_known(
    cyclic: tuple[Kernel, Histories, np.ndarray],
) -> None:
    """Every history holds as much of each group, so a set says nothing of the next."""
    kernel, histories, following = cyclic
    blind = Histories.from_matrix(histories.matrix)
    assert right_group(kernel, blind, following) < 0.6
    assert np.isfinite(kernel.scores(blind)).all()


def test_the_last_item_decides() -> None:
    left, histories, _ = split_last(walks())
    kernel = fitted(left)
    latest = (
        histories.at == np.maximum.reduceat(histories.at, histories.start[:-1])[histories.owner]
    )
    scores = kernel.scores(histories)
    scores[histories.owner, histories.item] = -np.inf
    steps = group_of(scores.argmax(axis=1), 60) - group_of(histories.item[latest], 60)
    assert (steps % GROUPS == 2).mean() < 0.1
    weights = kernel.weights(histories)
    share = weights[latest] / np.add.reduceat(weights, histories.start[:-1])
    assert share.mean() > 0.35


def test_the_hour_of_the_request_decides() -> None:
    left, histories, following = split_last(hours())
    kernel = fitted(left)
    at_the_hour = right_group(kernel, histories, following)
    assert at_the_hour > 0.85
    turned = replace(histories, now=histories.now + 12 * HOUR)
    assert right_group(kernel, turned, following) < at_the_hour - 0.25


@pytest.mark.parametrize("layers", [0, 2])
def test_every_parameter_gets_a_gradient(layers: int) -> None:
    world = tastes()
    context = FitContext(world.train, seed=1, encode=encode_words)
    problem = SequenceProblem(context, QUICK.model_copy(update={"layers": layers, "fill": 0.5}))
    network = problem.network()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    rng = np.random.default_rng(0)
    examples = problem.source().sample(64, rng)
    histories = replace(
        examples.histories,
        kind=rng.integers(0, problem.settings.kinds, len(examples.histories.item)),
        value=rng.random(len(examples.histories.item), dtype=np.float32),
    )
    problem.settings = problem.settings.model_copy(update={"value_deviation": 1.0})
    problem.loss(network, replace(examples, histories=histories), rng).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name
        assert torch.isfinite(parameter.grad).all(), name


def test_the_kernel_scores_as_the_network_does() -> None:
    left, histories, _ = split_last(cycles())
    problem = SequenceProblem(FitContext(left), DEEP)
    network = problem.network().eval()
    tokens = TensorTokens(Tokens.of(histories, problem.settings), problem.settings.kinds)
    with torch.no_grad():
        items = problem.items(problem.degree)
        taken, candidate = network.vectors(items)
        expected = network.queries(tokens, taken) @ candidate.T + network.prior(items)
    scores = problem.kernel(network, {}).scores(histories)
    np.testing.assert_allclose(scores, expected.numpy(), rtol=1e-4, atol=1e-5)


def test_a_loss_over_all_items_drawn_as_candidates_is_the_softmax() -> None:
    """With a likelihood of nearly one each the estimate is nearly exact."""
    world = tastes()
    losses = []
    for candidates in (None, world.train.num_items - 1):
        loss = LossConfig(candidates=candidates, sampler="uniform")
        config = QUICK.model_copy(update={"fill": 0.0, "loss": loss, "drop": 0.0, "dropout": 0.0})
        problem = SequenceProblem(FitContext(world.train, seed=1, encode=encode_words), config)
        with seeded(1):
            network = problem.network()
        examples = problem.source().sample(64, np.random.default_rng(0))
        losses.append(float(problem.loss(network, examples, np.random.default_rng(1)).detach()))
    assert losses[0] == pytest.approx(losses[1], abs=0.03)
    assert losses[0] != losses[1]


def test_the_order_is_learned_from_candidates_that_are_drawn() -> None:
    left, histories, following = split_last(cycles())
    config = QUICK.model_copy(update={"loss": LossConfig(candidates=20)})
    assert right_group(fitted(left, config), histories, following) > 0.8


def test_the_score_is_the_sum_over_the_history(
    cyclic: tuple[Kernel, Histories, np.ndarray],
) -> None:
    kernel, histories, _ = cyclic
    every = np.arange(histories.num_items)
    for row in range(3):
        one = histories[row : row + 1]
        parts = kernel.weights(one)[:, None] * kernel.similarity(one.item, every)
        expected = kernel.scores(one)[0]
        scores = parts.sum(axis=0) + kernel.priors()
        np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-5)


def test_without_the_last_item_the_weights_are_others(
    cyclic: tuple[Kernel, Histories, np.ndarray],
) -> None:
    kernel, histories, _ = cyclic
    one = histories[:1]
    newest = int(one.at.argmax())
    fewer = one.without(np.array([[newest]]))
    left = np.delete(kernel.weights(one), newest)
    assert not np.allclose(kernel.weights(fewer), left, rtol=0.05)
    assert kernel.weights(fewer).sum() > 0


def test_a_history_has_the_same_weights_alone_and_in_a_batch(
    cyclic: tuple[Kernel, Histories, np.ndarray],
) -> None:
    kernel, histories, _ = cyclic
    rng = np.random.default_rng(2)
    gone = histories.matrix.copy()
    gone.data[:] = rng.random(gone.nnz) < 0.7
    kept = gone.data > 0
    start = np.concatenate([[0], np.cumsum(np.bincount(histories.owner[kept], minlength=150))])
    columns = (histories.item, histories.weight, histories.at, histories.kind, histories.value)
    uneven = Histories(start, *(c[kept] for c in columns), histories.now, histories.num_items)
    together = kernel.weights(uneven)
    for row in range(0, 150, 7):
        alone = kernel.weights(uneven[row : row + 1])
        own = together[uneven.start[row] : uneven.start[row + 1]]
        np.testing.assert_allclose(own, alone, rtol=1e-4, atol=1e-6)


def test_only_the_last_items_are_read(cyclic: tuple[Kernel, Histories, np.ndarray]) -> None:
    _, histories, _ = cyclic
    problem = SequenceProblem(FitContext(cycles()), QUICK.model_copy(update={"max_length": 4}))
    kernel = problem.kernel(problem.network(), {})
    weights = kernel.weights(histories)
    order = np.lexsort((-histories.at, histories.owner))
    newer = np.arange(len(order)) - histories.start[histories.owner]
    np.testing.assert_array_equal(weights[order] > 0, newer < 4)


def test_interactions_of_one_moment_have_no_order(
    cyclic: tuple[Kernel, Histories, np.ndarray],
) -> None:
    kernel, _, _ = cyclic
    at = BEGIN + np.array([1, 1, 1, 2, 2]) * HOUR
    first = kernel.scores(Histories.one([3, 25, 44, 10, 50], 60, at=at))
    turned = kernel.scores(Histories.one([44, 25, 3, 50, 10], 60, at=at))
    np.testing.assert_allclose(first, turned, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "at",
    [
        [BEGIN + 100 * DAY],  # after the request
        [1],  # a time in another unit
        [0],  # unknown
        [BEGIN - 1],
    ],
)
def test_a_history_of_one_item_is_read(
    cyclic: tuple[Kernel, Histories, np.ndarray], at: list[int]
) -> None:
    kernel, _, _ = cyclic
    scores = kernel.scores(Histories.one([7], 60, at=at, now=BEGIN))
    assert np.isfinite(scores).all()
    empty = kernel.scores(Histories.one([], 60, now=BEGIN))
    np.testing.assert_allclose(empty[0], kernel.prior)
    assert not np.allclose(scores, empty)


def test_a_stored_kernel_scores_alike(
    cyclic: tuple[Kernel, Histories, np.ndarray], tmp_path: Path
) -> None:
    kernel, histories, _ = cyclic
    team = Team(cycles().items, (kernel,), Coordinator([1.0]))
    save_team(team, tmp_path / "model")
    again = load_team(tmp_path / "model")
    np.testing.assert_array_equal(again.scores(histories), team.scores(histories))


def test_without_an_order_there_is_nothing_to_learn() -> None:
    ordered = cycles()
    taken = ordered.interactions
    for at in (taken.at * 0, taken.at * 0 + BEGIN):
        with pytest.raises(NothingToLearnError, match="times"):
            fitted(ordered.with_interactions(replace(taken, at=at)))


def test_the_validation_part_says_what_is_asked_for() -> None:
    """Later interactions are followed, interactions among the others are filled in."""
    world = tastes()
    random = FitContext(world.train, world.valid)
    assert SequenceProblem(random, QUICK).fill == 1.0
    assert SequenceProblem(random, QUICK).settings.max_length == 200
    dataset = cycles()
    train, valid = split_by_time(dataset.interactions, (0.8, 0.2))
    later = FitContext(dataset.with_interactions(train), valid)
    assert SequenceProblem(later, QUICK).fill == 0.0
    assert SequenceProblem(later, QUICK).settings.max_length == 50
    assert SequenceProblem(FitContext(dataset), QUICK).fill == 0.0


def test_targets_follow_the_history_and_are_of_one_moment() -> None:
    taken = cycles().interactions
    histories = Histories.of(replace(taken, at=taken.at // HOUR * HOUR), 150, 60)
    source = ExampleSource(histories, fill=0.0, hidden=0.3, horizon=1, timeless=0.0)
    examples = source.sample(200, np.random.default_rng(0))
    shown = examples.histories
    assert len(examples.row) >= 200
    assert not shown.matrix[examples.row, examples.item].any()
    asked = np.flatnonzero(shown.now > 0)
    assert 50 < len(asked) < 150
    newest = np.zeros(200, dtype=np.int64)
    np.maximum.at(newest, shown.owner, shown.at)
    assert (newest[asked] < shown.now[asked]).all()


def test_hidden_items_are_filled_in_from_all_others() -> None:
    histories = Histories.of(cycles().interactions, 150, 60)
    source = ExampleSource(histories, fill=1.0, hidden=0.3, horizon=1, timeless=0.5)
    examples = source.sample(400, np.random.default_rng(0))
    count = examples.histories.lengths + np.bincount(examples.row, minlength=400)
    assert (count == 12).all()
    assert 0.25 < len(examples.row) / (400 * 12) < 0.35
    timeless = np.bincount(examples.histories.owner, examples.histories.at == 0, minlength=400)
    whole = timeless == examples.histories.lengths
    assert 0.4 < whole.mean() < 0.6
    assert (whole | (timeless == 0)).all()


SETTINGS = ReaderSettings(
    kinds=3, max_length=3, width=4, layers=0, heads=1, value_mean=0.0, value_deviation=1.0
)


def test_tokens_by_hand() -> None:
    """Five items: one without time, two of one moment, two later ones; the oldest two fall out."""
    at = np.array([1000, 0, 1000, 1003, 1018])
    history = Histories.one([0, 1, 2, 3, 4], 9, at=at, now=1017, kind=[0, 1, 2, 0, 1])
    tokens = Tokens.of(history, SETTINGS)
    newest_first = tokens.column.argsort()
    assert tokens.item[newest_first].tolist()[:2] == [4, 3]
    assert tokens.position[newest_first].tolist()[:2] == [4, 3]
    half_log = [0.5 * np.log2(1.0 + n) for n in range(20)]
    expected = {
        "age": [half_log[0], half_log[15], half_log[18]],
        "wait": [half_log[0], half_log[14], half_log[17]],
        "gap": [half_log[15], half_log[3], UNKNOWN],
        "order": [half_log[0], half_log[1], half_log[2]],
    }
    for name, values in expected.items():
        found = getattr(tokens, name)[newest_first]
        np.testing.assert_allclose(found, values, rtol=1e-6, err_msg=name)
    np.testing.assert_allclose(tokens.request_gap, half_log[0])
    np.testing.assert_allclose(tokens.request_count, half_log[5], rtol=1e-6)
    assert ranks(history).tolist() == [1, 0, 1, 3, 4]


def test_the_hour_and_the_weekday_come_round() -> None:
    at = np.array([0, BEGIN, BEGIN + 7 * DAY, BEGIN + DAY, BEGIN + 6 * HOUR])
    known = waves(at)
    assert not known[0].any()
    np.testing.assert_allclose(known[1], known[2], atol=1e-4)
    assert np.abs(known[1] - known[3]).max() > 0.3
    assert np.abs(known[1] - known[4]).max() > 0.9


@pytest.mark.parametrize("layers", [0, 2])
def test_numpy_gives_the_weights_of_the_torch_network(layers: int) -> None:
    settings = ReaderSettings(
        kinds=3, max_length=4, width=8, layers=layers, heads=2, value_mean=0.5, value_deviation=0.3
    )
    rng = np.random.default_rng(0)
    user, item = np.repeat(np.arange(7), [4, 1, 6, 3, 2, 8, 1]), rng.integers(0, 9, 25)
    at = 1_700_000_000_000 + rng.integers(0, 10**10, 25)
    at[:3] = 0
    kind = rng.integers(0, 5, 25)  # more kinds than the settings know
    rows = Interactions(user, item, rng.random(25).astype(np.float32), at, kind)
    now = np.where(np.arange(8) < 4, 0, at.max() + 3 * HOUR)
    histories = Histories.of(rows, 8, 9, now)  # the eighth is empty
    tokens = Tokens.of(histories, settings)
    torch.manual_seed(0)
    network = ReaderNetwork(settings).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
        content = torch.randn(9, 8)
        expected = np.zeros(len(histories.item), dtype=np.float32)
        read = network(TensorTokens(tokens, settings.kinds), content[tokens.item])
        expected[tokens.position] = read.numpy()
    parameters = {name: value.numpy() for name, value in network.state_dict().items()}
    reader = SequenceReader(settings, content.numpy(), parameters, batch_size=3)
    assert expected.std() > 0.1
    weights = reader.weights(histories)
    np.testing.assert_allclose(weights, expected, rtol=1e-5, atol=1e-5)
    for row in range(len(histories)):
        own = weights[histories.start[row] : histories.start[row + 1]]
        np.testing.assert_allclose(reader.weights(histories[row : row + 1]), own, rtol=1e-5)
