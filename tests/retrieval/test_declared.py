"""Users without a history in the graph: their list is by what they declare, and says so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from planted import GENRES, TASTES, plant, train, user_id

from kgrec.data.selection import Selection
from kgrec.graph.store import GraphStore
from kgrec.graph.training_data import read_dataset
from kgrec.learning.agent import FitContext
from kgrec.learning.profile import learn_profile
from kgrec.model.storage import save_team
from kgrec.retrieval.recommender import Recommender
from kgrec.stages.publish import publish

USERS = 60


@pytest.fixture
def recommender(empty_store: GraphStore, tmp_path: Path) -> Recommender:
    """Users declare a group, which is their taste; every third likes the genre of it."""
    plant(empty_store, users=USERS)
    rows = [{"user": user_id(n), "group": f"g{n % TASTES}"} for n in range(USERS)]
    rows += [{"user": "loner", "group": "g2"}]
    said = "UNWIND $rows AS row MATCH (u:User {user_id: row.user}) SET u.group = row.group"
    empty_store.query(said, {"rows": rows}, writing=True)
    likes = [{"user": user_id(n), "genre": GENRES[n % TASTES]} for n in range(0, USERS, 3)]
    likes += [{"user": "fan", "genre": GENRES[1]}]
    empty_store.query("CREATE (:User {user_id: 'fan'})", writing=True)
    liked = (
        "UNWIND $rows AS row MATCH (u:User {user_id: row.user}) MATCH (e:Genre {name: row.genre}) "
        "CREATE (u)-[:LIKES {confidence: 1.0}]->(e)"
    )
    empty_store.query(liked, {"rows": likes}, writing=True)
    _, team = train(empty_store)
    dataset = read_dataset(empty_store, Selection(domain="movies"))
    assert len(dataset.links.of("user", "entity")) == len(likes)
    profile, _ = learn_profile(FitContext(dataset))
    team = replace(team, profile=profile)
    save_team(team, tmp_path / "first")
    publish(empty_store, team, "first")
    return Recommender(empty_store, tmp_path)


def test_a_declared_property_gives_a_personal_list(recommender: Recommender) -> None:
    found = recommender.recommend("loner", 10)
    assert found.fallback == "profile"
    assert len(found.items) == 10
    scores = [item.score for item in found.items]
    assert scores == sorted(scores, reverse=True)
    numbers = [int("".join(filter(str.isdigit, item.item_id))) for item in found.items]
    assert np.mean([number % TASTES == 2 for number in numbers]) >= 0.7
    best = found.items[0]
    assert sum(best.contributions.values()) == pytest.approx(best.score)
    assert sum(map(abs, best.signed_shares.values())) == pytest.approx(1.0)
    [first, *_, last] = best.reasons
    assert (first.kind, last.kind) == ("profile", "popularity")
    assert first.words == "chosen more by users of group g2"


def test_a_liked_entity_gives_a_personal_list(recommender: Recommender) -> None:
    found = recommender.recommend("fan", 10)
    assert found.fallback == "profile"
    numbers = [int("".join(filter(str.isdigit, item.item_id))) for item in found.items]
    assert np.mean([number % TASTES == 1 for number in numbers]) >= 0.7
    assert found.items[0].reasons[0].words == f"chosen more by users who like {GENRES[1]}"


def test_filters_hold_and_one_who_is_unknown_gets_what_is_popular(
    recommender: Recommender,
) -> None:
    found = recommender.recommend("loner", 5, filters=["year>=1990"])
    everything = recommender.recommend("loner", 160)
    kept = {item.item_id for item in found.items}
    assert found.fallback == "profile"
    assert 0 < found.candidates < everything.candidates
    assert kept < {item.item_id for item in everything.items}
    assert recommender.recommend("nobody", 5).fallback == "unknown_user"
