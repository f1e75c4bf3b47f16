"""Complete sources of users and of entities, and rows that name those that are to go."""

from __future__ import annotations

from typing import Any

import pytest
from small_tables import FILMS, RATINGS, Command, Load

from kgrec.errors import RetirementError
from kgrec.export.parquet import write_parquet
from kgrec.graph.setup import count_graph
from kgrec.graph.store import GraphStore
from kgrec.graph.training_data import read_dataset
from kgrec.stages.retiring.restore import (
    count_orphans,
    forget_user,
    list_retired,
    restore,
    sweep,
)

USERS = "user_id,age,town\nann,30,Porto\nbob,41,Lisbon\ncid,52,Faro\n"
PEOPLE = (
    "name,birth_year,born_in\nRidley Scott,1937,South Shields\nMichael Mann,1943,Chicago\n"
    "Nobody Else,1950,Chicago\n"
)
EVERYTHING = (
    "MATCH (n) WHERE n:Item OR n:User OR n:Entity RETURN labels(n) AS l, properties(n) AS p",
    "MATCH (a)-[f]->(b) WHERE NOT a:Revision RETURN coalesce(a.item_id, a.user_id, a.entity_id) "
    "AS a, type(f) AS t, coalesce(b.item_id, b.user_id, b.entity_id) AS b, f.source AS s, "
    "f.key AS k, f.value AS v, f.confidence AS c, f.extractor AS x",
)


def contents(store: GraphStore) -> list[list[Any]]:
    found = []
    for query in EVERYTHING:
        rows = [[*row.values()] for row in store.query(query, limit=10_000).rows]
        for row in rows:
            row[0] = sorted(row[0]) if isinstance(row[0], list) else row[0]
        found.append(sorted(rows, key=repr))
    return found


def people(load: Load, text: str, **options: Any) -> Any:
    given = {"entity_type": "Person", "columns": {"birth_year": "birth_year"}}
    return load("entities", text, "people.csv", **given, **options)


def test_users_that_vanish_are_retired_with_what_they_did_and_come_back(
    load: Load, empty_store: GraphStore
) -> None:
    load("catalog", FILMS)
    load("users", USERS, "users.csv", complete=True)
    load("interactions", RATINGS, "r.csv")
    load("interactions", "user_id,movie_id\neve,2\n", "visits.csv")
    assert load("users", USERS, "users.csv", complete=True).changed is False
    before = contents(empty_store)
    less = "user_id,age,town\nann,31,\ncid,52,Faro\n"
    with pytest.raises(RetirementError, match="1 of 3 users"):
        load("users", less, "users.csv", complete=True)
    assert contents(empty_store) == before
    done = load("users", less, "users.csv", complete=True, max_retired=0.4)
    assert (done.retired, done.updated) == (1, 1)
    rows = empty_store.query("MATCH (u:User) RETURN u.user_id AS u, u.age AS a, u.town AS t").rows
    assert sorted((row["u"], row["a"], row["t"]) for row in rows) == [
        ("ann", 31, None),
        ("cid", 52, "Faro"),
        ("eve", None, None),  # no complete source holds her
    ]
    assert count_graph(empty_store).relations["INTERACTED"] == 3
    [one] = list_retired(empty_store)
    assert (one.source, one.users, one.interactions, one.total) == ("users", 1, 2, 3)
    assert load("users", less, "users.csv", complete=True).changed is False
    assert restore(empty_store).users == 1
    load("users", USERS, "users.csv", complete=True)
    assert contents(empty_store) == before
    load("users", less, "users.csv", complete=True, max_retired=0.4)
    assert forget_user(empty_store, "bob") == 3
    assert list_retired(empty_store) == []


def test_a_users_source_is_named_to_nobody(
    load: Load, empty_store: GraphStore, tmp_path: Any
) -> None:
    load("catalog", FILMS)
    load("users", USERS, "users.csv", complete=True)
    load("interactions", RATINGS, "r.csv")
    assert {one.name for one in read_dataset(empty_store).user_columns} <= {"age", "town"}
    pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    write_parquet(empty_store, tmp_path / "out")
    names = pq.read_table(tmp_path / "out" / "User.parquet").column_names
    assert "held_by" not in names


