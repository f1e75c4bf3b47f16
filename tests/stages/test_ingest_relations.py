"""Tables of entities and of edges: written once, checked, withdrawn, created only where allowed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from small_tables import FILMS, RATINGS, Command, Load

from kgrec.data.rejects import read_rejects
from kgrec.errors import ConfigError, DataError
from kgrec.graph.store import GraphStore
from kgrec.stages.loading import links

PEOPLE = """name,aliases,birthplace,height
Ridley Scott,Sir Ridley Scott|R. Scott,South Shields,174
Michael Mann,,Chicago,
"""
SEQUELS = "movie_id,sequel_of\n2,1\n3,2\n"


def edges(store: GraphStore) -> list[list[Any]]:
    cypher = (
        "MATCH (a)-[f]->(b) WHERE NOT type(f) IN ['INTERACTED', 'DIRECTED_BY', 'HAS_GENRE'] "
        "RETURN coalesce(a.item_id, a.entity_id, a.user_id) AS a, type(f) AS t, "
        "coalesce(b.item_id, b.entity_id, b.user_id) AS b, f.confidence AS c, f.source AS s, "
        "f.extractor AS x, f.run_id AS r, f.evidence AS e"
    )
    return sorted([list(row.values()) for row in store.query(cypher, limit=10_000).rows], key=str)


def people(load: Load, text: str = PEOPLE, **options: object) -> Any:
    return load("entities", text, name="people.csv", entity_type="Person", **options)


def test_entities_get_names_aliases_properties_and_links(
    load: Load, empty_store: GraphStore
) -> None:
    load("catalog", FILMS)
    done = people(load, properties=["height"])
    assert (done.rows, done.created, done.updated, done.entities, done.links) == (2, 0, 2, 2, 2)
    assert edges(empty_store) == [
        [f"Person:{who}", "BORN_IN", f"Place:{where}", 1.0, source, "table", done.run_id, ""]
        for source in ["column:people.birthplace"]
        for who, where in [("michael mann", "chicago"), ("ridley scott", "south shields")]
    ]
    found = (
        "MATCH (e:Person {entity_id: 'Person:ridley scott'}) RETURN e.aliases AS a, e.height AS h"
    )
    [row] = empty_store.query(found).rows
    assert (row["a"], row["h"]) == (["Sir Ridley Scott", "R. Scott"], 174)
    again = people(load, properties=["height"])
    assert not again.changed
    assert again.unchanged == 2
    newer = people(load, PEOPLE.replace("Chicago", "Paris"), properties=["height"])
    assert (newer.updated, newer.unchanged, newer.links, newer.withdrawn) == (1, 1, 1, 1)


def test_an_id_of_ones_own_keeps_two_of_one_name_apart(load: Load, empty_store: GraphStore) -> None:
    text = "person_id,name\np1,Chris Evans\np2,Chris Evans\np2,Again\n,Nobody\n"
    done = people(load, text)
    assert (done.created, done.rejected) == (2, 2)
    found = "MATCH (e:Person) RETURN e.entity_id AS i, e.name AS n ORDER BY i"
    assert [list(row.values()) for row in empty_store.query(found).rows] == [
        ["Person:p1", "Chris Evans"],
        ["Person:p2", "Chris Evans"],
    ]


def test_rows_may_differ_in_type(load: Load, empty_store: GraphStore) -> None:
    text = "type,name\nPerson,Ann\nPlace,Rome\nRobot,R2\n,None\n"
    done = load("entities", text)
    assert (done.created, done.rejected) == (2, 2)
    rows = empty_store.query("MATCH (e:Place) RETURN e.entity_id AS i").rows
    assert [row["i"] for row in rows] == ["Place:rome"]


def test_edges_between_items_are_written_once(load: Load, empty_store: GraphStore) -> None:
    load("catalog", FILMS)
    done = load("relations", SEQUELS, name="sequels.csv", relation="SEQUEL_OF")
    assert (done.rows, done.created, done.entities, done.rejected) == (2, 2, 0, 0)
    rest = [1.0, "table:sequels", "table", done.run_id, ""]
    assert edges(empty_store) == [["2", "SEQUEL_OF", "1", *rest], ["3", "SEQUEL_OF", "2", *rest]]
    again = load("relations", SEQUELS, name="sequels.csv", relation="SEQUEL_OF")
    assert not again.changed
    assert again.unchanged == again.rows == 2
    newer = load("relations", "movie_id,sequel_of\n2,3\n", "sequels.csv", relation="SEQUEL_OF")
    assert (newer.created, newer.withdrawn) == (1, 1)
    assert [row[:3] for row in edges(empty_store)] == [
        ["2", "SEQUEL_OF", "3"],
        ["3", "SEQUEL_OF", "2"],
    ]


def test_what_is_wrong_with_an_edge_is_said(load: Load, empty_store: GraphStore) -> None:
    load("catalog", FILMS)
    empty_store.write("ingest/create_items", {"item_type": "Artist"}, items=["a1"])
    text = (
        "relation,head,tail,confidence\n"
        "SEQUEL_OF,2,1,0.5\n"
        "SEQUEL_OF,2,1,0.75\n"
        "SEQUEL_OF,1,99,\n"
        "SEQUEL_OF,1,a1,\n"
        "SEQUEL_OF,1,1,\n"
        "SEQUEL_OF,,1,\n"
        "SEQUEL_OF,3,1,2\n"
        "OWNS,3,1,\n"
        "BORN_IN,Ann,Rome,\n"
        "BORN_IN,Person:Bob,Place:Rome,\n"
        "BORN_IN,Person:Bob,Genre:Drama,\n"
        "LIKES,ann,Genre:Drama,\n"
        "DIRECTED_BY,1,Ann,\n"
    )
    done = load("relations", text, name="edges.csv")
    assert (done.rows, done.created, done.repeated, done.rejected) == (13, 4, 1, 8)
    assert done.entities == 3
    assert done.rejects is not None
    found = {(one.line, one.reason) for one in read_rejects(Path(done.rejects))}
    known = (line for line, reason in found if reason.startswith("relation is none of"))
    assert list(known) == [9]
    assert {one for one in found if one[0] != 9} == {
        (4, "there is no such item"),
        (5, "the id belongs to an item of another domain"),
        (6, "head and tail are the same"),
        (7, "head is missing"),
        (8, "confidence is not above 0 and at most 1"),
        (12, "tail is of type Genre and must be of type Place"),
        (13, "there is no such user"),
    }
    assert [row[:4] for row in edges(empty_store)] == [
        ["2", "SEQUEL_OF", "1", 0.75],
        ["Person:ann", "BORN_IN", "Place:rome", 1.0],
        ["Person:bob", "BORN_IN", "Place:rome", 1.0],
    ]


def test_users_like_entities_and_follow_users(load: Load, empty_store: GraphStore) -> None:
    load("catalog", FILMS)
    load("interactions", RATINGS)
    likes = "user,entity,evidence\nann,Genre:Crime,she said so\nann,Crime,\nzoe,Genre:War,\n"
    done = load("relations", likes, name="likes.csv", relation="LIKES")
    assert (done.created, done.rejected, done.entities) == (1, 2, 0)
    assert sorted(done.reasons) == [
        "tail must name its type, as Type:name",
        "there is no such user",
    ]
    done = load("relations", "who,whom\nann,bob\n", name="follows.csv", relation="FOLLOWS")
    assert done.created == 1
    assert [row[:3] + row[7:] for row in edges(empty_store)] == [
        ["ann", "FOLLOWS", "bob", ""],
        ["ann", "LIKES", "Genre:crime", "she said so"],
    ]


def test_the_edges_of_one_head_stay_in_one_batch(
    load: Load, empty_store: GraphStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch that ended within a head would withdraw what the batch before wrote for it."""
    monkeypatch.setattr(links, "LINKS_A_BATCH", 2)
    rows = [f"Org {n},Org {n + k + 1}" for n in (0, 10, 20) for k in range(5)]
    text = "\n".join(["head,tail", *reversed(rows), ""])
    done = load("relations", text, name="owners.csv", relation="PART_OF")
    assert (done.created, done.withdrawn) == (15, 0)
    again = load("relations", text, name="owners.csv", relation="PART_OF")
    assert (again.unchanged, again.withdrawn) == (15, 0)
    assert len(edges(empty_store)) == 15


