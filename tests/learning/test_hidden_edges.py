from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from tastes import Tastes, tastes

from kgrec.data.dataset import FloatArray
from kgrec.learning.agent import FitContext
from kgrec.learning.collaborative.agent import CollaborativeAgent, CollaborativeConfig
from kgrec.learning.link_prediction.batches import (
    Budget,
    SampledUsers,
    WholeGraph,
    negatives_of,
    stretched,
)
from kgrec.learning.link_prediction.convolution import Edges, Graph, HistoryConv
from kgrec.learning.link_prediction.mean import mean_kernel
from kgrec.learning.link_prediction.network import HistoryNetwork
from kgrec.learning.link_prediction.problem import HiddenEdges
from kgrec.model.kernel import Kernel
from kgrec.training.loop import Schedule, seeded
from kgrec.training.losses import LossConfig

STEPS = {"schedule": {"steps": 6}}


@pytest.fixture(scope="module")
def world() -> Tastes:
    return tastes()


@pytest.fixture(scope="module")
def plain(world: Tastes) -> FloatArray:
    """The scores without any of the settings below."""
    return problem_of(world, tau=0.3).fit().scores(world.train.matrix())


def problem_of(world: Tastes, **settings: Any) -> HiddenEdges:
    config = CollaborativeConfig(**{"embedding_dim": 8, **STEPS, **settings})
    return CollaborativeAgent(config).problem(FitContext(world.train))


def fitted(world: Tastes, **settings: Any) -> Kernel:
    return problem_of(world, **settings).train(0.3).kernel


def gradients(problem: HiddenEdges, sampled: bool) -> tuple[float, dict[str, torch.Tensor]]:
    """Loss and gradients of a step that hides every second edge of every user."""
    with seeded(0):
        network = problem.build(0.3)
    rng = np.random.default_rng(0)
    hidden = np.arange(len(problem.edges)) % 2 == 0
    users = np.unique(problem.edges.user[hidden])
    batches = problem.batches(network)
    if sampled:
        assert isinstance(batches, SampledUsers)
        batch = batches.batch(batches._begin(network, hidden, rng), users, rng)
    else:
        assert isinstance(batches, WholeGraph)
        batch = batches.batch(hidden, users, rng)
    loss = problem.loss(network, batch, rng)
    loss.backward()
    return float(loss.detach()), {
        name: parameter.grad.to_dense()
        for name, parameter in network.named_parameters()
        if parameter.grad is not None
    }


def test_the_same_seed_gives_the_same_kernel(world: Tastes, plain: FloatArray) -> None:
    again = problem_of(world, tau=0.3).fit().scores(world.train.matrix())
    assert np.array_equal(again, plain)


@pytest.mark.parametrize(
    "settings",
    [
        {"loss": {"candidates": 20}},
        {"loss": {"candidates": 20, "sampler": "uniform"}},
        {"loss": {"candidates": 20, "sampler": "batch"}},
        {"loss": {"candidates": 20, "popularity_power": 0.0}},
        {"loss": {"hard_negatives": 5}},
        {"loss": {"kind": "bpr"}},
        {"loss": {"smoothing": 0.2}},
        {"regularise": {"history_dropout": 0.3}},
        {"regularise": {"contrast": {"weight": 0.2}}},
        {"regularise": {"contrast": {"weight": 0.2, "view": "edges"}}},
        {"regularise": {"adversary": {"weight": 0.5}}},
        {"schedule": {"steps": 6, "curve": "cosine"}},
        {"schedule": {"steps": 6, "clip": 0.01}},
        {"schedule": {"steps": 6, "accumulate": 2}},
        {"schedule": {"steps": 6, "precision": "bfloat16"}},
        {"schedule": {"steps": 6, "weight_decay": 0.5}},
        {"sample": {"max_edges": 0}},
        {"ensemble": 2},
    ],
    ids=str,
)
def test_every_setting_changes_what_is_learned(
    world: Tastes, plain: FloatArray, settings: dict[str, Any]
) -> None:
    other = problem_of(world, tau=0.3, **settings).fit().scores(world.train.matrix())
    assert np.isfinite(other).all()
    assert np.abs(other - plain).max() > 1e-3


