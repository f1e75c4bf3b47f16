"""A load does the same on every engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kgrec.data.sources import Source
from kgrec.graph.setup import ensure_property_indexes
from kgrec.graph.store import GraphStore
from kgrec.stages.ingest import IngestSummary, ingest, prepare

TABLES = {
    "catalog": "item_id,title,year,genres\n1,Alien,1979,Horror|Sci-Fi\n2,Heat,1995,Crime\n",
    "users": "user_id,age,gender\nann,30,F\nbob,40,M\n",
    "interactions": "user_id,item_id,rating,timestamp\nann,1,5,881250949\ncid,2,3,\n",
}


def load(
    graph: GraphStore, folder: Path, kind: str, text: str, domain: str = "movies"
) -> IngestSummary:
    path = folder / f"{kind}.csv"
    path.write_text(text, encoding="utf-8")
    source = Source.model_validate({"kind": kind, "path": path})
    return ingest(graph, prepare(source, domain, cache=folder), home=folder)


def test_a_load_is_written_once_changed_and_withdrawn(graph: GraphStore, tmp_path: Path) -> None:
    first = [load(graph, tmp_path, kind, text) for kind, text in TABLES.items()]
    assert [(one.created, one.facts, one.users) for one in first] == [
        (2, 3, 0),
        (2, 0, 0),
        (2, 0, 1),
    ]
    again = [load(graph, tmp_path, kind, text) for kind, text in TABLES.items()]
    assert not any(one.changed for one in again)
    newer = TABLES["catalog"].replace("Horror|Sci-Fi", "Horror").replace("1979", "1980")
    done = load(graph, tmp_path, "catalog", newer)
    assert (done.updated, done.unchanged, done.withdrawn) == (1, 1, 1)
    done = load(graph, tmp_path, "interactions", TABLES["interactions"].replace("1,5", "1,4"))
    assert (done.updated, done.unchanged) == (1, 1)
    rows = graph.query(
        "MATCH (u:User)-[x:INTERACTED]->(i:Item:Movie) RETURN u.user_id AS u, u.age AS a, "
        "i.year AS y, x.value AS v, x.at.epochMillis AS t ORDER BY u"
    ).rows
    assert [list(row.values()) for row in rows] == [
        ["ann", 30, 1980, 4.0, 881_250_949_000],
        ["cid", None, 1995, 3.0, None],
    ]
    rows = graph.query(
        "MATCH (i:Item)-[f]->(e:Entity:Genre) RETURN i.item_id AS i, type(f) AS t, e.name AS n, "
        "f.confidence AS c ORDER BY i, n"
    ).rows
    assert [list(row.values()) for row in rows] == [
        ["1", "HAS_GENRE", "Horror", 1.0],
        ["2", "HAS_GENRE", "Crime", 1.0],
    ]


@pytest.mark.parametrize(
    ("kind", "cell", "value"),
    [("strings", "red|blue", ["red", "blue"]), ("float", "3.5", 3.5), ("string", "few", "few")],
)
def test_a_property_is_of_the_kind_of_the_domain_that_is_loaded(
    graph: GraphStore, tmp_path: Path, kind: str, cell: str, value: object
) -> None:
    ensure_property_indexes(graph, "news")  # which knows `words` as an integer
    load(graph, tmp_path, "catalog", "news_id,title,words\n1,A flood,120\n", "news")
    mine = tmp_path / "mine.toml"
    mine.write_text(
        f'name = "mine"\nitem_label = "Note"\n[item_properties]\nwords = "{kind}"\n'
        '[entity_types]\nPlace = "A place."\n[relations]\n'
        'SET_IN = { tail = "Place", meaning = "{item} is in {entity}.", columns = ["place"] }\n',
        encoding="utf-8",
    )
    load(graph, tmp_path, "catalog", f"item_id,title,words\n2,A note,{cell}\n", str(mine))
    rows = graph.query("MATCH (i:Item) RETURN i.words AS words ORDER BY i.item_id").rows
    assert [row["words"] for row in rows] == [120, value]
    ensure_property_indexes(graph, str(mine))  # not possible beside other values, and no error
    load(graph, tmp_path, "catalog", "news_id,title,words\n3,A storm,90\n", "news")
    rows = graph.query("MATCH (i:Item) RETURN i.words AS words ORDER BY i.item_id").rows
    assert [row["words"] for row in rows] == [120, value, 90]


def test_nothing_is_created_beside_what_is_there(graph: GraphStore, tmp_path: Path) -> None:
    for kind, text in TABLES.items():
        load(graph, tmp_path, kind, text)
    graph.write("ingest/upsert_users", rows=[{"user_id": "eve", "properties": {}}])
    count = "MATCH (:User)-[x:INTERACTED]->() RETURN count(x) AS n"
    one = {"places": [0, 1], "keys": ["rating@7", "view@7"], "kinds": ["rating", "view"]}
    rest = {"values": [2.0, 1.0], "times": [7, 0], "devices": [None, "tv"]}
    group = {**one, **rest, "scenarios": [None, None], "new": {"1|rating@7": True}}
    groups = [{"user_id": user, **group} for user in ("ann", "eve")]
    add = "ingest/add_interactions"
    given: dict[str, Any] = {"groups": groups, "source": None}
    assert graph.write(add, items=["1", "gone"], **given) == [{"written": 0}]
    assert graph.write(add, items=["1", "2"], **given) == [{"written": 4}]
    assert graph.write(add, items=["1", "2"], **given) == [{"written": 0}]
    ends = {"head": "Item", "head_key": "item_id", "tail": "Entity", "tail_key": "entity_id"}
    facts: dict[str, Any] = {"groups": [{"head": "2", "places": [0, 1]}], "confidence": 1.0}
    facts |= {"source": "t", "extractor": "table", "evidence": "", "run_id": "r"}
    create, slots = "ingest/create_facts", {**ends, "relation": "HAS_GENRE"}
    for tails, written in ((["Genre:horror", "gone"], 0), (["Genre:horror", "Genre:sci-fi"], 2)):
        assert graph.write(create, slots, tails=tails, **facts) == [{"written": written}]
    assert graph.query(count).rows == [{"n": 6}]
