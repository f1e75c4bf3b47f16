from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tastes import TASTES, Tastes, encode_words, tastes

from kgrec.data.dataset import Dataset, Facts, FloatArray, Interactions
from kgrec.data.vocabulary import Vocabulary
from kgrec.evaluation.ablation import audited
from kgrec.export.pyg import to_hetero
from kgrec.learning.agent import FitContext, NothingToLearnError
from kgrec.learning.knowledge.agent import KnowledgeAgent, KnowledgeConfig
from kgrec.learning.knowledge.network import KnowledgeNetwork
from kgrec.learning.knowledge.relation_conv import RelationConv, TypedEdges
from kgrec.learning.knowledge.typed_graph import TypedGraph
from kgrec.learning.link_prediction.batches import hide
from kgrec.learning.link_prediction.convolution import Edges, Graph
from kgrec.learning.link_prediction.problem import HiddenEdges
from kgrec.learning.sentence_vectors import principal_vectors
from kgrec.model.kernel import Kernel
from kgrec.training.loop import seeded

QUICK: dict[str, Any] = {"embedding_dim": 16, "schedule": {"steps": 60, "check_from": 40}}


@pytest.fixture(scope="module")
def world() -> Tastes:
    return tastes()


def small(confidence: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0, 1.0)) -> Dataset:
    """Three items; 0 and 1 share x by two relations, 1 and 2 share y, z is of item 2 alone."""
    return Dataset(
        Vocabulary(("u", "v")),
        Vocabulary(("a", "b", "c")),
        Interactions.empty(),
        Vocabulary(("z", "x", "y")),
        Facts(
            np.array([2, 1, 0, 1, 2]),
            np.array([0, 1, 0, 0, 0]),
            np.array([0, 1, 1, 2, 2]),
            np.array(confidence, dtype=np.float32),
            ("MADE_BY", "ABOUT"),
        ),
    )


def problem_of(world: Tastes, checkpoints: Path | None = None, **settings: Any) -> HiddenEdges:
    config = KnowledgeConfig.model_validate(QUICK | {"entity_kappa": 2.0} | settings)
    context = FitContext(world.train, encode=encode_words, checkpoints=checkpoints)
    return KnowledgeAgent(config).problem(context)


def network(problem: HiddenEdges, seed: int = 0) -> KnowledgeNetwork:
    with seeded(seed):
        built = problem.build(0.3)
    assert isinstance(built, KnowledgeNetwork)
    return built


def test_an_entity_of_a_single_item_is_left_out() -> None:
    graph = TypedGraph.of(to_hetero(small()))
    assert graph.entities.tolist() == [1, 2]
    facts = graph.facts
    assert facts.row.tolist() == [0, 1, 1, 2]
    assert facts.column.tolist() == [0, 0, 1, 1]
    assert facts.relation.tolist() == [0, 1, 0, 0]
    assert facts.column_degree.tolist() == [2.0, 2.0]
    assert facts.row_degree.tolist() == [1.0, 2.0, 1.0]


def test_a_draw_of_facts_keeps_nodes_and_degrees() -> None:
    facts = TypedGraph.of(to_hetero(small())).facts
    drawn = facts.sample(2, np.random.default_rng(0))
    assert len(drawn) == 2
    all_facts = set(zip(facts.row, facts.relation, facts.column, strict=True))
    assert set(zip(drawn.row, drawn.relation, drawn.column, strict=True)) < all_facts
    assert drawn.size == (3, 2)
    np.testing.assert_array_equal(drawn.column_degree, facts.column_degree)
    assert facts.sample(4, np.random.default_rng(0)) is facts


