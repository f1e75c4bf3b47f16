"""The map of sentence vectors, on vectors whose taste hides in a few of many directions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from kgrec.data.dataset import Dataset, FloatArray, Interactions
from kgrec.data.vocabulary import Vocabulary
from kgrec.learning.agent import FitContext
from kgrec.learning.link_prediction.convolution import Edges
from kgrec.learning.semantic.agent import SemanticAgent, SemanticConfig
from kgrec.learning.semantic.projection import (
    Projected,
    Projection,
    ProjectionConfig,
    _Learning,
    _Problem,
    learn_projection,
    untrained,
)
from kgrec.training.logs import TrainingFiles
from kgrec.training.loop import Schedule

TASTES, ITEMS, USERS = 4, 120, 100
COLD = slice(100, ITEMS)
CONFIG = ProjectionConfig(
    dim=16,
    schedule=Schedule(
        steps=60, rate=0.03, warmup=5, check_every=10, check_from=10, patience=3, decay_at=1.0
    ),
)


@pytest.fixture(scope="module")
def vectors() -> FloatArray:
    """Four faint directions tell the taste, 12 loud ones tell nothing, [I, 16]."""
    rng = np.random.default_rng(3)
    taste = np.eye(TASTES)[np.arange(ITEMS) % TASTES]
    rows = np.hstack([rng.normal(size=(ITEMS, 12)), taste + rng.normal(scale=0.1, size=(ITEMS, 4))])
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


@pytest.fixture(scope="module")
def matrix() -> sp.csr_matrix:
    """Users take ten items of their taste; nobody has had the items of `COLD`."""
    rng = np.random.default_rng(4)
    known = np.arange(COLD.start)
    rows = [
        (user, item)
        for user in range(USERS)
        for item in rng.choice(known[known % TASTES == user % TASTES], 10, replace=False)
    ]
    user, item = np.array(rows).T
    ones = np.ones(len(rows), dtype=np.float32)
    return sp.csr_matrix((ones, (user, item)), shape=(USERS, ITEMS))


def learn(vectors: FloatArray, matrix: sp.csr_matrix, **settings: object) -> Projected:
    config = CONFIG.model_copy(update=settings)
    return learn_projection(vectors, matrix, config, history_power=0.5, seed=1)


def margin(projected: Projected) -> float:
    """Return how much more alike cold items and known ones of one taste are than others."""
    cosine = projected.vectors[COLD] @ projected.vectors[: COLD.start].T
    taste = np.arange(ITEMS) % TASTES
    same = taste[COLD][:, None] == taste[: COLD.start][None, :]
    return float(cosine[same].mean() - cosine[~same].mean())


def test_items_that_nobody_has_had_are_mapped_by_what_others_like(
    vectors: FloatArray, matrix: sp.csr_matrix
) -> None:
    learned = learn(vectors, matrix)
    assert learned.steps > 0
    assert margin(learned) > margin(untrained(vectors, CONFIG)) + 0.4
    np.testing.assert_allclose(np.linalg.norm(learned.vectors, axis=1), 1.0, rtol=1e-5)


def test_a_catalogue_too_large_for_a_step_is_drawn_from(
    vectors: FloatArray, matrix: sp.csr_matrix
) -> None:
    learned = learn(vectors, matrix, max_items=60, max_cells=60 * 40)
    assert margin(learned) > margin(untrained(vectors, CONFIG)) + 0.4


def test_the_same_seed_gives_the_same_map(vectors: FloatArray, matrix: sp.csr_matrix) -> None:
    first, second = learn(vectors, matrix), learn(vectors, matrix)
    np.testing.assert_array_equal(first.vectors, second.vectors)
    np.testing.assert_array_equal(first.prior, second.prior)


def test_the_steps_that_are_told_are_those_of_the_training(
    vectors: FloatArray, matrix: sp.csr_matrix
) -> None:
    short = CONFIG.model_copy(update={"schedule": Schedule(steps=3)})
    assert learn_projection(vectors, matrix, short, history_power=0.5, steps=9).steps == 3


def test_vectors_without_taste_are_left_as_they_are(matrix: sp.csr_matrix) -> None:
    """Noise cannot tell anything of items that were kept from the training."""
    noise = np.random.default_rng(0).normal(size=(ITEMS, 32)).astype(np.float32)
    flat = np.asarray(noise / np.linalg.norm(noise, axis=1, keepdims=True))
    learned = learn(flat, matrix)
    assert abs(margin(learned)) < 0.1


def test_an_item_without_a_text_stays_nowhere(vectors: FloatArray, matrix: sp.csr_matrix) -> None:
    silent = vectors.copy()
    silent[5] = 0.0
    learned = learn_projection(silent, matrix, CONFIG, history_power=0.5, steps=20)
    assert not learned.vectors[5].any()
    assert learned.prior[5] == 0.0


def test_the_prior_follows_what_makes_items_popular(
    vectors: FloatArray, matrix: sp.csr_matrix
) -> None:
    """Items of taste 0 are taken five times as often: cold ones of it are given their due."""
    fans = np.flatnonzero(np.arange(USERS) % TASTES == 0)
    often = sp.csr_matrix(sp.vstack([matrix, *[matrix[fans]] * 4]))
    steps = {"steps": 60, "history_power": 0.5}
    learned = learn_projection(vectors, often, CONFIG, **steps)  # type: ignore[arg-type]
    liked = np.arange(ITEMS)[COLD] % TASTES == 0
    assert learned.prior[COLD][liked].mean() > learned.prior[COLD][~liked].mean() + 0.2
    without = CONFIG.model_copy(update={"prior_rate": 0.0})
    flat = learn_projection(vectors, often, without, **steps)  # type: ignore[arg-type]
    assert not flat.prior.any()


def test_the_loss_is_the_softmax_over_items_outside_the_kept_history() -> None:
    """Two users, three items: kept (0, 0), (1, 1); targets (0, 1), (1, 2); by hand."""
    vectors = np.array([[1, 0], [0.6, 0.8], [0, 1]], dtype=np.float32)
    edges = Edges(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 2]), 2, 3)
    config = ProjectionConfig(dropout=0.0, tau=0.5, dim=2)
    problem = _Problem(_Learning(vectors, config, history_power=0.5, seed=1), edges)
    loss = problem.loss(np.array([False, True, False, True]), np.array([0, 1]))
    first = np.log(np.exp([1.2, 0.0]).sum()) - 1.2
    second = np.log(np.exp([1.2, 1.6]).sum()) - 1.6
    assert float(loss.detach()) == pytest.approx((first + second) / 2, abs=1e-5)
    loss.backward()  # type: ignore[no-untyped-call]
    for parameter in problem.network.parameters():
        assert parameter.grad is not None
        assert parameter.grad.any()


def test_an_untrained_map_changes_nothing(vectors: FloatArray) -> None:
    network = Projection(vectors, ProjectionConfig(dim=16)).eval()
    mapped, prior = network()
    torch.testing.assert_close(mapped, torch.from_numpy(vectors))
    assert not prior.any()


def test_the_agent_chooses_between_the_vectors_and_their_map(
    vectors: FloatArray, matrix: sp.csr_matrix
) -> None:
    rows = matrix.tocoo()
    held = np.random.default_rng(2).random(matrix.nnz) < 0.2
    ones, zeros = np.ones(matrix.nnz, np.float32), np.zeros(matrix.nnz, np.int64)
    everything = Interactions(rows.row.astype(np.int64), rows.col.astype(np.int64), ones, zeros)
    dataset = Dataset(
        Vocabulary(f"u{n}" for n in range(USERS)),
        Vocabulary(f"i{n}" for n in range(ITEMS)),
        everything.take(~held),
        item_texts=tuple(map(str, range(ITEMS))),
    )

    def encode(texts: object) -> FloatArray:
        return vectors

    context = FitContext(dataset, everything.take(held), encode=encode)
    config = SemanticConfig(projection=CONFIG)
    kernel = SemanticAgent(config).fit(context)
    assert kernel.chosen["steps"] > 0
    assert kernel.prior is not None
    plain = SemanticAgent(config.model_copy(update={"steps": 0})).fit(context)
    assert plain.chosen.keys() == {"embedding_dim", "whitening", "steps"}
    held_out = context.held_out(config.objective)
    assert held_out is not None
    fixed = [SemanticConfig(steps=0, whitening=power) for power in config.whitening_choices]
    measured = [held_out.measure(SemanticAgent(one).fit(context).scores) for one in fixed]
    assert held_out.measure(plain.scores) == max(measured)
    assert held_out.measure(kernel.scores) > held_out.measure(plain.scores)


def test_both_trainings_are_logged_and_go_on(
    vectors: FloatArray, matrix: sp.csr_matrix, tmp_path: Path
) -> None:
    files = TrainingFiles(tmp_path / "logs", tmp_path / "states", "a", seconds=0.0)
    known = {"history_power": 0.5, "seed": 1, "files": files}
    first = learn_projection(vectors, matrix, CONFIG, **known)  # type: ignore[arg-type]
    assert len(list(files.logs.glob("*.csv"))) == 2  # type: ignore[union-attr]
    states = {path: path.stat().st_mtime_ns for path in files.checkpoints.iterdir()}  # type: ignore[union-attr]
    again = learn_projection(vectors, matrix, CONFIG, **known)  # type: ignore[arg-type]
    assert np.array_equal(first.vectors, again.vectors)
    assert first.steps == again.steps
    assert len(states) == 2
