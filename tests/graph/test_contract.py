"""What every engine must do. Runs on the embedded one, and on each Neo4j in KGREC_TEST_NEO4J."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from kgrec.config import Settings
from kgrec.errors import (
    GraphAuthError,
    GraphConstraintError,
    GraphError,
    GraphReadOnlyError,
    GraphTimeoutError,
    GraphUnavailableError,
    SchemaError,
)
from kgrec.graph import open_graph
from kgrec.graph.address import Login
from kgrec.graph.setup import (
    clear_graph,
    count_graph,
    ensure_property_indexes,
    ensure_schema,
    ensure_vector_index,
)
from kgrec.graph.store import GraphStore, StoreConfig
from kgrec.retrieval.finding.finder import find
from kgrec.schema import load_schema

AT = datetime(1997, 12, 4, 15, 55, 49, 500_000, tzinfo=UTC)
HOLDS_ANOTHER = {"admin/prove_read_only"}
"""Whole only with a statement inside (`test_read_only`)."""
SLOTS = {
    "__LABEL__": "Item",
    "__PROPERTY__": "title",
    "__NAME__": "some_name",
    "__INDEX__": "some_index",
    "__TYPE__": "SUGGESTS",
    "__SLOT__": "vector_a",
}


WRITING: dict[str, Any] = {"user_id": "u", "item_id": "i", "key": "k", "kind": "like", "value": 1.0}
WRITING |= {"at": AT, "device": None, "scenario": None}
WAYS: dict[str, Callable[[GraphStore], object]] = {
    "read": lambda graph: graph.read("serving/record_feedback", **WRITING),
    "query": lambda graph: graph.query("CREATE (u:User {user_id: 'u'})"),
}


def create_items(graph: GraphStore, *rows: dict[str, Any]) -> None:
    graph.query(
        "UNWIND $rows AS row CREATE (i:Item:Movie) SET i = row", {"rows": rows}, writing=True
    )


def feedback(graph: GraphStore, **changes: Any) -> list[dict[str, Any]]:
    return graph.write("serving/record_feedback", **{**WRITING, **changes})


def test_info_names_the_engine(graph: GraphStore, engine: str) -> None:
    info = graph.info()
    assert info.engine == ("arcadedb" if engine == "embedded" else "neo4j")
    assert info.version[0].isdigit()
    assert info.database == "neo4j"


def test_setting_up_twice_changes_nothing(graph: GraphStore) -> None:
    before = graph.query("SHOW INDEXES YIELD name RETURN name ORDER BY name").rows
    ensure_schema(graph)
    assert graph.query("SHOW INDEXES YIELD name RETURN name ORDER BY name").rows == before
    keys = load_schema().core.keys
    constraints = graph.query("SHOW CONSTRAINTS YIELD labelsOrTypes, properties, type").rows
    unique = {
        (one["labelsOrTypes"][0], one["properties"][0])
        for one in constraints
        if "UNIQUENESS" in one["type"]
    }
    assert set(keys.items()) <= unique


@pytest.mark.parametrize("name", sorted(load_schema().statements.keys() - HOLDS_ANOTHER))
def test_every_statement_is_understood(shared_graph: GraphStore, engine: str, name: str) -> None:
    statement = load_schema().statement(name)
    if engine == "embedded" and "(Neo4j)" in statement.header:
        pytest.skip("the embedded engine has its own way")
    text = statement.text(
        **{slot.strip("_").lower(): SLOTS.get(slot, "Movie") for slot in statement.slots}
    )
    prefix = "CYPHER 25 " if shared_graph.info().version.startswith("20") else ""
    schema_change = text.lstrip().startswith(("CREATE", "DROP", "SHOW"))
    if not schema_change or engine != "embedded":
        shared_graph.query(f"{prefix}EXPLAIN {text}", {"dimensions": 3}, writing=True)


def test_values_come_back_as_they_went(graph: GraphStore) -> None:
    values = {
        "item_id": "Æ 漢字 ' \" \\ $x",
        "text": "line\nline",
        "whole": 2**40,
        "part": 0.1,
        "yes": True,
        "some_words": ["a", "b"],  # no name of a domain's property, whose kind may be declared
        "numbers": [0.5, -1.0],
    }
    create_items(graph, values)
    rows = graph.query("MATCH (i:Item) RETURN properties(i) AS i, i AS node").rows
    assert rows[0]["i"] == values
    assert rows[0]["node"] == {"labels": ["Item", "Movie"], **values}


def test_times_are_utc_whatever_zone_they_had(graph: GraphStore) -> None:
    create_items(graph, {"item_id": "i"})
    feedback(graph, at=AT.astimezone(timezone(timedelta(hours=-5))))
    [row] = feedback(graph)
    assert row["known"]
    assert row["at"] == round(AT.timestamp() * 1000)
    [shown] = graph.query("MATCH ()-[x:INTERACTED]->() RETURN x.at AS at").rows
    assert shown["at"] == AT


def test_a_statement_and_what_it_is_given_must_agree(graph: GraphStore) -> None:
    with pytest.raises(SchemaError, match="item_id"):
        graph.read("serving/item", shared=[])
    with pytest.raises(SchemaError, match="surplus"):
        graph.read("admin/labels", surplus=1)
    with pytest.raises(SchemaError, match="no such statement"):
        graph.read("admin/nothing")
    with pytest.raises(SchemaError, match="identifier"):
        graph.read("admin/count_nodes", {"label": "Item) DETACH DELETE (n"})


def test_a_transaction_happens_whole_or_not_at_all(graph: GraphStore) -> None:
    create_items(graph, {"item_id": "i"})
    rows = [{"history": "i", "item": "i", "agent": "a", "weight": {"no": "number"}}]
    with pytest.raises(GraphError):
        graph.write_all(
            [
                ("serving/erase_user", {}, {"user_id": "nobody"}),
                ("serving/record_feedback", {}, WRITING),
                ("publish/create_suggestions", {}, {"rows": rows, "model_id": "m"}),
            ]
        )
    assert count_graph(graph).nodes == {"Item": 1, "Movie": 1}
    assert count_graph(graph).relations == {}


def test_steps_of_a_transaction_see_each_other(graph: GraphStore) -> None:
    create_items(graph, {"item_id": "i"})
    step = ("serving/record_feedback", {}, WRITING)
    first, second = graph.write_all([step, step])
    assert [first[0]["known"], second[0]["known"]] == [False, True]


@pytest.mark.parametrize("way", WAYS)
def test_reading_cannot_write(graph: GraphStore, way: str) -> None:
    create_items(graph, {"item_id": "i"})
    with pytest.raises(GraphReadOnlyError):
        WAYS[way](graph)
    assert count_graph(graph).nodes == {"Item": 1, "Movie": 1}


def test_reading_cannot_change_definitions(graph: GraphStore) -> None:
    with pytest.raises(GraphReadOnlyError):
        graph.query("DROP CONSTRAINT item_item_id")
    with pytest.raises(GraphReadOnlyError):
        graph.query("CREATE INDEX extra IF NOT EXISTS FOR (i:Item) ON (i.extra)")


def test_keys_are_unique(graph: GraphStore) -> None:
    create_items(graph, {"item_id": "i"})
    with pytest.raises(GraphConstraintError):
        create_items(graph, {"item_id": "j"}, {"item_id": "i"})
    assert count_graph(graph).nodes["Item"] == 1


def test_a_wrong_statement_is_an_error_of_one_line(graph: GraphStore) -> None:
    with pytest.raises(GraphError) as caught:
        graph.query("MATCH (n) RETRUN n")
    assert "SyntaxError" in str(caught.value)
    assert "\n" not in caught.value.what
    with pytest.raises(GraphError, match="ParameterMissing"):
        graph.query("RETURN $absent AS x")


def test_an_error_names_the_cause_that_the_engine_has(graph: GraphStore, engine: str) -> None:
    ensure_property_indexes(graph, "news")
    if engine != "embedded":
        pytest.skip("the engine declares no properties")
    with pytest.raises(GraphError, match=r"ArgumentError.*'LONG' found in property 'words'"):
        create_items(graph, {"item_id": "i", "words": ["a"]})


def test_a_query_ends_in_time(graph: GraphStore) -> None:
    began = time.monotonic()
    with pytest.raises(GraphTimeoutError):
        graph.query(
            "UNWIND range(1, 1000000) AS x UNWIND range(1, 1000) AS y RETURN sum(x * y) AS s",
            timeout=1,
        )
    assert time.monotonic() - began < 10
    assert graph.query("RETURN 1 AS x").rows == [{"x": 1}]


def test_a_query_shows_no_more_rows_than_asked_for(graph: GraphStore) -> None:
    result = graph.query("UNWIND range(1, 10) AS x RETURN x", limit=3)
    assert result.rows == [{"x": 1}, {"x": 2}, {"x": 3}]
    assert result.truncated
    assert not graph.query("UNWIND range(1, 3) AS x RETURN x", limit=3).truncated
    assert graph.query("MATCH (n:User) RETURN n.user_id AS id").rows == []


def test_what_is_written_is_read_at_once(graph: GraphStore) -> None:
    for n in range(20):
        create_items(graph, {"item_id": str(n)})
        rows = graph.read("serving/item", item_id=str(n), shared=[])
        assert [row["item_id"] for row in rows] == [str(n)]


def test_writers_at_once_double_nothing(graph: GraphStore, engine_settings: Settings) -> None:
    create_items(graph, *({"item_id": str(n)} for n in range(10)))
    start = threading.Barrier(4)

    def work(store: GraphStore) -> None:
        start.wait()
        for n in range(10):
            feedback(store, user_id=f"u{n % 3}", item_id=str(n))

    with open_graph(engine_settings) as other, ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(work, one) for one in (graph, other, graph, other)]:
            done.result()
    counts = count_graph(graph)
    assert counts.nodes["User"] == 3
    assert counts.relations == {"INTERACTED": 10}


def test_titles_are_found_by_their_words(graph: GraphStore) -> None:
    create_items(
        graph,
        {"item_id": "1", "title": "The Matrix (1999)"},
        {"item_id": "2", "title": "Toy Story (1995)"},
        {"item_id": "3"},
    )

    def found(words: str) -> list[str]:
        return [one.id for one in find(graph, "item", words, None)]

    eventually(lambda: found("matrix") == ["1"])
    assert found("story matrix") in (["1", "2"], ["2", "1"])
    assert found("nothing") == []


def nearest(graph: GraphStore, slot: str, vector: list[float]) -> list[str]:
    index = graph.dialect.vector_index(slot)
    rows = graph.read("recommend/nearest", index=index, k=10, vector=vector, seen=[])
    return [item for row in rows for item in row["items"]]


@pytest.mark.parametrize("slot", ["vector_a", "vector_b"])
def test_vectors_are_found_by_their_direction(graph: GraphStore, slot: str) -> None:
    ensure_vector_index(graph, slot, 3)
    create_items(
        graph,
        {"item_id": "x", slot: [1.0, 0.0, 0.0]},
        {"item_id": "y", slot: [0.0, 1.0, 0.0]},
        {"item_id": "xy", slot: [0.6, 0.8, 0.0]},
        {"item_id": "none"},
    )
    eventually(lambda: nearest(graph, slot, [1.0, 0.1, 0.0]) == ["x", "xy", "y"])


def test_a_vector_index_can_change_its_length(graph: GraphStore) -> None:
    ensure_vector_index(graph, "vector_a", 2)
    create_items(graph, {"item_id": "old", "vector_a": [1.0, 0.0]})
    ensure_vector_index(graph, "vector_a", 2)
    eventually(lambda: nearest(graph, "vector_a", [1.0, 0.0]) == ["old"])
    ensure_vector_index(graph, "vector_a", 4)
    assert graph.dialect.vector_dimensions(graph, "vector_a") == 4
    assert nearest(graph, "vector_a", [1.0, 0.0, 0.0, 0.0]) == []
    create_items(graph, {"item_id": "new", "vector_a": [1.0, 0.0, 0.0, 0.0]})
    eventually(lambda: nearest(graph, "vector_a", [1.0, 0.0, 0.0, 0.0]) == ["new"])


def test_a_vector_index_of_another_name_is_not_taken_for_ours(
    graph: GraphStore, engine: str
) -> None:
    if engine == "embedded":
        pytest.skip("the embedded engine names an index by its property")
    ensure_vector_index(graph, "vector_b", 2)
    graph.dialect.drop_index(graph, "vector_b")
    slots = {"index": "somebody_elses", "label": "Item", "property": "vector_b"}
    graph.write("setup/vector_index", slots, dimensions=2)
    try:
        with pytest.raises(GraphError, match=r"another one covers.*Item\.vector_b"):
            ensure_vector_index(graph, "vector_b", 2)
    finally:
        graph.write("setup/drop_index", {"index": "somebody_elses"})
    ensure_vector_index(graph, "vector_b", 2)
    assert graph.dialect.vector_dimensions(graph, "vector_b") == 2


def test_only_slots_get_a_vector_index(graph: GraphStore) -> None:
    with pytest.raises(SchemaError):
        ensure_vector_index(graph, "fulltext_items", 3)
    with pytest.raises(SchemaError):
        ensure_vector_index(graph, "vector_a", 0)
    with pytest.raises(SchemaError):
        graph.dialect.vector_index("vector_c")


def test_clearing_leaves_what_is_not_ours(graph: GraphStore, engine: str) -> None:
    create_items(graph, {"item_id": "i"})
    feedback(graph)
    graph.query("CREATE (:Elsewhere {x: 1})", writing=True)
    assert clear_graph(graph) == 2
    assert count_graph(graph).nodes == {"Elsewhere": 1}
    graph.query("MATCH (n:Elsewhere) DELETE n", writing=True)
    assert count_graph(graph).nodes == {}


def test_a_wrong_password_is_named_as_such(shared_graph: GraphStore) -> None:
    login = shared_graph.address.login
    assert login is not None
    wrong = replace(shared_graph.address, login=Login(login.user, "wrong"))
    with pytest.raises(GraphAuthError, match="KGREC_GRAPH_PASSWORD"):
        GraphStore(wrong)
    assert "wrong" not in repr(wrong)


def test_an_unknown_database_is_named_as_such(shared_graph: GraphStore) -> None:
    address = replace(shared_graph.address, database="missing")
    with GraphStore(address) as store, pytest.raises(GraphError, match="KGREC_GRAPH_DATABASE"):
        store.write("serving/erase_user", user_id="nobody")


def test_a_closed_port_is_an_unavailable_graph(shared_graph: GraphStore, closed_port: int) -> None:
    address = replace(shared_graph.address, uri=f"bolt://127.0.0.1:{closed_port}")
    with pytest.raises(GraphUnavailableError, match="no graph database answers"):
        GraphStore(address, StoreConfig(connect_timeout=2))


def test_a_store_is_closed_under_no_transaction_of_another_thread(
    shared_graph: GraphStore,
) -> None:
    for _ in range(10):
        store = GraphStore(shared_graph.address)
        begun = threading.Barrier(4)
        with ThreadPoolExecutor(3) as pool:
            reading = [pool.submit(_read_on, store, begun) for _ in range(3)]
            begun.wait()
            time.sleep(0.01)
            store.close()
            ends = [each.exception(20) for each in reading]
        assert [type(each) for each in ends] == [GraphUnavailableError] * 3


def _read_on(store: GraphStore, begun: threading.Barrier) -> None:
    begun.wait()
    while True:
        store.read("admin/count_relations", {"type": "INTERACTED"})


def eventually(condition: Any, *, seconds: float = 10.0) -> None:
    """Neo4j brings its full-text and vector indexes up to date a little after the commit."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
