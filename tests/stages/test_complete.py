"""A complete source: what it no longer holds is retired, kept, and brought back."""

from __future__ import annotations

import random
from typing import Any

import pytest
from small_tables import FILMS, RATINGS, Command, Load

from kgrec.errors import NotFoundError, RetirementError
from kgrec.graph.setup import clear_graph, count_graph
from kgrec.graph.store import GraphStore
from kgrec.stages.retiring.restore import (
    count_orphans,
    forget_user,
    list_retired,
    restore,
    sweep,
)

GENRES = ("Drama", "Crime", "Comedy", "Horror", "Western", "Sci-Fi", "War", "Noir")
NODES = "MATCH (n) WHERE n:Item OR n:Entity RETURN labels(n) AS l, properties(n) AS p"
FACTS = (
    "MATCH (a)-[f]->(b:Entity) RETURN coalesce(a.item_id, a.entity_id) AS a, type(f) AS t, "
    "b.entity_id AS b, f.source AS s, f.confidence AS c, f.extractor AS x"
)
INTERACTIONS = (
    "MATCH (u:User)-[x:INTERACTED]->(i:Item) RETURN u.user_id AS u, i.item_id AS i, "
    "x.key AS k, x.kind AS kind, x.value AS v, x.at.epochMillis AS t, x.source AS s"
)


def contents(store: GraphStore) -> list[list[Any]]:
    found = []
    for query in (NODES, FACTS, INTERACTIONS):
        rows = store.query(query, limit=100_000).rows
        for row in rows:
            if "p" in row:
                row["p"].pop("extracted", None)
        found.append(sorted(([*row.values()] for row in rows), key=repr))
    return found


def catalog(films: dict[str, dict[str, str]]) -> str:
    lines = ["movie_id,title,year,genres,director,description"]
    for each, film in films.items():
        lines.append(",".join([each, *film.values()]))
    return "\n".join(lines) + "\n"


def film(draw: random.Random) -> dict[str, str]:
    return {
        "title": f"Film {draw.randrange(10_000)}",
        "year": draw.choice(["", str(draw.randrange(1930, 2020))]),
        "genres": "|".join(sorted(draw.sample(GENRES, draw.randrange(0, 4)))),
        "director": draw.choice(["", f"Director {draw.randrange(12)}"]),
        "description": draw.choice(["", f"A text of {draw.randrange(100)} words."]),
    }


def ratings(rows: dict[tuple[str, str], int]) -> str:
    lines = ["user_id,movie_id,rating,timestamp"]
    lines += [
        f"{user},{item},{value},{881250949 + len(user)}" for (user, item), value in rows.items()
    ]
    return "\n".join(lines) + "\n"


def load_both(load: Load, films: dict[str, Any], rows: dict[Any, int]) -> None:
    options: dict[str, Any] = {"complete": True, "max_retired": 0.9}
    relations = {"HAS_GENRE": "genres:|", "DIRECTED_BY": "director"}
    columns = {"year": "year", "description": "description"}
    columns = {"item_id": "movie_id", "title": "title", **columns}
    load("catalog", catalog(films), "films.csv", relations=relations, columns=columns, **options)
    load("interactions", ratings(rows), "ratings.csv", **options)


def test_ten_updates_equal_one_fresh_load(load: Load, empty_store: GraphStore) -> None:
    draw = random.Random(3)
    films = {str(n): film(draw) for n in range(60)}
    rows = {(f"user{n % 9}", draw.choice(list(films))): draw.randrange(1, 6) for n in range(150)}
    load_both(load, films, rows)
    for step in range(10):
        for each in draw.sample(sorted(films), 8):
            del films[each]
        for each in draw.sample(sorted(films), 12):
            films[each] = film(draw)
        films |= {f"{100 * (step + 1) + n}": film(draw) for n in range(8)}
        rows = {pair: value for pair, value in rows.items() if pair[1] in films}
        for pair in draw.sample(sorted(rows), 10):
            del rows[pair]
        for pair in draw.sample(sorted(rows), 10):
            rows[pair] = 6 - rows[pair]
        rows |= {
            (f"user{draw.randrange(12)}", draw.choice(list(films))): draw.randrange(1, 6)
            for _ in range(25)
        }
        load_both(load, films, rows)
        assert count_orphans(empty_store) == 0
    updated = contents(empty_store)
    assert len(updated[2]) == len(rows)
    clear_graph(empty_store)
    load_both(load, films, rows)
    assert updated == contents(empty_store)
    assert list_retired(empty_store) == []


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
