"""Measure `kgrec ingest`: rows a second, processor time and memory of both sides.

    python examples/benchmarks/loading.py interactions [--rows 1000000] [--users 50000] [--json]
    python examples/benchmarks/loading.py heavy [--rows 20000]
    python examples/benchmarks/loading.py items [--rows 100000] [--facts 10]

`interactions` loads a table of so many rows, items drawn by popularity, and loads it again
unchanged. `heavy` compares one user with all rows to users with ten each. `items` loads a
catalogue whose items have so many facts each. The graph is a new one in a folder for temporary
files, or that of KGREC_GRAPH_URI, whose content is deleted first. A rate is rows over the whole
time of the command, its start of a second or two included; `client` and `server` are the seconds
of processor time of the command and of the database.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from kgrec.config import Settings, load_settings
from kgrec.graph import open_graph
from kgrec.graph.embedded import keep_running, stop
from kgrec.graph.setup import clear_graph

_SEED = 5
_MB = 1e6


@dataclass(frozen=True)
class Measured:
    """What one load took: rows a second, seconds, and memory (10^6 bytes) at its most."""

    what: str
    rows: int
    seconds: float
    client: float
    server: float
    client_mb: float
    server_mb: float
    created: int
    unchanged: int

    @property
    def rate(self) -> float:
        """Rows a second."""
        return self.rows / self.seconds


def write_interactions(path: Path, rows: int, users: int, items: int) -> None:
    """Write distinct ratings in the order of their times; items are drawn by popularity."""
    draw = random.Random(_SEED)
    weights = list(accumulate(1 / (rank + 10) for rank in range(items)))
    with path.open("w", encoding="utf-8") as file:
        file.write("user_id,item_id,rating,timestamp\n")
        for begin in range(0, rows, 100_000):
            count = min(100_000, rows - begin)
            for n, item in enumerate(draw.choices(range(items), cum_weights=weights, k=count)):
                user, value = draw.randrange(users), draw.randrange(1, 11) / 2
                file.write(f"u{user},i{item},{value},{1_000_000_000 + begin + n}\n")


def write_histories(path: Path, sizes: list[int], items: int) -> None:
    """Write one history of each size, of items that are drawn without popularity."""
    draw = random.Random(_SEED)
    with path.open("w", encoding="utf-8") as file:
        file.write("user_id,item_id,rating,timestamp\n")
        for user, size in enumerate(sizes):
            for n in range(size):
                item = draw.randrange(items)
                file.write(f"{path.stem}{user},i{item},4,{1_000_000_000 + n}\n")


def write_items(path: Path, rows: int, facts: int) -> None:
    """Write items with genres, directors and actors, which make up the facts of each."""
    draw = random.Random(_SEED)
    with path.open("w", encoding="utf-8") as file:
        file.write("item_id,title,year,genres,directors,actors\n")
        for item in range(rows):
            genres = draw.sample(range(30), min(3, facts))
            actors = {draw.randrange(rows // 4 + 40) for _ in range(max(0, facts - 4))}
            cells = (
                "|".join(f"Genre {genre}" for genre in genres),
                f"Director {draw.randrange(rows // 10 + 1)}" if facts > 3 else "",
                "|".join(f"Actor {actor}" for actor in actors),
            )
            file.write(f"i{item},Film number {item},{1950 + item % 70},{','.join(cells)}\n")


def server_of(settings: Settings) -> psutil.Process:
    """Return the process that listens at the address of the graph."""
    with open_graph(settings) as store:
        port = urlsplit(store.address.uri).port
    for one in psutil.net_connections("tcp"):
        if one.status == psutil.CONN_LISTEN and one.laddr.port == port and one.pid:
            return psutil.Process(one.pid)
    raise SystemExit("loading: the process of the graph database is not one of this user's")


def load(what: str, kind: str, path: Path, settings: Settings, *words: str) -> Measured:
    """Run one `kgrec ingest`, and measure both processes."""
    server = server_of(settings)
    before = sum(server.cpu_times()[:2])
    command = [sys.executable, "-m", "kgrec", "ingest", kind, str(path), "--domain", "movies"]
    environment = {**os.environ, "KGREC_HOME": str(settings.home)}
    begun = time.perf_counter()
    process = subprocess.Popen(
        [*command, "--json", *words], env=environment, stdout=subprocess.PIPE, text=True
    )
    client, used, client_most, server_most = psutil.Process(process.pid), 0.0, 0, 0
    while process.poll() is None:
        try:
            used = sum(client.cpu_times()[:2])
            client_most = max(client_most, client.memory_info().rss)
        except psutil.Error:
            pass
        server_most = max(server_most, server.memory_info().rss)
        time.sleep(0.05)
    seconds = time.perf_counter() - begun
    out = process.communicate()[0]
    if process.returncode:
        raise SystemExit(f"loading: kgrec ended with {process.returncode}: {out}")
    found = json.loads(out)
    return Measured(
        what,
        found["rows"],
        seconds,
        used,
        sum(server.cpu_times()[:2]) - before,
        client_most / _MB,
        server_most / _MB,
        found["created"],
        found["unchanged"],
    )


@contextmanager
def graph(folder: Path) -> Iterator[Settings]:
    """Yield the settings of an empty graph."""
    settings = load_settings()
    if settings.graph_uri is not None:
        with open_graph(settings) as store:
            clear_graph(store)
        yield settings
        return
    settings = settings.model_copy(update={"home": folder / "home"})
    keep_running(settings.home)
    try:
        yield settings
    finally:
        stop(settings.home, force=True)


def measure(options: argparse.Namespace, folder: Path, settings: Settings) -> Iterator[Measured]:
    """Yield what each load takes."""
    table, rows = folder / "table.csv", options.rows
    if options.what == "items":
        write_items(table, rows, options.facts)
        yield load("first", "catalog", table, settings)
        yield load("again", "catalog", table, settings)
        return
    if options.what == "interactions":
        write_interactions(table, rows, options.users, options.items)
        yield load("first", "interactions", table, settings, "--create-items")
        yield load("again", "interactions", table, settings, "--create-items")
        return
    write_items(table, options.items, 1)
    load("catalogue", "catalog", table, settings)
    for name, sizes in (("heavy", [rows]), ("many", [10] * (rows // 10))):
        write_histories(folder / f"{name}.csv", sizes, options.items)
        for turn in ("first", "again"):
            yield load(f"{name} {turn}", "interactions", folder / f"{name}.csv", settings)


def main() -> None:
    """Measure one kind of load and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("interactions", "heavy", "items"))
    parser.add_argument("--rows", type=int, help="of the table")
    parser.add_argument("--users", type=int, default=50_000)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--facts", type=int, default=10, help="of each item")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    usual = {"interactions": 1_000_000, "heavy": 20_000, "items": 100_000}
    options.rows = options.rows or usual[options.what]
    if not options.json:
        print(
            f"{'load':>12} {'rows':>9} {'s':>7} {'rows/s':>8} {'client s':>9} {'server s':>9}"
            f" {'client MB':>9} {'server MB':>9}"
        )
    with tempfile.TemporaryDirectory() as name, graph(Path(name)) as settings:
        for one in measure(options, Path(name), settings):
            if options.json:
                print(json.dumps({**vars(one), "rate": one.rate}), flush=True)
                continue
            print(
                f"{one.what:>12} {one.rows:>9,} {one.seconds:>7.1f} {one.rate:>8,.0f}"
                f" {one.client:>9.1f} {one.server:>9.1f} {one.client_mb:>9.0f}"
                f" {one.server_mb:>9.0f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