def test_entities_that_vanish_are_emptied_and_those_that_nothing_leads_to_go(
    load: Load, empty_store: GraphStore
) -> None:
    load("catalog", FILMS)
    people(load, PEOPLE, complete=True)
    assert people(load, PEOPLE, complete=True).changed is False
    before = contents(empty_store)
    less = "name,birth_year,born_in\nMichael Mann,1943,Chicago\n"
    with pytest.raises(RetirementError, match="2 of 3 entities"):
        people(load, less, complete=True)
    assert contents(empty_store) == before
    done = people(load, less, complete=True, max_retired=1)
    assert done.retired == 2
    rows = empty_store.query(
        "MATCH (p:Person) RETURN p.name AS n, p.birth_year AS y, p.held_by AS h ORDER BY n"
    ).rows
    assert [[*row.values()] for row in rows] == [
        ["Francis Ford Coppola", None, None],
        ["Michael Mann", 1943, "people"],
        ["Ridley Scott", None, None],  # a film leads to him
    ]
    places = empty_store.query("MATCH (p:Place) RETURN p.name AS n").rows
    assert [row["n"] for row in places] == ["Chicago"]
    assert count_orphans(empty_store) == 0
    assert people(load, less, complete=True).changed is False
    back = restore(empty_store)
    assert back.entities == 2
    assert contents(empty_store) == before
    people(load, less, complete=True, max_retired=1)
    sweep(empty_store)
    assert list_retired(empty_store) == []


def test_an_emptied_cell_of_entities_empties_and_a_partial_table_retires_nothing(
    load: Load, empty_store: GraphStore
) -> None:
    people(load, PEOPLE, complete=True)
    people(load, "name,birth_year,born_in\nMichael Mann,,\n")
    assert count_graph(empty_store).nodes["Entity"] == 5
    gone = PEOPLE.replace("1943", "").replace("South Shields", "")
    done = people(load, gone, complete=True, max_retired=0.5)
    assert done.withdrawn == 1
    rows = empty_store.query(
        "MATCH (p:Person) OPTIONAL MATCH (p)-[f]->(q:Place) "
        "RETURN p.name AS n, p.birth_year AS y, q.name AS q ORDER BY n"
    ).rows
    assert [[*row.values()] for row in rows] == [
        ["Michael Mann", None, "Chicago"],
        ["Nobody Else", 1950, "Chicago"],
        ["Ridley Scott", 1937, None],
    ]


def test_rows_name_users_and_entities_that_are_to_go(load: Load, empty_store: GraphStore) -> None:
    load("catalog", FILMS)
    load("users", USERS, "users.csv")
    load("interactions", RATINGS, "r.csv")
    before = contents(empty_store)
    done = load("users", "user_id\nbob\nnobody\n", "gone.csv", delete=True)
    assert (done.retired, done.unchanged) == (1, 1)
    assert count_graph(empty_store).relations["INTERACTED"] == 2
    named = "name\nCrime\nNo Such Genre\n"
    done = load("entities", named, "genres.csv", delete=True, entity_type="Genre")
    assert (done.retired, done.unchanged) == (1, 1)
    assert not empty_store.query("MATCH (g:Genre {name: 'Crime'}) RETURN g").rows
    assert [(one.entities, one.ties, one.users) for one in list_retired(empty_store)] == [
        (0, 0, 1),
        (1, 2, 0),
    ]
    while list_retired(empty_store):
        restore(empty_store)
    assert contents(empty_store) == before


def test_dry_runs_count_and_write_nothing(
    load: Load, empty_store: GraphStore, command: Command, tmp_path: Any
) -> None:
    load("catalog", FILMS)
    load("users", USERS, "t.csv", complete=True)
    before = contents(empty_store)
    less = tmp_path / "t.csv"
    less.write_text("user_id,age,town\nann,30,Porto\n", "utf-8")
    users = ("ingest", "users", less, "--domain", "movies")
    assert "Would retire 2 of 3 users (67%)" in command(*users, "--complete", "--dry-run")[1]
    assert "Would retire 1 by 1 rows" in command(*users, "--delete", "--dry-run")[1]
    less.write_text("name\nCrime\nDrama\n", "utf-8")
    genres = ("ingest", "entities", less, "--domain", "movies", "--type", "Genre")
    assert "Would retire 2 by 2 rows" in command(*genres, "--delete", "--dry-run")[1]
    assert contents(empty_store) == before
    assert list_retired(empty_store) == []
