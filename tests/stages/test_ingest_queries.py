"""Queries as sources: SQLite and PostgreSQL, their types, their errors, and no secrets."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from postgres import USER, postgres, programs
from small_tables import Command

from kgrec.data.origins.opening import open_origin
from kgrec.data.sources import Source
from kgrec.errors import ConfigError, DataError, KGRecError
from kgrec.graph.store import GraphStore
from kgrec.stages.ingest import prepare
from kgrec.stages.pipeline import load_pipeline
from kgrec.stages.run import run_pipeline

sa = pytest.importorskip("sqlalchemy")

FILMS = [
    ("1", "Alien", 1979, "Horror|Sci-Fi"),
    ("2", "Heat", 1995, "Crime|Drama"),
    ("3", "Ран 乱", 1985, None),
]


def fetched(address: str, query: str, kind: str = "catalog") -> list[dict[str, Any]]:
    source = Source.model_validate({"kind": kind, "path": address, "query": query})
    return [cells for _, cells in open_origin(source, cache=Path("none")).rows(lambda *_: None)]


@pytest.fixture
def sqlite(tmp_path: Path) -> str:
    with sqlite3.connect(tmp_path / "shop.db") as database:
        database.execute("CREATE TABLE films (movie_id TEXT, title TEXT, year INT, genres TEXT)")
        database.executemany("INSERT INTO films VALUES (?, ?, ?, ?)", FILMS)
        database.execute("CREATE TABLE seen (user_id TEXT, movie_id TEXT, stars REAL, at TEXT)")
        rows = [("ann", "1", 5.0, "2024-05-01T12:00:00"), ("bob", "3", 2.5, "2024-05-02T12:00:00")]
        database.executemany("INSERT INTO seen VALUES (?, ?, ?, ?)", rows)
    database.close()
    return f"sqlite:///{tmp_path}/shop.db"


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, str]]:
    pytest.importorskip("psycopg")
    if programs() is None:
        pytest.skip("there is no PostgreSQL on this machine (apt install postgresql)")
    with postgres() as found:
        host, password = found
        engine = sa.create_engine(f"postgresql+psycopg://{USER}:{password}@{host}/postgres")
        with engine.begin() as connection:
            connection.execute(
                sa.text(
                    "CREATE TABLE films (movie_id bigint, title text, year smallint, "
                    "genres text[], price numeric(8, 2), added timestamptz, released date, "
                    "details jsonb, key uuid, poster bytea, length interval, rate double precision)"
                )
            )
            connection.execute(
                sa.text(
                    "INSERT INTO films VALUES (1, 'Alien', 1979, '{Horror,Sci-Fi}', 12.50, "
                    "'2024-05-01 12:00:00+02', '1979-05-25', '{\"cast\": [{\"id\": 7}]}', "
                    "'6d5f1f0e-2f0c-4e6e-9a60-3d0a1a3f9a01', '\\xff00', '117 minutes', 'NaN'), "
                    "(2, 'Heat', 1995, NULL, 20, NULL, NULL, NULL, NULL, NULL, NULL, 0.1)"
                )
            )
            connection.execute(sa.text("CREATE SEQUENCE numbers"))
            connection.execute(
                sa.text(
                    "CREATE TABLE seen AS SELECT 'u' || n % 50 AS user_id, 1 + n % 2 AS movie_id, "
                    "to_timestamp(1700000000 + n) AS at, n % 6 AS stars "
                    "FROM generate_series(1, 5000) AS n"
                )
            )
        engine.dispose()
        yield host, password


def test_a_query_and_a_table_of_sqlite(sqlite: str) -> None:
    rows = fetched(sqlite, "films")
    assert [tuple(row.values()) for row in rows] == FILMS
    query = "SELECT movie_id AS id, upper(title) AS name FROM films WHERE year > 1980"
    assert fetched(sqlite, query) == [{"id": "2", "name": "HEAT"}, {"id": "3", "name": "Ран 乱"}]


def test_types_of_postgresql_are_kept(server: tuple[str, str]) -> None:
    host, password = server
    [alien, heat] = fetched(
        f"postgresql+psycopg://{USER}:{password}@{host}/postgres",
        "SELECT * FROM films ORDER BY movie_id",
    )
    assert alien == {
        "movie_id": 1,
        "title": "Alien",
        "year": 1979,
        "genres": ["Horror", "Sci-Fi"],
        "price": 12.5,
        "added": alien["added"],
        "released": "1979-05-25",
        "details": {"cast": [{"id": 7}]},
        "key": "6d5f1f0e-2f0c-4e6e-9a60-3d0a1a3f9a01",
        "poster": "ff00",
        "length": 7020.0,
        "rate": None,
    }
    assert alien["added"].startswith("2024-05-01T1")
    assert (heat["price"], heat["genres"], heat["rate"]) == (20, None, 0.1)


def test_a_pipeline_reads_postgresql_and_names_no_secret(
    server: tuple[str, str],
    tmp_path: Path,
    empty_store: GraphStore,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    host, password = server
    monkeypatch.setenv("SHOP_PASSWORD", password)
    address = f"postgresql://{USER}:${{SHOP_PASSWORD}}@{host}/postgres"
    pipeline = tmp_path / "pipeline.toml"
    pipeline.write_text(f"""
