from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from kgrec.data.records import entity_id
from kgrec.data.sources import Source
from kgrec.graph.pages import fact_pages, relation_types
from kgrec.graph.store import GraphStore
from kgrec.schema import Domain, load_schema
from kgrec.stages.extract import SOURCE, ExtractConfig, extract, known_names
from kgrec.stages.ingest import ingest, prepare

FARGO = (
    "Set in Minnesota in the 1980s, Fargo was directed by Joel Coen. Frances McDormand stars as"
    " a police chief, and McDormand plays opposite William H. Macy in this crime film."
)


@pytest.fixture
def movies() -> Domain:
    return load_schema().domain("movies")


def put(store: GraphStore, items: Iterable[tuple[str, str, str]]) -> None:
    rows = [{"item_id": i, "title": t, "description": d} for i, t, d in items]
    change = [{"item_id": r.pop("item_id"), "properties": r} for r in map(dict, rows)]
    ids = [row["item_id"] for row in change]
    store.write("ingest/create_items", {"item_type": "Movie"}, items=ids)
    store.write("ingest/set_items", rows=change)


def facts_of(store: GraphStore, item: str) -> dict[tuple[str, str], tuple[float, str, str]]:
    facts = {}
    for page in fact_pages(store, [item], relation_types(store)):
        values = zip(page["confidences"], page["sources"], page["evidence"], strict=True)
        keys = zip(page["relations"], page["tails"], strict=True)
        facts |= dict(zip(keys, values, strict=True))
    return facts


def put_fact(store: GraphStore, item: str, relation: str, kind: str, name: str) -> None:
    identifier = entity_id(kind, name)
    named = [{"entity_id": identifier, "name": name}]
    row = {"head": item, "tail": identifier, "confidence": 1.0, "evidence": ""}
    fact = {**row, "source": "column:genres", "extractor": "table"}
    store.write("ingest/create_entities", {"entity_type": kind}, rows=named)
    slots = {**load_schema().core.end_slots("item", "entity"), "relation": relation}
    store.write("ingest/upsert_facts", slots, rows=[fact], run_id="a-table")


def test_facts_reach_the_graph_once(empty_store: GraphStore, movies: Domain) -> None:
    put(empty_store, [("x1", "Fargo", FARGO), ("x2", "Nothing", "")])
    summary = extract(empty_store, movies)
    assert (summary.texts, summary.unchanged) == (1, 0)
    facts = facts_of(empty_store, "x1")
    assert {
        ("DIRECTED_BY", "Person:joel coen"),
        ("STARS", "Person:frances mcdormand"),
        ("STARS", "Person:william h. macy"),
        ("SET_IN", "Place:minnesota"),
        ("SET_DURING", "Period:1980s"),
    } <= facts.keys()
    confidence, source, evidence = facts["DIRECTED_BY", "Person:joel coen"]
    assert 0 < confidence < 1
    assert source == SOURCE
    assert evidence == "directed by Joel Coen"

    again = extract(empty_store, movies)
    assert (again.texts, again.unchanged, again.run_id) == (0, 1, None)
    assert facts_of(empty_store, "x1") == facts


def test_a_changed_text_takes_back_what_it_no_longer_says(
    empty_store: GraphStore, movies: Domain
) -> None:
    put(empty_store, [("x1", "Fargo", FARGO), ("x2", "Jaws", "Directed by Steven Spielberg.")])
    extract(empty_store, movies, ExtractConfig(items_a_write=1))
    put(empty_store, [("x1", "Fargo", "Fargo is a film by Ethan Coen.")])
    summary = extract(empty_store, movies)
    assert (summary.texts, summary.unchanged) == (1, 1)
    assert summary.withdrawn > 0
    people = {entity for relation, entity in facts_of(empty_store, "x1") if relation == "STARS"}
    assert people == set()
    assert ("DIRECTED_BY", "Person:ethan coen") in facts_of(empty_store, "x1")
    put(empty_store, [("x1", "Fargo", "")])
    assert extract(empty_store, movies).texts == 1
    assert facts_of(empty_store, "x1") == {}
    assert extract(empty_store, movies).texts == 0


def test_a_table_outranks_a_text(empty_store: GraphStore, movies: Domain) -> None:
    put(empty_store, [("x1", "Fargo", FARGO)])
    put_fact(empty_store, "x1", "HAS_GENRE", "Genre", "Crime")
    put_fact(empty_store, "x1", "DIRECTED_BY", "Person", "Joel Coen")
    extract(empty_store, movies)
    facts = facts_of(empty_store, "x1")
    assert facts["HAS_GENRE", "Genre:crime"][:2] == (1.0, "column:genres")
    assert facts["DIRECTED_BY", "Person:joel coen"][:2] == (1.0, "column:genres")
    put(empty_store, [("x1", "Fargo", "Nothing to be learned here.")])
    extract(empty_store, movies)
    assert facts_of(empty_store, "x1").keys() == {
        ("HAS_GENRE", "Genre:crime"),
        ("DIRECTED_BY", "Person:joel coen"),
    }


def test_a_text_is_heard_again_when_a_table_takes_the_same_fact_back(
    empty_store: GraphStore, movies: Domain, tmp_path: Path
) -> None:
    put(empty_store, [("x1", "Fargo", FARGO)])
    extract(empty_store, movies)

    def load(names: str) -> int:
        path = tmp_path / "people.csv"
        path.write_text(f"movie_id,director\nx1,{names}\n", encoding="utf-8")
        source = Source(kind="catalog", path=path, relations={"DIRECTED_BY": "director:|"})
        prepared = prepare(source, "movies", cache=tmp_path)
        return ingest(empty_store, prepared, home=tmp_path).withdrawn

    load("Joel Coen|Ethan Coen")
    assert extract(empty_store, movies).texts == 0
    assert load("Ethan Coen") == 1
    assert ("DIRECTED_BY", "Person:joel coen") not in facts_of(empty_store, "x1")
    assert extract(empty_store, movies).texts == 1
    fact = facts_of(empty_store, "x1")["DIRECTED_BY", "Person:joel coen"]
    assert fact[1:] == (SOURCE, "directed by Joel Coen")
    assert extract(empty_store, movies).texts == 0


def test_known_names_come_from_tables_only(empty_store: GraphStore, movies: Domain) -> None:
    put(empty_store, [("x1", "Usual Suspects, The", "A film by Bryan Singer."), ("x2", "Big", "")])
    put_fact(empty_store, "x1", "HAS_GENRE", "Genre", "Crime")
    extract(empty_store, movies)
    names = known_names(empty_store, movies)
    assert names == {"Genre": ["Crime"], "Work": ["The Usual Suspects"]}
