from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from tastes import Tastes, encode_words, tastes

from kgrec.config import FrozenModel
from kgrec.data.dataset import Facts
from kgrec.errors import ConfigError, ModelError
from kgrec.learning.agent import Agent, FitContext
from kgrec.learning.collaborative.agent import CollaborativeAgent, CollaborativeConfig
from kgrec.learning.fit_team import _Log, _refitted, fit_team
from kgrec.learning.joint import (
    CommonBatches,
    JointNetwork,
    _prepared,
    divergence,
    fit_together,
    mixture,
)
from kgrec.learning.knowledge.agent import KnowledgeAgent, KnowledgeConfig
from kgrec.learning.knowledge.network import KnowledgeNetwork
from kgrec.learning.registry import build_agent
from kgrec.learning.team_config import TeamConfig, TogetherConfig
from kgrec.metrics.validation import Objective, Validation
from kgrec.model.kernel import Kernel
from kgrec.training.logs import TrainingFiles
from kgrec.training.loop import seeded

QUICK: dict[str, Any] = {
    "use": True,
    "embedding_dim": 8,
    "schedule": {"steps": 20, "check_from": 20},
}

ATTENTION = frozenset({"query", "key", "relation_key", "relation_bias", "hub"})
"""Parameters of the knowledge network that matter only where there is more than one edge."""


class Eager(FitContext):
    """Keeps the state of a training after every step."""

    def files(self, *settings: FrozenModel) -> TrainingFiles:
        return replace(super().files(*settings), seconds=0.0)


@pytest.fixture(scope="module")
def world() -> Tastes:
    return tastes()


def learned(world: Tastes, **settings: Any) -> list[Kernel]:
    config = TogetherConfig.model_validate(QUICK | settings)
    context = FitContext(world.train, world.valid, seed=1, encode=encode_words)
    quick = {"tau": 0.3}
    agents = [
        CollaborativeAgent(CollaborativeConfig.model_validate(quick)),
        KnowledgeAgent(KnowledgeConfig.model_validate(quick)),
    ]
    return fit_together(agents, context, config)


def metric(kernel: Kernel, world: Tastes) -> float:
    return Validation(world.train.matrix(), world.valid, Objective()).measure(kernel.scores)


def apart(kernels: list[Kernel], world: Tastes) -> float:
    """How much two agents' scores differ over users and items, in standard deviations."""
    histories = world.train.matrix()
    scores = [kernel.scores(histories) for kernel in kernels]
    flat = [(each - each.mean(axis=1, keepdims=True)) / each.std() for each in scores]
    return float(np.abs(flat[0] - flat[1]).mean())


def test_each_agent_learns_and_the_shares_are_told(world: Tastes) -> None:
    counts = np.bincount(world.train.interactions.item, minlength=world.train.num_items)
    popularity = Validation(world.train.matrix(), world.valid, Objective()).measure(
        lambda h: np.tile(counts.astype(np.float32), (len(h), 1))
    )
    kernels = learned(world)
    assert [kernel.agent for kernel in kernels] == ["collaborative", "knowledge"]
    for kernel in kernels:
        assert metric(kernel, world) > 1.1 * popularity
        shares = kernel.notes["together"]["shares"]
        assert sum(shares.values()) == pytest.approx(1.0)
        assert shares["collaborative"] != pytest.approx(0.5, abs=1e-3)


def test_shares_can_be_given(world: Tastes) -> None:
    given = {"collaborative": 3.0, "knowledge": 1.0}
    kernels = learned(world, shares=given)
    shares = kernels[0].notes["together"]["shares"]
    assert shares == pytest.approx({"collaborative": 0.75, "knowledge": 0.25})
    other = learned(world, shares={"collaborative": 1.0, "knowledge": 3.0})
    histories = world.train.matrix()
    assert not np.allclose(kernels[0].scores(histories), other[0].scores(histories))


def test_agreement_brings_agents_together(world: Tastes) -> None:
    free, agreed = (learned(world, agreement=weight) for weight in (0.0, 5.0))
    assert apart(agreed, world) < 0.8 * apart(free, world)


def test_shared_inputs_are_one_table_and_one_map(world: Tastes) -> None:
    context = FitContext(world.train, None, seed=1, encode=encode_words)
    agents = [
        CollaborativeAgent(),
        KnowledgeAgent(KnowledgeConfig(embedding_dim=128, text_dim=128)),
    ]

    def built(share: bool) -> list[Any]:
        with seeded(0):
            networks = [agent.problem(context).build(0.3) for agent in agents]
            return list(JointNetwork(networks, None, share_inputs=share).members)

    first, second = built(True)
    assert isinstance(second, KnowledgeNetwork)
    assert first.item is second.item
    assert first.inputs is second.inputs is not None
    alone, other = built(False)
    assert alone.item is not other.item
    assert alone.inputs is None
    together, separate = learned(world), learned(world, share_inputs=False)
    histories = world.train.matrix()
    assert not np.allclose(together[0].scores(histories), separate[0].scores(histories))


