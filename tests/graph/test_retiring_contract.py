"""Every engine retires and restores alike."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from changing_tables import COLUMNS, RELATIONS, ChangingTables, contents

from kgrec.data.sources import Source
from kgrec.graph.setup import clear_graph, count_graph
from kgrec.graph.store import GraphStore
from kgrec.stages.ingest import ingest, prepare
from kgrec.stages.retiring.restore import count_orphans, list_retired, restore, sweep

Load = Callable[..., int]


@pytest.fixture
def load(graph: GraphStore, tmp_path: Path) -> Load:
    """Load the text of a complete source; return how much is retired."""

    def load(kind: str, text: str, name: str, **options: Any) -> int:
        path = tmp_path / name
        path.write_text(text, "utf-8")
        given = {"kind": kind, "path": path, "complete": True, "max_retired": 0.6}
        source = Source.model_validate(given | options)
        prepared = prepare(source, "movies", cache=tmp_path)
        return ingest(graph, prepared, home=tmp_path).retired

    return load


def test_every_engine_retires_and_restores(graph: GraphStore, load: Load) -> None:
    films = "movie_id,title,genres\n1,Alien,Horror|Sci-Fi\n2,Heat,Crime\n3,Up,Comedy\n"
    ratings = "user_id,movie_id,rating\nann,1,5\nann,2,4\nbob,1,3\n"
    load("catalog", films, "films.csv")
    load("interactions", ratings, "ratings.csv")
    before = count_graph(graph)
    assert load("interactions", ratings[: ratings.index("bob")], "ratings.csv") == 1
    assert load("catalog", films[: films.index("2,")] + "3,Up,\n", "films.csv") == 1
    left = count_graph(graph)
    assert (left.nodes["Item"], left.nodes["Entity"]) == (2, 2)
    assert left.relations == {"HAS_GENRE": 2, "INTERACTED": 1}
    assert [(one.items, one.ties, one.interactions) for one in list_retired(graph)] == [
        (0, 0, 1),
        (1, 2, 1),
    ]
    restore(graph)
    restore(graph)
    after = count_graph(graph)
    kept = {name: count for name, count in before.nodes.items() if name != "Run"}
    assert {name: after.nodes.get(name) for name in kept} == kept
    assert after.relations == before.relations
    assert count_orphans(graph) == 0
    graph.write("ingest/create_entities", {"entity_type": "Genre"}, rows=[ORPHAN])
    assert sweep(graph).orphans == 1


def test_ten_updates_equal_one_fresh_load_on_every_engine(graph: GraphStore, load: Load) -> None:
    tables = ChangingTables(seed=3)

    def load_both() -> None:
        given: dict[str, Any] = {"relations": RELATIONS, "columns": COLUMNS, "max_retired": 0.9}
        load("catalog", tables.catalogue(), "films.csv", **given)
        load("interactions", tables.ratings(), "ratings.csv", max_retired=0.9)

    load_both()
    for _ in range(10):
        tables.change()
        load_both()
        assert count_orphans(graph) == 0
    updated = contents(graph)
    assert len(updated[2]) == len(tables.rows)
    clear_graph(graph)
    load_both()
    assert updated == contents(graph)
    assert list_retired(graph) == []


def test_every_engine_restores_users_and_entities(graph: GraphStore, load: Load) -> None:
    def held() -> list[Any]:
        rows = [graph.query(text).rows for text in USERS_AND_PEOPLE]
        return [sorted(([*row.values()] for row in one), key=repr) for one in rows]

    given = {"entity_type": "Person", "columns": {"birth_year": "birth_year"}}
    people = "name,birth_year,born_in\nAnn Lee,1950,Porto\nBob Day,1960,Faro\n"
    users = "user_id,age\nann,30\nbob,41\n"
    load("catalog", "movie_id,title,director\n1,Heat,Ann Lee\n2,Up,Bob Day\n", "films.csv")
    load("users", users, "users.csv")
    load("interactions", "user_id,movie_id\nann,1\nbob,2\n", "visits.csv")
    load("entities", people, "people.csv", **given)
    before = held()
    assert load("users", "user_id,age\nann,30\n", "users.csv") == 1
    assert load("entities", people[: people.index("Bob")], "people.csv", **given) == 1
    assert held() != before
    restore(graph)
    restore(graph)
    assert held() == before
    assert count_orphans(graph) == 0


USERS_AND_PEOPLE = (
    "MATCH (u:User) OPTIONAL MATCH (u)-[x:INTERACTED]->(i:Item) "
    "RETURN u.user_id AS user, u.age AS age, i.item_id AS item, x.key AS key",
    "MATCH (e:Entity) OPTIONAL MATCH (e)-[r]->(o:Entity) RETURN e.name AS name, "
    "e.birth_year AS year, type(r) AS type, o.name AS other",
)
ORPHAN = {"entity_id": "Genre:nothing", "name": "Nothing"}
