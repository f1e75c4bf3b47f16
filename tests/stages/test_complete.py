"""A complete source: what it no longer holds is retired, kept, and brought back."""

from __future__ import annotations

from typing import Any

import pytest
from changing_tables import contents
from small_tables import FILMS, RATINGS, Command, Load

from kgrec.errors import NotFoundError, RetirementError
from kgrec.graph.setup import count_graph
from kgrec.graph.store import GraphStore
from kgrec.stages.retiring.restore import (
    forget_user,
    list_retired,
    restore,
    sweep,
)


def test_what_is_retired_comes_back_until_the_next_sweep(
    load: Load, empty_store: GraphStore
) -> None:
    options: dict[str, Any] = {"complete": True, "max_retired": 1.0}
    load("catalog", FILMS, **options)
    load("interactions", RATINGS, "r.csv", **options)
    before = contents(empty_store)
    less = "movie_id,title,year,genres,director\n2,Heat,1995,Crime,Michael Mann\n"
    done = load("catalog", less, **options)
    assert (done.retired, done.withdrawn) == (2, 1)
    assert count_graph(empty_store).nodes["Item"] == 1
    assert count_graph(empty_store).relations["INTERACTED"] == 1
    names = empty_store.query("MATCH (e:Entity) RETURN e.name AS n ORDER BY n").rows
    assert [row["n"] for row in names] == ["Crime", "Michael Mann"]
    assert load("catalog", less, **options).changed is False
    [one] = list_retired(empty_store)
    assert (one.source, one.items, one.ties, one.interactions) == ("t", 2, 7, 3)
    back = restore(empty_store, one.run_id)
    assert (back.items, back.ties, back.interactions) == (2, 7, 3)
    assert contents(empty_store) == before
    with pytest.raises(NotFoundError, match="nothing is retired"):
        restore(empty_store)
    load("catalog", less, **options)
    assert sweep(empty_store).retired == 12
    assert list_retired(empty_store) == []


def test_interactions_that_vanish_are_retired_and_others_stay(
    load: Load, empty_store: GraphStore
) -> None:
    load("catalog", FILMS)
    load("interactions", RATINGS, "r.csv", complete=True)
    load("interactions", "user_id,movie_id\ncid,2\n", "feedback.csv")
    less = "\n".join(RATINGS.splitlines()[:-1]) + "\n"
    assert load("interactions", less, "r.csv", complete=True, max_retired=0.3).retired == 1
    left = contents(empty_store)[2]
    assert [(row[0], row[1], row[-1]) for row in left] == [
        ("ann", "1", "r"),
        ("ann", "2", "r"),
        ("bob", "1", "r"),
        ("cid", "2", None),
    ]
    assert restore(empty_store).interactions == 1
    assert len(contents(empty_store)[2]) == 5


def test_a_load_that_would_retire_too_much_stops_before_it_writes(
    load: Load, empty_store: GraphStore
) -> None:
    load("catalog", FILMS)
    before = contents(empty_store)
    for text in (
        "movie_id,title,year,genres,director\n2,New name,1995,Crime|Drama,Michael Mann\n",
        "\n".join(FILMS.splitlines()[:1] + [f"{n},Title {n},1999,,X" for n in (1, 2, 3)]),
    ):
        with pytest.raises(RetirementError) as stopped:
            load("catalog", text, complete=True)
        assert "%" in str(stopped.value.value)
        assert "--max-retired" in stopped.value.remedy
        assert contents(empty_store) == before
    assert list_retired(empty_store) == []


def test_a_partial_source_retires_nothing(load: Load, empty_store: GraphStore) -> None:
    load("catalog", FILMS)
    load("catalog", "movie_id,title,year\n2,Heat,\n")
    assert count_graph(empty_store).nodes["Item"] == 3
    assert list_retired(empty_store) == []