def test_every_parameter_gets_a_gradient(world: Tastes) -> None:
    context = FitContext(world.train, None, seed=1, encode=encode_words)
    agents = [
        CollaborativeAgent(),
        KnowledgeAgent(KnowledgeConfig(embedding_dim=128, text_dim=128)),
    ]
    with seeded(0):
        learners: list[Any] = [agent.problem(context).learner(0.3) for agent in agents]
        networks = [learner.network for learner in learners]
        model = JointNetwork(networks, None, share_inputs=True)
    rng = np.random.default_rng(0)
    visible, users, row, item = CommonBatches(world.train, 50).sample(rng)
    targets = torch.from_numpy(row), torch.from_numpy(item)
    logits = [learner.logits(visible, users) for learner in learners]
    model.loss([learner.loss(rng) for learner in learners], logits, targets, 0.1).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        # An item has a single fact here, so that there is nothing to attend to.
        attends = name.rpartition(".")[2] in ATTENTION
        assert parameter.grad.abs().sum() > 0 or attends, name


def test_a_step_that_hides_nothing_is_no_trouble(world: Tastes) -> None:
    context = FitContext(world.train, None, encode=encode_words)
    bare = {"tau": 0.3, "drop": 1e-12, "cold": 0.0}
    agents = [
        CollaborativeAgent(CollaborativeConfig.model_validate(bare)),
        KnowledgeAgent(KnowledgeConfig.model_validate(bare)),
    ]
    config = TogetherConfig.model_validate(QUICK | {"schedule": {"steps": 2}})
    for kernel in fit_together(agents, context, config):
        assert np.isfinite(kernel.scores(world.train.matrix())).all()


class Interrupted(Exception):
    """Ends a training in its middle."""


