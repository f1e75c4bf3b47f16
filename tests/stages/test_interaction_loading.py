"""Interactions are written as they stand in the file, whatever others write meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from small_tables import FILMS, RATINGS, Load

from kgrec.data.interactions.columns import InteractionBatch
from kgrec.data.interactions.spool import InteractionSpool
from kgrec.data.records import InteractionRecord
from kgrec.graph.store import GraphStore
from kgrec.stages.loading import interactions
from kgrec.stages.loading.facts import Tally
from kgrec.stages.loading.interactions import InteractionLoader

HELD = (
    "MATCH (u:User)-[x:INTERACTED]->(i:Item) RETURN u.user_id AS user, i.item_id AS item, "
    "x.key AS key, x.value AS value ORDER BY user, item, key"
)
ABSENT = "there is no such item"
ROWS = [("ann", "1", 5.0), ("ann", "2", 3.0), ("bob", "1", 4.0), ("bob", "3", 2.0)]


@dataclass
class Interrupted(InteractionLoader):
    """Lets somebody else write between the comparison of the first batch and its write."""

    meanwhile: Callable[[], Any] | None = None

    def _store(self, prepared: Any) -> Tally:
        if self.meanwhile is not None:
            self.meanwhile()
            self.meanwhile = None
        return super()._store(prepared)


def loaded(store: GraphStore, meanwhile: Callable[[], Any]) -> tuple[Tally, list[tuple[int, str]]]:
    refused: list[tuple[int, str]] = []
    tally = Tally()

    def refuse(line: int, value: object, reason: str) -> None:
        refused.append((line, reason))

    loader = Interrupted(store, "Movie", create_items=False, refuse=refuse, meanwhile=meanwhile)
    rows = [*ROWS, ("cid", "of no catalogue", 1.0)]
    records = [InteractionRecord(user, item, "rating", value) for user, item, value in rows]
    with InteractionSpool() as spool:
        spool.add(InteractionBatch.of(enumerate(records, 2)))
        for part in loader.write(spool):
            tally.add(part)
    return tally, refused


def held(store: GraphStore) -> list[list[Any]]:
    return [list(row.values()) for row in store.query(HELD).rows]


def test_a_user_whom_others_create_meanwhile_is_written_once(
    load: Load, empty_store: GraphStore
) -> None:
    load("catalog", FILMS)

    def meanwhile() -> None:
        empty_store.write("ingest/upsert_users", rows=[{"user_id": "bob", "properties": {}}])
        write_one(empty_store, "bob", "1", 1.0)

    tally, refused = loaded(empty_store, meanwhile)
    assert (tally.users, tally.created, tally.updated) == (1, 3, 1)
    assert refused == [(6, ABSENT)]
    assert held(empty_store) == [[user, item, "rating@0", value] for user, item, value in ROWS]


@pytest.mark.parametrize("before", [[], [("ann", "3", 2.0), ("bob", "2", 1.0)]])
def test_what_others_write_of_known_users_meanwhile_is_written_once(
    load: Load, empty_store: GraphStore, before: list[tuple[str, str, float]]
) -> None:
    load("catalog", FILMS)
    people = [{"user_id": name, "properties": {}} for name in ("ann", "bob")]
    empty_store.write("ingest/upsert_users", rows=people)
    for row in before:
        write_one(empty_store, *row)
    tally, _ = loaded(empty_store, lambda: write_one(empty_store, "bob", "1", 1.0))
    assert (tally.users, tally.created, tally.updated, tally.unchanged) == (0, 3, 1, 0)
    expected = sorted([*ROWS, *before])
    assert held(empty_store) == [[user, item, "rating@0", value] for user, item, value in expected]


def write_one(store: GraphStore, user: str, item: str, value: float) -> None:
    group = {"user_id": user, "items": [item], "keys": ["rating@0"], "kinds": ["rating"]}
    rest = {"values": [value], "times": [0], "devices": [""], "scenarios": [""]}
    store.write("ingest/upsert_interactions", groups=[group | rest], source=None)


def test_an_item_that_others_delete_meanwhile_is_refused(
    load: Load, empty_store: GraphStore
) -> None:
    load("catalog", FILMS)

    def meanwhile() -> None:
        empty_store.query("MATCH (i:Item {item_id: '1'}) DETACH DELETE i", writing=True)

    tally, refused = loaded(empty_store, meanwhile)
    assert refused == [(6, ABSENT), (2, ABSENT), (4, ABSENT)]
    assert (tally.users, tally.created) == (2, 2)
    assert [row[:2] for row in held(empty_store)] == [["ann", "2"], ["bob", "3"]]


def test_new_and_known_users_of_many_batches_hold_what_the_file_holds(
    load: Load, empty_store: GraphStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interactions, "INTERACTIONS_A_BATCH", 3)
    load("catalog", FILMS)
    load("interactions", RATINGS)
    lines = [f"u{n},{n % 3 + 1},{n % 5 + 1},{881250949 + n}" for n in range(20)]
    text = RATINGS + "\n".join([*lines, "ann,3,1,", "bob,1,2,881250951", ""])
    done = load("interactions", text)
    assert (done.created, done.updated, done.unchanged) == (21, 1, 3)
    assert (done.users, done.repeated) == (20, 1)
    again = load("interactions", text)
    assert (again.created, again.updated, again.unchanged, again.users) == (0, 0, 25, 0)


def test_a_new_interaction_has_no_empty_properties(load: Load, empty_store: GraphStore) -> None:
    load("catalog", FILMS)
    load("interactions", "user_id,movie_id,device\nann,1,phone\nbob,1,\n")
    keys = "MATCH (u:User)-[x:INTERACTED]->() RETURN u.user_id AS user, keys(x) AS keys"
    found = {row["user"]: set(row["keys"]) for row in empty_store.query(keys).rows}
    plain = {"key", "kind", "value"}
    assert found == {"ann": plain | {"device"}, "bob": plain}


def test_new_interactions_of_known_users_stand_beside_the_old_ones(
    load: Load, empty_store: GraphStore
) -> None:
    load("catalog", FILMS)
    load("interactions", RATINGS)
    lines = ["ann,1,5,881250949,", "ann,1,2,881250999,tv", "ann,3,1,,"]
    text = "\n".join(["user_id,movie_id,rating,timestamp,device", *lines, ""])
    done = load("interactions", text)
    assert (done.created, done.updated, done.unchanged, done.users) == (2, 0, 1, 0)
    assert not load("interactions", text).changed
    assert not load("interactions", RATINGS).changed
    assert len(held(empty_store)) == 6
