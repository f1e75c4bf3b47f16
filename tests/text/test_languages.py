"""Texts in other languages than English: known names, their forms, and what is noted."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from kgrec.cli.extract import app
from kgrec.data.records import TABLE, entity_id
from kgrec.graph.pages import fact_pages, relation_types
from kgrec.graph.store import GraphStore
from kgrec.schema import load_schema
from kgrec.stages.extract import ExtractConfig, extract
from kgrec.stages.known_names import known_spellings
from kgrec.text.pipeline import ItemText
from kgrec.text.sources.chosen import open_components
from kgrec.text.spellings import NameReader

MOVIES = load_schema().domain("movies")
NAMES = {
    "STARS": ["Alain Delon", "Isabelle Huppert", "Hans", "L'Ogre", "梁朝伟", "Tony Leung"],
    "DIRECTED_BY": ["Fatih Akin", "Wim Wenders", "Pedro Almodóvar", "Jean-Luc Godard", "王家卫"],
    "SET_IN": ["Hamburg", "香港", "Sevilla", "Le Havre"],
    "HAS_GENRE": ["Drama", "Comédie", "comedia", "爱情"],
}
TEXTS = {
    "de": (
        "Fatih Akins neues Drama spielt in Hamburg. An Wim Wenders' Seite: Isabelle Huppert, "
        "der Star d'Alain Delons Zeit. Die Handlung ist keine.",
        {
            ("DIRECTED_BY", "Fatih Akin"),
            ("DIRECTED_BY", "Wim Wenders"),
            ("STARS", "Isabelle Huppert"),
            ("STARS", "Alain Delon"),
            ("SET_IN", "Hamburg"),
            ("HAS_GENRE", "Drama"),
        },
    ),
    "fr": (
        "Une comédie de Jean-Luc Godard au Havre, avec l’Ogre d’Alain Delon ; l'Ogre qu'Isabelle "
        "Huppert redoute.",
        {
            ("HAS_GENRE", "Comédie"),
            ("DIRECTED_BY", "Jean-Luc Godard"),
            ("STARS", "L'Ogre"),
            ("STARS", "Alain Delon"),
            ("STARS", "Isabelle Huppert"),
        },
    ),
    "es": (
        "Dos comedias de Pedro Almodovar, rodadas en Sevilla.",
        {("HAS_GENRE", "comedia"), ("DIRECTED_BY", "Pedro Almodóvar"), ("SET_IN", "Sevilla")},
    ),
    "zh": (
        "王家卫的爱情故事,梁朝伟(Tony Leung)主演,发生在香港。Tony Leungs 不算。",
        {
            ("DIRECTED_BY", "王家卫"),
            ("HAS_GENRE", "爱情"),
            ("STARS", "梁朝伟"),
            ("STARS", "Tony Leung"),
            ("SET_IN", "香港"),
        },
    ),
    "qqq": (
        "Filmo de Wim Wenders en Hamburg.",
        {("DIRECTED_BY", "Wim Wenders"), ("SET_IN", "Hamburg")},
    ),
}


def read(language: str, text: str, title: str = "") -> set[tuple[str, str]]:
    names = {label: {name: name for name in names} for label, names in NAMES.items()}
    reader = NameReader(MOVIES, names, language)
    [(_, facts)] = reader.read([ItemText("1", title, text)])
    assert all(text[f.start : f.end] == f.evidence for f in facts)
    assert {f.component for f in facts} <= {"names"}
    return {(f.relation, f.entity_name) for f in facts}


@pytest.mark.parametrize("language", TEXTS)
def test_known_names_are_found_in_their_forms(language: str) -> None:
    text, wanted = TEXTS[language]
    assert read(language, text) == wanted


def test_a_part_of_a_word_or_of_the_title_is_no_name() -> None:
    assert read("zh", "Tony Leungs 不算") == set()
    assert read("de", "Hamburger Dramatik von Fatih Akinson, Hansen.") == set()
    assert read("de", "Hamburg: ein Film", title="Hamburg") == set()
    assert read("de-AT", "Hans' Film") == {("STARS", "Hans")}


def test_english_is_parsed_in_all_its_codes() -> None:
    plain = open_components(MOVIES, ExtractConfig()).version
    for code in ("en", "EN-gb", "eng"):
        parts = open_components(MOVIES, ExtractConfig(language=code))
        assert (parts.version, parts.notes) == (plain, ())
    versions = {open_components(MOVIES, ExtractConfig(language=x)).version for x in TEXTS}
    assert len({plain, *versions}) == len(TEXTS) + 1


def put(store: GraphStore, item: str, text: str, *facts: tuple[str, str]) -> None:
    store.write("ingest/create_items", {"item_type": "Movie"}, items=[item])
    values = {"title": item, "description": text}
    store.write("ingest/set_items", rows=[{"item_id": item, "properties": values}])
    for relation, name in facts:
        tail = entity_id("Person", name)
        named = [{"entity_id": tail, "name": name}]
        store.write("ingest/create_entities", {"entity_type": "Person"}, rows=named)
        row = {"head": item, "tail": tail, "confidence": 1.0, "evidence": ""}
        slots = {**load_schema().core.end_slots("item", "entity"), "relation": relation}
        rows = [{**row, "source": "column:x", "extractor": TABLE}]
        store.write("ingest/upsert_facts", slots, rows=rows, run_id="a-table")


def test_what_reads_english_alone_is_noted_and_the_rest_goes_on(empty_store: GraphStore) -> None:
    makers = ("DIRECTED_BY", "Wim Wenders"), ("WRITTEN_BY", "Wim Wenders")
    put(empty_store, "a", "", ("STARS", "Hanna Schygulla"), *makers)
    put(empty_store, "b", "Ein Film mit Hanna Schygullas Tochter, von Wim Wenders.")
    person = entity_id("Person", "Hanna Schygulla")
    row = {"entity_id": person, "properties": {"aliases": ["La Schygulla"]}}
    empty_store.write("ingest/set_entities", rows=[row])
    assert known_spellings(empty_store, MOVIES) == {
        "STARS": {"Hanna Schygulla": "Hanna Schygulla", "La Schygulla": "Hanna Schygulla"}
    }
    config = ExtractConfig(language="de", components=("names", "ner", "rules", "declared"))
    summary = extract(empty_store, MOVIES, config)
    [note] = summary.notes
    assert note == "ner, rules, declared: English alone, not 'de'; texts are read by: names"
    [page] = fact_pages(empty_store, ["b"], relation_types(empty_store))
    assert (page["relations"], page["tails"]) == (["STARS"], [person])
    again = extract(empty_store, MOVIES, config)
    assert (again.texts, again.unchanged, again.notes) == (0, 1, summary.notes)
    # Read as English, the same text is new to the pipeline.
    assert extract(empty_store, MOVIES, ExtractConfig()).texts == 1


def test_an_unknown_language_is_a_word_on_the_terminal() -> None:
    given = ["--domain", "movies", "--dry-run", "--language", "qqq", "--text", "Filmo de iu."]
    done = CliRunner().invoke(app, given)
    assert done.exit_code == 0, done.output
    assert "'qqq' is not known" in done.output
    found = CliRunner().invoke(app, [*given, "--json"])
    assert [note[:20] for note in json.loads(found.output)["notes"]] == [
        "the language 'qqq' i",
        "ner, rules: English ",
    ]