name = "films"
domain = "movies"
[[sources]]
kind = "catalog"
path = "{address}"
query = "SELECT movie_id, title, year, genres FROM films"
[[sources]]
kind = "interactions"
address = "{address}"
query = "seen"
interaction = "rating"
columns = {{ value = "stars" }}
""")
    found = load_pipeline(pipeline)
    results = run_pipeline(empty_store, found, ["ingest"], home=home)
    assert [one.name for one in results] == ["postgres films", "postgres seen"]
    assert [one.detail["rows"] for one in results] == [2, 5_000]
    assert results[1].detail["created"] == 5_000
    again = run_pipeline(empty_store, found, ["ingest"], home=home)
    assert not any(one.changed for one in again)
    facts = "MATCH (:Movie {item_id: '1'})-[f:HAS_GENRE]->(g) RETURN g.name AS n, f.source AS s"
    kept = [tuple(row.values()) for row in empty_store.query(facts, limit=9).rows]
    assert sorted(kept) == [
        ("Horror", "column:postgres films.genres"),
        ("Sci-Fi", "column:postgres films.genres"),
    ]
    runs = empty_store.query("MATCH (r:Run) RETURN r.summary AS s", limit=9).rows
    everything = json.dumps([list(row.values()) for row in runs] + [str(results)])
    assert f"postgresql://{host}/postgres" in everything
    assert password not in everything
    assert "SHOP_PASSWORD" not in everything


def test_errors_of_postgresql_name_column_and_query_and_no_secret(server: tuple[str, str]) -> None:
    host, password = server
    for user, query, reasons in (
        (f"{USER}:{password}", "SELECT titel FROM films", ["titel", "does not exist"]),
        (f"{USER}:{password}", "SELECT 1 / (movie_id - 2) FROM films", ["division by zero"]),
        (f"{USER}:{password}", "SELECT nextval('numbers') AS n", ["read-only"]),
        (f"{USER}:{password}", "SELECT 1 AS a, 2 AS a", ["two columns called a"]),
        (f"{USER}:{password}", "SELECT * FROM films WHERE false", ["no rows"]),
        (f"{USER}:wrong-{password}", "films", ["password authentication failed"]),
    ):
        with pytest.raises(DataError) as raised:
            fetched(f"postgresql+psycopg://{user}@{host}/postgres", query)
        assert [one for one in reasons if one not in str(raised.value)] == [], str(raised.value)
        assert password not in str(raised.value)


@pytest.mark.parametrize(
    ("address", "query", "reason"),
    [
        ("sqlite:///{folder}/none.db", "films", "no such file"),
        ("sqlite:///{folder}/shop.db", "SELECT titel FROM films", "titel"),
        ("sqlite:///{folder}/shop.db", "INSERT INTO films VALUES (1, 2, 3, 4)", "readonly"),
        ("sqlite:///{folder}/shop.db", "SELECT * FROM films WHERE 0", "no rows"),
        ("sqlite:///{folder}/films.csv", "films", "not a database"),
        ("nonsense://host/shop", "films", "no such kind of database"),
        ("mysql://u:very-secret@host/shop", "films", "not installed"),
    ],
)
def test_what_cannot_be_queried_is_a_clear_error(
    sqlite: str, tmp_path: Path, address: str, query: str, reason: str
) -> None:
    (tmp_path / "films.csv").write_text("movie_id,title\n1,Alien\n" * 100)
    with pytest.raises(KGRecError) as raised:
        fetched(address.format(folder=tmp_path), query)
    assert reason in str(raised.value)
    assert "secret" not in str(raised.value)
    assert not (tmp_path / "none.db").exists()


def test_a_query_needs_a_database_and_a_database_a_query(sqlite: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="needs a query"):
        prepare(
            Source.model_validate({"kind": "catalog", "path": sqlite}), "movies", cache=tmp_path
        )
    with pytest.raises(ValueError, match="a query is of a database"):
        Source.model_validate({"kind": "catalog", "path": "films.csv", "query": "films"})


def test_the_command_reads_a_query(
    command: Command, sqlite: str, empty_store: GraphStore, tmp_path: Path
) -> None:
    options = ("--domain", "movies", "--query", "films")
    code, out, _ = command("ingest", "catalog", sqlite, *options, "--dry-run")
    assert code == 0
    assert "genres" in out
    assert "HAS_GENRE" in out
    code, out, _ = command("ingest", "catalog", sqlite, *options, "--json")
    assert code == 0
    done = json.loads(out)
    assert (done["created"], done["source"], done["file"]) == (3, "shop films", sqlite)
    ratings = ("--domain", "movies", "--query", "seen", "--column", "value=stars")
    code, out, _ = command("ingest", "interactions", sqlite, *ratings, "--json")
    assert code == 0
    assert json.loads(out)["created"] == 2
    with sqlite3.connect(tmp_path / "shop.db") as database:
        database.execute("DELETE FROM films WHERE movie_id = '3'")
    database.close()
    code, out, _ = command(
        "ingest", "catalog", sqlite, *options, "--complete", "--max-retired", "1", "--json"
    )
    assert code == 0
    assert json.loads(out)["retired"] >= 1


def test_an_sqlite_file_lies_beside_the_pipeline(sqlite: str, tmp_path: Path) -> None:
    file = tmp_path / "pipeline.toml"
    file.write_text(
        'name = "x"\ndomain = "movies"\n[[sources]]\nkind = "catalog"\n'
        'path = "sqlite:///shop.db"\nquery = "films"\n'
    )
    [source] = load_pipeline(file).sources
    assert source.address == sqlite


def test_a_pipeline_of_a_postgresql_is_written_and_its_rows_are_read_without_a_graph(
    server: tuple[str, str],
    command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    host, password = server
    monkeypatch.setenv("SHOP_PASSWORD", password)
    monkeypatch.setenv("KGREC_GRAPH_URI", "bolt://127.0.0.1:9")
    address = f"postgresql://{USER}:${{SHOP_PASSWORD}}@{host}/postgres"
    code, said, error = command("init", address, "--yes", "--out", tmp_path)
    assert code == 0, error
    written = (tmp_path / "pipeline.toml").read_text("utf-8")
    assert "SHOP_PASSWORD" in written
    code, read, error = command("run", tmp_path / "pipeline.toml", "--dry-run", "--json")
    assert code == 0, error
    reads = {one["kind"]: one for one in json.loads(read)["reads"]}
    assert {kind: (one["rows"], one["rejected"]) for kind, one in reads.items()} == {
        "catalog": (2, 0),
        "interactions": (5_000, 0),
    }
    assert (reads["interactions"]["users"], reads["interactions"]["items"]) == (50, 2)
    assert reads["catalog"]["facts"] == 2
    assert password not in written + said + read
    monkeypatch.setenv("SHOP_PASSWORD", f"wrong-{password}")
    for given in (("init", address, "--yes"), ("run", tmp_path / "pipeline.toml", "--dry-run")):
        code, said, error = command(*given)
        assert code == 3
        assert "password authentication failed" in error
        assert password not in said + error
