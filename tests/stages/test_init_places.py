"""`kgrec init` on tables of one value a row, on databases, and on triples."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from small_tables import Command
from wild_tables import WILD, delimited

from kgrec.graph.store import GraphStore
from kgrec.stages.pipeline import Pipeline, load_pipeline
from kgrec.stages.run import run_pipeline

FACTS = "MATCH (i:Item)-[f]->(e:Entity) RETURN i.item_id AS i, type(f) AS r, e.name AS n"
ARTISTS = [{"id": n, "name": f"Band {n}", "url": f"http://x/{n}"} for n in range(1, 13)]
PLAYED = [
    {"userID": user, "artistID": artist, "weight": 10 * user + artist}
    for user in range(1, 9)
    for artist in range(1, 13)
    if (user + artist) % 2
]
TAGGED = [
    {"userID": user, "artistID": artist, "tagID": 50 + (user + artist) % 4, "day": 1, "year": 2009}
    for user in range(1, 9)
    for artist in range(1, 13)
]
TAGS = [{"tagID": 50 + n, "tagValue": f"tag {n}"} for n in range(6)]


def proposed(command: Command, out: Path, *arguments: Any) -> tuple[dict[str, Any], Pipeline]:
    code, text, error = command("init", *arguments, "--yes", "--json", "--out", out)
    assert code == 0, error
    return json.loads(text), load_pipeline(out / "pipeline.toml")


def loaded(store: GraphStore, pipeline: Pipeline, home: Path) -> list[tuple[str, str, str]]:
    """Load the sources of a pipeline, and return the facts that there are then."""
    for result in run_pipeline(store, pipeline, ("ingest",), home=home):
        assert result.detail["rejected"] == 0, result.detail
    rows = store.query(FACTS, limit=1000).rows
    return sorted(tuple(str(cell) for cell in row.values()) for row in rows)  # type: ignore[misc]


def put(folder: Path, files: dict[str, str | bytes]) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)
    return folder


def test_codes_of_tags_are_read_as_their_names_and_items_as_the_catalogue_calls_them(
    command: Command, tmp_path: Path, empty_store: GraphStore, home: Path
) -> None:
    data = put(tmp_path / "data", dict(WILD["goodbooks-10k"].files))
    found, pipeline = proposed(command, tmp_path / "out", data)
    assert found["left_out"] == []
    [tags] = [one for one in pipeline.sources if one.joins]
    assert tags.columns == {"item_id": "book_id"}
    assert tags.relations == {"HAS_KEYWORD": "tag_name:"}
    assert [(Path(one.path).name, one.on, one.take) for one in tags.joins] == [
        ("books.csv", "goodreads_book_id", ("book_id",)),
        ("tags.csv", "tag_id", ("tag_name",)),
    ]
    facts = loaded(empty_store, pipeline, home)
    assert ("1", "HAS_KEYWORD", "to-read-30") in facts
    assert ("2", "HAS_KEYWORD", "to-read-33") in facts
    assert sum(relation == "HAS_KEYWORD" for _, relation, _ in facts) == 48
    written = (tmp_path / "out" / "pipeline.toml").read_text("utf-8")
    assert "values of tag_id have a tag_name in tags.csv" in written


def test_tags_by_users_are_no_interactions_where_codes_have_names(
    command: Command, tmp_path: Path, empty_store: GraphStore, home: Path
) -> None:
    files = {"artists.dat": ARTISTS, "user_artists.dat": PLAYED}
    files |= {"user_taggedartists.dat": TAGGED, "tags.dat": TAGS}
    data = put(tmp_path / "data", {name: delimited(rows, "\t") for name, rows in files.items()})
    found, pipeline = proposed(command, tmp_path / "out", data)
    assert found["left_out"] == []
    assert [one.kind for one in pipeline.sources] == ["catalog", "catalog", "interactions"]
    facts = loaded(empty_store, pipeline, home)
    assert ("1", "HAS_KEYWORD", "tag 2") in facts
    assert len(facts) == 48


def test_a_category_beside_each_purchase_is_no_tag(command: Command, tmp_path: Path) -> None:
    rows = [
        {
            "user_id": n % 7,
            "product_id": n % 12,
            "category": f"c{n % 12 % 3}",
            "at": 1_500_000_000 + n,
        }
        for n in range(80)
    ]
    products = [{"product_id": n, "product_name": f"Thing {n}"} for n in range(12)]
    files = {"products.csv": delimited(products), "purchases.csv": delimited(rows)}
    _, pipeline = proposed(command, tmp_path / "out", put(tmp_path / "data", dict(files)))
    assert [one.kind for one in pipeline.sources] == ["catalog", "interactions"]


def test_a_long_table_without_a_catalogue_is_left_out(command: Command, tmp_path: Path) -> None:
    ratings = [{"userId": n % 5, "movieId": n % 9, "rating": n % 5 + 1} for n in range(60)]
    tags = [{"movieId": n % 9, "tag": f"t{n % 4}"} for n in range(30)]
    files = {"ratings.csv": delimited(ratings), "tags.csv": delimited(tags)}
    found, pipeline = proposed(command, tmp_path / "out", put(tmp_path / "data", dict(files)))
    assert [one.kind for one in pipeline.sources] == ["interactions"]
    assert [one["path"] for one in found["left_out"]] == ["tags.csv"]


SHOP = {
    "products": [
        {"product_id": n, "name": f"Lamp {n}", "brand": f"B{n % 3}", "price": 9.5 + n}
        for n in range(1, 31)
    ],
    "orders": [
        {
            "customer_id": f"c{n % 8}",
            "product_id": n % 30 + 1,
            "ordered_at": f"2024-05-{n % 28 + 1:02}",
        }
        for n in range(120)
    ],
    "product_labels": [{"product_id": n, "label_id": n % 4} for n in range(1, 31)],
    "labels": [{"label_id": n, "keyword": f"label {n}"} for n in range(4)],
    "settings": [{"key": "currency", "content": "EUR"}],
}


def database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as found, found:
        for name, rows in SHOP.items():
            columns, marks = ", ".join(rows[0]), ", ".join("?" * len(rows[0]))
            found.execute(f"CREATE TABLE {name} ({columns})")
            found.executemany(
                f"INSERT INTO {name} VALUES ({marks})",
                [tuple(row.values()) for row in rows],
            )


def test_the_tables_of_a_database_are_looked_at(
    command: Command,
    tmp_path: Path,
    empty_store: GraphStore,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("sqlalchemy")
    database(tmp_path / "shop.db")
    monkeypatch.chdir(tmp_path)
    found, pipeline = proposed(command, tmp_path / "out", "sqlite:///shop.db")
    assert found["domain"] == "shop"
    assert [(one.kind, one.query) for one in pipeline.sources] == [
        ("catalog", "products"),
        ("catalog", "product_labels"),
        ("interactions", "orders"),
    ]
    assert [one["path"] for one in found["left_out"]] == ["settings.jsonl"]
    assert 'path = "sqlite:///../shop.db"' in (tmp_path / "out" / "pipeline.toml").read_text()
    facts = loaded(empty_store, pipeline, home)
    assert ("1", "MADE_BY", "B1") in facts
    assert ("5", "HAS_KEYWORD", "label 1") in facts
    kinds = empty_store.query("MATCH ()-[x:INTERACTED]->() RETURN DISTINCT x.kind AS k").rows
    assert [row["k"] for row in kinds] == ["purchase"]


def test_queries_name_what_of_a_database_is_looked_at(command: Command, tmp_path: Path) -> None:
    pytest.importorskip("sqlalchemy")
    database(tmp_path / "shop.db")
    address = f"sqlite:///{tmp_path}/shop.db"
    bought = "SELECT customer_id AS user_id, product_id FROM orders WHERE product_id > 3"
    queries = ("--query", "products", "--query", bought)
    _, pipeline = proposed(command, tmp_path / "out", address, *queries)
    assert [one.query for one in pipeline.sources] == ["products", bought]
    for arguments, code, reason in (
        (("sqlite:///none.db",), 3, "no such file"),
        ((address, "--query", "SELECT * FROM nothing"), 3, "the query failed"),
        ((tmp_path / "shop.csv", "--query", "x"), 3, "no such file"),
        (("postgresql://ann:very-secret@host/shop",), 2, "secrets"),
    ):
        ended, _, error = command("init", *arguments, "--yes", "--out", tmp_path / "other")
        assert (ended, reason in error, "very-secret" in error) == (code, True, False), error


TURTLE = "@prefix o: <http://films.example/ontology/> .\n" + "".join(
    f'<http://films.example/film/f{n}> a o:Movie ; <http://schema.org/name> "Film {n}"@en ; '
    f'o:director <http://films.example/person/p{n % 3}> ; o:genre "{("Drama", "War")[n % 2]}" ; '
    f"o:year {1980 + n} .\n"
    f'<http://films.example/person/p{n}> a o:Person ; <http://schema.org/name> "Person {n}" .\n'
    for n in range(20)
)
WATCHED = "user_id,film,stars\n" + "".join(f"u{n % 6},f{n % 20},{n % 5 + 1}\n" for n in range(90))


@pytest.mark.parametrize("name", ["films.ttl", "films.nt"])
def test_triples_are_a_catalogue(
    command: Command, tmp_path: Path, empty_store: GraphStore, home: Path, name: str
) -> None:
    rdflib = pytest.importorskip("rdflib")
    text = TURTLE
    if name.endswith("nt"):
        text = rdflib.Graph().parse(data=TURTLE, format="turtle").serialize(format="nt")
    data = put(tmp_path / "data", {name: text, "watched.csv": WATCHED})
    found, pipeline = proposed(command, tmp_path / "out", data)
    assert found["domain"] == "movies"
    assert [one.kind for one in pipeline.sources] == ["catalog", "interactions"]
    triples = pipeline.sources[0].triples
    assert triples.type == "http://films.example/ontology/Movie"
    assert triples.base == "http://films.example/film/"
    reasons = " ".join(one["why"] for one in found["sources"][0]["guesses"])
    assert "Movie is called as items are; types: Movie (20), Person (20)" in reasons
    facts = loaded(empty_store, pipeline, home)
    assert ("f4", "DIRECTED_BY", "Person 1") in facts
    assert ("f4", "HAS_GENRE", "Drama") in facts
    assert len(facts) == 40


def test_triples_of_no_shipped_domain_are_given_one(command: Command, tmp_path: Path) -> None:
    pytest.importorskip("rdflib")
    text = (
        TURTLE.replace("Movie", "Bridge").replace("director", "designer").replace("genre", "river")
    )
    found, pipeline = proposed(
        command, tmp_path / "out", put(tmp_path / "data", {"bridges.ttl": text}) / "bridges.ttl"
    )
    assert found["domain"] == "bridge.toml"
    relations = pipeline.sources[0].relations
    assert {"HAS_DESIGNER", "HAS_RIVER"} <= relations.keys()


KG = {
    "films.kg": "head_id:token\trelation_id:token\ttail_id:token\n"
    + "".join(f"m.{n}\tfilm.film.genre\tg.{n % 3}\n" for n in range(12)),
    "films.link": "item_id:token\tentity_id:token\n" + "".join(f"{n}\tm.{n}\n" for n in range(12)),
    "films.entity": "entity_id:token\tname:token_seq\n"
    + "".join(f"m.{n}\tFilm {n}\n" for n in range(12))
    + "".join(f"g.{n}\tGenre {n}\n" for n in range(3)),
}


def test_kg_files_are_a_catalogue_where_their_entities_have_names(
    command: Command, tmp_path: Path, empty_store: GraphStore, home: Path
) -> None:
    data = put(tmp_path / "data", dict(KG))
    _, pipeline = proposed(command, tmp_path / "out", data, "--domain", "movies")
    facts = loaded(empty_store, pipeline, home)
    assert ("4", "HAS_GENRE", "Genre 1") in facts
    (data / "films.entity").unlink()
    code, _, error = command("init", data, "--yes", "--out", tmp_path / "other")
    assert code == 3
    assert "there is no films.entity" in error
