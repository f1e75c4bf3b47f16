"""Items that are hidden, not available yet or expired are in no list, from the next request on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from planted import Planted, item_id, planted, user_id

from kgrec.data.availability import is_available, parse_availability
from kgrec.data.cells.values import CellError
from kgrec.explain.explainer import Explainer
from kgrec.graph.store import GraphStore
from kgrec.retrieval.batch import write_recommended
from kgrec.retrieval.context import Context
from kgrec.retrieval.recommender import Recommender, RecommenderConfig
from kgrec.retrieval.records import RecommendationList

HOUR = timedelta(hours=1)
NOW = datetime.now(UTC)
HIDING: list[dict[str, Any]] = [
    {"available": False},
    {"available_from": NOW + HOUR},
    {"expires_at": NOW - HOUR},
    {"available": True, "available_from": NOW - 2 * HOUR, "expires_at": NOW - HOUR},
]
SHOWING: list[dict[str, Any]] = [
    {"available": True},
    {"available_from": NOW - HOUR, "expires_at": NOW + HOUR},
]
USER = user_id(1)
HISTORY = [item_id(1), item_id(5)]


@pytest.fixture(scope="module")
def world(store: GraphStore, tmp_path_factory: pytest.TempPathFactory) -> Planted:
    return planted(store, tmp_path_factory.mktemp("models"))


@pytest.fixture(autouse=True)
def all_shown(world: Planted) -> Iterator[None]:
    yield
    nothing = dict.fromkeys(("available", "available_from", "expires_at"))
    set_items(world.store, {item_id(n): nothing for n in range(160)})


def set_items(store: GraphStore, items: dict[str, dict[str, Any]]) -> None:
    rows = [{"item_id": item, "properties": properties} for item, properties in items.items()]
    store.write("ingest/set_items", rows=rows)


def ids(found: RecommendationList) -> list[str]:
    return [item.item_id for item in found.items]


def lists(recommender: Recommender) -> dict[str, RecommendationList]:
    """Return a list by each way that there is to get one."""
    return {
        "user": recommender.recommend(USER, 10),
        "filtered": recommender.recommend(USER, 10, filters=["year>=1900"]),
        "past": recommender.recommend(USER, 10, context=Context(time=1_600_000_000_000)),
        "future": recommender.recommend(USER, 10, context=Context(time=2_500_000_000_000)),
        "history": recommender.recommend_for(HISTORY, 10),
        "similar": recommender.similar(HISTORY[0], 10),
        "popular": recommender.recommend("nobody", 10),
        "popular, filtered": recommender.recommend("nobody", 10, filters=["year>=1900"]),
        "declared or popular": recommender.recommend("loner", 10),
    }


def recommender_of(world: Planted, mode: str) -> Recommender:
    if mode == "graph":
        return Recommender(world.store, world.models, RecommenderConfig(retrieval="graph"))
    found = Recommender(world.store, world.models, resident=mode != "without snapshot")
    found.warm_up()
    return found


@pytest.mark.parametrize("mode", ["fresh snapshot", "stale snapshot", "without snapshot", "graph"])
def test_what_is_hidden_is_in_no_list_of_the_next_request(world: Planted, mode: str) -> None:
    recommender = recommender_of(world, mode)
    before = lists(recommender)
    hidden = sorted({item for found in before.values() for item in ids(found)})
    # Some of every list stay, so that lists are filled from below and none becomes a fallback.
    hidden = [item for item in hidden if item not in HISTORY][: len(hidden) // 2]
    assert len(hidden) > 10
    set_items(world.store, {item: HIDING[n % len(HIDING)] for n, item in enumerate(hidden)})
    if mode == "fresh snapshot":
        recommender.warm_up()
    if mode == "stale snapshot":
        recommender.resident.at = lambda revision: None  # type: ignore[method-assign,union-attr]
    for way, found in lists(recommender).items():
        assert not set(ids(found)) & set(hidden), way
        assert len(found.items) == len(before[way].items), way
        assert found.fallback == before[way].fallback, way


def test_what_is_shown_by_its_limits_stays(world: Planted) -> None:
    recommender = recommender_of(world, "fresh snapshot")
    before = ids(recommender.recommend(USER, 10))
    set_items(world.store, {item: SHOWING[n % 2] for n, item in enumerate(before)})
    assert ids(recommender.recommend(USER, 10)) == before


def test_an_item_expires_and_appears_without_a_write(world: Planted) -> None:
    recommender = recommender_of(world, "fresh snapshot")
    first, second = ids(recommender.recommend(USER, 2))
    soon = datetime.now(UTC) + timedelta(seconds=2)
    set_items(world.store, {first: {"expires_at": soon}, second: {"available_from": soon}})
    recommender.warm_up()
    found = ids(recommender.recommend(USER, 5))
    assert first in found
    assert second not in found
    time.sleep(max(0.0, (soon - datetime.now(UTC)).total_seconds()) + 0.1)
    found = ids(recommender.recommend(USER, 5))
    assert first not in found
    assert second in found


def test_a_hidden_item_of_the_history_counts(world: Planted) -> None:
    recommender = recommender_of(world, "fresh snapshot")
    before = recommender.recommend_for(HISTORY, 5)
    set_items(world.store, {item: {"available": False} for item in HISTORY})
    after = recommender.recommend_for(HISTORY, 5)
    assert ids(after) == ids(before)
    assert [item.score for item in after.items] == [item.score for item in before.items]
    assert after.history == 2


def test_a_restored_list_holds_what_has_expired_since(world: Planted) -> None:
    recommender = recommender_of(world, "fresh snapshot")
    first = ids(recommender.recommend(USER, 5))[0]
    set_items(world.store, {first: {"expires_at": datetime.now(UTC) + timedelta(seconds=1.5)}})
    recommender.warm_up()
    found = recommender.recommend(USER, 5)
    assert ids(found)[0] == first
    time.sleep(1.6)
    explained = Explainer(recommender).explain(USER, first, found.request_id)
    assert explained.changed == ()
    assert explained.candidate
    assert explained.rank == 1
    set_items(world.store, {first: {"available": False}})
    explained = Explainer(recommender).explain(USER, first, found.request_id)
    assert [change.what for change in explained.changed] == ["catalogue"]
    assert not explained.candidate


def test_the_batch_leaves_hidden_items_out(world: Planted) -> None:
    recommender = recommender_of(world, "without snapshot")
    live = recommender.live.current()
    write_recommended(world.store, live, 5)
    statement = "MATCH (:User)-[r:RECOMMENDED]->(i:Item) RETURN i.item_id AS item, count(r) AS n"
    stored = {row["item"] for row in world.store.query(statement, limit=500).rows}
    hidden = sorted(stored)[:3]
    set_items(world.store, {item: HIDING[n] for n, item in enumerate(hidden)})
    write_recommended(world.store, live, 5)
    stored = {row["item"] for row in world.store.query(statement, limit=500).rows}
    assert stored
    assert not stored & set(hidden)


@pytest.mark.parametrize("retrieval", ["memory", "graph"])
def test_there_are_k_where_nearly_all_is_hidden(world: Planted, retrieval: Any) -> None:
    recommender = Recommender(world.store, world.models, RecommenderConfig(retrieval=retrieval))
    shown = [item_id(n) for n in range(0, 160, 20)]
    rest = [item_id(n) for n in range(160) if item_id(n) not in shown]
    set_items(world.store, {item: {"available": False} for item in rest})
    found = recommender.recommend_for(HISTORY, 8)
    assert sorted(ids(found)) == sorted(shown)


@pytest.mark.parametrize(
    ("name", "cell", "value"),
    [
        ("available", "no", False),
        ("available", 1, True),
        ("available", " ", None),
        ("available_from", "2030-01-02T03:04:05Z", datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("expires_at", 1_893_553_445_000, datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("expires_at", None, None),
    ],
)
def test_cells_of_availability(name: str, cell: object, value: object) -> None:
    assert parse_availability(cell, name) == value


@pytest.mark.parametrize(
    ("name", "cell"), [("available", "perhaps"), ("expires_at", "soon"), ("expires_at", True)]
)
def test_cells_of_no_use(name: str, cell: object) -> None:
    with pytest.raises(CellError):
        parse_availability(cell, name)


def test_a_moment_is_the_first_or_the_end() -> None:
    assert is_available(None, NOW, None, at=NOW)
    assert not is_available(None, None, NOW, at=NOW)


def test_no_statement_is_needed_for_it(world: Planted, tmp_path: Path) -> None:
    """The model in memory and a snapshot know all that hides an item."""
    recommender = recommender_of(world, "fresh snapshot")
    assert recommender.state().snapshot is not None
    hidden = ids(recommender.recommend(USER, 1))
    set_items(world.store, {hidden[0]: {"available": False}})
    assert recommender.state().snapshot is None  # counted by the revision
