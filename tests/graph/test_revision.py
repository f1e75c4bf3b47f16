"""The revision of the catalogue: counted by whatever may change it, and by nothing else."""

from __future__ import annotations

import re

from kgrec.graph.http import run_sql
from kgrec.graph.setup import clear_graph, count_graph
from kgrec.graph.store import CATALOGUE, GraphStore
from kgrec.schema import load_schema

WRITES = re.compile(r"\b(CREATE|MERGE|SET|DELETE|REMOVE)\b")
# What is written through a variable of these labels, or to relations between them.
TOUCHES = re.compile(r"(CREATE|MERGE) \((\w*):(Item|Entity|__)|-\[\w*:__RELATION")


def revision(store: GraphStore) -> int:
    rows = store.query(
        "MATCH (r:Revision {name: $name}) RETURN r.number AS number", {"name": CATALOGUE}
    ).rows
    return int(rows[0]["number"]) if rows else 0


def test_a_change_of_an_item_counts_and_feedback_does_not(empty_store: GraphStore) -> None:
    store = empty_store
    item = {"item_id": "m1", "properties": {"title": "Fargo"}}
    empty_store.query("CREATE (:Item {item_id: 'm1'})", writing=True)
    before = revision(store)
    assert before > 0
    store.write("ingest/set_items", rows=[item])
    after = revision(store)
    assert after > before
    store.write("ingest/upsert_users", rows=[{"user_id": "u1", "properties": {}}])
    assert revision(store) == after
    assert "Revision" not in count_graph(store).nodes


def changes(store: GraphStore, seen: int) -> list[str] | None:
    rows = store.read("recommend/changes", revision=CATALOGUE, seen=seen)
    pairs = [each.split(" ") for each in rows[0]["items"]] if rows else None
    return None if pairs is None else sorted(item for n, item in pairs if int(n) > seen)


def test_the_items_of_the_last_changes_are_known_until_others_may_have_changed(
    empty_store: GraphStore,
) -> None:
    store = empty_store

    def change(*items: str, named: bool = True) -> int:
        rows = [{"item_id": item, "properties": {"title": "Fargo"}} for item in items]
        store.write_all([("ingest/set_items", {}, {"rows": rows})], items if named else None)
        return revision(store)

    first = change(named=False)
    assert changes(store, first - 1) is None
    assert changes(store, first) == []
    second = change("a", "b")
    change("a")
    assert changes(store, first) == ["a", "a", "b"]
    assert changes(store, second) == ["a"]
    change("c", named=False)
    assert changes(store, second) is None
    third = change("d")
    assert changes(store, third) == []
    run_sql(store.address, "UPDATE Revision SET number = number + 1")  # as others may count it
    assert changes(store, third) is None
    change("e")
    assert changes(store, third) is None
    last = revision(store)
    for number in range(201):
        change(str(number))
    assert changes(store, last) is None
    assert changes(store, revision(store)) == []


def test_an_emptied_graph_does_not_come_to_an_old_number(empty_store: GraphStore) -> None:
    empty_store.query("CREATE (:Item {item_id: 'm1'})", writing=True)
    before = revision(empty_store)
    clear_graph(empty_store)
    assert revision(empty_store) > before
    empty_store.query("MATCH (r:Revision) DELETE r", writing=True)
    assert revision(empty_store) > before


def test_no_statement_that_writes_items_or_facts_denies_it() -> None:
    for name, statement in load_schema().statements.items():
        if WRITES.search(statement.body) and TOUCHES.search(statement.body):
            assert statement.changes_catalogue or name.startswith("setup/"), name
