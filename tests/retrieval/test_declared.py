"""Users without a history in the graph: their list is by what they declare, and says so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from planted import GENRES, TASTES, plant, train, user_id

from kgrec.data.selection import Selection
from kgrec.errors import ConfigError
from kgrec.explain.explainer import Explainer
from kgrec.graph.store import GraphStore
from kgrec.graph.training_data import read_dataset
from kgrec.learning.agent import FitContext
from kgrec.learning.profile import learn_profile
from kgrec.model.storage import save_team
from kgrec.retrieval.batch import recommend_all, write_recommended
from kgrec.retrieval.context import Context, SessionEvent
from kgrec.retrieval.recommender import Recommender
from kgrec.retrieval.visitor import Visitor
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


@pytest.mark.parametrize("user", ["loner", "fan"])
def test_explanation_and_batch_are_of_the_very_list(recommender: Recommender, user: str) -> None:
    """Scores to the last bit; contributions of the declared values and the prior sum to them."""
    knobs: dict[str, Any] = {"filters": ["year>=1990"], "diversity": 0.4}
    found = recommender.recommend(user, 8, **knobs)
    listed = {item.item_id: item.score for item in found.items}
    live = recommender.live.current()
    every = {top.user_id: top for top in recommend_all(recommender.store, live, 8, **knobs)}
    ids = live.team.items.take(every[user].rows)
    assert dict(zip(ids, every[user].scores.tolist(), strict=True)) == listed
    explainer = Explainer(recommender)
    for rank, item in enumerate(found.items, start=1):
        explained = explainer.explain(user, item.item_id, found.request_id)
        assert explained.score == item.score
        assert (explained.list_rank, explained.changed) == (rank, ())
        assert explained.reasons == item.reasons
        parts = [share.contribution for share in explained.declared]
        priors = [share.prior for share in explained.agents]
        assert sum(parts) + sum(priors) == pytest.approx(item.score, abs=1e-9)
        shares = [abs(share.signed_share) for share in explained.agents]
        assert sum(shares) == pytest.approx(1.0)
        assert explained.history == ()
        assert explained.counterfactual is None
        assert any("There is no history yet" in words for words in explained.words)


def test_an_explanation_says_that_the_profile_has_changed(recommender: Recommender) -> None:
    found = recommender.recommend("loner", 3)
    change = "MATCH (u:User {user_id: 'loner'}) SET u.group = 'g1'"
    recommender.store.query(change, {}, writing=True)
    explained = Explainer(recommender).explain("loner", found.items[0].item_id, found.request_id)
    assert [change.what for change in explained.changed] == ["profile"]


def test_stored_recommendations_hold_users_who_declare_something(recommender: Recommender) -> None:
    report = write_recommended(recommender.store, recommender.live.current(), 3)
    stored = "MATCH (u:User)-[r:RECOMMENDED]->(i) WHERE u.user_id IN $ids RETURN count(r) AS n"
    [row] = recommender.store.query(stored, {"ids": ["loner", "fan"]}).rows
    assert row["n"] == 6
    assert report.skipped == 0


def test_a_session_is_counted_and_named(recommender: Recommender) -> None:
    items = [item.item_id for item in recommender.recommend(user_id(0), 2).items]
    context = Context(events=(SessionEvent(item_id=items[0]), SessionEvent(item_id="nothing")))
    found = recommender.recommend("loner", 5, context=context)
    assert (found.fallback, found.history) == (None, 1)
    assert "events" in found.context
    assert items[0] not in {item.item_id for item in found.items}
    like = recommender.recommend_for([items[0]], 5)
    assert [item.item_id for item in like.items] == [item.item_id for item in found.items]


def test_a_field_that_no_agent_uses_is_refused() -> None:
    with pytest.raises(ConfigError, match="no agent of the model uses the context field 'device'"):
        Context.of({"device": "phone"})
    with pytest.raises(ConfigError, match="milliseconds since 1970"):
        Context.of({"time": "noon"})
    assert Context.of({"time": 5}).time == 5


@pytest.mark.parametrize("resident", [False, True])
def test_a_visitor_is_answered_as_a_user_who_declares_the_same(
    recommender: Recommender, resident: bool
) -> None:
    if resident:
        recommender = Recommender(recommender.store, recommender.live.models, resident=True)
        recommender.warm_up()
    [genre] = recommender.store.query(
        "MATCH (e:Genre {name: $name}) RETURN e.entity_id AS id", {"name": GENRES[1]}
    ).rows
    [loner] = recommender.store.read("recommend/declared", users=["loner"])
    [fan] = recommender.store.read("recommend/declared", users=["fan"])
    assert loner["properties"]["group"] == "g2"
    assert not fan["properties"].keys() - {"user_id"}
    for user, visitor in (
        ("loner", Visitor(properties={**loner["properties"], "shoe size": 43})),
        ("fan", Visitor(entities=(genre["id"], "nobody"))),
    ):
        of_user = recommender.recommend(user, 8, filters=["year>=1990"])
        found = recommender.recommend_for(visitor, 8, filters=["year>=1990"])
        assert found.fallback == "profile"
        assert [(i.item_id, i.score, i.reasons) for i in found.items] == [
            (i.item_id, i.score, i.reasons) for i in of_user.items
        ]
        best = found.items[0]
        explained = Explainer(recommender).explain_for(visitor, best.item_id, found.request_id)
        assert (explained.score, explained.changed) == (best.score, ())
        after = recommender.next_page(found.cursor or "", visitor=visitor)
        assert not {i.item_id for i in after.items} & {i.item_id for i in found.items}


def test_events_and_dislikes_of_a_visitor(recommender: Recommender) -> None:
    live = recommender.live.current()
    one, two, three = live.team.items.ids[:3]
    event = SessionEvent(item_id=one, kind="rating", value=5.0)
    visitor = Visitor(history=(two,), dislikes=(three,), events=(event,))
    found = recommender.recommend_for(visitor, 10)
    assert (found.history, found.fallback) == (2, None)
    assert "events" in found.context
    assert not {one, two, three} & {item.item_id for item in found.items}
    best = found.items[0]
    explained = Explainer(recommender).explain_for(visitor, best.item_id, found.request_id)
    assert (explained.score, explained.changed) == (best.score, ())
    assert {share.item_id for share in explained.history} == {one, two}
    low = visitor.model_copy(update={"events": (event.model_copy(update={"value": 1.0}),)})
    assert recommender.recommend_for(low, 10).history == 1
    assert recommender.recommend_for(Visitor(dislikes=(one,)), 3).fallback == "empty_history"
