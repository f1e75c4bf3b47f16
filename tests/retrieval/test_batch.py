"""Stored recommendations: the same as asked for one by one, replaced and not added to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from planted import Planted, item_id, planted, user_id

from kgrec.errors import ConfigError
from kgrec.graph.setup import count_graph
from kgrec.graph.store import GraphStore
from kgrec.retrieval.batch import recommend_all, write_recommended
from kgrec.retrieval.recommender import Recommender
from kgrec.retrieval.request_id import RequestId
from kgrec.schema import load_schema

RECOMMENDED = load_schema().relations.recommended


def test_everybody_gets_what_each_would_get(live: Planted, recommender: Recommender) -> None:
    model = recommender.live.current()
    every = {top.user_id: top for top in recommend_all(live.store, model, 10)}
    assert set(every) == {user_id(n) for n in range(60)}
    for user in list(every)[:10]:
        alone = recommender.recommend(user, 10).items
        assert live.team.items.take(every[user].rows) == [item.item_id for item in alone]
        assert every[user].scores.tolist() == [i.score for i in alone]


def test_a_batch_takes_filters_and_diversity(live: Planted, recommender: Recommender) -> None:
    knobs: dict[str, Any] = {"filters": ["genre=Drama|Comedy"], "diversity": 0.6}
    model = recommender.live.current()
    every = {top.user_id: top for top in recommend_all(live.store, model, 8, **knobs)}
    for user in list(every)[:10]:
        alone = recommender.recommend(user, 8, **knobs).items
        assert live.team.items.take(every[user].rows) == [item.item_id for item in alone]
        assert every[user].scores.tolist() == [i.score for i in alone]


def test_stored_recommendations_are_replaced(empty_store: GraphStore, tmp_path: Path) -> None:
    planted(empty_store, tmp_path)
    recommender = Recommender(empty_store, tmp_path)
    model = recommender.live.current()
    report = write_recommended(empty_store, model, 5)
    assert (report.users, report.skipped, report.written) == (60, 2, 300)
    again = write_recommended(empty_store, model, 3)
    assert again.written == 180
    assert count_graph(empty_store).relations[RECOMMENDED] == 180
    rows = empty_store.query(
        f"MATCH (u)-[r:{RECOMMENDED}]->(i) WHERE u.user_id = $user RETURN i.item_id AS item, "
        "r.rank AS rank, r.model_id AS model, r.request_id AS request ORDER BY rank",
        {"user": user_id(4)},
    ).rows
    alone = recommender.recommend(user_id(4), 3).items
    assert [(row["item"], row["rank"]) for row in rows] == [(i.item_id, i.rank) for i in alone]
    assert {row["model"] for row in rows} == {"first"}
    assert RequestId.decode(rows[0]["request"]).k == 3


def test_items_that_left_the_graph_are_not_recommended(
    empty_store: GraphStore, tmp_path: Path
) -> None:
    planted(empty_store, tmp_path)
    recommender = Recommender(empty_store, tmp_path)
    best = recommender.recommend(user_id(4), 1).items[0].item_id
    label = load_schema().labels.item
    empty_store.query(
        f"MATCH (i:{label}) WHERE i.item_id = $item DETACH DELETE i", {"item": best}, writing=True
    )
    every = recommend_all(empty_store, recommender.live.current(), 160)
    assert all(best not in recommender.live.current().team.items.take(top.rows) for top in every)
    assert best not in {i.item_id for i in recommender.recommend(user_id(4), 20).items}


def test_k_of_no_use_is_refused(live: Planted, recommender: Recommender) -> None:
    assert item_id(0) in live.team.items
    with pytest.raises(ConfigError, match="k must be"):
        list(recommend_all(live.store, recommender.live.current(), 0))