def test_what_another_source_gave_stays(load: Load, empty_store: GraphStore) -> None:
    load("catalog", FILMS, "films.csv")
    own = "movie_id,title,description,genres\n1,Alien (director's cut),Text,Space\n"
    named = {"item_id": "movie_id", "title": "title", "description": "description"}
    load("catalog", own, "own.csv", columns=named)
    load("catalog", "movie_id,title,year\n7,Other,1990\n", "others.csv")
    kept = FILMS.splitlines()
    less = "\n".join([kept[0], *kept[2:]])
    load("catalog", less, "films.csv", complete=True, max_retired=1)
    rows = empty_store.query(
        "MATCH (i:Item) OPTIONAL MATCH (i)-[f]->(e:Entity) RETURN i.item_id AS i, i.title AS t, "
        "i.year AS y, i.description AS d, count(f) AS n ORDER BY i"
    ).rows
    assert [[*row.values()] for row in rows] == [
        ["1", "Alien (director's cut)", None, "Text", 1],
        ["2", "Heat", 1995, None, 3],
        ["3", "Godfather, The", 1972, None, 3],
        ["7", "Other", 1990, None, 0],
    ]
    assert load("catalog", less, "films.csv", complete=True).changed is False
    assert restore(empty_store).ties == 3


def test_rows_name_what_is_to_go(load: Load, empty_store: GraphStore) -> None:
    load("catalog", FILMS)
    load("interactions", RATINGS, "r.csv")
    before = contents(empty_store)
    done = load("catalog", "movie_id\n3\n99\n3\n", "gone.csv", delete=True)
    assert (done.rows, done.retired, done.unchanged, done.repeated) == (3, 1, 1, 1)
    assert count_graph(empty_store).nodes["Item"] == 2
    assert load("catalog", "movie_id\n3\n", "gone.csv", delete=True).changed is False
    named = "user_id,movie_id\nann,1\nbob,2\n"
    done = load("interactions", named, "gone.csv", delete=True)
    assert (done.retired, done.unchanged) == (1, 1)
    timed = "user_id,movie_id,timestamp\nann,2,5\nbob,1,881250951\n"
    done = load("interactions", timed, "timed.csv", delete=True, interaction="rating")
    assert (done.retired, done.unchanged) == (1, 1)
    assert [row[:2] for row in contents(empty_store)[2]] == [["ann", "2"]]
    while list_retired(empty_store):
        restore(empty_store)
    assert contents(empty_store) == before
    with pytest.raises(ValueError, match="neither complete nor deleted"):
        load("relations", "head,tail\n1,2\n", "gone.csv", delete=True, relation="SEQUEL_OF")


def test_an_erased_user_is_forgotten_among_what_is_retired(
    load: Load, empty_store: GraphStore
) -> None:
    load("catalog", FILMS)
    load("interactions", RATINGS, "r.csv")
    load("catalog", "movie_id\n1\n2\n", "gone.csv", delete=True)
    assert list_retired(empty_store)[0].interactions == 3
    assert forget_user(empty_store, "ann") == 2
    assert list_retired(empty_store)[0].interactions == 1
    assert not empty_store.query(
        "MATCH (r:Retired) WHERE r.content CONTAINS '\"ann\"' RETURN r"
    ).rows
    assert forget_user(empty_store, "bob") == 1
    restore(empty_store)
    assert [row[:2] for row in contents(empty_store)[2]] == [["bob", "3"]]


def test_the_commands(load: Load, empty_store: GraphStore, command: Command, tmp_path: Any) -> None:
    load("catalog", FILMS)
    less = tmp_path / "t.csv"
    less.write_text("\n".join(FILMS.splitlines()[:3]), "utf-8")
    given = ("ingest", "catalog", less, "--domain", "movies", "--complete")
    code, out, _ = command(*given, "--dry-run")
    assert code == 0
    assert "Would retire 1 of 3 items (33%)" in out
    code, _, err = command(*given)
    assert code == 3
    assert "33%" in err
    assert "--max-retired" in err
    code, out, _ = command(*given, "--max-retired", "0.4")
    assert (code, "1 retired" in out) == (0, True)
    assert "1 items, 3 facts and links" in command("graph", "retired")[1]
    assert "1 items, 3 facts and links" in command("graph", "restore")[1]
    command(*given, "--max-retired", "0.4")
    assert "Would forget 4 " in command("graph", "sweep", "--dry-run")[1]
    assert "Forgot 4 " in command("graph", "sweep")[1]
    assert command("graph", "restore")[0] == 4