@pytest.mark.parametrize(
    "settings",
    [
        {"loss": {"candidates": 30}},
        {"loss": {"candidates": 30, "sampler": "batch"}},
        {"loss": {"kind": "bpr", "hard_negatives": 4}},
        {"loss": {"candidates": 40, "hard_negatives": 10}},
        {"sample": {"max_edges": 0}, "max_cells": 3000},
        {
            "sample": {"max_edges": 0},
            "regularise": {"contrast": {"weight": 0.1, "view": "edges"}},
        },
    ],
    ids=str,
)
def test_every_way_of_learning_finds_the_tastes(world: Tastes, settings: dict[str, Any]) -> None:
    kernel = fitted(world, schedule={"steps": 30}, **settings)
    scores = kernel.scores(world.train.matrix())
    scores[world.train.matrix().nonzero()] = -np.inf
    top = np.argsort(-scores, axis=1)[:, :10]
    right = (top % 4 == (np.arange(len(top)) % 4)[:, None]).mean()
    assert right > 0.6  # by chance it is a quarter


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"loss": {"candidates": 20}},
        {"loss": {"candidates": 20, "sampler": "batch"}},
        {"loss": {"kind": "bpr"}},
        {"loss": {"smoothing": 0.2}},
        {"regularise": {"contrast": {"weight": 0.2}}},
        {"regularise": {"contrast": {"weight": 0.2, "view": "edges"}}},
        {"regularise": {"adversary": {"weight": 0.5}}},
        {"sample": {"max_edges": 0}},
    ],
    ids=str,
)
def test_a_step_that_hides_nothing_moves_nothing(world: Tastes, settings: dict[str, Any]) -> None:
    problem = problem_of(world, drop=1e-12, **settings)
    with seeded(0):
        network = problem.build(0.3)
    rng = np.random.default_rng(0)
    batch = problem.batches(network).sample_batch(network, rng)
    loss = problem.loss(network, batch, rng)
    loss.backward()
    assert float(loss.detach()) == len(batch.row) == 0
    for parameter in network.parameters():
        assert parameter.grad is None or not parameter.grad.to_dense().any()


def test_all_users_in_the_sample_give_loss_and_gradient_of_the_whole_graph(world: Tastes) -> None:
    whole = gradients(problem_of(world), sampled=False)
    sample = gradients(problem_of(world, sample={"max_edges": 0}), sampled=True)
    assert sample[0] == pytest.approx(whole[0], rel=1e-5)
    assert set(sample[1]) == set(whole[1])
    for name, gradient in whole[1].items():
        torch.testing.assert_close(sample[1][name], gradient, rtol=1e-3, atol=1e-6)


def test_a_sample_holds_its_users_and_its_candidates_alone(world: Tastes) -> None:
    cells = {"max_cells": 5 * 20, "loss": {"candidates": 20}}
    problem = problem_of(world, sample={"max_edges": 0}, **cells)
    with seeded(0):
        network = problem.build(0.3)
    batch = problem.batches(network).sample_batch(network, np.random.default_rng(2))
    assert batch.histories.shape[0] == 5
    assert batch.graph.items is not None
    assert len(batch.graph.items) == batch.histories.shape[1] < world.train.num_items
    problem.loss(network, batch, np.random.default_rng(0)).backward()
    gradient = network.item.grad
    assert gradient is not None
    assert gradient.is_sparse
    touched = gradient.coalesce().indices().flatten()
    assert set(touched.tolist()) <= set(batch.graph.items.tolist())


def test_the_values_in_a_sample_are_those_of_the_whole_graph(world: Tastes) -> None:
    problem = problem_of(world, sample={"max_edges": 0}, max_cells=5 * world.train.num_items)
    with seeded(0):
        network = problem.build(0.3)
    batches = problem.batches(network)
    assert isinstance(batches, SampledUsers)
    hidden = np.arange(len(problem.edges)) % 3 == 0
    rng = np.random.default_rng(0)
    batch = batches.batch(batches._begin(network, hidden, rng), np.array([3, 8, 40]), rng)
    with torch.no_grad():
        sampled = network.item_vectors(batch.graph)
        graph = Graph.of(problem.edges.where(~hidden), problem.config.kappa)
        everywhere = network.item_vectors(graph)
    rows = slice(None) if batch.graph.items is None else batch.graph.items
    torch.testing.assert_close(sampled, everywhere[rows], rtol=1e-4, atol=1e-6)


def test_columns_of_a_convolution_can_be_made_apart(world: Tastes) -> None:
    graph = Graph.of(Edges.of(world.train.matrix()), 0.5)
    base = torch.randn(world.train.num_items, 7)
    with torch.no_grad():
        apart = HistoryConv(columns=2)(base, graph)
    torch.testing.assert_close(apart, HistoryConv()(base.requires_grad_(), graph))


def test_edges_that_are_left_need_no_sorting(world: Tastes) -> None:
    edges = Edges.of(world.train.matrix())
    left = edges.where(np.random.default_rng(0).random(len(edges)) < 0.5)
    np.testing.assert_array_equal(left.by_item, np.argsort(left.item, kind="stable"))