class Interrupting:
    """A progress bar that ends what it shows after some steps."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    @contextmanager
    def task(self, name: str, total: float | None = None) -> Iterator[Interrupting]:
        yield self

    def advance(self, steps: float = 1) -> None:
        self.left -= bool(steps)

    def describe(self, text: str) -> None:
        if self.left <= 0:
            raise Interrupted


def test_an_interrupted_training_goes_on(world: Tastes, tmp_path: Path) -> None:
    agents = [
        CollaborativeAgent(CollaborativeConfig(tau=0.3)),
        KnowledgeAgent(KnowledgeConfig(tau=0.3, most_facts=20)),
    ]
    config = TogetherConfig.model_validate(QUICK | {"schedule": {"steps": 6}})
    context = FitContext(world.train, None, encode=encode_words)
    whole = fit_together(agents, context, config)
    kept = Eager(world.train, None, encode=encode_words, checkpoints=tmp_path)
    with pytest.raises(Interrupted):
        fit_together(agents, replace(kept, progress=Interrupting(4)), config)
    for kernel, expected in zip(fit_together(agents, kept, config), whole, strict=True):
        np.testing.assert_array_equal(kernel.item_factors, expected.item_factors)
    agents[0] = CollaborativeAgent(CollaborativeConfig(tau=0.3, kappa=3.0))
    with pytest.raises(ModelError, match="other data or settings"):
        fit_together(agents, kept, config)


def pair(first: dict[str, Any], second: dict[str, Any]) -> list[Agent]:
    """The two agents with these settings."""
    return [
        CollaborativeAgent(CollaborativeConfig.model_validate({"tau": 0.3} | first)),
        KnowledgeAgent(KnowledgeConfig.model_validate({"tau": 0.3} | second)),
    ]


def in_few_steps(
    world: Tastes, first: dict[str, Any], second: dict[str, Any], **together: Any
) -> list[Kernel]:
    config = TogetherConfig.model_validate(QUICK | {"schedule": {"steps": 4}} | together)
    context = FitContext(world.train, None, encode=encode_words)
    return fit_together(pair(first, second), context, config)


@pytest.fixture(scope="module")
def usual(world: Tastes) -> list[Kernel]:
    """What is learned without any of the settings below."""
    return in_few_steps(world, {}, {})


@pytest.mark.parametrize("who", [0, 1], ids=["collaborative", "knowledge"])
@pytest.mark.parametrize(
    "settings",
    [
        {"regularise": {"contrast": {"weight": 0.5}}},
        {"regularise": {"contrast": {"weight": 0.5, "view": "edges"}}},
        {"regularise": {"adversary": {"weight": 0.5}}},
        {"regularise": {"history_dropout": 0.5}},
        {"kappa": 5.0},
        {"drop": 0.6},
        {"cold": 0.4},
        {"max_cells": 96 * 20, "loss": {"min_rows": 10}},
        {"steps": 2},
        {"tau": 0.7},
        {"history_power": 0.1},
    ],
    ids=str,
)
def test_a_setting_of_either_agent_changes_what_is_learned(
    world: Tastes, usual: list[Kernel], who: int, settings: dict[str, Any]
) -> None:
    given: list[dict[str, Any]] = [{}, {}]
    given[who] = settings
    histories = world.train.matrix()
    kernel = in_few_steps(world, *given)[who]
    assert np.abs(kernel.scores(histories) - usual[who].scores(histories)).max() > 1e-4


def test_each_keeps_a_temperature_of_its_own(world: Tastes) -> None:
    first, second = in_few_steps(world, {"tau": 0.7}, {"tau": None, "tau_choices": (0.4, 0.9)})
    assert (first.chosen["tau"], second.chosen["tau"]) == (0.7, 0.4)


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        ({"embedding_dim": 32}, {}, "collaborative: embedding_dim"),
        ({}, {"text_dim": 16}, "knowledge: text_dim"),
        ({}, {"schedule": {"rate": 0.5}}, "knowledge: schedule"),
        ({"ensemble": 2}, {}, "collaborative: ensemble"),
        ({"steps": 2}, {"steps": 3}, "2, 3"),
    ],
    ids=str,
)
def test_a_setting_that_cannot_be_heeded_is_refused_before_anything_is_learned(
    world: Tastes, tmp_path: Path, first: dict[str, Any], second: dict[str, Any], told: str
) -> None:
    context = FitContext(world.train, None, encode=encode_words, logs=tmp_path)
    with pytest.raises(ConfigError) as caught:
        fit_together(pair(first, second), context, TogetherConfig.model_validate(QUICK))
    assert told in str(caught.value)
    assert "[together] use = false" in caught.value.remedy
    assert not list(tmp_path.iterdir())


def test_a_setting_that_says_what_holds_for_all_is_not_refused(
    world: Tastes, usual: list[Kernel]
) -> None:
    same = {"embedding_dim": 8, "schedule": {"steps": 4}, "sample": {"max_edges": 10_000}}
    kernels = in_few_steps(world, same, same | {"text_dim": 8, "drop": 0.3})
    for kernel, expected in zip(kernels, usual, strict=True):
        np.testing.assert_array_equal(kernel.item_factors, expected.item_factors)


def test_a_large_graph_is_learned_from_as_a_whole() -> None:
    for agent in pair({}, {}):
        config: Any = _prepared(agent, TogetherConfig.model_validate(QUICK)).config
        assert not config.sample.applies(10**12)


def test_losses_that_only_one_agent_has_are_heeded(world: Tastes, usual: list[Kernel]) -> None:
    """Each agent learns from batches of its own, so that nothing but the steps is in common."""
    first, second = in_few_steps(world, {"loss": {"kind": "bpr"}}, {"drop": 0.6, "cold": 0.2})
    histories = world.train.matrix()
    for kernel, expected in zip((first, second), usual, strict=True):
        assert not np.allclose(kernel.scores(histories), expected.scores(histories))


def test_what_is_hidden_in_a_common_batch_is_not_visible(world: Tastes) -> None:
    visible, users, row, item = CommonBatches(world.train, 30).sample(np.random.default_rng(0))
    matrix = visible.matrix(world.train.num_users, world.train.num_items)
    whole = world.train.matrix()
    assert len(users) == 30
    assert len(row) > 0
    assert not np.asarray(matrix[users[row], item]).any()
    assert np.asarray(whole[users[row], item]).all()
    assert matrix.nnz + len(row) == whole.nnz
    others = np.setdiff1d(np.arange(world.train.num_users), users)
    assert (matrix[others] != whole[others]).nnz == 0


def test_the_sequential_agent_learns_along() -> None:
    world = tastes(users=120)
    known = world.train.interactions
    timed = replace(known, at=1_000_000 * np.arange(1, len(known) + 1, dtype=np.int64))
    train = world.train.with_interactions(timed)
    names = ("collaborative", "sequential")
    config = TogetherConfig.model_validate(QUICK | {"agents": names})
    context = FitContext(train, world.valid, encode=encode_words)
    small = {"fill": 1.0, "width": 8, "max_length": 20}
    agents = [build_agent("collaborative", {"tau": 0.3}), build_agent("sequential", small)]
    counts = np.bincount(known.item, minlength=train.num_items).astype(np.float32)
    popularity = Validation(train.matrix(), world.valid, Objective()).measure(
        lambda h: np.tile(counts, (len(h), 1))
    )
    collaborative, sequential = fit_together(agents, context, config)
    assert sequential.agent == "sequential"
    assert sequential.attention is not None
    assert sequential.chosen["max_length"] == 20
    held_out = context.held_out(Objective())
    assert held_out is not None
    for kernel in (collaborative, sequential):
        assert held_out.measure(kernel.scores) > popularity


def test_the_mixture_and_the_divergence_are_the_formulas() -> None:
    first = torch.log(torch.tensor([[0.5, 0.25, 0.25, 0.0]]))
    second = torch.log(torch.tensor([[0.1, 0.6, 0.3, 0.0]]))
    mixed = mixture([first, second], torch.tensor([0.75, 0.25]))
    expected = np.array([[0.4, 0.3375, 0.2625]])
    np.testing.assert_allclose(mixed.exp()[:, :3].numpy(), expected, rtol=1e-6)
    assert float(mixed.exp()[0, 3]) == 0.0
    told = np.sum(expected * np.log(expected / np.array([[0.5, 0.25, 0.25]])))
    assert float(divergence(mixed, first)) == pytest.approx(told, rel=1e-5)
    assert float(divergence(first, first)) == 0.0


def test_a_team_learns_together_where_it_is_asked_to() -> None:
    world = tastes(users=60, items=48)
    names = ("collaborative", "knowledge")
    config = TeamConfig.model_validate({"agents": names, "together": QUICK, "refit": True})
    team = fit_team(world.train, world.valid, config, encode=encode_words)
    notes = team.metrics["notes"]
    assert all("together" in notes[name] for name in names)
    silent = {"coordinator": {"weights": {"collaborative": 1.0}}}
    config = TeamConfig.model_validate({"agents": names, "together": QUICK, "refit": True} | silent)
    team = fit_team(world.train, world.valid, config, encode=encode_words)
    assert team.agents == ("collaborative",)
    assert "together" in team.kernels[0].notes
    bare = replace(world.train, facts=Facts.empty())
    alone = fit_team(bare, world.valid, config, encode=encode_words)
    assert list(alone.metrics["skipped"]) == ["knowledge"]
    assert "together" not in alone.metrics["notes"].get("collaborative", {})


def test_the_seconds_of_a_refit_are_added(world: Tastes, monkeypatch: pytest.MonkeyPatch) -> None:
    names, clock = ("collaborative", "knowledge"), count()
    rows = sp.csr_matrix(np.eye(world.train.num_items, dtype=np.float32))
    told = {"together": {}}  # as what learned together tells
    kernels = [Kernel(name, rows=rows, notes=told) for name in names]
    monkeypatch.setattr("kgrec.learning.joint.fit_together", lambda *_: kernels)
    monkeypatch.setattr("kgrec.learning.fit_team.time.perf_counter", lambda: float(next(clock)))
    whole = {"agents": names, "together": QUICK, "ranker": {"use": "never"}}
    whole |= {"coordinator": {"weights": dict.fromkeys(names, 1.0)}}
    once, twice = (
        fit_team(
            world.train,
            world.valid,
            TeamConfig.model_validate(whole | {"refit": refit}),
            encode=encode_words,
        ).metrics["seconds"]
        for refit in (False, True)
    )
    assert once["knowledge"] > 0
    assert twice == {name: 2 * seconds for name, seconds in once.items()}


def test_agents_that_were_chosen_alone_are_refitted_alone() -> None:
    world = tastes(users=60, items=48)
    few = {"tau": 0.3, "embedding_dim": 4, "schedule": {"steps": 2}}
    context = FitContext(world.train, None, encode=encode_words)
    agents = {name: build_agent(name, few) for name in ("collaborative", "knowledge")}
    alone = [agent.fit(context) for agent in agents.values()]
    config = TogetherConfig.model_validate(QUICK)
    for kernel, expected in zip(
        _refitted(alone, alone, agents, context, _Log(), config), alone, strict=True
    ):
        np.testing.assert_array_equal(kernel.item_factors, expected.item_factors)


@pytest.mark.parametrize("name", ["linear", "semantic"])
def test_an_agent_without_steps_to_share_cannot_learn_together(world: Tastes, name: str) -> None:
    context = FitContext(world.train, world.valid)
    with pytest.raises(ConfigError, match="closed form") as caught:
        fit_together([CollaborativeAgent(), build_agent(name)], context, TogetherConfig(use=True))
    assert name in str(caught.value)
