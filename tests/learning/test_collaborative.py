from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tastes import Tastes, tastes

from kgrec.learning.agent import FitContext
from kgrec.learning.collaborative.agent import CollaborativeAgent, CollaborativeConfig
from kgrec.learning.knowledge_features import cosine_rows
from kgrec.learning.link_prediction.batch_scores import powered
from kgrec.learning.link_prediction.convolution import Edges, Graph
from kgrec.learning.link_prediction.network import HistoryNetwork
from kgrec.learning.link_prediction.problem import HiddenEdges
from kgrec.training.loop import seeded
from kgrec.training.sparse import Adjacency


@pytest.fixture(scope="module")
def world() -> Tastes:
    return tastes()


def problem_of(world: Tastes, **settings: Any) -> HiddenEdges:
    config = CollaborativeConfig(embedding_dim=8, **settings)
    return CollaborativeAgent(config).problem(FitContext(world.train))


def network(problem: HiddenEdges, seed: int = 0) -> HistoryNetwork:
    with seeded(seed):
        return problem.build(0.3)


def loss(problem: HiddenEdges, model: HistoryNetwork) -> torch.Tensor:
    rng = np.random.default_rng(0)
    return problem.loss(model, problem.batches(model).sample_batch(model, rng), rng)


def test_every_parameter_gets_a_gradient(world: Tastes) -> None:
    problem = problem_of(world)
    model = network(problem)
    loss(problem, model).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name
        assert torch.isfinite(parameter.grad).all(), name


def test_the_kernel_scores_as_the_network_does(world: Tastes) -> None:
    problem = problem_of(world)
    model = network(problem)
    histories = world.train.matrix()
    with torch.no_grad():
        weighted = powered(histories, 0.5)
        cosine = torch.from_numpy((weighted @ problem.cosine).toarray())
        vectors = model.item_vectors(problem.graph)
        queries = model.summed(vectors, Adjacency.of(weighted))
        expected = model.scores(problem.graph, vectors, queries, cosine).numpy()
    scores = problem.kernel(model, {}).scores(histories)
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-5)


def test_the_convolution_is_the_formula() -> None:
    """Two users, three items; items 0 and 1 share a user, item 2 has none."""
    edges = Edges(np.array([0, 0, 1]), np.array([0, 1, 1]), 2, 3)
    graph = Graph.of(edges, kappa=1.0)
    model = HistoryNetwork(3, None, embedding_dim=2, tau=1.0, history_power=0.5)
    with torch.no_grad():
        model.item.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0], [5.0, 5.0]]))
        vectors = model.item_vectors(graph).numpy()
    gate = np.array([1 / 2, 2 / 3, 0.0])
    base = gate[:, None] * np.array([[1.0, 0.0], [0.0, 1.0], [5.0, 5.0]])
    matrix = np.array([[1.0, 1.0, 0.0], [0.0, 1.0, 0.0]])
    item_scale = np.diag([1.0, 2**-0.5, 1.0])
    user_scale = np.diag([1 / 2, 1.0])
    summed = base + item_scale @ matrix.T @ user_scale @ matrix @ item_scale @ base
    expected = summed / np.maximum(np.linalg.norm(summed, axis=1, keepdims=True), 1e-6)
    np.testing.assert_allclose(vectors, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(graph.gate.numpy(), gate, rtol=1e-6)


def test_users_are_drawn_when_not_all_fit(world: Tastes) -> None:
    problem = problem_of(world, max_cells=world.train.num_items * 7)
    model = network(problem)
    rng = np.random.default_rng(1)
    batch = problem.batches(model).sample_batch(model, rng)
    assert batch.histories.shape[0] == len(set(batch.row.tolist())) == 7
    assert np.isfinite(float(problem.loss(model, batch, rng).detach()))


def test_the_cosine_keeps_the_most_alike_of_every_candidate(world: Tastes) -> None:
    whole = cosine_rows(world.train, world.train.num_items)
    few = cosine_rows(world.train, 3, max_entries=world.train.num_items * 10)
    assert whole is not None
    assert few is not None
    assert np.diff(few.tocsc().indptr).max() <= 3
    assert not whole.diagonal().any()
    np.testing.assert_allclose(whole.toarray().max(axis=0), few.toarray().max(axis=0))
    # One genre an item, so two items are alike or have nothing in common.
    rows, columns = whole.nonzero()
    assert (rows % 4 == columns % 4).all()
