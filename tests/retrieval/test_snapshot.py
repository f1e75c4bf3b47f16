"""The catalogue in memory says what the graph says, and is left when it does not."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from planted import Planted, planted, user_id

from kgrec.explain.explainer import Explainer
from kgrec.graph.store import GraphStore
from kgrec.retrieval.filters import parse_filter, passing, passing_of
from kgrec.retrieval.meetings import best_paths
from kgrec.retrieval.paths import read_paths
from kgrec.retrieval.recommender import Recommender
from kgrec.retrieval.snapshot import read_snapshot

USERS = range(0, 40, 5)


@pytest.fixture(scope="module")
def resident(live: Planted) -> Recommender:
    found = Recommender(live.store, live.models, resident=True)
    found.warm_up()
    return found


def plain(answer: Any) -> dict[str, Any]:
    left_out = {"milliseconds", "request_id", "cursor"}  # the moment of asking is in both
    return dict(answer.model_dump(mode="json", exclude=left_out))


@pytest.mark.parametrize(
    "knobs", [{}, {"diversity": 0.4}, {"filters": ["genre=Drama", "year>=1990"]}]
)
def test_lists_and_explanations_are_those_of_the_graph(
    recommender: Recommender, resident: Recommender, knobs: dict[str, Any]
) -> None:
    for number in USERS:
        user = user_id(number)
        asked, kept = recommender.recommend(user, 5, **knobs), resident.recommend(user, 5, **knobs)
        assert resident.state(user).snapshot is not None
        assert plain(kept) == plain(asked)
        item = asked.items[0].item_id
        of_graph = Explainer(recommender).explain(user, item, asked.request_id)
        of_memory = Explainer(resident).explain(user, item, asked.request_id)
        assert plain(of_memory) == plain(of_graph)


def test_a_warm_list_costs_one_statement(
    resident: Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, statements = GraphStore.read, []

    def counting(store: GraphStore, statement: str, *args: Any, **options: Any) -> Any:
        statements.append(statement)
        return read(store, statement, *args, **options)

    monkeypatch.setattr(GraphStore, "read", counting)
    found = resident.recommend(user_id(3), 5, filters=["year>=1990"], diversity=0.3)
    assert statements == ["recommend/state"]
    Explainer(resident).explain(user_id(3), found.items[0].item_id, found.request_id)
    assert statements == ["recommend/state"] * 2
    resident.similar(found.items[0].item_id, 5)
    resident.recommend_for([found.items[0].item_id], 5)
    assert statements == ["recommend/state"] * 4


def test_paths_are_those_of_the_graph(live: Planted) -> None:
    snapshot = read_snapshot(live.store)
    ids = snapshot.nodes["item"].ids
    some = {each: each for each in ids[:20]}
    others = {each: each for each in ids[20:40]}
    of_graph = read_paths(live.store, some, others)
    assert read_paths(snapshot, some, others) == of_graph
    assert of_graph


@pytest.mark.parametrize(
    "text", ["genre=Drama", "genre=Drama|Comedy", "year>=1990", "year<=1985", "genre=Nothing"]
)
def test_filters_are_those_of_the_graph(live: Planted, text: str) -> None:
    snapshot, filters = read_snapshot(live.store), [parse_filter(text, "movies")]
    mask = passing_of(snapshot, filters)
    assert mask is not None
    ids = np.array(snapshot.nodes["item"].ids)
    assert set(ids[mask].tolist()) == passing(live.store, filters)


def test_what_changes_in_the_graph_is_seen_by_the_next_query(
    empty_store: GraphStore, tmp_path: Path
) -> None:
    """An item that leaves, and a fact that changes, while the old catalogue is in memory."""
    live = planted(empty_store, tmp_path, users=40)
    recommender = Recommender(empty_store, tmp_path, resident=True)
    recommender.warm_up()
    user = user_id(1)
    first = recommender.recommend(user, 5).items[0].item_id
    empty_store.query("MATCH (i:Item {item_id: $id}) DETACH DELETE i", {"id": first}, writing=True)
    assert first not in {item.item_id for item in recommender.recommend(user, 5).items}
    deadline = time.monotonic() + 20
    while recommender.state().snapshot is None and time.monotonic() < deadline:
        time.sleep(0.05)
    snapshot = recommender.state().snapshot
    assert snapshot is not None
    assert first not in snapshot.nodes["item"].row
    assert first not in {item.item_id for item in recommender.recommend(user, 5).items}
    assert live.team is not None


def test_the_best_paths_of_pairs_are_those_of_the_graph(live: Planted) -> None:
    snapshot = read_snapshot(live.store)
    ids = snapshot.nodes["item"].ids
    history, items = {each: each for each in ids[:20]}, {each: each for each in ids[15:40]}
    sources = {item: [each for n, each in enumerate(history) if n % 3] for item in items}
    of_graph = best_paths(live.store, history, items, sources)
    found = best_paths(snapshot, history, items, sources)
    assert {item: set(paths) for item, paths in found.items()} == {
        item: set(paths) for item, paths in of_graph.items()
    }
    pairs = [(item, event) for item, paths in of_graph.items() for event in paths]
    assert len(pairs) > 50
    for item, event in pairs:
        assert found[item][event].record() == of_graph[item][event].record()
        assert event in sources[item]
        assert event != item
