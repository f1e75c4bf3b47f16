"""Measure the memory of `kgrec serve` with one, two and four workers.

    python examples/benchmarks/memory.py [--workers 1 2 4] [--requests 40] [--settle 60] [--json]

Starts the server on the graph of KGREC_HOME, sends each worker recommendations and explanations,
and adds up the memory of its processes, the database left out. PSS counts a page that n processes
share as 1/n for each, so its sum is what the server costs; USS is what a process has for itself.
With `--settle` the server has so many seconds without a request after them, to make lists ahead.
Needs /proc, so Linux.
"""

from __future__ import annotations

import argparse
import http.client
import json
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))
from started import started


def get(host: str, port: int, path: str) -> Any:
    """Answer one request on a connection of its own, which any worker may accept."""
    connection = http.client.HTTPConnection(host, port, timeout=60)
    connection.request("GET", path)
    answer = connection.getresponse()
    body = json.loads(answer.read())
    connection.close()
    if answer.status != 200:
        raise SystemExit(f"memory: {path}: {answer.status} {body}")
    return body


def load(host: str, port: int, number: int) -> None:
    """Request lists and explanations until each worker has answered some."""
    users = [user["user_id"] for user in get(host, port, "/v1/users?limit=100")["items"]]
    for place in range(number):
        user = quote(users[place % len(users)], safe="")
        found = get(host, port, f"/v1/users/{user}/recommendations")
        if found["items"] and place % 2:
            item = quote(found["items"][0]["item_id"], safe="")
            get(host, port, f"/v1/users/{user}/recommendations/{item}/explanation")


def measure(workers: int, requests: int, settle: float) -> dict[str, float]:
    """Return megabytes (10^6 bytes) of the server: PSS in all, USS of each worker in the mean."""
    with started("--workers", str(workers)) as (url, running):
        place, process = urlsplit(url), psutil.Process(running.pid)
        load(str(place.hostname), int(place.port or 80), requests * workers)
        time.sleep(settle)
        each = [one for one in process.children() if one.name() == process.name()]
        folding = [one for one in each if "--follow" in one.cmdline()]
        answering = [one for one in each if one not in folding] or [process]
        everything = [process, *each]
        full = {one.pid: one.memory_full_info() for one in everything}
        uss = [full[one.pid].uss for one in answering]
        return {
            "workers": workers,
            "pss": sum(info.pss for info in full.values()) / 1e6,
            "uss_each": sum(uss) / len(uss) / 1e6,
            "rss": sum(info.rss for info in full.values()) / 1e6,
            "folding": sum(full[one.pid].pss for one in folding) / 1e6,
        }


def main() -> None:
    """Measure each number of workers and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--requests", type=int, default=40, help="of each worker")
    parser.add_argument("--settle", type=float, default=2.0, help="seconds without requests")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = [measure(each, options.requests, options.settle) for each in options.workers]
    if options.json:
        print(json.dumps(rows, indent=2))
        return
    print(f"{'workers':>8} {'PSS, MB':>9} {'USS each':>9} {'RSS, sum':>9}")
    for row in rows:
        print(f"{row['workers']:>8} {row['pss']:>9.0f} {row['uss_each']:>9.0f} {row['rss']:>9.0f}")


if __name__ == "__main__":
    main()
