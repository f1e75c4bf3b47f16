"""Kill loads and their database, go on, and count what is lost.

    python examples/benchmarks/killed_loads.py [--rows 400000] [--kills 4] [--json]
    KGREC_GRAPH_URI=bolt://127.0.0.1:7687 KGREC_GRAPH_PASSWORD=... \
        python examples/benchmarks/killed_loads.py --restart "neo4j console"

A table of ratings, each row of which is another one, is loaded by `kgrec ingest`. When so many
rows are in the graph that another user of it sees them (they count as acknowledged), the process
of the load is killed (SIGKILL), and the same command is run again. The last one to be killed is the
database: the load waits for it and goes on, or ends with an error. Then it is run to its end. The
graph must hold each row of the table once: what was acknowledged before any kill, and all others.

The graph is a new one in a folder for temporary files, or that of KGREC_GRAPH_URI, whose content is
deleted first, and whose database is killed only where a command is given that starts it again.

Prints a line for each kill and the whole at the end; exits with 1 when a row is lost or doubled.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loading import graph, server_of, write_interactions

from kgrec.config import Settings
from kgrec.errors import GraphError
from kgrec.graph import open_graph
from kgrec.graph.pages import user_pages

_COUNT = "MATCH ()-[x:INTERACTED]->() RETURN count(x) AS n"
_ROWS = (
    "UNWIND $users AS user MATCH (u:User {user_id: user})-[x:INTERACTED]->(i:Item) "
    "RETURN user AS u, collect(i.item_id) AS items, collect(x.value) AS values, "
    "collect(x.key) AS keys"
)
_LIMIT_S = 300.0
_POLL_S = 0.1

_Row = tuple[str, str, float, str]
"""User, item, value, and the kind and time that tell two apart."""


@dataclass(frozen=True)
class Kill:
    """One kill.

    Attributes:
        victim: the load, or the database.
        acknowledged: rows that were seen in the graph before it.
        there: rows that the graph held after it.
        code: with which the load ended; -9 when it was killed itself.
        answered: seconds from the kill to the next answer of the database.
    """

    victim: str
    acknowledged: int
    there: int
    code: int
    answered: float


class Database:
    """The graph that is loaded, and the process of it that may be killed."""

    def __init__(self, settings: Settings, restart: str) -> None:
        self.settings, self._restart = settings, shlex.split(restart)
        self.is_mortal = settings.graph_uri is None or bool(self._restart)
        self._started: subprocess.Popen[bytes] | None = None

    def count(self) -> int:
        """Return how many interactions there are, waiting for a database that is away."""
        until = time.monotonic() + _LIMIT_S
        while True:
            try:
                with open_graph(self.settings) as store:
                    return int(store.query(_COUNT).rows[0]["n"])
            except GraphError:
                if time.monotonic() > until:
                    raise
                time.sleep(_POLL_S)

    def kill(self) -> None:
        """End the database at once; one that does not come back by itself is started again."""
        process = server_of(self.settings)
        process.kill()
        process.wait(30)
        if self._restart:
            quiet = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
            self._started = subprocess.Popen(self._restart, start_new_session=True, **quiet)

    def end(self) -> None:
        """End the database that was started here."""
        if self._started is not None:
            self._started.terminate()
            self._started.wait(60)

    def rows(self) -> Counter[_Row]:
        """Return all interactions, with how often each is there."""
        found: Counter[_Row] = Counter()
        with open_graph(self.settings) as store:
            for page in user_pages(store):
                for begin in range(0, len(page["ids"]), 500):
                    users = page["ids"][begin : begin + 500]
                    for row in store.query(_ROWS, {"users": users}).rows:
                        columns: Any = (row["items"], row["values"], row["keys"])
                        pairs = zip(*columns, strict=True)
                        user = str(row["u"])
                        found.update((user, item, value, key) for item, value, key in pairs)
        return found


def load(path: Path, settings: Settings) -> subprocess.Popen[str]:
    """Start a load."""
    command = [sys.executable, "-m", "kgrec", "ingest", "interactions", str(path)]
    command += ["--domain", "movies", "--create-items", "--json"]
    environment = {**os.environ, "KGREC_HOME": str(settings.home)}
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env=environment, **pipes)


def kill_in_turn(table: Path, rows: int, kills: int, database: Database) -> Iterator[Kill]:
    """Run loads, and kill each of them or the database when its part of the rows is there."""
    for turn in range(kills):
        # A load goes on by itself when its database is back, so nothing is left to kill after that.
        victim = "database" if turn == kills - 1 and database.is_mortal else "load"
        process, seen = load(table, database.settings), 0
        with open_graph(database.settings) as store:
            while seen < rows * (turn + 1) // (kills + 1) and process.poll() is None:
                seen = int(store.query(_COUNT).rows[0]["n"])
                time.sleep(_POLL_S)
        if process.poll() is not None:
            raise SystemExit(f"killed_loads: the load ended by itself: {process.communicate()}")
        if victim == "load":
            process.kill()
        else:
            database.kill()
        begun = time.monotonic()
        database.count()
        answered = time.monotonic() - begun
        _, said = process.communicate(timeout=_LIMIT_S)
        if "Traceback" in said:
            raise SystemExit(f"killed_loads: {said}")
        yield Kill(victim, seen, database.count(), process.returncode, answered)


def expected(table: Path) -> Counter[_Row]:
    """Return the rows of the table as the graph holds them."""
    with table.open(encoding="utf-8") as file:
        rows = csv.reader(file)
        next(rows)
        return Counter((u, i, float(value), f"rating@{at}000") for u, i, value, at in rows)


def main() -> int:
    """Kill, go on, compare; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=400_000)
    parser.add_argument("--users", type=int, default=20_000)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=4)
    parser.add_argument("--restart", default="", help="command that starts the database again")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, graph(Path(name)) as settings:
        table, database = Path(name) / "table.csv", Database(settings, options.restart)
        write_interactions(table, options.rows, options.users, options.items)
        done = []
        try:
            for one in kill_in_turn(table, options.rows, options.kills, database):
                done.append(vars(one))
                if not options.json:
                    print(
                        f"killed the {one.victim}: {one.acknowledged:,} rows acknowledged, "
                        f"{one.there:,} there after it; the load left with {one.code}, the "
                        f"database answered after {one.answered:.1f} s",
                        flush=True,
                    )
            process = load(table, settings)
            out, said = process.communicate()
            if process.returncode:
                raise SystemExit(f"killed_loads: the load cannot go on: {said}")
            last, held, wanted = json.loads(out), database.rows(), expected(table)
        finally:
            database.end()
    lost, more = (wanted - held).total(), (held - wanted).total()
    counts = {name: last[name] for name in ("rows", "created", "updated", "unchanged", "rejected")}
    if options.json:
        print(json.dumps({"kills": done, "last": counts, "lost": lost, "more": more}, indent=2))
    else:
        print(
            f"went on: {counts['created']:,} created, {counts['updated']:,} updated, "
            f"{counts['unchanged']:,} unchanged of {counts['rows']:,}; {lost:,} lost, {more:,} "
            "doubled or unknown"
        )
    return int(bool(lost or more or done[-1]["there"] != last["unchanged"]))


if __name__ == "__main__":
    sys.exit(main())
