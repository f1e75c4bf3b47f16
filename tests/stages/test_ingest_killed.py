"""A load that is killed, or whose server is, is completed by running it again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kgrec.config import Settings
from kgrec.graph import open_graph
from kgrec.graph.embedded import stop
from kgrec.graph.store import GraphStore

USERS, EACH, ITEMS = 2_000, 10, 200
COUNT = (
    "MATCH (u:User)-[x:INTERACTED]->(i:Item) "
    "RETURN count(x) AS n, count(DISTINCT u.user_id + '/' + i.item_id + '/' + x.key) AS distinct"
)


def tables(folder: Path) -> tuple[Path, Path]:
    films = folder / "films.csv"
    titles = "".join(f"{n},Film {n},Drama\n" for n in range(ITEMS))
    films.write_text("movie_id,title,genres\n" + titles, encoding="utf-8")
    ratings = folder / "ratings.csv"
    lines = [
        f"u{user},{(user + n) % ITEMS},{n % 5 + 1},{881_250_949 + n}"
        for n in range(EACH)
        for user in range(USERS)
    ]
    text = "\n".join(["user_id,movie_id,rating,timestamp", *lines])
    ratings.write_text(text + "\n", encoding="utf-8")
    return films, ratings


def command(home: Path, kind: str, path: Path) -> subprocess.Popen[str]:
    code = "from kgrec.cli import main; main()"
    arguments = ["ingest", kind, str(path), "--domain", "movies", "--json"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("KGREC_")}
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        env={**environment, "KGREC_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(process: subprocess.Popen[str]) -> dict[str, int]:
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    found = json.loads(out)
    assert isinstance(found, dict)
    return found


def wait_for_some(store: GraphStore, process: subprocess.Popen[str]) -> int:
    """Wait until a load is under way; returns how much is there."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        there = int(store.query("MATCH ()-[x:INTERACTED]->() RETURN count(x) AS n").rows[0]["n"])
        if there:
            return there
        time.sleep(0.02)
    pytest.fail("the load ended before it could be killed, or wrote nothing")


def assert_complete(store: GraphStore) -> None:
    (row,) = store.query(COUNT).rows
    assert (row["n"], row["distinct"]) == (USERS * EACH, USERS * EACH)
    (row,) = store.query("MATCH (u:User) RETURN count(u) AS n").rows
    assert row["n"] == USERS
    (row,) = store.query("MATCH (i:Item) RETURN count(i) AS n").rows
    assert row["n"] == ITEMS


@pytest.mark.slow
def test_a_killed_load_is_completed(empty_store: GraphStore, home: Path, tmp_path: Path) -> None:
    films, ratings = tables(tmp_path)
    finished(command(home, "catalog", films))
    process = command(home, "interactions", ratings)
    before = wait_for_some(empty_store, process)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert 0 < before < USERS * EACH
    again = finished(command(home, "interactions", ratings))
    assert again["created"] + again["unchanged"] == USERS * EACH
    assert again["unchanged"] >= before
    assert_complete(empty_store)
    assert finished(command(home, "interactions", ratings))["created"] == 0


@pytest.fixture
def other_home(home: Path) -> Iterator[Path]:
    """A home whose server may be killed."""
    place = home / "other"
    yield place
    stop(place, force=True)


@pytest.mark.slow
def test_a_load_whose_server_is_killed_is_completed(other_home: Path, tmp_path: Path) -> None:
    films, ratings = tables(tmp_path)
    finished(command(other_home, "catalog", films))
    settings = Settings(home=other_home, graph_uri=None)
    process = command(other_home, "interactions", ratings)
    with open_graph(settings) as store:
        before = wait_for_some(store, process)
        server = json.loads((other_home / "graph" / "server.json").read_text())["pid"]
        os.kill(server, signal.SIGKILL)
    _, said = process.communicate(timeout=240)
    # The server comes back by itself; the load goes on if that is soon enough, else it says so.
    assert process.returncode in {0, 6}, said
    assert "Traceback" not in said
    again = finished(command(other_home, "interactions", ratings))
    assert again["unchanged"] >= before
    with open_graph(settings) as store:
        assert_complete(store)
