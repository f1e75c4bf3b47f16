"""Exit codes of commands that read what people give them, and what they print: no traceback."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from small_tables import FILMS, RATINGS, Command

from kgrec.graph.setup import clear_graph
from kgrec.graph.store import GraphStore

ITEMS = ["--domain", "movies"]
SOURCE = '[[sources]]\nkind = "{kind}"\npath = "{path}"\n'


def pipeline(kind: str = "catalog", path: str = "films.csv", more: str = "") -> str:
    source = SOURCE.format(kind=kind, path=path)
    return f'name = "p"\ndomain = "movies"\nstages = ["ingest"]\n{source}{more}'


FILES: dict[str, str | bytes] = {
    "films.csv": FILMS,
    "empty.csv": "",
    "names.csv": "user_id,movie_id,rating\n",
    "bad.csv": "user_id,movie_id,rating\na,1,x\na,2,y\nb,1,3\n",
    "ratings.csv": RATINGS,
    "wide.csv": FILMS.encode("utf-16"),
    "latin.csv": 'movie_id,title\n"é",Père\n'.encode("latin-1"),
    "torn.csv.gz": gzip.compress(FILMS.encode())[:-30],
    "not.csv.gz": FILMS,
    "not.parquet": FILMS,
    "torn.jsonl": '{"movie_id": 1\n[1, 2]\n',
    "number.json": "17",
    "twice.csv": "movie_id,title,title\n1,Heat,Heat\n",
    "people.csv": "name,type\nAda,Pirate\n",
    "good.toml": pipeline(),
    "bad.toml": "name = \n",
    "latin.toml": 'name = "é"\n'.encode("latin-1"),
    "binary.toml": b"\x00\xff\xfe",
    "key.toml": pipeline(more="colour = 3\n"),
    "domain.toml": pipeline().replace("movies", "opera"),
    "stage.toml": pipeline().replace('"ingest"', '"cook"'),
    "none.toml": pipeline(path="none.csv"),
    "column.toml": pipeline(more='columns = { title = "Titel" }\n'),
    "relation.toml": pipeline(more='relations = { LIKED = "genres" }\n'),
    "refused.toml": pipeline("interactions", "bad.csv", "create_items = true\n"),
    "books.toml": 'name = "books"\nitem_label = "Book"\n',
    "head.toml": 'name = "b"\nitem_label = "Book"\n[relations.X]\nhead = "Y"\ntail = "Z"\n',
}

INGEST = ("ingest", "catalog")
VIEWS = ("ingest", "interactions")
CASES: dict[str, tuple[tuple[str, ...], int, str]] = {
    # kgrec ingest
    "ingest: unknown items": ((*VIEWS, "ratings.csv", *ITEMS), 3, "no row of the file"),
    "ingest: no such file": ((*INGEST, "none.csv", *ITEMS), 3, "no such file"),
    "ingest: empty": ((*VIEWS, "empty.csv", *ITEMS), 3, "empty"),
    "ingest: a folder": ((*INGEST, ".", *ITEMS), 3, "cannot be read"),
    "ingest: no rows": ((*VIEWS, "names.csv", *ITEMS), 3, "no rows below"),
    "ingest: most rows": ((*VIEWS, "bad.csv", *ITEMS, "--create-items"), 3, "most rows were set"),
    "ingest: utf-16 as utf-8": ((*INGEST, "wide.csv", *ITEMS), 3, "wide.csv"),
    "ingest: utf-8 as utf-16": ((*INGEST, "films.csv", *ITEMS, "--encoding", "utf-16"), 3, "utf"),
    "ingest: latin-1 as utf-8": ((*INGEST, "latin.csv", *ITEMS), 3, "not UTF-8"),
    "ingest: no encoding": ((*INGEST, "films.csv", *ITEMS, "--encoding", "x"), 2, "encoding"),
    "ingest: torn": ((*INGEST, "torn.csv.gz", *ITEMS), 0, "breaks off"),
    "ingest: called gzip": ((*INGEST, "not.csv.gz", *ITEMS), 0, "not.csv.gz"),
    "ingest: not Parquet": ((*INGEST, "not.parquet", *ITEMS), 3, "not.parquet"),
    "ingest: torn JSON": ((*INGEST, "torn.jsonl", *ITEMS), 3, "torn.jsonl"),
    "ingest: a number": ((*INGEST, "number.json", *ITEMS), 3, "number.json"),
    "ingest: a name twice": ((*INGEST, "twice.csv", *ITEMS), 3, "same name"),
    "ingest: no such kind of row": (("ingest", "films", "films.csv", *ITEMS), 2, "films"),
    "ingest: no domain": ((*INGEST, "films.csv"), 2, "domain"),
    "ingest: no such domain": ((*INGEST, "films.csv", "--domain", "opera"), 2, "no such domain"),
    "ingest: column": ((*INGEST, "films.csv", *ITEMS, "--column", "title=x"), 2, "such column"),
    "ingest: property": ((*INGEST, "films.csv", *ITEMS, "--property", "x"), 2, "such column"),
    "ingest: relation": ((*INGEST, "films.csv", *ITEMS, "--relation", "X=year"), 2, "relation"),
    "ingest: a kind": ((*VIEWS, "ratings.csv", *ITEMS, "--kind", "a=b"), 2, "kind of interaction"),
    "ingest: entity type": (("ingest", "entities", "people.csv", *ITEMS), 3, "type is none of"),
    "ingest: no such type": (
        ("ingest", "entities", "people.csv", *ITEMS, "--type", "Pirate"),
        2,
        "no such entity type",
    ),
    "ingest: edges of no type": (("ingest", "relations", "films.csv", *ITEMS), 3, "films.csv"),
    "ingest: a format": ((*INGEST, "films.csv", *ITEMS, "--format", "xlsx"), 2, "format"),
    "ingest: skip": ((*INGEST, "films.csv", *ITEMS, "--skip", "-1"), 2, "skip"),
    "ingest: skip all": ((*INGEST, "films.csv", *ITEMS, "--skip", "99"), 3, "films.csv"),
    "ingest: share": ((*INGEST, "films.csv", *ITEMS, "--max-retired", "2"), 2, "max-retired"),
    "ingest: both": ((*INGEST, "films.csv", *ITEMS, "--complete", "--delete"), 2, "complete"),
    "ingest: a query of a file": ((*INGEST, "films.csv", *ITEMS, "--query", "x"), 2, "query"),
    "ingest: no such scheme": ((*INGEST, "abc://x/y.csv", *ITEMS), 2, "abc"),
    "ingest: follow a catalogue": ((*INGEST, "films.csv", *ITEMS, "--follow"), 2, "interactions"),
    # kgrec init
    "init: no such file": (("init", "none.csv"), 3, "no such file"),
    "init: no such file, --yes": (("init", "none.csv", "--yes"), 3, "no such file"),
    "init: empty": (("init", "empty.csv"), 3, "empty"),
    "init: no terminal": (("init", "films.csv", "--out", "out"), 2, "--yes"),
    "init: nothing": (("init",), 2, "nothing to look at"),
    "init: no such domain": (("init", "films.csv", "--domain", "opera", "--yes"), 2, "domain"),
    "init: a query": (("init", "films.csv", "--query", "films", "--yes"), 2, "query"),
    "init: a secret": (("init", "postgresql://me:secret@h/db", "--yes"), 2, "secrets"),
    "init: no such database": (("init", "sqlite:///none.db", "--yes"), 3, "none.db"),
    "init: not UTF-8": (("init", "binary.toml", "--yes"), 3, "binary.toml"),
    "init: below a file": (
        ("init", "films.csv", "ratings.csv", "--yes", "--out", "films.csv"),
        2,
        "cannot be written",
    ),
    # kgrec schema check
    "check: no such file": (("schema", "check", "none.toml"), 2, "none.toml"),
    "check: a folder": (("schema", "check", "."), 2, "'.'"),
    "check: bad TOML": (("schema", "check", "bad.toml"), 2, "bad.toml"),
    "check: not UTF-8": (("schema", "check", "latin.toml"), 2, "latin.toml"),
    "check: binary": (("schema", "check", "binary.toml"), 2, "binary.toml"),
    "check: unknown keys": (("schema", "check", "good.toml"), 2, "stages"),
    "check: unknown head": (("schema", "check", "head.toml"), 2, "head.toml"),
    "check: lacks much": (("schema", "check", "books.toml"), 2, "books.toml"),
    "check: no such domain": (("schema", "check", "--domain", "opera"), 2, "no such domain"),
    # kgrec run
    "run: no such file": (("run", "none.toml.toml"), 2, "no such pipeline"),
    "run: a folder": (("run", "."), 2, "no such pipeline"),
    "run: bad TOML": (("run", "bad.toml"), 2, "bad.toml"),
    "run: not UTF-8": (("run", "latin.toml"), 2, "latin.toml"),
    "run: binary": (("run", "binary.toml"), 2, "binary.toml"),
    "run: a table": (("run", "films.csv"), 2, "films.csv"),
    "run: unknown key": (("run", "key.toml"), 2, "colour"),
    "run: no such domain": (("run", "domain.toml"), 2, "no such domain"),
    "run: no such stage": (("run", "stage.toml"), 2, "cook"),
    "run: no such option": (("run", "good.toml", "--stage", "cook"), 2, "cook"),
    "run: two options": (("run", "good.toml", "--stage", "train", "--from", "train"), 2, "exclude"),
    "run: a setting": (("run", "good.toml", "--set", "x"), 2, "NAME=VALUE"),
    "run: no such source": (("run", "none.toml"), 3, "no such file"),
    "run: column": (("run", "column.toml"), 2, "no such column"),
    "run: relation": (("run", "relation.toml"), 2, "relation"),
    "run: most rows": (("run", "refused.toml"), 3, "most rows were set aside"),
    "run: most rows, dry": (("run", "refused.toml", "--dry-run"), 3, "most rows would be"),
}


@pytest.fixture(scope="module")
def nothing(store: GraphStore) -> None:
    """A graph that holds nothing at first."""
    clear_graph(store)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all of the files."""
    made = tmp_path_factory.mktemp("given")
    for name, content in FILES.items():
        (made / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return made


@pytest.mark.parametrize("name", list(CASES))
def test_what_is_wrong_is_said_with_its_exit_code(
    nothing: None,
    command: Command,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    monkeypatch.chdir(folder)
    arguments, expected, says = CASES[name]
    asks = name == "init: no terminal"  # --json takes every guess
    for form in ((),) if asks else ((), ("--json",)):
        code, out, error = command(*arguments, *form)
        assert code == expected, out + error
        assert says in out + error
        assert "Traceback" not in out + error
        assert not expected or error.startswith(("kgrec: ", "Usage: ", "{"))
