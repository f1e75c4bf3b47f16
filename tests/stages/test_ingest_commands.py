"""`kgrec ingest`: guesses are shown, bad input is a clear error, nothing is lost."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from small_tables import FILMS, RATINGS, Command

from kgrec.graph.store import GraphStore

pytestmark = pytest.mark.usefixtures("empty_store")


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_columns_are_guessed_and_shown(command: Command, tmp_path: Path) -> None:
    path = write(tmp_path, "films.csv", FILMS)
    code, said, _ = command("ingest", "catalog", path, "--domain", "movies", "--dry-run")
    assert code == 0
    assert "HAS_GENRE → Genre split at '|'" in said
    assert "guessed" in said
    code, said, _ = command("ingest", "catalog", path, "--domain", "movies")
    assert code == 0
    assert "3 rows: 3 created, 7 entities, 9 facts." in said
    code, said, _ = command("ingest", "catalog", path, "--domain", "movies")
    assert code == 0
    assert "3 rows: unchanged." in said


def test_options_overrule_the_guess(
    command: Command, tmp_path: Path, empty_store: GraphStore
) -> None:
    path = write(tmp_path, "films.tsv", "no\thow\tkinds\n1\tAlien\tHorror/Sci-Fi\n")
    options = ["--column", "item_id=no", "--column", "title=how"]
    options += ["--relation", "HAS_GENRE=kinds:/", "--json"]
    code, said, _ = command("ingest", "catalog", path, "--domain", "movies", *options)
    assert code == 0
    assert json.loads(said)["facts"] == 2
    found = empty_store.query("MATCH (e:Genre) RETURN e.name AS n ORDER BY n").rows
    assert [row["n"] for row in found] == ["Horror", "Sci-Fi"]


def test_rejects_are_counted_and_their_file_named(
    command: Command, tmp_path: Path, home: Path
) -> None:
    command("ingest", "catalog", write(tmp_path, "films.csv", FILMS), "--domain", "movies")
    ratings = write(tmp_path, "ratings.csv", RATINGS + "bob,2,abc,881250949\nbob,2,")
    code, said, _ = command("ingest", "interactions", ratings, "--domain", "movies")
    assert code == 0
    assert "2 rows set aside from" in said
    assert "1 × value is not a number" in said
    assert str(home / "rejects") in said


def test_cells_that_are_left_out_are_counted_apart(command: Command, tmp_path: Path) -> None:
    films = write(tmp_path, "films.csv", FILMS.replace("1995", "soon") + ",Nameless,1999,,\n")
    code, said, _ = command("ingest", "catalog", films, "--domain", "movies", "--json")
    done = json.loads(said)
    assert code == 0
    assert (done["created"], done["rejected"], done["cells_rejected"]) == (3, 1, 1)
    _, said, _ = command("ingest", "catalog", films, "--domain", "movies")
    assert "1 rows and 1 cells set aside from" in said


BAD = {
    "truncated": (b'item_id,title\n"1', 3, "does not close"),
    "wrong delimiter": (b"item_id;title\n1;Alien\n", 3, "delimiter"),
    "unknown columns": (b"a,b\n1,2\n", 3, "no column looks like item_id"),
    "empty": (b"", 3, "empty"),
    "only names": (b"item_id,title\n", 3, "no rows"),
    "binary": (b"\x00\x01\x02,\x00\n", 3, "not a text table"),
    "no key": (b"item_id,title\n,Alien\n", 3, "item_id is missing"),
    "not UTF-8": (b"item_id,title\n1,\xff\xfe\n", 3, "not UTF-8"),
}


@pytest.mark.parametrize("name", list(BAD))
def test_bad_input_is_a_clear_error(command: Command, tmp_path: Path, name: str) -> None:
    content, expected, says = BAD[name]
    path = write(tmp_path, "bad.csv", content)
    options = ["--delimiter", ","] if name == "wrong delimiter" else []
    code, _, said = command("ingest", "catalog", path, "--domain", "movies", *options)
    assert code == expected
    assert says in said
    assert "bad.csv" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--domain", "opera"], "no such domain"),
        (["--domain", "movies", "--column", "title=Titel"], "no such column"),
        (["--domain", "movies", "--column", "title"], "NAME=COLUMN"),
        (["--domain", "movies", "--relation", "LIKES=genres:|"], "no such relation"),
        (["--domain", "movies", "--format", "xlsx"], "format"),
        (["--domain", "movies", "--encoding", "klingon"], "no such encoding"),
    ],
)
def test_wrong_use_is_a_clear_error(
    command: Command, tmp_path: Path, options: list[str], says: str
) -> None:
    path = write(tmp_path, "films.csv", FILMS)
    code, _, said = command("ingest", "catalog", path, *options)
    assert code == 2
    assert says in said
    assert "Traceback" not in said


def test_a_missing_file_is_a_clear_error(command: Command, tmp_path: Path) -> None:
    code, _, said = command("ingest", "users", tmp_path / "none.csv", "--domain", "movies")
    assert code == 3
    assert "no such file" in said


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_home_that_cannot_be_written_is_a_clear_error(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, "films.csv", FILMS)
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    monkeypatch.setenv("KGREC_HOME", str(closed / "home"))
    code, _, said = command("ingest", "catalog", path, "--domain", "movies")
    assert code == 2
    assert "cannot be written" in said


def test_a_home_below_a_file_is_a_clear_error(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, "films.csv", FILMS)
    monkeypatch.setenv("KGREC_HOME", str(path / "home"))
    code, _, said = command("ingest", "catalog", path, "--domain", "movies")
    assert code == 2
    assert "cannot be written" in said
