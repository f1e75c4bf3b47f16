"""Numbers, dates and sizes of texts: how they are read, and how they become properties."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kgrec.data.sources import Source
from kgrec.errors import SchemaError
from kgrec.graph.store import GraphStore
from kgrec.schema import Domain, Quantity, load_domain, load_schema
from kgrec.schema.quantities import compiled
from kgrec.stages.extract import SOURCE, ExtractConfig, extract
from kgrec.stages.ingest import ingest, prepare
from kgrec.text.pipeline import ItemText
from kgrec.text.sources.quantities import StatedQuantities, value_of

BOOKS = load_schema().domain("books")
QUANTITIES = ExtractConfig(components=("quantities",))


@pytest.mark.parametrize(
    ("text", "kind", "unit", "pattern", "value"),
    [
        ("It runs 127 minutes.", "integer", "minute", "runs {measure}", 127),
        ("runs 2 hours and 7 minutes", "integer", "minute", "runs {measure}", 127),
        ("lasts an hour and a half", "float", "hour", "lasts {measure}", 1.5),
        ("a 320-page novel", "integer", "", "{number}-page", 320),
        ("1,024 pages", "integer", "", "{number} pages", 1024),
        ("1.024 Seiten", "integer", "", "{number} Seiten", 1024),
        ("weighs 1.5 kg", "float", "g", "weighs {measure}", 1500.0),
        ("weighs 500 g", "string", "g", "weighs {measure}", "500 g"),
        ("for ages 8 to 12", "string", "", "ages {range}", "8-12"),
        ("ages 14 and up", "string", "", "ages {range}", "14+"),
        ("published in 1965", "integer", "", "published (?:in|on) {date}", 1965),
        ("published on 12 March 1965", "string", "", "published on {date}", "1965-03-12"),
        ("published in May 1965", "integer", "", "published in {date}", 1965),
        ("costs $1,299.50", "float", "", "costs {money}", 1299.5),
        ("kostet 12,99 €", "float", "EUR", "kostet {money}", 12.99),
        ("serves four", "integer", "", "serves {number}", 4),
        # What does not fit is not there.
        ("serves 4-6", "integer", "", "serves {number}", None),
        ("costs $12.99", "float", "EUR", "costs {money}", None),
        ("weighs 2.5 stars", "float", "g", "weighs {measure}", None),
        ("3.5 pages", "integer", "", "{number} pages", None),
        ("B1984 pages", "integer", "", "{number} pages", None),
    ],
)
def test_phrases_become_values(text: str, kind: str, unit: str, pattern: str, value: Any) -> None:
    quantity = Quantity(patterns=(pattern,), unit=unit)
    matches = list(compiled(pattern, unit).finditer(text))
    assert [value_of(match, quantity, kind) for match in matches] in ([value], []) or value is None
    assert bool(matches) or value is None
    found = [value_of(match, quantity, kind) for match in matches]
    assert found == ([value] if value is not None else [None] * len(found))


def test_two_values_of_one_phrase_state_none_and_bounds_hold() -> None:
    def found(text: str) -> dict[str, Any]:
        [one] = StatedQuantities(BOOKS).find([ItemText("1", "", text)])
        assert one.facts == []
        assert all(text[v.start : v.end] == v.evidence for v in one.values)
        return {v.property: v.value for v in one.values}

    assert found("A 320-page novel, published in 1965. It costs $8.") == {
        "pages": 320,
        "year": 1965,
        "price": 8.0,
    }
    assert found("320 pages, of 500 pages in all; 2 pages.") == {}
    assert found("320 pages. All 320 pages of it, published in 1290.") == {"pages": 320}


def put(store: GraphStore, **texts: str) -> None:
    ids = list(texts)
    store.write("ingest/create_items", {"item_type": "Book"}, items=ids)
    rows = [{"item_id": i, "properties": {"title": i, "description": texts[i]}} for i in ids]
    store.write("ingest/set_items", rows=rows)


def held(store: GraphStore, item: str) -> dict[str, Any]:
    names = ["pages", "year", "origins", "evidence"]
    [row] = store.read("ingest/items", items=[item], properties=names)
    return {name: value for name, value in zip(names, row["values"], strict=True) if value}


def test_properties_come_with_words_and_go_with_them(
    empty_store: GraphStore, tmp_path: Path
) -> None:
    table = tmp_path / "books.csv"
    table.write_text("book_id,title,pages\na,One,300\n")
    source = Source.model_validate({"kind": "catalog", "path": table})

    def load() -> None:
        ingest(empty_store, prepare(source, "books", cache=tmp_path), home=tmp_path)

    load()
    put(empty_store, a="A novel of 999 pages, published in 1965.", b="A 320-page novel.")
    done = extract(empty_store, BOOKS, QUANTITIES)
    assert (done.texts, done.values, done.facts) == (2, {"year": 1, "pages": 1}, {})
    version = StatedQuantities(BOOKS).version
    table_gave = held(empty_store, "a")
    assert (table_gave["pages"], table_gave["year"]) == (300, 1965)
    assert f"year={SOURCE}" in table_gave["origins"]
    assert table_gave["evidence"] == [f"year=quantities@{version}: published in 1965"]
    assert held(empty_store, "b") == {
        "pages": 320,
        "origins": [f"pages={SOURCE}"],
        "evidence": [f"pages=quantities@{version}: 320-page"],
    }
    assert extract(empty_store, BOOKS, QUANTITIES).unchanged == 2

    # A table replaces what a text gave, and the next reading of the text leaves it so.
    table.write_text("book_id,title,pages\nb,Two,200\n")
    load()
    assert held(empty_store, "b")["pages"] == 200
    assert "evidence" not in held(empty_store, "b")
    put(empty_store, a="A novel.", b="A novel of 320 pages, published in 1970.")
    again = extract(empty_store, BOOKS, QUANTITIES)
    assert (again.texts, again.values, again.withdrawn) == (2, {"year": 1}, 1)
    assert "year" not in held(empty_store, "a")
    assert held(empty_store, "a")["pages"] == 300
    assert (held(empty_store, "b")["pages"], held(empty_store, "b")["year"]) == (200, 1970)
    # Without the component its values are gone, as facts are.
    assert extract(empty_store, BOOKS, ExtractConfig(components=("rules",))).withdrawn == 1
    assert "year" not in held(empty_store, "b")


def test_a_domain_file_with_unusable_phrases_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "wines.toml"
    lines = [
        'name = "wines"',
        'item_label = "Wine"',
        'item_word = "wine"',
        "[item_properties]",
        'litres = "float"',
        "[entity_types]",
        'Grape = "What a wine is made of."',
        "[relations]",
        'MADE_OF = { tail = "Grape", meaning = "{item} is made of {entity}." }',
        "[quantities]",
    ]

    def read(line: str) -> Domain:
        path.write_text("\n".join([*lines, line]))
        return load_domain(path, load_schema().core)

    bottle = "litres = { unit = \"litre\", patterns = ['bottle of {measure}'] }"
    domain = read(bottle)
    [found] = StatedQuantities(domain).find([ItemText("1", "", "A bottle of 750 ml.")])
    assert [value.value for value in found.values] == [0.75]
    for line, words in {
        bottle.replace("litres", "size"): "names no property",
        bottle.replace('litre"', 'barrel"'): "barrel",
        bottle.replace("{measure}", ""): "exactly one place",
        bottle.replace("bottle", "(bottle"): "cannot be used",
    }.items():
        with pytest.raises(SchemaError, match=words):
            read(line)
