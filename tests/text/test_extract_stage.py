from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from kgrec.data.records import entity_id
from kgrec.data.selection import Selection
from kgrec.data.sources import Source
from kgrec.graph.pages import fact_pages, relation_types
from kgrec.graph.store import GraphStore
from kgrec.graph.training_data import read_dataset
from kgrec.retrieval.paths import PathConfig, read_paths
from kgrec.retrieval.reasons import path_sentence
from kgrec.schema import Domain, NodeKind, load_schema
from kgrec.stages.extract import SOURCE, ExtractConfig, extract
from kgrec.stages.ingest import ingest, prepare
from kgrec.stages.known_names import known_names

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


ALIENS = "James Cameron directed Aliens, the sequel to Ridley Scott's Alien."
BABE = "Babe is a film based on the novel The Sheep-Pig by Dick King-Smith."
WORK, AUTHOR = "Work:the sheep-pig", "Person:dick king-smith"


def links_of(store: GraphStore, kind: NodeKind, node: str) -> dict[tuple[str, str], Any]:
    """Links from an item or an entity: relation and tail to confidence, source, evidence."""
    found = {}
    for page in fact_pages(store, [node], relation_types(store), (kind, kind)):
        values = zip(page["confidences"], page["sources"], page["evidence"], strict=True)
        keys = zip(page["relations"], page["tails"], strict=True)
        found |= dict(zip(keys, values, strict=True))
    return found


def test_links_reach_the_graph_the_data_set_and_the_explanations(
    empty_store: GraphStore, movies: Domain
) -> None:
    put(empty_store, [("a", "Alien", "A film by Ridley Scott."), ("b", "Aliens", ALIENS)])
    put(empty_store, [("c", "Babe", BABE), ("d", "Gordy", BABE.replace("Babe", "Gordy"))])
    summary = extract(empty_store, movies)
    assert (summary.facts["SEQUEL_OF"], summary.facts["WORK_BY"]) == (1, 2)
    assert links_of(empty_store, "item", "b") == {
        ("SEQUEL_OF", "a"): (0.9, SOURCE, "sequel to Ridley Scott's Alien")
    }
    [(link, known)] = links_of(empty_store, "entity", WORK).items()
    assert link == ("WORK_BY", AUTHOR)
    assert known == (0.9, f"{SOURCE}:c", "novel The Sheep-Pig by Dick King-Smith")
    assert extract(empty_store, movies).texts == 0

    data = read_dataset(empty_store, Selection(domain="movies"))
    assert {kind.relation for kind in data.links.types} == {"SEQUEL_OF", "WORK_BY"}
    sentences = paths_between(empty_store, {"b": "Aliens"}, {"a": "Alien"})
    assert sentences == ["Aliens is a sequel of Alien"]
    # Two novels of one author: film, novel, author, novel, film.
    other = BABE.replace("Babe", "Freddy").replace("The Sheep-Pig", "The Fox Busters")
    put(empty_store, [("e", "Freddy", other)])
    extract(empty_store, movies)
    sentences = paths_between(empty_store, {"c": "Babe"}, {"e": "Freddy"}, max_hops=4)
    assert any("The Fox Busters is by Dick King-Smith" in words for words in sentences)


def paths_between(
    store: GraphStore, history: dict[str, str], items: dict[str, str], **config: int
) -> list[str]:
    found = read_paths(store, history, items, num_items=1000, config=PathConfig(**config))
    return [path_sentence(path) for path in found]


def test_a_link_stays_while_one_text_states_it(empty_store: GraphStore, movies: Domain) -> None:
    put(empty_store, [("c", "Babe", BABE), ("d", "Gordy", BABE.replace("Babe", "Gordy"))])
    extract(empty_store, movies)
    put(empty_store, [("c", "Babe", "Babe is a film.")])
    summary = extract(empty_store, movies)
    assert (summary.texts, summary.unchanged) == (2, 1)  # the other text, once more
    [(link, known)] = links_of(empty_store, "entity", WORK).items()
    assert (link, known[1]) == (("WORK_BY", AUTHOR), f"{SOURCE}:d")
    put(empty_store, [("d", "Gordy", "Gordy is a film.")])
    assert extract(empty_store, movies).withdrawn > 0
    assert links_of(empty_store, "entity", WORK) == {}
    assert extract(empty_store, movies).texts == 0


def test_a_link_goes_over_to_another_text_of_the_same_batch(
    empty_store: GraphStore, movies: Domain
) -> None:
    put(empty_store, [("c", "Babe", BABE), ("d", "Gordy", "Gordy is a film.")])
    extract(empty_store, movies)
    put(empty_store, [("c", "Babe", "A film."), ("d", "Gordy", BABE.replace("Babe", "Gordy"))])
    extract(empty_store, movies)
    [known] = links_of(empty_store, "entity", WORK).values()
    assert known[1] == f"{SOURCE}:d"


def test_a_title_of_several_items_is_told_apart_by_its_year(
    empty_store: GraphStore, movies: Domain
) -> None:
    put(empty_store, [("a", "Psycho", "x"), ("b", "Psycho", "x")])
    for item, year in (("a", 1960), ("b", 1998)):
        rows = [{"item_id": item, "properties": {"year": year}}]
        empty_store.write("ingest/set_items", rows=rows)
    text = "This thriller is a remake of the {}film Psycho."
    put(empty_store, [("c", "Norman", text.format("1960 ")), ("d", "Bates", text.format(""))])
    put(empty_store, [("b", "Psycho", text.format(""))])
    extract(empty_store, movies)
    assert links_of(empty_store, "item", "c").keys() == {("REMAKE_OF", "a")}
    assert links_of(empty_store, "item", "d") == {}
    assert links_of(empty_store, "item", "b").keys() == {("REMAKE_OF", "a")}


def test_markup_and_plain_text_state_the_same_with_evidence_in_words(
    empty_store: GraphStore, movies: Domain, tmp_path: Path
) -> None:
    path = tmp_path / "films.csv"
    path.write_text(
        "movie_id,title,description\n"
        '1,Alpha,"<p>A drama directed by <b>Ada Example</b> &amp; starring <i>Bob Sample</i>.'
        '<br />Set in <a href=""http://x.example"">Paris</a>.</p>"\n'
        '2,Beta,"A drama directed by Ada Example and starring Bob Sample. Set in Paris."\n',
        encoding="utf-8",
    )
    source = Source(kind="catalog", path=path)
    ingest(empty_store, prepare(source, "movies", cache=tmp_path), home=tmp_path)
    extract(empty_store, movies)
    one, two = facts_of(empty_store, "1"), facts_of(empty_store, "2")
    assert (
        one.keys()
        == two.keys()
        >= {("DIRECTED_BY", "Person:ada example"), ("SET_IN", "Place:paris")}
    )
    assert not [evidence for _, _, evidence in one.values() if set("<>&") & set(evidence)]
