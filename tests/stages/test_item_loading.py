"""Items and their facts are written as they stand in the table, whatever others write meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from small_tables import FILMS, Load

from kgrec.data.records import FactRecord, ItemRecord
from kgrec.graph.store import GraphStore
from kgrec.stages.loading import facts
from kgrec.stages.loading.facts import Tally, fact_changes
from kgrec.stages.loading.items import ItemLoader

HELD = (
    "MATCH (i:Item)-[f]->(e:Entity) RETURN i.item_id AS item, e.name AS name, f.source AS source "
    "ORDER BY item, name, source"
)
ITEMS = [("1", ["Crime", "Drama"]), ("2", ["Drama"]), ("3", [])]
SOURCE = "column:films.genres"


@dataclass(frozen=True)
class Interrupted(ItemLoader):
    """Lets somebody else write between the comparison of the first batch and its write."""

    meanwhile: list[Callable[[], Any]] = field(default_factory=list)

    def _store(self, changes: Any) -> int | None:
        while self.meanwhile:
            self.meanwhile.pop()()
        return super()._store(changes)


def genre(item: str, name: str) -> FactRecord:
    return FactRecord(item, "HAS_GENRE", "Genre", name, source=SOURCE)


def loaded(store: GraphStore, meanwhile: Callable[[], Any]) -> Tally:
    loader = Interrupted(
        store, "Movie", "run", lambda *_: None, source="films", meanwhile=[meanwhile]
    )
    batch = [
        (line, ItemRecord(item, {"title": item}, tuple(genre(item, one) for one in names)))
        for line, (item, names) in enumerate(ITEMS, 2)
    ]
    tally = Tally()
    for part in loader.write([batch]):
        tally.add(part)
    return tally


def held(store: GraphStore) -> list[list[Any]]:
    return [list(row.values()) for row in store.query(HELD).rows]


EXPECTED = [["1", "Crime", SOURCE], ["1", "Drama", SOURCE], ["2", "Drama", SOURCE]]


def test_new_items_are_written_whole(empty_store: GraphStore) -> None:
    tally = loaded(empty_store, lambda: None)
    assert (tally.created, tally.facts, tally.entities) == (3, 3, 2)
    assert held(empty_store) == EXPECTED
    assert loaded(empty_store, lambda: None).unchanged == 3


def test_an_item_that_others_create_meanwhile_is_written_once(empty_store: GraphStore) -> None:
    def meanwhile() -> None:
        empty_store.write("ingest/create_items", {"item_type": "Movie"}, items=["1"])
        changes = fact_changes(empty_store, [genre("1", "Drama").link], "other", withdraw={})
        empty_store.write_all(changes.steps)

    tally = loaded(empty_store, meanwhile)
    assert (tally.created, tally.updated, tally.facts, tally.entities) == (2, 1, 2, 1)
    assert held(empty_store) == EXPECTED


def test_facts_of_many_statements_and_sources_are_created(
    load: Load, empty_store: GraphStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts, "FACTS_A_STATEMENT", 2)
    done = load("catalog", FILMS)
    assert (done.created, done.facts) == (3, 9)
    assert not load("catalog", FILMS).changed
    assert len(held(empty_store)) == 9
