"""What every agent must do on a catalogue with planted tastes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tastes import TASTES, Popularity, Tastes, encode_words, tastes

from kgrec.config import parse_config
from kgrec.data.dataset import Facts, Interactions, Links, LinkType
from kgrec.errors import ConfigError, ModelError
from kgrec.evaluation.protocol import BatchScorer, evaluate_ranking
from kgrec.learning.agent import FitContext, NothingToLearnError
from kgrec.learning.fit_team import fit_team
from kgrec.learning.registry import AGENTS, agent_class, build_agent
from kgrec.learning.team_config import TeamConfig, check_device
from kgrec.metrics.validation import Objective
from kgrec.model.kernel import Kernel

_FEW_STEPS = {"embedding_dim": 16, "schedule": {"steps": 60, "check_from": 40}}
QUICK = {
    "collaborative": _FEW_STEPS,
    "knowledge": _FEW_STEPS,
    "sequential": {
        "embedding_dim": 16,
        "width": 16,
        "schedule": {"steps": 60, "rate": 0.02, "check_from": 40},
    },
}


@pytest.fixture(scope="module")
def world() -> Tastes:
    return tastes()


def ndcg(ranker: BatchScorer, world: Tastes) -> float:
    matrix = world.train.matrix()
    seen = world.train.interactions.concat(world.valid).matrix(*matrix.shape)
    report, _ = evaluate_ranking(ranker, matrix, seen, world.test, (10,))
    return report.at[10]["ndcg"].mean


def fitted(name: str, world: Tastes, seed: int = 1) -> Kernel:
    context = FitContext(world.train, world.valid, seed=seed, encode=encode_words)
    return build_agent(name, QUICK.get(name)).fit(context)


@pytest.mark.parametrize("name", AGENTS)
def test_an_agent_beats_popularity(name: str, world: Tastes) -> None:
    assert ndcg(fitted(name, world), world) > 1.2 * ndcg(Popularity(world), world)


@pytest.mark.parametrize("name", AGENTS)
def test_the_same_seed_gives_the_same_kernel(name: str, world: Tastes) -> None:
    histories = world.train.matrix()
    first, second = fitted(name, world), fitted(name, world)
    np.testing.assert_array_equal(first.scores(histories), second.scores(histories))
    assert first.chosen == second.chosen


@pytest.mark.parametrize("name", AGENTS)
def test_items_nobody_has_had_are_found_by_what_is_known_of_them(name: str, world: Tastes) -> None:
    scores = fitted(name, world).scores(world.train.matrix())
    cold = np.array(world.cold)
    users = np.arange(world.train.num_users)
    alike = (cold[None, :] % TASTES) == (users[:, None] % TASTES)
    assert scores[:, cold][alike].mean() > scores[:, cold][~alike].mean()


@pytest.mark.parametrize("name", AGENTS)
def test_an_agent_fits_without_a_validation_part(name: str, world: Tastes) -> None:
    context = FitContext(world.train, None, seed=1, encode=encode_words)
    kernel = build_agent(name, QUICK.get(name)).fit(context)
    assert ndcg(kernel, world) > ndcg(Popularity(world), world)


@pytest.mark.parametrize("name", AGENTS)
def test_what_was_chosen_can_be_given_as_settings(name: str, world: Tastes) -> None:
    kernel = fitted(name, world)
    settings = {**QUICK.get(name, {}), **kernel.chosen}
    context = FitContext(world.train, world.valid, seed=1, encode=encode_words)
    again = build_agent(name, settings).fit(context)
    assert again.chosen == kernel.chosen
    histories = world.train.matrix()
    np.testing.assert_allclose(again.scores(histories), kernel.scores(histories), rtol=1e-4)


def test_a_validation_part_with_nothing_new_is_none(world: Tastes) -> None:
    known = world.train.interactions.take(np.arange(40))
    plain = build_agent("linear").fit(FitContext(world.train, None)).chosen
    for held_out in (known, Interactions.empty()):
        context = FitContext(world.train, held_out)
        assert context.held_out(Objective()) is None
        assert build_agent("linear").fit(context).chosen == plain
        team = fit_team(world.train, held_out, config(agents=("linear",), budget=60.0))
        assert team.metrics["search"] == {}
        assert team.metrics["chosen"]["linear"] == plain


NOTHING: dict[str, Callable[[Tastes], FitContext]] = {
    "linear": lambda w: FitContext(w.train.with_interactions(Interactions.empty())),
    "collaborative": lambda w: FitContext(w.train.with_interactions(Interactions.empty())),
    "factorisation": lambda w: FitContext(w.train.with_interactions(Interactions.empty())),
    "sequential": lambda w: FitContext(
        w.train.with_interactions(replace(w.train.interactions, at=w.train.interactions.at * 0))
    ),
    "knowledge": lambda w: FitContext(replace(w.train, facts=Facts.empty())),
    "semantic": lambda w: FitContext(
        replace(w.train, item_texts=(), entity_names=()), encode=encode_words
    ),
}


@pytest.mark.parametrize("name", AGENTS)
def test_an_agent_says_when_there_is_nothing_to_learn(name: str, world: Tastes) -> None:
    with pytest.raises(NothingToLearnError):
        build_agent(name).fit(NOTHING[name](world))


@pytest.mark.parametrize("name", AGENTS)
def test_an_agent_is_what_the_registry_says(name: str) -> None:
    cls = agent_class(name)
    assert cls.name == name
    assert cls(None).config == cls.Config()


def test_unknown_agents_and_settings_are_named() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'linear'"):
        build_agent("linaer")
    with pytest.raises(ConfigError, match="unknown key 'ridg'"):
        build_agent("linear", {"ridg": 1.0})
    with pytest.raises(ConfigError, match="unknown key 'row_size'"):
        build_agent("knowledge", {"row_size": 5})  # whose network knows no rows
    with pytest.raises(ConfigError, match="tau"):
        build_agent("collaborative", {"tau": -1.0})
    with pytest.raises(ConfigError, match="knowledge_choices"):
        build_agent("linear", {"knowledge_choices": [-1.0]})
    with pytest.raises(ConfigError, match="width 32 is no multiple of the 3 heads"):
        build_agent("sequential", {"heads": 3})
    with pytest.raises(ConfigError, match="device"):
        check_device("abacus")


def config(**values: object) -> TeamConfig:
    return TeamConfig(settings=QUICK, **values)  # type: ignore[arg-type]


def test_a_team_is_no_worse_than_its_best_agent_where_it_was_chosen(world: Tastes) -> None:
    team = fit_team(world.train, world.valid, config(), encode=encode_words)
    measured = dict(team.metrics["validation"])
    assert measured.pop("team") >= max(measured.values())
    assert sum(team.weights.values()) == pytest.approx(1.0)
    assert set(team.metrics["weights"]) == set(AGENTS)
    assert ndcg(team, world) > 1.2 * ndcg(Popularity(world), world)


def test_a_refitted_team_has_learned_from_the_validation_part(world: Tastes) -> None:
    names = ("linear", "semantic")
    once = fit_team(world.train, world.valid, config(agents=names), encode=encode_words)
    again = fit_team(
        world.train, world.valid, config(agents=names, refit=True), encode=encode_words
    )
    assert again.metrics["refit"] is True
    assert again.metrics["chosen"] == once.metrics["chosen"]
    assert again.weights == once.weights
    histories = world.train.matrix()
    assert not np.array_equal(again.scores(histories), once.scores(histories))


@pytest.mark.parametrize("refit", [False, True])
def test_an_agent_with_a_share_is_averaged_over_seeds(world: Tastes, refit: bool) -> None:
    steps = {"steps": 20, "blind_steps": 20, "check_from": 10, "check_every": 10}
    given = {"collaborative": {"tau": 0.3, "schedule": steps}}
    settings = TeamConfig(agents=("collaborative",), settings=given, refit=refit)
    fitted: dict[str, Kernel] = {}
    team = fit_team(world.train, world.valid, settings, fitted=fitted)
    assert team.metrics["chosen"]["collaborative"]["ensemble"] == 3
    (kernel,) = team.kernels
    assert kernel.item_factors is not None
    assert kernel.item_factors.shape[1] == 128
    again = fit_team(world.train, world.valid, settings, fitted=dict(fitted))
    assert again.metrics["chosen"] == team.metrics["chosen"]
    alone = {"collaborative": {**given["collaborative"], "ensemble": 1}}
    single = fit_team(world.train, world.valid, settings.model_copy(update={"settings": alone}))
    (other,) = single.kernels
    histories = world.train.matrix()
    assert np.abs(kernel.scores(histories) - other.scores(histories)).max() > 1e-3


def test_an_agent_with_nothing_to_learn_is_left_out_with_the_reason(world: Tastes) -> None:
    bare = replace(world.train, facts=Facts.empty(), item_texts=(), entity_names=())
    team = fit_team(bare, world.valid, config(agents=("linear", "semantic")), encode=encode_words)
    assert team.agents == ("linear",)
    assert "texts" in team.metrics["skipped"]["semantic"]


def test_a_training_goes_on_only_with_what_it_began_with(world: Tastes, tmp_path: Path) -> None:
    train, facts = world.train, world.train.facts
    row = np.zeros(1, dtype=np.int64)
    sure, kind = np.ones(1, dtype=np.float32), LinkType("entity", "PART_OF", "entity")
    linked = Links(row, row, row + 1, sure, (kind,))
    others = [
        replace(train, item_texts=train.item_texts[::-1]),
        replace(train, entity_names=train.entity_names[::-1]),
        replace(train, facts=replace(facts, item=facts.item[::-1])),
        replace(train, facts=replace(facts, confidence=facts.confidence / 2)),
        train.with_interactions(replace(train.interactions, at=train.interactions.at + 1)),
        replace(train, links=linked),
        replace(train, links=replace(linked, types=(LinkType("entity", "NEAR", "entity"),))),
    ]
    settings = config()
    contexts = [FitContext(data, world.valid, checkpoints=tmp_path) for data in (train, *others)]
    contexts.append(replace(contexts[0], given=world.test))
    fingerprints = [context.files(settings).fingerprint for context in contexts]
    fingerprints.append(contexts[0].files(settings, settings.together).fingerprint)
    assert len(set(fingerprints)) == len(fingerprints)
    assert contexts[0].files(config()).fingerprint == fingerprints[0]


def test_a_team_of_agents_that_learn_nothing_is_an_error(world: Tastes) -> None:
    empty = world.train.with_interactions(Interactions.empty())
    with pytest.raises(ModelError, match="no agent finds anything"):
        fit_team(empty, None, config(agents=("linear",)), encode=encode_words)


def test_the_resolved_settings_of_a_team_are_kept(world: Tastes) -> None:
    team = fit_team(world.train, world.valid, config(agents=("linear",)), encode=encode_words)
    kept = team.config["settings"]["linear"]
    assert kept["ridge"] == team.metrics["chosen"]["linear"]["ridge"]
    assert TeamConfig.model_validate(team.config).agents == ("linear",)


@pytest.mark.parametrize(
    "wrong",
    [
        {"seed": -1},
        {"coordinator": {"objective": {"k": 0}}},
        {"coordinator": {"weights": {"linear": -1.0}}},
        {"coordinator": {"shares": [1.0]}},
        {"ranker": {"blends": [0.0]}},
        {"ranker": {"value_weights": [-0.1]}},
        {"search": {"startup": 0}},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        parse_config(TeamConfig, wrong, origin="team")


@pytest.mark.parametrize(
    "wrong",
    [
        {"coordinator": {"weights": {"linaer": 1.0}}},
        {"settings": {"linaer": {}}},
        {"together": {"agents": ("linaer", "knowledge")}},
        {"together": {"shares": {"linaer": 1.0}}},
    ],
)
def test_names_that_no_agent_has_are_refused(world: Tastes, wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="Did you mean 'linear'"):
        fit_team(world.train, None, parse_config(TeamConfig, wrong, origin="team"))


def test_a_state_belongs_to_the_time_that_is_asked_for(tmp_path: Path) -> None:
    """When users ask for the validation part decides what their histories say."""
    world, config = tastes(), agent_class("sequential").Config()
    untimed = FitContext(world.train, world.valid, encode=encode_words, checkpoints=tmp_path)
    later = np.full(world.train.num_users, 10**12, dtype=np.int64)
    contexts = untimed, replace(untimed, requested=later), replace(untimed, requested=later + 1)
    assert len({context.files(config).fingerprint for context in contexts}) == 3
