"""A team with a ranker: one more part of the scores, their parts, their files and their choice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tastes import encode_words, tastes
from test_team import random_team

from kgrec.data.dataset import Interactions
from kgrec.learning.blending.ranker import RankerConfig
from kgrec.learning.fit_team import fit_team
from kgrec.learning.team_config import TeamConfig
from kgrec.model.histories import Histories
from kgrec.model.ranker import Ranker, Ratings
from kgrec.model.scorer import RANKER
from kgrec.model.storage import load_team, save_team
from kgrec.model.team import Team

ITEMS = 9


def ranked_team(seed: int, *, top: int = 200, blend: float = 0.5) -> Team:
    rng = np.random.default_rng(seed)
    values = {
        name: rng.normal(size=ITEMS).astype(np.float32) for name in ("popularity", "prior", "usual")
    }
    ranker = Ranker(
        attention_weights=rng.normal(size=3),
        value_weights=rng.normal(size=3),
        popularity_weights=rng.normal(size=2),
        recency=0.01,
        liking=0.5,
        popularity=values["popularity"],
        prior=values["prior"],
        ratings=Ratings(values["usual"], 0, 0.7, 0.3),
        blend=blend,
        top=top,
    )
    return replace(random_team(seed), ranker=ranker)


def random_history(seed: int, size: int) -> Histories:
    rng = np.random.default_rng(seed)
    items = rng.choice(ITEMS, size, replace=False)
    values = rng.integers(1, 6, size)
    return Histories.one(np.sort(items), ITEMS, at=rng.integers(1, 10**9, size), value=values)


def totals(
    team: Team, history: Histories, candidates: np.ndarray, *, with_priors: bool = True
) -> np.ndarray:
    """Score candidates as a query does."""
    scorer = team.scorer(history)
    base = scorer.scores(candidates, with_priors=with_priors)
    return scorer.rank(candidates, base, with_priors=with_priors)[0]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 100_000), st.integers(0, 6))
def test_parts_with_the_ranker_sum_to_the_scores(seed: int, size: int) -> None:
    team, history = ranked_team(seed), random_history(seed, size)
    fresh = np.setdiff1d(np.arange(ITEMS), history.item)
    scorer = team.scorer(history)
    parts = scorer.contributions(fresh)
    assert parts.agents == (*team.agents, RANKER)
    scale = 1e-5 * (np.abs(parts.by_item).sum() + 1.0)
    np.testing.assert_allclose(parts.total, team.scores(history)[0, fresh], atol=scale)
    np.testing.assert_allclose(parts.total, totals(team, history, fresh), atol=1e-4 * scale)
    bare = scorer.contributions(fresh, ranked=False)
    np.testing.assert_array_equal(parts.by_item[:-1], bare.by_item)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 100_000), st.integers(1, 5))
def test_candidates_score_as_they_do_among_all_items(seed: int, top: int) -> None:
    team, history = ranked_team(seed, top=top), random_history(seed, 3)
    fresh = np.setdiff1d(np.arange(ITEMS), history.item)
    whole = team.scores(history)[0, fresh]
    np.testing.assert_allclose(totals(team, history, fresh), whole, rtol=1e-4, atol=1e-4)
    plain = replace(team, ranker=None).scores(history)[0, fresh]
    rest = np.argsort(-plain)[top:]
    assert set(np.argsort(-whole)[:top]) == set(np.argsort(-plain)[:top])
    np.testing.assert_array_equal(np.argsort(-whole[rest]), np.argsort(-plain[rest]))


def test_without_priors_nothing_is_said_of_an_item_whatever_the_history() -> None:
    team, history = ranked_team(3), random_history(3, 4)
    fresh = np.setdiff1d(np.arange(ITEMS), history.item)
    parts = team.scorer(history).contributions(fresh)
    bare = totals(team, history, fresh, with_priors=False)
    np.testing.assert_allclose(bare, parts.by_item.sum(axis=(0, 1)), atol=1e-9)


def test_a_ranker_of_no_weight_tells_values_and_moves_nothing() -> None:
    team, history = ranked_team(3, blend=0.0), random_history(3, 4)
    plain = replace(team, ranker=None)
    np.testing.assert_array_equal(team.scores(history), plain.scores(history))
    parts = team.scorer(history).contributions(np.array([0, 1]))
    assert parts.agents == plain.agents
    assert parts.expected is not None
    assert parts.expected.shape == (2,)
    assert plain.scorer(history).contributions(np.array([0, 1])).expected is None


@pytest.mark.parametrize("rated", [True, False])
def test_a_ranker_is_the_same_after_saving_and_loading(tmp_path: Path, rated: bool) -> None:
    team, history = ranked_team(4), random_history(4, 4)
    if not rated:
        assert team.ranker is not None
        team = replace(team, ranker=replace(team.ranker, ratings=None))
    save_team(team, tmp_path / "one")
    again = load_team(tmp_path / "one")
    np.testing.assert_array_equal(team.scores(history), again.scores(history))
    for fresh in (team, again):
        values = fresh.scorer(history).contributions(np.arange(ITEMS)).expected
        assert (values is not None) == rated
        if values is not None:
            expected = team.scorer(history).contributions(np.arange(ITEMS)).expected
            np.testing.assert_array_equal(values, expected)


@pytest.mark.parametrize("refit", [False, True])
def test_fitting_learns_a_ranker_and_says_what_it_is_worth(refit: bool) -> None:
    world = tastes()
    rng = np.random.default_rng(1)

    def rated(rows: Interactions) -> Interactions:
        marks = 2 + rows.user % 3 + rng.integers(0, 2, len(rows))
        return replace(rows, value=marks.astype(np.float32))

    train = world.train.with_interactions(rated(world.train.interactions))
    config = TeamConfig(
        agents=("linear",), ranker=RankerConfig(use="always", iterations=5), refit=refit
    )
    team = fit_team(train, rated(world.valid), config, encode=encode_words)
    assert team.ranking is not None
    measured = team.metrics["ranker"]
    assert measured["value_error"] < 0.8 * measured["usual_error"]
    assert {"team", "ranker", "error", "users", "blend"} <= set(measured)
    known = world.train.interactions.concat(*[world.valid] * refit)
    taken = np.log1p(np.bincount(known.item, minlength=train.num_items))
    assert team.ranker is not None
    met, popular = taken > 0, team.ranker.popularity
    assert np.corrcoef(taken[met], popular[met])[0, 1] == pytest.approx(1.0)
    assert (popular[~met] == 0).all()


def test_without_a_validation_part_there_is_no_ranker() -> None:
    world = tastes(users=40)
    team = fit_team(world.train, None, TeamConfig(agents=("linear",)), encode=encode_words)
    assert team.ranker is None
    assert team.metrics["ranker"] == {}


@pytest.mark.parametrize("ties", [False, True])
def test_many_scorings_are_cut_as_one_is(ties: bool) -> None:
    rng = np.random.default_rng(3)
    scores = rng.normal(size=(40, 60))
    if ties:
        scores = np.round(scores)
    zeros = np.zeros(60, dtype=np.float32)
    ranker = Ranker(np.ones(1), np.ones(1), np.zeros(2), 0.0, 0.0, zeros, zeros, top=13)
    candidates = np.arange(60)
    chosen = ranker.chosen_of(candidates, scores)
    for row, best in zip(scores, chosen, strict=True):
        np.testing.assert_array_equal(np.flatnonzero(best), ranker.chosen(candidates, row))
