"""Corrections of facts: kept in the graph, whatever is loaded or extracted later."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from kgrec.cli.graph import app
from kgrec.data.sources import Source
from kgrec.errors import ConfigError, NotFoundError
from kgrec.graph.store import GraphStore
from kgrec.schema import load_schema
from kgrec.stages.corrections import correct, corrected_texts
from kgrec.stages.extract import extract
from kgrec.stages.ingest import ingest, prepare
from kgrec.text.trained.distant import LabelCounts, NamedText, named_labels

BOOKS = load_schema().domain("books")
TEXT = "A novel by Clara Voss, set in Lisbon. It was published by Harbour Press."
TABLE = "book_id,title,author,description\n{}"
ROWS = 'b1,The Salt Road,{},"' + TEXT + '"\nb2,Tram,Ruth Aldous,"A novel by Ruth Aldous."\n'


def load(store: GraphStore, folder: Path, author: str) -> None:
    path = folder / "books.csv"
    path.write_text(TABLE.format(ROWS.format(author)), encoding="utf-8")
    columns = {"item_id": "book_id", "title": "title", "description": "description"}
    relations = {"WRITTEN_BY": "author:|"}
    source = Source(kind="catalog", path=path, columns=columns, relations=relations)
    ingest(store, prepare(source, "books", cache=folder), home=folder)


def facts(store: GraphStore, item: str = "b1") -> dict[tuple[str, str], str]:
    rows = store.query(
        "MATCH (:Item {item_id: '" + item + "'})-[r]->(e:Entity) "
        "RETURN type(r) AS relation, e.name AS name, r.source AS source"
    ).rows
    return {(row["relation"], row["name"]): row["source"] for row in rows}


def test_corrections_outlive_tables_and_texts(graph: GraphStore, tmp_path: Path) -> None:
    store = graph
    load(store, tmp_path, "Clara Vos")
    extract(store, BOOKS)
    assert facts(store)["WRITTEN_BY", "Clara Vos"].startswith("column:")
    done = correct(store, "b1", "WRITTEN_BY", "Clara Vos", "change", instead="Clara Voss")
    assert (done.instead, done.written, done.withdrawn) == ("Clara Voss", 1, 1)
    done = correct(store, "b1", "SET_IN", "lisbon", "reject")
    assert (done.name, done.withdrawn) == ("Lisbon", 1)
    correct(store, "b1", "PUBLISHED_BY", "Harbour Press", "confirm")
    correct(store, "b1", "TRANSLATED_BY", "Ann Lee", "confirm")
    expected = {
        ("WRITTEN_BY", "Clara Voss"): "correction",
        ("PUBLISHED_BY", "Harbour Press"): "correction",
        ("TRANSLATED_BY", "Ann Lee"): "correction",
    }
    assert facts(store) == expected
    other = facts(store, "b2")

    # The same table and text again, a new version of both, and a table without the author.
    load(store, tmp_path, "Clara Vos")
    assert facts(store) == expected
    load(store, tmp_path, "Clara Vos|Clara Voss")
    assert facts(store) == expected
    store.write("ingest/set_items", rows=[{"item_id": "b1", "properties": {"extracted": "old"}}])
    assert extract(store, BOOKS).texts == 1
    assert facts(store) == expected
    load(store, tmp_path, "")
    store.write(
        "ingest/set_items", rows=[{"item_id": "b1", "properties": {"description": "Nothing."}}]
    )
    extract(store, BOOKS)
    assert facts(store) == expected
    assert facts(store, "b2") == other

    # The last word counts.
    correct(store, "b1", "PUBLISHED_BY", "Harbour Press", "reject")
    assert ("PUBLISHED_BY", "Harbour Press") not in facts(store)
    correct(store, "b1", "PUBLISHED_BY", "Harbour Press", "confirm")
    assert facts(store) == expected


def test_corrections_become_training_texts(graph: GraphStore, tmp_path: Path) -> None:
    store = graph
    load(store, tmp_path, "Clara Voss")
    extract(store, BOOKS)
    correct(store, "b1", "SET_IN", "Lisbon", "reject")
    correct(store, "b1", "PUBLISHED_BY", "Harbour Press", "confirm")
    texts = [NamedText(one.id, one.text, one.names) for one in corrected_texts(store)]
    counts = LabelCounts()
    [labelled] = named_labels(texts, counts)
    found = {(TEXT[e.start : e.end], e.label) for e in labelled.entities}
    assert found == {("Clara Voss", "WRITTEN_BY"), ("Harbour Press", "PUBLISHED_BY")}
    assert labelled.text == TEXT


def test_what_cannot_be_corrected_is_an_error(graph: GraphStore, tmp_path: Path) -> None:
    load(graph, tmp_path, "Clara Voss")
    for arguments, kind, words in (
        (("b9", "WRITTEN_BY", "X", "confirm"), NotFoundError, "no such item"),
        (("b1", "DIRECTED_BY", "X", "confirm"), ConfigError, "WRITTEN_BY"),
        (("b1", "WRITTEN_BY", "X", "reject"), NotFoundError, "Clara Voss"),
        (("b1", "WRITTEN_BY", "Clara Voss", "change"), ConfigError, "another name"),
    ):
        given: Any = arguments
        with pytest.raises(kind, match=words):
            correct(graph, *given)


@pytest.mark.parametrize("options", [[], ["--confirm", "--reject"], ["--confirm", "--change", "X"]])
def test_a_correction_is_one_of_three(options: list[str]) -> None:
    done = CliRunner().invoke(app, ["correct", "b1", "WRITTEN_BY", "Clara Voss", *options])
    assert isinstance(done.exception, ConfigError)
    assert "--change NAME" in str(done.exception)
