"""The split of the score is exact, for any team and any history."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from tastes import encode_words, tastes

from kgrec.data.selection import Selection
from kgrec.data.vocabulary import Vocabulary
from kgrec.explain.attribution import agent_shares, history_shares
from kgrec.explain.counterfactual import CounterfactualConfig, smallest_removal
from kgrec.explain.records import AgentShare, HistoryShare
from kgrec.explain.rescoring import Rescoring
from kgrec.learning.blending.ranker import RankerConfig
from kgrec.learning.fit_team import fit_team
from kgrec.learning.team_config import TeamConfig
from kgrec.model.coordinator import Coordinator
from kgrec.model.histories import Histories
from kgrec.model.kernel import Kernel
from kgrec.model.ranker import Ranker, Ratings
from kgrec.model.record import ModelRecord
from kgrec.model.team import Team
from kgrec.retrieval.history import Event, History, as_history
from kgrec.retrieval.knobs import Knobs
from kgrec.retrieval.live import LiveModel
from kgrec.retrieval.query import Query

ITEMS = 30


def random_team(seed: int, *, prior: bool = True, ranked: bool = False, top: int = 200) -> Team:
    rng = np.random.default_rng(seed)
    rows = sp.random_array((ITEMS, ITEMS), density=0.3, rng=rng, data_sampler=rng.normal)
    factors = rng.normal(size=(2, ITEMS, 6)).astype(np.float32)
    bias = rng.normal(size=ITEMS).astype(np.float32) if prior else None
    kernels = (
        Kernel("linear", rows=sp.csr_matrix(rows, dtype=np.float32), history_power=0.5),
        Kernel(
            "collaborative",
            history_factors=factors[0],
            item_factors=factors[1],
            prior=bias,
            history_power=float(rng.uniform(0, 1)),
        ),
        Kernel("silent", prior=bias, rows=sp.csr_matrix((ITEMS, ITEMS), dtype=np.float32)),
    )
    weights = [*rng.dirichlet([1.0, 1.0]), 0.0]
    items = Vocabulary(f"i{n}" for n in range(ITEMS))
    ranker = random_ranker(rng, top) if ranked else None
    return Team(items, kernels, Coordinator(weights), ranker=ranker)


def random_ranker(rng: np.random.Generator, top: int) -> Ranker:
    popularity, prior, usual = rng.normal(size=(3, ITEMS)).astype(np.float32)
    coefficients = rng.normal(size=(3, 2))
    ratings = Ratings(usual, kind=0, trust=0.5, weight=0.5)
    return Ranker(*coefficients, 0.1, 0.2, popularity, prior, ratings, blend=0.8, top=top)


histories = st.lists(st.integers(0, ITEMS - 1), min_size=0, max_size=12, unique=True)


def team_score(team: Team, history: list[int], item: int) -> float:
    ones = np.ones(len(history), dtype=np.float32)
    row = sp.csr_matrix((ones, history, [0, len(history)]), shape=(1, ITEMS))
    return float(team.scores(row)[0, item])


def asked(team: Team, history: History, candidates: np.ndarray) -> Query:
    """Make a query over some candidates, without a graph."""
    record = ModelRecord(
        model_id="m",
        format=4,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        kgrec="0",
        items=len(team.items),
        vocabulary=team.items.hash,
        shares=team.weights,
    )
    live = LiveModel("m", None, None, team, record, Selection(), {})
    scorer = team.scorer(history.histories)
    return Query(live, history, Knobs(), "history", None, scorer, np.sort(candidates))


def explained(
    query: Query, position: int
) -> tuple[float, tuple[AgentShare, ...], tuple[HistoryShare, ...]]:
    """Return the score of a candidate, the agents and the history items."""
    rescoring = Rescoring.of_query(query, position, 5)
    assert rescoring is not None
    parts = query.contributions([position])
    agents = agent_shares(parts, query.scorer.shares)
    events = history_shares(query.history.events, parts, rescoring.deletion_effects)
    return float(query.scored.scores[position]), agents, events


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), histories, st.integers(0, ITEMS - 1), st.booleans())
def test_contributions_sum_to_the_score(
    seed: int, history: list[int], item: int, prior: bool
) -> None:
    team = random_team(seed, prior=prior)
    known = as_history([Event(f"i{n}", f"Item {n}") for n in history], team.items)
    total, agents, events = explained(asked(team, known, np.array([item])), 0)
    near = {"rel": 1e-5, "abs": 1e-5}
    assert total == pytest.approx(team_score(team, history, item), **near)
    priors = sum(agent.prior for agent in agents)
    assert sum(event.contribution for event in events) + priors == pytest.approx(total, **near)
    assert sum(agent.history + agent.prior for agent in agents) == pytest.approx(total, **near)
    for event in events:
        assert sum(event.by_agent.values()) == pytest.approx(event.contribution, **near)
    shares = [event.contribution for event in events]
    assert shares == sorted(shares, reverse=True)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), histories, st.integers(0, ITEMS - 1))
def test_deletion_effects_are_those_of_the_team(seed: int, history: list[int], item: int) -> None:
    team = random_team(seed)
    scorer = team.scorer(Histories.one(history, ITEMS))
    effects = Rescoring.of(team, scorer, np.array([item])).deletion_effects
    whole = team_score(team, history, item)
    for n, effect in enumerate(effects):
        without = team_score(team, history[:n] + history[n + 1 :], item)
        assert effect == pytest.approx(without - whole, rel=1e-4, abs=1e-4)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), histories, st.integers(0, ITEMS - 1))
def test_the_ranker_is_a_part_like_another(seed: int, history: list[int], item: int) -> None:
    team = random_team(seed, ranked=True)
    known = as_history([Event(f"i{n}", f"Item {n}", at=n) for n in history], team.items)
    total, agents, events = explained(asked(team, known, np.array([item])), 0)
    assert agents[-1].agent == "ranker"
    assert total == pytest.approx(sum(agent.history + agent.prior for agent in agents))
    assert sum(abs(agent.signed_share) for agent in agents) == pytest.approx(1.0)
    taken = known.histories
    effects = {event.item_id: event.deletion_effect for event in events}
    for n, number in enumerate(history):
        left = taken.without(np.array([[n]], dtype=np.int64))
        without = float(team.scorer(left).contributions(np.array([item])).total[0])
        assert effects[f"i{number}"] == pytest.approx(without - total, rel=1e-6, abs=1e-6)


def assert_explained(query: Query) -> None:
    """Each candidate's parts sum to its score; a deletion does to it what is shown."""
    team, history, scored = query.live.team, query.history, query.scored
    taken = history.histories
    for position, (row, ranked) in enumerate(zip(scored.rows, scored.reordered, strict=True)):
        total, agents, events = explained(query, position)
        assert total == scored.scores[position]
        priors = sum(agent.prior for agent in agents)
        assert sum(event.contribution for event in events) + priors == pytest.approx(total)
        assert sum(agent.history + agent.prior for agent in agents) == pytest.approx(total)
        if not ranked:
            assert agents[-1].agent == "ranker"
            assert agents[-1].history == 0.0
            assert all(event.by_agent["ranker"] == 0.0 for event in events)
        effects = {event.item_id: event.deletion_effect for event in events}
        for n, event in enumerate(history.events):
            left = taken.without(np.array([[n]], dtype=np.int64))
            scorer = team.scorer(left)
            after = scorer.rank(query.candidates, scorer.scores(query.candidates))[0]
            after = after[query.candidates == row][0]
            assert effects[event.item_id] == pytest.approx(after - total, rel=1e-6, abs=1e-6)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), histories, st.integers(1, 12))
