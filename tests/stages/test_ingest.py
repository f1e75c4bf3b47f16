"""Ingest: what a table says is in the graph, once, and goes on being so."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from small_tables import FILMS, RATINGS, Load

from kgrec.cli.loaded import described
from kgrec.data.records import FactRecord
from kgrec.data.rejects import read_rejects
from kgrec.errors import DataError
from kgrec.graph.statements import plain
from kgrec.graph.store import GraphStore
from kgrec.stages.loading import interactions
from kgrec.stages.loading.facts import fact_changes

TEXT = "the text that says it"


def rows(store: GraphStore, cypher: str) -> list[list[Any]]:
    return [list(row.values()) for row in store.query(cypher, limit=10_000).rows]


def contents(store: GraphStore) -> dict[str, list[list[Any]]]:
    """Everything in the graph that a load may write."""
    nodes = "MATCH (n) RETURN labels(n) AS l, properties(n) AS p"
    facts = (
        "MATCH (i:Item)-[f]->(e:Entity) RETURN i.item_id AS i, type(f) AS t, "
        "e.entity_id AS e, properties(f) AS p"
    )
    interactions = (
        "MATCH (u:User)-[x:INTERACTED]->(i:Item) RETURN u.user_id AS u, i.item_id AS i, "
        "x.key AS k, x.kind AS kind, x.value AS v, x.at.epochMillis AS t"
    )
    queries = {"nodes": nodes, "facts": facts, "interactions": interactions}
    return {name: sorted(rows(store, query), key=repr) for name, query in queries.items()}


def test_a_catalogue_becomes_items_entities_and_facts(load: Load, empty_store: GraphStore) -> None:
    done = load("catalog", FILMS, move_article=True)
    assert (done.rows, done.created, done.entities, done.facts) == (3, 3, 7, 9)
    items = "MATCH (i:Item:Movie) RETURN i.item_id AS i, i.title AS t, i.year AS y ORDER BY i"
    assert rows(empty_store, items) == [
        ["1", "Alien", 1979],
        ["2", "Heat", 1995],
        ["3", "The Godfather", 1972],
    ]
    facts = (
        "MATCH (:Item {item_id: '2'})-[f]->(e:Entity) RETURN type(f) AS t, e.name AS n, "
        "f.confidence AS c, f.source AS s, f.extractor AS x, f.run_id AS r ORDER BY t, n"
    )
    assert rows(empty_store, facts) == [
        ["DIRECTED_BY", "Michael Mann", 1.0, "column:t.director", "table", done.run_id],
        ["HAS_GENRE", "Crime", 1.0, "column:t.genres", "table", done.run_id],
        ["HAS_GENRE", "Drama", 1.0, "column:t.genres", "table", done.run_id],
    ]
    assert rows(empty_store, "MATCH (e:Person) RETURN count(e) AS n") == [[3]]


def test_interactions_create_users_and_hold_one_relation_each(
    load: Load, empty_store: GraphStore
) -> None:
    load("catalog", FILMS)
    done = load("interactions", RATINGS)
    assert (done.rows, done.created, done.users, done.rejected) == (4, 4, 2, 0)
    assert contents(empty_store)["interactions"] == [
        ["ann", "1", "rating@881250949000", "rating", 5.0, 881_250_949_000],
        ["ann", "2", "rating@881250950000", "rating", 3.0, 881_250_950_000],
        ["bob", "1", "rating@881250951000", "rating", 4.0, 881_250_951_000],
        ["bob", "3", "rating@0", "rating", 2.0, None],
    ]


def test_the_same_file_twice_changes_nothing(load: Load, empty_store: GraphStore) -> None:
    users = "user_id,age,gender\nann,30,F\nbob,40,M\n"
    for kind, text in (("catalog", FILMS), ("users", users), ("interactions", RATINGS)):
        assert load(kind, text).changed
    before = contents(empty_store)
    for kind, text in (("catalog", FILMS), ("users", users), ("interactions", RATINGS)):
        again = load(kind, text)
        assert not again.changed
        assert again.unchanged == again.rows > 0
    assert contents(empty_store) == before


def test_a_newer_file_adds_and_updates(load: Load, empty_store: GraphStore) -> None:
    load("catalog", FILMS)
    newer = FILMS.replace("Alien,1979", "Alien!,1979").replace(
        "Crime|Drama,Michael", "Crime,Michael"
    )
    done = load("catalog", newer + "4,Ran,1985,Drama|War,\n")
    assert (done.created, done.updated, done.unchanged) == (1, 2, 1)
    assert (done.facts, done.withdrawn, done.entities) == (2, 1, 1)
    genres = "MATCH (:Item {item_id: '2'})-[:HAS_GENRE]->(e:Entity) RETURN e.name AS n ORDER BY n"
    assert rows(empty_store, genres) == [["Crime"]]
    load("interactions", RATINGS)
    done = load("interactions", RATINGS.replace("ann,1,5", "ann,1,1") + "cid,2,4,881250960\n")
    assert (done.created, done.updated, done.unchanged, done.users) == (1, 1, 3, 1)


def test_a_second_catalogue_adds_facts_and_leaves_the_rest(
    load: Load, empty_store: GraphStore
) -> None:
    load("catalog", FILMS)
    people = "movie_id,actors\n1,Sigourney Weaver|Ridley Scott\n9,Nobody\n"
    done = load("catalog", people, name="people.csv")
    assert (done.rows, done.updated, done.facts, done.rejected) == (2, 1, 2, 1)
    assert done.reasons == {"title is missing, and there is no such item yet": 1}
    facts = (
        "MATCH (:Item {item_id: '1'})-[f]->(e:Entity) RETURN count(f) AS f, count(DISTINCT e) AS e"
    )
    assert rows(empty_store, facts) == [[5, 4]]


def test_what_is_left_empty_stays_as_it_was(load: Load, empty_store: GraphStore) -> None:
    load("catalog", FILMS)
    done = load("catalog", "movie_id,title,year,genres\n1,Alien,,\n")
    assert (done.updated, done.unchanged, done.withdrawn) == (0, 1, 0)
    assert rows(empty_store, "MATCH (i:Item {item_id: '1'}) RETURN i.year AS y") == [[1979]]


def test_the_more_confident_source_of_a_fact_stays(load: Load, empty_store: GraphStore) -> None:
    load("catalog", FILMS)

    def say(name: str, confidence: float) -> None:
        kind = ("DIRECTED_BY", "Person")
        origin = ("text:description", "rules/agent", TEXT)
        fact = FactRecord("1", *kind, name, confidence, *origin)
        empty_store.write_all(fact_changes(empty_store, [fact.link], "run-x", withdraw={}).steps)

    say("RIDLEY  SCOTT", 0.9)
    say("Moebius", 0.4)
    say("Moebius", 0.7)
    say("Moebius", 0.2)
    facts = (
        "MATCH (:Item {item_id: '1'})-[f:DIRECTED_BY]->(e) RETURN e.name AS n, f.confidence AS c, "
        "f.source AS s, f.evidence AS v ORDER BY n"
    )
    assert rows(empty_store, facts) == [
        ["Moebius", 0.7, "text:description", TEXT],
        ["Ridley Scott", 1.0, "column:t.director", ""],
    ]


def test_rows_that_cannot_be_used_are_set_aside_with_their_lines(
    load: Load, empty_store: GraphStore
) -> None:
    load("catalog", FILMS)
    bad = (
        b"user_id,movie_id,rating,timestamp\n"
        b"ann,1,5,881250949\n"
        b"ann,2,abc,881250949\n"
        b"ann,77,4,881250949\n"
        b"b\xffb,1,4,881250949\n"
        b",1,4,881250949\n"
        b"bob,1,4,99999999999\n"
        b"bob,1,4\n"
        b"bob,1,2,881250949\n"
        b"bob,1,3,881250949\n"
    )
    done = load("interactions", bad)
    assert (done.rows, done.created, done.repeated, done.rejected) == (9, 2, 1, 6)
    again = load("interactions", bad)
    assert (again.rows, again.unchanged, again.repeated, again.rejected) == (9, 2, 1, 6)
    assert described(again) == "9 rows: 2 unchanged, 1 repeated in the file, 6 set aside."
    assert done.rejects is not None
    found = {(one.line, one.value, one.reason) for one in read_rejects(Path(done.rejects))}
    assert found == {
        (3, "abc", "value is not a number"),
        (4, "77", "there is no such item"),
        (5, "b\\udcffb", "bytes that are not UTF-8"),
        (6, "", "user_id is missing"),
        (7, "99999999999", "at lies in the future (without a zone it is read as UTC)"),
        (8, "bob,1,4", "4 cells are expected, here are 3"),
    }
    values = "MATCH (:User {user_id: 'bob'})-[x:INTERACTED]->() RETURN x.value AS v"
    assert rows(empty_store, values) == [[3.0]]


def test_of_two_rows_with_one_id_the_first_counts(load: Load, empty_store: GraphStore) -> None:
    done = load("catalog", "item_id,title\n1,First\n1,Second\n2,Other\n")
    assert (done.rows, done.created, done.rejected) == (3, 2, 1)
    assert rows(empty_store, "MATCH (i:Item) RETURN i.title AS t ORDER BY t") == [
        ["First"],
        ["Other"],
    ]
    assert done.reasons == {"item_id stands in the file before; the first row counts": 1}


def test_unknown_items_are_created_when_asked_for(load: Load, empty_store: GraphStore) -> None:
    done = load("interactions", RATINGS, create_items=True)
    assert (done.items, done.created, done.rejected) == (3, 4, 0)
    assert rows(empty_store, "MATCH (i:Movie) RETURN count(i) AS n") == [[3]]


def test_a_file_of_no_use_is_an_error_and_its_rows_are_kept(load: Load, home: Path) -> None:
    with pytest.raises(DataError, match="no row of the file can be used") as caught:
        load("interactions", RATINGS)
    assert "4 times: there is no such item" in caught.value.remedy
    assert any((home / "rejects").glob("ingest-t-*.jsonl"))
    with pytest.raises(DataError, match="no rows"):
        load("catalog", "item_id,title\n")


def test_a_run_is_noted_once_with_what_it_did(load: Load, empty_store: GraphStore) -> None:
    done = load("catalog", FILMS)
    load("catalog", FILMS)
    query = "MATCH (r:Run) RETURN r.run_id AS i, r.stage AS s, r.summary AS t"
    ((run_id, stage, summary),) = rows(empty_store, query)
    assert (run_id, stage) == (done.run_id, "ingest")
    assert json.loads(summary)["created"] == 3


@pytest.mark.parametrize("name", ["t.jsonl", "t.parquet"])
def test_lists_become_entities_without_a_separator(
    load: Load, empty_store: GraphStore, tmp_path: Path, name: str
) -> None:
    films = [{"item_id": 1, "title": "Alien", "genres": ["Horror", "Sci-Fi, of a kind"]}]
    if name.endswith("parquet"):
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.Table.from_pylist(films), tmp_path / "x")
        content: str | bytes = (tmp_path / "x").read_bytes()
    else:
        content = "".join(json.dumps(film) + "\n" for film in films)
    assert load("catalog", content, name=name).facts == 2
    names = "MATCH (e:Genre) RETURN e.name AS n ORDER BY n"
    assert rows(empty_store, names) == [["Horror"], ["Sci-Fi, of a kind"]]


def load_album(store: GraphStore, item_id: str) -> None:
    store.write("ingest/create_items", {"item_type": "Album"}, items=[item_id])


def test_ratings_of_one_domain_do_not_reach_the_items_of_another(
    load: Load, empty_store: GraphStore
) -> None:
    load("catalog", FILMS)
    load_album(empty_store, "a1")
    for create_items in (False, True):
        done = load("interactions", RATINGS + "ann,a1,5,881250952\n", create_items=create_items)
        assert done.reasons == {"the id belongs to an item of another domain": 1}
        assert (done.created + done.unchanged, done.items) == (4, 0)
    assert rows(empty_store, "MATCH (:User)-[x]->(:Album) RETURN count(x) AS n") == [[0]]


def test_a_user_of_more_than_one_batch_is_loaded_whole(
    load: Load, empty_store: GraphStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interactions, "INTERACTIONS_A_BATCH", 2)
    monkeypatch.setattr(interactions, "MOST_A_BATCH", 2)
    lines = [f"{user},{item},4,88125{item:04}" for user in ("ann", "bob") for item in range(5)]
    text = "\n".join(["user_id,movie_id,rating,timestamp", *lines, ""])
    done = load("interactions", text, create_items=True)
    assert (done.created, done.users, done.items) == (10, 2, 5)
    again = load("interactions", text.replace("bob,4,4", "bob,4,3"))
    assert (again.created, again.updated, again.unchanged, again.users) == (0, 1, 9, 0)


def test_only_what_a_batch_needs_is_read(load: Load, empty_store: GraphStore) -> None:
    load("catalog", FILMS)
    load("interactions", RATINGS)
    wanted = [
        {"2|rating@881250950000": 7, "1|rating@0": 8},
        {"1|rating@881250951000": 3, "9|rating@0": 4},
    ]
    found = empty_store.read("ingest/interactions", users=["ann", "bob"], wanted=wanted)
    assert [(row["places"], row["values"]) for row in found] == [([7, 3], [3.0, 4.0])]


def test_a_property_may_be_called_labels(load: Load, empty_store: GraphStore) -> None:
    text = "item_id,title,labels\n1,Alien,classic\n"
    assert load("catalog", text, properties=["labels"]).created == 1
    assert not load("catalog", text, properties=["labels"]).changed


def test_tables_with_a_column_of_one_name_leave_each_other_alone(
    load: Load, empty_store: GraphStore
) -> None:
    load("catalog", FILMS)
    other = "movie_id,genres\n1,Thriller\n"
    done = load("catalog", other, name="other.csv")
    assert (done.facts, done.withdrawn) == (1, 0)
    assert not load("catalog", FILMS).changed
    assert not load("catalog", other, name="other.csv").changed


def test_a_source_may_become_less_sure_of_what_it_says(load: Load, empty_store: GraphStore) -> None:
    load("catalog", FILMS)
    for confidence in (0.9, 0.4):
        kind = ("HAS_GENRE", "Genre", "War")
        fact = FactRecord("1", *kind, confidence, "text:description", "rules/agent", TEXT)
        withdraw = {("item", "1"): frozenset({"text:description"})}
        changes = fact_changes(empty_store, [fact.link], "run-x", withdraw=withdraw)
        assert (changes.written, changes.withdrawn) == (1, 0)
        empty_store.write_all(changes.steps)
    found = "MATCH (:Item {item_id: '1'})-[f]->(:Genre {name: 'War'}) RETURN f.confidence AS c"
    assert rows(empty_store, found) == [[0.4]]
    again = fact_changes(empty_store, [fact.link], "run-x", withdraw=withdraw)
    assert again.steps == []


def test_a_catalogue_hides_items_and_takes_them_out_of_stored_lists(
    load: Load, empty_store: GraphStore
) -> None:
    load("catalog", FILMS)
    query = "UNWIND $ids AS id MATCH (i:Item {item_id: id}) CREATE (:User {user_id: 'u' + id})"
    empty_store.query(
        f"{query}-[:RECOMMENDED {{rank: 1}}]->(i)", {"ids": ["1", "2", "3"]}, writing=True
    )
    table = """movie_id,available,available_from,expires_at
1,false,,
2,true,2031-05-06,1936483200
3,perhaps,never,
"""
    summary = load("catalog", table)
    assert (summary.updated, summary.unchanged, summary.cells_rejected) == (2, 1, 2)
    assert load("catalog", table).updated == 0
    names = ("available", "available_from", "expires_at")
    found = {
        item: [plain(one) for one in values]
        for item, values in rows(
            empty_store,
            f"MATCH (i:Item) RETURN i.item_id, [{', '.join(f'i.{name}' for name in names)}]",
        )
    }
    assert found["1"] == [False, None, None]
    limits = [datetime(2031, 5, 6, tzinfo=UTC), datetime(2031, 5, 14, tzinfo=UTC)]
    assert found["2"] == [True, *limits]
    assert found["3"] == [None, None, None]
    stored = rows(empty_store, "MATCH (:User)-[:RECOMMENDED]->(i) RETURN i.item_id AS id")
    assert sorted(item for (item,) in stored) == ["2", "3"]
