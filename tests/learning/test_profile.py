"""Users without a history are answered by what they declare and like."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tastes import TASTES, Tastes, tastes

from kgrec.data.dataset import Column, Dataset, Links, LinkType
from kgrec.learning.agent import FitContext
from kgrec.learning.fit_team import fit_team
from kgrec.learning.profile import ProfileConfig, learn_profile
from kgrec.learning.team_config import TeamConfig
from kgrec.model.profile import DeclaredProperty, Profile
from kgrec.model.storage import load_team, save_team


@pytest.fixture(scope="module")
def world() -> Tastes:
    """Users declare a group that is their taste, and an age that says nothing."""
    planted = tastes()
    users = planted.train.num_users
    age = np.random.default_rng(0).integers(18, 80, users).astype(np.float32)
    age[::7] = np.nan
    group = Column("group", np.arange(users) % TASTES, ("a", "b", "c", "d"))
    return replace(planted, train=replace(planted.train, user_columns=(Column("age", age), group)))


@pytest.fixture(scope="module")
def profile(world: Tastes) -> Profile:
    found, _ = learn_profile(FitContext(world.train, world.valid))
    assert found is not None
    return found


def right(world: Tastes, scores: np.ndarray, taste: int) -> float:
    """Return the share of the best ten that are of a taste."""
    return float((np.argsort(-scores)[:10] % TASTES == taste).mean())


def test_a_declared_group_finds_its_taste(world: Tastes, profile: Profile) -> None:
    for taste, name in enumerate("abcd"):
        scores = profile.scores(profile.values({"group": name, "age": 30}))
        assert right(world, scores, taste) > 0.7
    popular = profile.scores(profile.values({}))
    np.testing.assert_array_equal(popular, profile.prior)
    assert max(right(world, popular, taste) for taste in range(TASTES)) < 0.6


def test_it_is_better_than_popularity_where_values_say_something(world: Tastes) -> None:
    _, notes = learn_profile(FitContext(world.train, world.valid))
    assert notes["metric"] > 1.3 * notes["popularity"]


def test_contributions_sum_to_the_score(profile: Profile) -> None:
    values = profile.values({"group": "b", "age": "41"})
    candidates = np.array([3, 50, 7])
    parts, priors = profile.parts(values, candidates)
    assert parts.shape == (2, 3)
    np.testing.assert_allclose(parts.sum(axis=0) + priors, profile.scores(values)[candidates])
    assert [profile.words(int(row)) for row in values][1] == "group b"


def test_a_liked_entity_reaches_items_that_nobody_took(world: Tastes) -> None:
    train = world.train
    likes = np.arange(0, train.num_users, 5)
    links = Links(
        likes,
        np.zeros_like(likes),
        likes % TASTES,
        np.ones(len(likes), dtype=np.float32),
        (LinkType("user", "LIKES", "entity"),),
    )
    known = replace(train, links=links, user_columns=())
    found, _ = learn_profile(FitContext(known, world.valid))
    assert found is not None
    for taste, entity in enumerate(train.entities.ids):
        values = found.values({}, [entity, "nothing"])
        assert found.words(int(values[0])) == entity
        scores = found.scores(values)
        assert right(world, scores, taste) > 0.7
        cold = np.array(world.cold)
        assert (
            scores[cold[cold % TASTES == taste]].min() > scores[cold[cold % TASTES != taste]].max()
        )


def test_a_number_falls_into_the_part_that_holds_it() -> None:
    age = DeclaredProperty("age", 4, None, (20.0, 30.0))
    assert [age.row(value) for value in (5, 20, "29.5", 30, None, "", "old", float("nan"))] == [
        *(4, 5, 5, 6, -1, -1, -1, -1)
    ]
    assert [age.words(row) for row in (4, 5, 6)] == [
        "age below 20",
        "age from 20 to below 30",
        "age 30 or more",
    ]


def test_a_team_carries_the_profile_to_disk_and_back(world: Tastes, tmp_path: Path) -> None:
    team = fit_team(world.train, world.valid, TeamConfig(agents=("linear",)))
    assert team.profile is not None
    assert team.metrics["profile"]["strength"] in (1.0, 0.5)
    save_team(team, tmp_path / "model")
    again = load_team(tmp_path / "model")
    assert again.profile is not None
    values = team.profile.values({"group": "c", "age": 50})
    np.testing.assert_array_equal(again.profile.values({"group": "c", "age": 50}), values)
    np.testing.assert_array_equal(again.profile.scores(values), team.profile.scores(values))


def test_without_declared_values_there_is_none(world: Tastes) -> None:
    bare: Dataset = replace(world.train, user_columns=())
    assert learn_profile(FitContext(bare, world.valid)) == (None, {})
    off = ProfileConfig(use=False)
    assert learn_profile(FitContext(world.train, world.valid), off) == (None, {})