def test_below_what_the_ranker_reorders_none_of_its_reading_is_claimed(
    seed: int, history: list[int], top: int
) -> None:
    team = random_team(seed, ranked=True, top=top)
    known = as_history([Event(f"i{n}", f"Item {n}", at=n) for n in history], team.items)
    query = asked(team, known, np.setdiff1d(np.arange(ITEMS), history))
    assert query.scored.reordered.sum() == top
    assert_explained(query)


def test_a_fitted_team_is_explained_as_it_ranks() -> None:
    world = tastes()
    config = TeamConfig(agents=("linear",), ranker=RankerConfig(use="always", iterations=5, top=12))
    team = fit_team(world.train, world.valid, config, encode=encode_words)
    assert team.ranking is not None
    for user in range(3):
        met = world.train.interactions.item[world.train.interactions.user == user]
        history = as_history([Event(f"i{n}", "", "rating") for n in met.tolist()], team.items)
        candidates = np.setdiff1d(np.arange(len(team.items)), history.rows)
        assert_explained(asked(team, history, candidates))


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(1, 5), st.integers(2, 9))
def test_a_counterfactual_holds_and_is_smallest(seed: int, k: int, size: int) -> None:
    team = random_team(seed, ranked=seed % 2 == 1)
    rng = np.random.default_rng(seed)
    history = rng.choice(ITEMS, size, replace=False).astype(np.int64)
    candidates = np.setdiff1d(np.arange(ITEMS), history)
    scorer = team.scorer(Histories.one(history, ITEMS))
    order = candidates[np.argsort(-scorer.contributions(candidates).total)]
    rescoring = Rescoring.of(team, scorer, order)
    removal = smallest_removal(rescoring, k=k)

    def off_the_list(positions: tuple[int, ...]) -> bool:
        left = np.delete(history, list(positions))
        after = team.scorer(Histories.one(left, ITEMS)).contributions(order).total
        return int((after[1:] > after[0]).sum()) >= k

    subsets = [
        tuple(np.flatnonzero([mask >> n & 1 for n in range(size)])) for mask in range(2**size)
    ]
    smallest = min((len(s) for s in subsets if off_the_list(s)), default=None)
    if removal is None:
        assert smallest is None or smallest > 2
        return
    assert off_the_list(removal.positions)
    assert removal.minimal == (len(removal.positions) <= 3)
    if removal.minimal:
        assert len(removal.positions) == smallest
    else:
        for position in removal.positions:
            fewer = tuple(n for n in removal.positions if n != position)
            assert not off_the_list(fewer)


def test_what_is_not_on_the_list_has_no_counterfactual() -> None:
    team = random_team(1)
    scorer = team.scorer(Histories.one([0, 1, 2], ITEMS))
    order = np.argsort(scorer.contributions(np.arange(ITEMS)).total)
    assert smallest_removal(Rescoring.of(team, scorer, order), k=3) is None


def test_larger_sets_are_pruned() -> None:
    """Ten equal contributions: the item falls only when enough of them are gone."""
    rows = np.zeros((12, 12), dtype=np.float32)
    rows[:10, 10] = 1.0
    rows[:3, 11] = 2.0
    team = Team(
        Vocabulary(f"i{n}" for n in range(12)),
        (Kernel("linear", rows=sp.csr_matrix(rows)),),
        Coordinator([1.0]),
    )
    scorer = team.scorer(Histories.one(np.arange(10), 12))
    rescoring = Rescoring.of(team, scorer, np.array([10, 11]))
    removal = smallest_removal(rescoring, k=1)
    assert removal is not None
    assert not removal.minimal
    assert len(removal.positions) == 5
    assert set(removal.positions) <= set(range(3, 10))
    assert smallest_removal(rescoring, k=1, config=CounterfactualConfig(most=4)) is None
