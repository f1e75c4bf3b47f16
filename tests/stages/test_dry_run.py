"""A dry run says of rows what a load does with them, without a graph."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from small_tables import FILMS, Command, Load

from kgrec.data.sources import Source
from kgrec.stages.dry_run import DryRun, dry_run
from kgrec.stages.ingest import prepare

VIEWS = "user_id,movie_id,event,timestamp\n"
TABLES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "items with invalid cells": ("catalog", FILMS.replace("1995", "soon") + ",Nil,1,,\n", {}),
    "words for nothing": ("catalog", FILMS.replace("Michael Mann", "N/A"), {}),
    "rows of one item": ("catalog", "movie_id,title,genre\n1,Heat,Crime\n1,Heat,War\n", {}),
    "an item twice": ("catalog", "movie_id,title,year\n1,Heat,1995\n1,Heat,1996\n", {}),
    "users": ("users", "user_id,age\nann,31\nann,32\n,4\nbob,x\n", {}),
    "entities": (
        "entities",
        "name,type,born\nAda,Person,1950\n,Person,\nBo,Pirate,\n",
        {"properties": ["born"]},
    ),
    "events": (
        "interactions",
        VIEWS + "a,1,view,1\nb,1,wave,2\nb,2,N/A,3\na,1,view,1\nc,2,nod,4\nc,3,wave,-\n,1,view,5\n",
        {"create_items": True},
    ),
    "ratings": (
        "interactions",
        "user_id,movie_id,rating\na,1,4\na,2,x\nb,1,inf\nb,2,5\n",
        {"create_items": True},
    ),
    "edges": (
        "relations",
        "head,tail\nAcme,Best\nBest,Best\n,Best\nAcme,Best\n",
        {"relation": "PART_OF"},
    ),
}


def read(folder: Path, kind: str, content: str | bytes, **options: Any) -> DryRun:
    path = folder / "t.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    source = Source.model_validate({"kind": kind, "path": path, **options})
    return dry_run(prepare(source, "movies", cache=folder))


@pytest.mark.parametrize("name", list(TABLES))
def test_a_dry_run_counts_as_a_load_does(load: Load, tmp_path: Path, name: str) -> None:
    kind, content, options = TABLES[name]
    found = read(tmp_path, kind, content, **options)
    done = load(kind, content, **options)
    assert found.rows == done.rows
    assert found.usable == done.created
    counts = ("repeated", "rejected", "cells_rejected", "users", "items", "mostly_rejected")
    for each in counts:
        assert getattr(found, each) == getattr(done, each), each
    assert {one.reason: one.count for one in found.reasons} == done.reasons
    assert sum(found.nulls.values()) == done.nulls
    assert found.facts == done.facts + done.links


def test_what_is_wrong_is_said_with_its_first_line(tmp_path: Path) -> None:
    kind, content, options = TABLES["events"]
    found = read(tmp_path, kind, content, **options)
    assert found.events == {"wave": 2, "nod": 1}
    assert found.nulls == {"n/a": 1}
    firsts = {one.reason[:12]: (one.count, one.line, one.value) for one in found.reasons}
    assert firsts == {"kind is none": (3, 3, "wave"), "user_id is m": (1, 8, "")}
    assert read(tmp_path, kind, content, kinds={"wave": "like", "nod": ""}).events == {}
    untitled = read(tmp_path, "catalog", "movie_id,title\n1,Heat\n2,\n")
    assert (untitled.usable, untitled.untitled) == (2, 1)


@pytest.fixture
def nowhere(command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    """The command line without a graph, and with a folder for temporary files of its own."""
    monkeypatch.setenv("KGREC_GRAPH_URI", "bolt://127.0.0.1:9")
    monkeypatch.setenv("KGREC_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return command


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_the_command_needs_no_graph_and_leaves_nothing(
    nowhere: Command, tmp_path: Path, suffix: str
) -> None:
    lines = ["a,1,view,1", "b,1,wave,2", "b,2,N/A,3", "c,2,,x"]
    path = tmp_path / f"views.{suffix}"
    names = VIEWS.strip().split(",")
    if suffix == "csv":
        path.write_text(VIEWS + "\n".join(lines))
    else:
        rows = [dict(zip(names, line.split(","), strict=True)) for line in lines]
        path.write_text("\n".join(map(json.dumps, rows)))
    given = ("ingest", "interactions", path, "--domain", "movies", "--dry-run")
    code, said, _ = nowhere(*given)
    assert code == 0
    assert "4 rows: 2 can be used (2 users, 2 items), 2 would be set aside." in said
    assert "1 × at is not a time: ISO 8601" in said
    assert "Words for nothing: n/a (1)." in said
    assert "Unknown events: wave (1)." in said
    code, said, _ = nowhere(*given, "--json")
    reads = json.loads(said)["reads"]
    assert (code, reads["usable"], reads["events"]) == (0, 2, {"wave": 1})
    assert sorted(one.name for one in tmp_path.iterdir()) == [path.name]


REFUSED = {
    "most rows": ("user_id,movie_id,rating\na,1,x\na,2,y\na,3,4\n", "most rows would be set aside"),
    "all rows": ("user_id,movie_id,rating\na,1,x\n", "no row of the file can be used"),
    "no rows": ("user_id,movie_id,rating\n", "no rows below the names"),
}


@pytest.mark.parametrize("name", list(REFUSED))
def test_a_dry_run_of_a_useless_table_ends_as_a_load_would(
    nowhere: Command, tmp_path: Path, name: str
) -> None:
    content, says = REFUSED[name]
    (tmp_path / "ratings.csv").write_text(content)
    given = ("ingest", "interactions", tmp_path / "ratings.csv", "--domain", "movies", "--dry-run")
    for options in ((), ("--json",)):
        code, said, error = nowhere(*given, *options)
        assert code == 3
        assert says in error
        assert "ratings.csv" in (json.loads(said)["reads"]["file"] if options else error)
    (tmp_path / "pipeline.toml").write_text(
        'name = "p"\ndomain = "movies"\n[[sources]]\nkind = "interactions"\npath = "ratings.csv"\n'
    )
    code, said, error = nowhere("run", tmp_path / "pipeline.toml", "--dry-run")
    assert code == 3
    assert says in error
    assert "ratings.csv (csv" in said


def test_the_sources_of_a_pipeline_are_read(nowhere: Command) -> None:
    folder = Path(__file__).parents[2] / "examples" / "shop"
    code, said, _ = nowhere("run", folder / "pipeline.toml", "--dry-run", "--json")
    assert code == 0
    reads = json.loads(said)["reads"]
    assert [one["rejected"] for one in reads] == [0] * len(reads)
    assert {one["kind"] for one in reads} == {"catalog", "interactions"}
    code, _, error = nowhere("run", folder / "pipeline.toml", "--dry-run", "--stage", "train")
    assert code == 2
    assert "read none" in error
