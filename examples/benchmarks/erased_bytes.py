"""Erase users of a Neo4j and search its files for the bytes of their ids, before and after a move.

    python examples/benchmarks/erased_bytes.py --start "neo4j-start {folder} {port}" [--json]

The command starts a Neo4j with its data below `folder`, Bolt at `port` and the password of
KGREC_GRAPH_PASSWORD, in the foreground. Three users are loaded: two are erased, by
`kgrec user erase`, one of them with an id that Neo4j packs into fewer bits, so that only its index
holds the bytes. The files are searched while Neo4j is stopped, since it writes them from its memory
then. At the end the graph is moved into a second Neo4j (`kgrec graph export` and `import`).

Exits with 1 where the ids were not in the files at first, so that a search proves nothing, or where
the second Neo4j holds one.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kgrec.config import Settings
from kgrec.errors import GraphError
from kgrec.graph import open_graph
from kgrec.graph.home import free_ports

PACKED, WHOLE = "person-4712@x.org", "person-4711-" + "aB9_" * 18 + "@example.org"
_KEPT = "person-4713@x.org"
_FILMS = 40
_LIMIT_S = 120.0


def files_with(folder: Path, user: str) -> dict[str, int]:
    """Return the files that hold an id, and how often."""
    every = (path for path in sorted(folder.rglob("*")) if path.is_file())
    found = {path.relative_to(folder): path.read_bytes().count(user.encode()) for path in every}
    return {str(path): count for path, count in found.items() if count}


@contextmanager
def neo4j(command: str, folder: Path) -> Iterator[dict[str, str]]:
    """Run a Neo4j while the block does; yields the environment that names it to kgrec."""
    [port] = free_ports(1)
    words = shlex.split(command.format(folder=folder, port=port))
    password = os.environ.get("KGREC_GRAPH_PASSWORD", "")
    named = {"KGREC_GRAPH_URI": f"bolt://127.0.0.1:{port}", "KGREC_GRAPH_USER": "neo4j"}
    settings = Settings.model_validate(
        {"graph_uri": named["KGREC_GRAPH_URI"], "graph_user": "neo4j", "graph_password": password}
    )
    running = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    try:
        _wait(settings)
        yield {**os.environ, **named, "KGREC_HOME": str(folder.parent / "home")}
    finally:
        running.terminate()
        running.wait(_LIMIT_S)


def _wait(settings: Settings) -> None:
    until = time.monotonic() + _LIMIT_S
    while True:
        try:
            with open_graph(settings):
                return
        except GraphError:
            if time.monotonic() > until:
                raise
            time.sleep(1.0)


def kgrec(environment: dict[str, str], *arguments: str, fails: bool = False) -> str:
    """Run a command and return what it printed."""
    words = [sys.executable, "-m", "kgrec", *arguments]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    if done.returncode and not fails:
        sys.exit(f"{' '.join(arguments)}: {done.stderr or done.stdout}")
    return done.stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--start", required=True, metavar="COMMAND", help="starts a Neo4j")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found: dict[str, dict[str, dict[str, int]]] = {}

    def search(when: str, folder: Path) -> None:
        found[when] = {name: files_with(folder, name) for name in (WHOLE, PACKED)}

    with tempfile.TemporaryDirectory() as kept:
        place = Path(kept)
        first, second, films = place / "first", place / "second", place / "films.csv"
        ratings, dump = place / "ratings.csv", place / "graph.zip"
        films.write_text(
            "movie_id,title\n" + "".join(f"{n},Film {n}\n" for n in range(_FILMS)), "utf-8"
        )
        rows = [f"{user},{n},5\n" for user in (WHOLE, PACKED, _KEPT) for n in range(_FILMS)]
        ratings.write_text("user_id,movie_id,rating\n" + "".join(rows), "utf-8")
        with neo4j(options.start, first) as environment:
            kgrec(environment, "ingest", "catalog", str(films), "--domain", "movies")
            kgrec(environment, "ingest", "interactions", str(ratings), "--domain", "movies")
        search("loaded", first)
        with neo4j(options.start, first) as environment:
            for user in (WHOLE, PACKED):
                kgrec(environment, "user", "erase", user, "--search", str(first), fails=True)
        search("erased", first)
        with neo4j(options.start, first) as environment:
            kgrec(environment, "graph", "export", str(dump))
        with neo4j(options.start, second) as environment:
            kgrec(environment, "graph", "import", str(dump))
        search("moved", second)
    if options.json:
        print(json.dumps(found))
    else:
        for when, users in found.items():
            for user, files in users.items():
                print(f"{when}: {user[:20]} is in {files or 'no file'}")
    if not all(found["loaded"].values()) or any(found["moved"].values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
