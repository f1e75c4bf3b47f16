"""What is kept of a user answers only while the graph says the very same of them."""

from __future__ import annotations

from typing import Any

import pytest

from kgrec.data.selection import Selection
from kgrec.data.vocabulary import Vocabulary
from kgrec.retrieval.history import HOUR, Event, UserInteractions, as_history
from kgrec.retrieval.known_users import KnownUsers
from kgrec.retrieval.recommender import Recommender
from kgrec.retrieval.snapshot import Snapshot, read_snapshot
from tests.planted import Planted, user_id

_ROW: dict[str, Any] = {
    "items": ["i1", "i2", "i3"],
    "kinds": ["rating", "view", "rating"],
    "values": [5.0, 1.0, 2.0],
    "times": [300, 200, 100],
}


@pytest.fixture
def snapshot(live: Planted) -> Snapshot:
    return read_snapshot(live.store)


def test_the_same_answer_gives_the_same_object_and_any_other_a_new_one(
    live: Planted, snapshot: Snapshot
) -> None:
    known = KnownUsers()
    first = known.interactions("a", _ROW, snapshot)
    assert [(e.item_id, e.value, e.at) for e in first] == [
        ("i1", 5.0, 300),
        ("i2", 1.0, 200),
        ("i3", 2.0, 100),
    ]
    again = {name: list(values) for name, values in _ROW.items()}
    assert known.interactions("a", again, snapshot) is first
    assert known.interactions("b", again, snapshot) is not first
    for name, value in [("values", 4.0), ("kinds", "like"), ("times", 301), ("items", "i9")]:
        changed = {**_ROW, name: [value, *_ROW[name][1:]]}
        found = known.interactions("a", changed, snapshot)
        assert found is not first
        assert found[0] == Event(
            changed["items"][0],
            snapshot.titles(["i9", "i1"]).get(changed["items"][0], changed["items"][0]),
            changed["kinds"][0],
            changed["values"][0],
            changed["times"][0],
        )
    assert known.interactions("a", _ROW, read_snapshot(live.store)) is not first
    known.forget("a")
    known.forget("nobody")
    assert known.interactions("a", _ROW, snapshot) is not first


def test_no_more_interactions_are_kept_than_allowed(snapshot: Snapshot) -> None:
    known = KnownUsers(most=6)
    a, b = (known.interactions(user, _ROW, snapshot) for user in "ab")
    assert known.interactions("a", _ROW, snapshot) is a
    c = known.interactions("c", _ROW, snapshot)  # b is the one that was asked for longest ago
    assert known.interactions("a", _ROW, snapshot) is a
    assert known.interactions("c", _ROW, snapshot) is c
    assert known.interactions("b", _ROW, snapshot) is not b


def test_a_kept_history_is_that_of_its_model_and_moment() -> None:
    items, selection = Vocabulary(["i1", "i2", "i3"]), Selection(at_least={"rating": 3.0})
    events = [Event("i1", "", "rating", 5.0, 300), Event("i2", "", "rating", 1.0, 200)]
    read, noon = UserInteractions(events), 10 * HOUR
    first = as_history(read, items, selection, query_time=noon)
    assert first.fingerprint
    assert first.seen_ids
    for moment in (noon + 1, noon + HOUR):
        kept = as_history(read, items, selection, query_time=moment)
        fresh = as_history(list(events), items, selection, query_time=moment)
        assert kept.query_time == moment
        assert kept.seen is first.seen
        assert (kept.fingerprint, kept.now, kept.seen_ids) == (
            fresh.fingerprint,
            fresh.now,
            fresh.seen_ids,
        )
        assert kept.histories.now == fresh.histories.now
    other = Vocabulary(["i2"])
    assert len(as_history(read, other, None, query_time=noon)) == 1
    assert len(as_history(read, items, None, query_time=noon)) == 2


def test_feedback_changes_the_list_of_a_known_user(live: Planted) -> None:
    recommender = Recommender(live.store, live.models, resident=True)
    recommender.warm_up()
    first = recommender.recommend(user_id(4), 5)
    assert recommender.recommend(user_id(4), 5).items == first.items
    liked = first.items[0].item_id
    live.store.query(
        "MATCH (u:User {user_id: $user}), (i:Item {item_id: $item}) "
        "CREATE (u)-[:INTERACTED {key: 'k', kind: 'like', at: datetime()}]->(i)",
        {"user": user_id(4), "item": liked},
        writing=True,
    )
    try:
        after = recommender.recommend(user_id(4), 5)
        assert liked not in {each.item_id for each in after.items}
        assert after.history == first.history + 1
    finally:
        live.store.query(
            "MATCH (:User {user_id: $user})-[x:INTERACTED {key: 'k'}]->() DELETE x",
            {"user": user_id(4)},
            writing=True,
        )
    assert recommender.recommend(user_id(4), 5).items == first.items
