"""With a ranker the same is recommended one by one, for everybody, and in explanations."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from planted import plant, train, user_id

from kgrec.explain.explainer import Explainer
from kgrec.graph.store import GraphStore
from kgrec.learning.blending.listwise import ratings_of
from kgrec.model.ranker import Ranker
from kgrec.model.storage import save_team
from kgrec.retrieval.batch import recommend_all
from kgrec.retrieval.recommender import Recommender
from kgrec.stages.publish import publish


@pytest.fixture
def ranked(empty_store: GraphStore, tmp_path: Path) -> Recommender:
    """A planted graph with a live team whose ranker likes what is rare."""
    plant(empty_store)
    dataset, team = train(empty_store)
    popularity = np.linspace(1.0, -1.0, dataset.num_items).astype(np.float32)
    ratings = ratings_of(dataset.interactions, dataset.num_items)
    assert ratings is not None
    ranker = Ranker(
        attention_weights=np.ones(2),
        value_weights=np.array([0.5, 0.2]),
        popularity_weights=np.array([0.0, -0.5]),
        recency=0.0,
        liking=0.1,
        popularity=popularity,
        prior=-0.5 * popularity,
        ratings=replace(ratings, trust=0.5, weight=0.2),
        top=40,
    )
    team = replace(team, ranker=ranker)
    save_team(team, tmp_path / "ranked")
    publish(empty_store, team, "ranked")
    return Recommender(empty_store, tmp_path)


def test_all_ways_to_ask_agree(ranked: Recommender) -> None:
    live = ranked.live.current()
    every = {top.user_id: top for top in recommend_all(ranked.store, live, 10)}
    explainer = Explainer(ranked)
    for number in range(3):
        user = user_id(number)
        answer = ranked.recommend(user, 10)
        ids = [item.item_id for item in answer.items]
        assert live.team.items.take(every[user].rows) == ids
        assert every[user].scores.tolist() == [item.score for item in answer.items]
        for item in answer.items:
            assert item.expected_value is not None
            assert 1.0 <= item.expected_value <= 5.5
            assert set(item.contributions) == {"linear", "collaborative", "ranker"}
            assert sum(item.contributions.values()) == pytest.approx(item.score, abs=1e-9)
        told = explainer.explain(user, ids[0])
        assert told.rank == 1
        assert told.score == answer.items[0].score
        assert [agent.agent for agent in told.agents][-1] == "ranker"
        assert sum(agent.share for agent in told.agents) == pytest.approx(1.0)
        parts = sum(share.contribution for share in told.history)
        assert parts + sum(agent.prior for agent in told.agents) == pytest.approx(told.score)


@pytest.mark.parametrize("rank", [1, 40, 41])
def test_a_deletion_has_the_effect_that_is_shown(ranked: Recommender, rank: int) -> None:
    """Also of an item that leaves or enters what the ranker reorders."""
    user, explainer = user_id(1), Explainer(ranked)
    item = ranked.recommend(user, 60).items[rank - 1].item_id
    before = explainer.explain(user, item)
    event = before.history[0]
    ranked.store.query(
        "MATCH (u)-[x]->(i) WHERE u.user_id = $user AND i.item_id = $item "
        "SET x.value = 1.0",  # met, but not liked: it is not counted and not recommended
        {"user": user, "item": event.item_id},
        writing=True,
    )
    after = explainer.explain(user, item)
    assert after.score - before.score == pytest.approx(event.deletion_effect, rel=1e-5)


def test_contributions_sum_to_the_score_below_what_the_ranker_reorders(ranked: Recommender) -> None:
    long = ranked.recommend(user_id(1), 60)
    alike = ranked.similar(long.items[0].item_id, 60)
    varied = ranked.recommend(user_id(1), 10, diversity=1.0)
    for answer in (long, alike, varied):
        for item in answer.items:
            assert sum(item.contributions.values()) == pytest.approx(item.score, abs=1e-9)
    explainer = Explainer(ranked)
    for item in (long.items[0], long.items[39], long.items[40], long.items[55]):
        told = explainer.explain(user_id(1), item.item_id)
        assert (told.rank, told.score) == (item.rank, item.score)
        by_agent = {agent.agent: agent.history + agent.prior for agent in told.agents}
        assert by_agent == pytest.approx(item.contributions, abs=1e-9)
        assert (told.agents[-1].history == 0.0) == (item.rank > 40)
    similarity = [item.contributions["ranker"] for item in long.items]
    assert len(set(np.round(similarity[40:], 9))) == 1
    assert similarity[40] == pytest.approx(min(similarity[:40]))