def test_candidates_are_drawn_where_not_all_items_fit() -> None:
    loss = CollaborativeConfig().loss
    assert Budget.of(4_000, 2_000, 16_000_000, loss) == Budget(4_000, None, 16_000_000)
    assert Budget.of(200_000, 1_000_000, 16_000_000, loss) == Budget(3_906, 4_096, 16_000_000)
    assert Budget.of(200_000, 50, 16_000_000, loss) == Budget(80, None, 16_000_000)
    drawn = loss.model_copy(update={"candidates": 100})
    assert Budget.of(4_000, 2_000, 16_000_000, drawn) == Budget(160_000, 100, 16_000_000)


@pytest.mark.parametrize("max_edges", [0, 1_000_000], ids=["sampled", "whole"])
def test_targets_as_candidates_stay_within_the_cells(world: Tastes, max_edges: int) -> None:
    most = 30 * 20
    loss = {"candidates": 20, "sampler": "batch"}
    problem = problem_of(world, max_cells=most, loss=loss, sample={"max_edges": max_edges})
    with seeded(0):
        network = problem.build(0.3)
    batches, rng = problem.batches(network), np.random.default_rng(0)
    for _ in range(5):
        batch = batches.sample_batch(network, rng)
        assert batch.candidates is not None
        assert len(np.unique(batch.item)) > 20  # there was something to leave out
        assert batch.histories.shape[0] * len(batch.candidates) <= most
        assert np.isfinite(float(problem.loss(network, batch, rng).detach()))


def test_targets_that_are_left_out_are_made_up_for() -> None:
    """The mean over draws of a sum over the candidates is the sum over all targets of the step."""
    degree, targets = np.arange(1, 41), np.repeat(np.arange(30), 2)
    loss = LossConfig(candidates=10, sampler="batch")
    rng = np.random.default_rng(0)

    def total(cells: int) -> float:
        budget = Budget(4, 10, cells)
        drawn, log_inclusion = negatives_of(degree, targets, 4, budget, loss, rng)
        assert drawn is not None
        assert log_inclusion is not None
        assert len(drawn) == min(cells // 4, 30)
        return float((drawn * np.exp(-log_inclusion)).sum())

    thinned = [total(4 * 12) for _ in range(4000)]
    assert np.mean(thinned) == pytest.approx(total(4 * 100), rel=0.02)


def test_the_schedule_is_stretched_until_all_users_have_had_their_turn() -> None:
    schedule = Schedule(steps=100, warmup=10, check_every=20, check_from=60)
    sample = CollaborativeConfig().sample
    assert stretched(schedule, sample, 1_000, 100) == schedule
    longer = stretched(schedule, sample, 100_000, 250)
    assert (longer.steps, longer.warmup, longer.check_every) == (400, 40, 80)


def test_an_ensemble_scores_nearly_the_mean_of_its_members(world: Tastes) -> None:
    """In as many dimensions as one of them, of which those are kept that they agree in."""
    problem = problem_of(world, tau=0.3, ensemble=3, embedding_dim=32)
    seed = problem.context.seed
    alone = [problem.train(0.3, seed=seed + n).kernel for n in range(3)]
    histories = world.train.matrix()
    scores = [kernel.scores(histories) for kernel in alone]
    mean = np.mean(scores, axis=0)
    kernel = problem.fit()
    np.testing.assert_allclose(mean_kernel(alone).scores(histories), mean, rtol=1e-4, atol=1e-5)
    assert kernel.item_factors is not None
    assert kernel.item_factors.shape[1] == 32
    chance = np.square(scores[0] - scores[1]).mean()
    assert np.square(kernel.scores(histories) - mean).mean() < 0.1 * chance


def test_kernels_of_all_forms_can_be_averaged() -> None:
    rng = np.random.default_rng(0)
    rows = [sp.random_array((5, 5), density=0.5, rng=rng, dtype=np.float32) for _ in range(2)]
    kernels = [Kernel("a", rows=sp.csr_matrix(r), prior=rng.random(5, np.float32)) for r in rows]
    histories = sp.csr_matrix(np.eye(5, dtype=np.float32))
    mean = (kernels[0].scores(histories) + kernels[1].scores(histories)) / 2
    np.testing.assert_allclose(mean_kernel(kernels).scores(histories), mean, rtol=1e-6)
    with pytest.raises(Exception, match="read histories alike"):
        mean_kernel([kernels[0], replace(kernels[1], history_power=0.5)])


def test_a_network_that_cannot_be_sampled_learns_from_the_whole_graph(world: Tastes) -> None:
    class Whole(HistoryNetwork):
        subgraphs = False

    problem = problem_of(world, sample={"max_edges": 0})
    model = Whole(4, None, embedding_dim=2, tau=1.0, history_power=0.5)
    assert isinstance(problem.batches(model), WholeGraph)