def test_options_of_no_use_are_named(load: Load) -> None:
    load("catalog", FILMS)
    with pytest.raises(
        ConfigError, match=r"the relation type of the rows is not given.*--relation"
    ):
        load("relations", "head,tail\n1,2\n")
    with pytest.raises(ConfigError, match=r"no such relation type.*Did you mean 'SEQUEL_OF'"):
        load("relations", "head,tail\n1,2\n", relation="SEQUELOF")
    with pytest.raises(ConfigError, match=r"no such entity type.*Known: .*Person"):
        load("entities", "name\nAnn\n", entity_type="Robot")
    with pytest.raises(ConfigError, match=r"the entity type of the rows is not given"):
        load("entities", "name,x\nAnn,1\n")
    with pytest.raises(ConfigError, match=r"from Person to entities.*'HAS_GENRE'"):
        people(load, relations={"HAS_GENRE": "height"})
    with pytest.raises(DataError, match="no column looks like name"):
        people(load, "a,b\n1,2\n")
    with pytest.raises(DataError, match="no column looks like head"):
        load("relations", "a,b,c\n1,2,3\n", relation="SEQUEL_OF")


def test_the_command_shows_guesses_and_loads(command: Command, tmp_path: Path, load: Load) -> None:
    load("catalog", FILMS)
    path = tmp_path / "sequels.csv"
    path.write_text(SEQUELS, encoding="utf-8")
    options = ["--domain", "movies", "--relation", "SEQUEL_OF"]
    code, shown, _ = command("ingest", "relations", path, *options, "--dry-run")
    assert code == 0
    assert [line.replace(":", "").split()[:3] for line in shown.splitlines()[-3:-1]] == [
        ["movie_id", "head", "guessed"],
        ["sequel_of", "tail", "guessed"],
    ]
    code, shown, _ = command("ingest", "relations", path, *options)
    assert (code, "2 rows: 2 created." in shown) == (0, True)
    code, shown, _ = command("ingest", "relations", path, *options, "--json")
    assert json.loads(shown)["changed"] is False
    code, _, shown = command("ingest", "relations", path, *options, "--relation", "LIKES")
    assert (code, "of one type" in shown) == (2, True)
    people_file = tmp_path / "people.csv"
    people_file.write_text(PEOPLE, encoding="utf-8")
    options = ["--domain", "movies", "--type", "Person"]
    code, shown, _ = command("ingest", "entities", people_file, *options)
    assert code == 0
    assert "BORN_IN → Place" in shown
    assert "2 links" in shown