@pytest.mark.parametrize("to_rows", [True, False])
def test_the_attention_is_the_formula(to_rows: bool) -> None:
    graph = TypedGraph.of(to_hetero(small((1.0, 0.5, 1.0, 0.25, 1.0)))).facts
    edges = TypedEdges.of(graph, "cpu")
    with seeded(1):
        layer = RelationConv(2, 4, 3, slow=0.5, to_rows=to_rows)
        entities, items = torch.randn(2, 4), torch.randn(3, 4)
        for parameter in layer.parameters():
            torch.nn.init.normal_(parameter)
    with torch.no_grad():
        told = layer(items, entities, edges).numpy()
        weights = layer.attention(items, entities, edges).numpy()
    parts = {name: value.detach().numpy() for name, value in layer.named_parameters()}
    if to_rows:
        targets, target, source = items.numpy(), graph.row, graph.column
        sources, degree = entities.numpy(), graph.column_degree
    else:
        targets, target, source = entities.numpy(), graph.column, graph.row
        sources, degree = items.numpy(), graph.row_degree
    expected, sums = np.zeros((len(targets), 4)), np.zeros(len(targets))
    for t, vector in enumerate(targets):
        logits, values = [], []
        for f in np.flatnonzero(target == t):
            r, other = graph.relation[f], sources[source[f]]
            scale = 1 + 0.5 * parts["relation_key"][r]
            logit = (vector @ parts["query"]) @ (scale * (other @ parts["key"])) / np.sqrt(3)
            logit += 0.5 * parts["relation_bias"][r] + np.log(graph.confidence[f])
            logits.append(logit + (0.5 * parts["hub"] - 0.5) * np.log(degree[source[f]]))
            values.append((1 + 0.5 * parts["relation_value"][r]) * other)
        share = np.exp(logits) / np.exp(logits).sum()
        expected[t] = share @ np.array(values)
        sums[t] = weights[target == t].sum()
    np.testing.assert_allclose(told, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(sums, 1.0, rtol=1e-5)


def test_every_parameter_gets_a_gradient(world: Tastes) -> None:
    train = world.train
    # A second relation, so that there is something to weigh, held by every third item.
    every = np.arange(0, train.num_items, 3)
    facts = Facts(
        np.concatenate([train.facts.item, every]),
        np.concatenate([train.facts.relation, np.ones_like(every)]),
        np.concatenate([train.facts.entity, every % TASTES]),
        np.ones(train.num_items + len(every), dtype=np.float32),
        ("HAS_GENRE", "LIKE_GENRE"),
    )
    problem = problem_of(replace(world, train=replace(train, facts=facts)))
    model = network(problem)
    with torch.no_grad():  # at 0 the hub's weight and the others' shares are still symmetric
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    rng = np.random.default_rng(0)
    problem.loss(model, problem.batches(model).sample_batch(model, rng), rng).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name
        assert torch.isfinite(parameter.grad).all(), name


def test_what_users_took_says_nothing_of_an_item_without_interactions(world: Tastes) -> None:
    """Its vector is carried by edges and text alone: the embedding of its id has no part in it."""
    model = network(problem_of(world))
    none = Edges(np.empty(0, np.int64), np.empty(0, np.int64), 1, world.train.num_items)
    with torch.no_grad():
        before = model.item_vectors(Graph.of(none, 0.5))
        model.item.mul_(7.0)
        after = model.item_vectors(Graph.of(none, 0.5))
    torch.testing.assert_close(before, after)
    assert (before.norm(dim=1) > 0.99).all()


def test_the_drawn_facts_are_learned_from_and_all_are_scored_with(world: Tastes) -> None:
    problem = problem_of(world, most_facts=20)
    model = network(problem)
    with torch.no_grad():
        first, second = (model.item_vectors(problem.graph) for _ in range(2))
    torch.testing.assert_close(first, second)
    drawn, other = (model.item_vectors(problem.graph) for _ in range(2))
    assert not torch.allclose(drawn, other)


def test_a_training_that_goes_on_draws_the_facts_that_it_would_have(
    world: Tastes, tmp_path: Path
) -> None:
    def trained(steps: int, checkpoints: Path | None) -> FloatArray:
        problem = problem_of(world, checkpoints, most_facts=20)
        factors = problem.train(0.3, steps=steps).kernel.item_factors
        assert factors is not None
        return factors

    trained(3, tmp_path)
    np.testing.assert_array_equal(trained(6, tmp_path), trained(6, None))


def test_steps_of_some_users_see_the_vectors_of_the_whole_graph(world: Tastes) -> None:
    problem = problem_of(world, sample={"max_edges": 0}, max_cells=world.train.num_items * 9)
    model = network(problem)
    rng = np.random.default_rng(0)
    batch = problem.batches(model).sample_batch(model, rng)
    assert batch.graph.items is not None
    rows = batch.graph.items.numpy()
    edges = Edges.of(world.train.matrix())
    seen = Graph.of(edges, problem.config.kappa)
    whole = replace(seen, gate=seen.gate.index_copy(0, batch.graph.items, batch.graph.gate))
    torch.testing.assert_close(model.item_vectors(batch.graph), model.item_vectors(whole)[rows])
    assert np.isfinite(float(problem.loss(model, batch, rng).detach()))


def test_items_lose_all_their_edges_as_often_as_asked(world: Tastes) -> None:
    edges = Edges.of(world.train.matrix())
    hidden = hide(edges, 0.01, 0.5, np.random.default_rng(0))
    left = np.unique(edges.item[~hidden])
    assert 0.3 < 1 - len(left) / len(np.unique(edges.item)) < 0.7
    assert hide(edges, 0.01, 0.0, np.random.default_rng(0)).mean() < 0.05


def test_the_attention_over_relations_is_told(world: Tastes) -> None:
    kernel = fitted(world)
    assert kernel.notes["relations"] == pytest.approx({"HAS_GENRE": 1.0})


def fitted(world: Tastes, **settings: Any) -> Kernel:
    config = KnowledgeConfig.model_validate(QUICK | settings)
    context = FitContext(world.train, world.valid, seed=1, encode=encode_words)
    return KnowledgeAgent(config).fit(context)


def cold_gap(kernel: Kernel, world: Tastes) -> float:
    """How much more cold items of a user's taste score than other cold items, in deviations."""
    cold = np.array(world.cold)
    scores = kernel.scores(world.train.matrix())[:, cold]
    users = np.arange(world.train.num_users)
    alike = cold[None, :] % TASTES == users[:, None] % TASTES
    return float((scores[alike].mean() - scores[~alike].mean()) / scores.std())


def test_true_knowledge_finds_cold_items_and_shuffled_knowledge_does_not(world: Tastes) -> None:
    mixed = replace(world, train=audited(world.train, "shuffled", seed=1))
    assert cold_gap(fitted(world), world) > 1.0
    assert abs(cold_gap(fitted(mixed), mixed)) < 0.5


def test_edges_alone_find_cold_items(world: Tastes) -> None:
    silent = replace(world.train, item_texts=(), entity_names=())
    assert cold_gap(fitted(replace(world, train=silent)), world) > 1.0


def test_without_shared_facts_there_is_nothing_to_learn(world: Tastes) -> None:
    bare = replace(world.train, facts=Facts.empty())
    with pytest.raises(NothingToLearnError, match="facts"):
        KnowledgeAgent().fit(FitContext(bare, encode=encode_words))


def test_principal_vectors_are_unit_vectors_and_an_empty_text_is_zero() -> None:
    texts = ("drama", "", "comedy", "western drama", "musical")
    encoded = encode_words(texts)
    encoded[1] = 0.0
    vectors = principal_vectors(encoded, 3)
    assert vectors is not None
    assert vectors.shape == (5, 3)
    lengths = np.linalg.norm(vectors, axis=1)
    np.testing.assert_allclose(lengths, [1, 0, 1, 1, 1], atol=1e-5)
    assert principal_vectors(np.eye(2, 3, dtype=np.float32)[[0]], 3) is None
