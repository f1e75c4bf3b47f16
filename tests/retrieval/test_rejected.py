"""What is disliked, skipped or rated low counts as the model learned it, and is explained."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from planted import START, Planted, item_id, plant, train, user_id, write_interactions

from kgrec.data.selection import Selection
from kgrec.explain.explainer import Explainer
from kgrec.explain.rescoring import Rescoring
from kgrec.graph.store import GraphStore
from kgrec.graph.training_data import read_dataset
from kgrec.learning.blending.listwise import ratings_of
from kgrec.model.histories import Histories
from kgrec.model.ranker import Ranker
from kgrec.model.rejection import RejectionWeights
from kgrec.model.storage import load_team, save_team
from kgrec.retrieval.batch import recommend_all
from kgrec.retrieval.recommender import Recommender
from kgrec.retrieval.visitor import Visitor
from kgrec.stages.publish import publish

WEIGHTS = RejectionWeights({"dislike": -0.5, "skip": -0.25, "rating": 0.2})
USERS = [user_id(n) for n in range(0, 60, 3)]


def row(user: str, item: int, kind: str, value: float = 1.0) -> dict[str, Any]:
    at = START + timedelta(days=400 + item)
    return {"user": user, "item": item_id(item), "kind": kind, "value": value, "at": at}


@pytest.fixture(scope="module")
def live(store: GraphStore, home: Path) -> Planted:
    """Each of `USERS` dislikes, skips and rates low some items; the team has a ranker."""
    plant(store)
    rng = np.random.default_rng(11)
    for user in USERS:
        items = [int(n) for n in rng.choice(160, 4, replace=False)]
        kinds = [("dislike", 1.0), ("skip", 1.0), ("rating", 1.0), ("rating", 2.5)]
        rows = [row(user, n, *kind) for n, kind in zip(items, kinds, strict=True)]
        write_interactions(store, rows)
    dataset, team = train(store)
    size = len(team.items)
    popularity = np.linspace(1.0, -1.0, size).astype(np.float32)
    ratings = replace(ratings_of(dataset.interactions, size), trust=0.5, weight=0.2)
    weights = np.ones(2), np.array([0.5, 0.2]), np.array([0.0, -0.5])
    ranker = Ranker(*weights, 0.01, 0.1, popularity, -0.5 * popularity, ratings, top=20)
    team = replace(team, ranker=ranker, rejection=WEIGHTS)
    save_team(team, home / "models" / "rejecting")
    publish(store, team, "rejecting")
    return Planted(store, dataset, team, home / "models", "rejecting")


def test_the_weights_are_stored(live: Planted) -> None:
    assert load_team(live.models / "rejecting").rejection == WEIGHTS


def test_the_graph_gives_what_is_rejected_apart(live: Planted) -> None:
    dataset = read_dataset(live.store, Selection(domain="movies"))
    pairs = set(zip(dataset.interactions.user, dataset.interactions.item, strict=True))
    against = set(zip(dataset.rejected.user, dataset.rejected.item, strict=True))
    assert not pairs & against
    users = dataset.users.rows([*USERS, "grump"])
    assert set(dataset.rejected.user.tolist()) == set(users.tolist())
    assert (dataset.rejected.user == dataset.users.row("grump")).sum() == 6


@pytest.mark.parametrize("resident", [False, True])
def test_every_way_gives_the_same_bits_and_they_sum(live: Planted, resident: bool) -> None:
    recommender = Recommender(live.store, live.models, resident=resident)
    recommender.warm_up()
    explainer, rng = Explainer(recommender), np.random.default_rng(6)
    named = 0
    for user in USERS[:6]:
        knobs: dict[str, Any] = {
            "k": int(rng.integers(5, 30)),
            "filters": ("year>=1970",) if rng.random() < 0.5 else (),
            "diversity": float(rng.choice([0.0, 0.4])),
        }
        found = recommender.recommend(user, **knobs)
        every = recommend_all(live.store, recommender.live.current(), **knobs)
        mine = next(top for top in every if top.user_id == user)
        batch = zip(live.team.items.take(mine.rows), mine.scores.tolist(), strict=True)
        assert list(batch) == [(item.item_id, item.score) for item in found.items]
        named += sum("less so" in r.words for item in found.items for r in item.reasons)
        for rank in sorted({1, len(found.items)}):
            item = found.items[rank - 1]
            why = explainer.explain(user, item.item_id, found.request_id)
            assert (why.score, why.list_rank, why.changed) == (item.score, rank, ())
            parts = sum(each.contribution for each in why.history)
            assert parts + sum(a.prior for a in why.agents) == pytest.approx(why.score, abs=1e-5)
            assert sum(item.contributions.values()) == pytest.approx(why.score, abs=1e-5)
            assert {"dislike", "skip"} <= {each.kind for each in why.history}
    assert named, "what takes from a score is a reason"


def test_the_batch_of_an_evaluation_has_the_same_scores(live: Planted) -> None:
    dataset, team = live.dataset, replace(live.team, ranker=None)
    shape = dataset.num_users, dataset.num_items
    histories = Histories.of(dataset.interactions, *shape, rejected=dataset.rejected)
    rows = dataset.users.rows(USERS)
    batch = team.scores(histories[rows])
    for n, user in enumerate(rows.tolist()):
        one = team.scorer(histories[user : user + 1]).scores()
        np.testing.assert_allclose(batch[n], one, atol=1e-4)
    plain = replace(team, rejection=None).scores(histories[rows])
    assert np.abs(plain - batch).max(axis=1).min() > 0.01


def test_deletion_effects_are_those_of_scoring_without_the_item(live: Planted) -> None:
    recommender = Recommender(live.store, live.models)
    query, _ = Explainer(recommender).query(USERS[0])
    rescoring = Rescoring.of_query(query, 3, 10)
    assert rescoring is not None
    whole = query.history
    for event, effect in zip(query.counted, rescoring.deletion_effects, strict=True):
        without = whole.without(event.item_id).histories
        scorer = live.team.scorer(without)
        base = scorer.scores()[query.candidates]
        scores, _ = scorer.rank(query.candidates, base)
        wanted = np.flatnonzero(query.candidates == query.scored.rows[3])[0]
        assert scores[wanted] - query.scored.scores[3] == pytest.approx(effect, abs=1e-6)


def test_a_visitor_is_heard_as_a_user_is(live: Planted) -> None:
    recommender = Recommender(live.store, live.models)
    likes = tuple(item_id(n) for n in (4, 8, 12))
    plain = recommender.recommend_for(Visitor(history=likes), 40)
    found = recommender.recommend_for(Visitor(history=likes, dislikes=(item_id(16),)), 40)
    before = {item.item_id: item.score for item in plain.items}
    after = {item.item_id: item.score for item in found.items}
    assert item_id(16) not in after
    alike = [i for i in before.keys() & after.keys() if int(i[1:]) % 4 == 0]
    assert sum(after[i] < before[i] for i in alike) > len(alike) / 2
