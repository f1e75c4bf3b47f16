"""Which items are candidates: those that the graph has, and no longer those that left it."""

from __future__ import annotations

from pathlib import Path

from planted import item_id, planted, user_id, write_items

from kgrec.graph.store import GraphStore
from kgrec.retrieval.recommender import Recommender
from kgrec.schema import load_schema


def test_an_item_that_left_the_graph_is_noticed_when_it_would_be_shown(
    empty_store: GraphStore, tmp_path: Path
) -> None:
    planted(empty_store, tmp_path)
    recommender = Recommender(empty_store, tmp_path)
    before = recommender.recommend(user_id(1), 5)
    gone = before.items[0].item_id
    label = load_schema().labels.item
    empty_store.query(
        f"MATCH (i:{label}) WHERE i.item_id = $item DETACH DELETE i", {"item": gone}, writing=True
    )
    after = recommender.recommend(user_id(1), 5)
    assert gone not in {item.item_id for item in after.items}
    assert [i.item_id for i in after.items][:4] == [i.item_id for i in before.items][1:]
    assert after.candidates == before.candidates - 1
    assert after.request_id != before.request_id
    live = recommender.live.current()
    assert not recommender.queries.catalogues.of(live).present[live.team.items.row(gone)]
    write_items(empty_store, {gone: {"title": "Back"}})
    assert recommender.queries.catalogues.of(live, anew=True).present.all()
    assert recommender.recommend(user_id(1), 1).items[0].item_id == gone


def test_a_list_without_candidates_is_empty(empty_store: GraphStore, tmp_path: Path) -> None:
    planted(empty_store, tmp_path)
    recommender = Recommender(empty_store, tmp_path)
    found = recommender.recommend(user_id(1), 5, filters=["year=1800"])
    assert (found.items, found.candidates, found.fallback) == ((), 0, None)
    assert found.request_id
    assert recommender.similar(item_id(0), 3, filters=["year=1800"]).items == ()
