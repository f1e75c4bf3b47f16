"""Time the HTTP API: one request at a time, and at fixed rates that do not wait for answers.

    python examples/benchmarks/serving.py [--rates 20 50 100] [--seconds 10] [--workers 2] [--json]
    python examples/benchmarks/serving.py --only search

Starts `kgrec serve` on the graph of KGREC_HOME (as `make demo` leaves one in `.kgrec`) and loads it
from this one process, on the same cores. Users are drawn anew for every request; `first` requests
are of users who were not asked for before, of whom the server has kept nothing but what it made
ahead since its start. Then it has 45 seconds (`--settle`) without a request, to make lists ahead. A
latency at a rate is measured from the moment that the request was due, so waiting counts. Feedback
is withdrawn at the end. Prints the median, the 95th and the 99th percentile in milliseconds, the
milliseconds of processor time that one request takes of server, database and this client, and what
was not answered by 200. Search is timed with titles of the catalogue, as they are, with one wrong
letter, and as far as somebody has typed, and with the 200 titles of `tests/titles.py`, most of
which are not there.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))
from started import started
from titles import titles, with_an_error

ALONE = 200
FIRST = 300
CONNECTIONS = 64
WARM = 60


@dataclass
class Latencies:
    """Milliseconds of the answers by 200, and how many answers there were by status."""

    milliseconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)

    def row(self) -> dict[str, Any]:
        """Return percentiles and the other statuses."""
        found = sorted(self.milliseconds)
        names = {"p50": 0.50, "p95": 0.95, "p99": 0.99}
        cut = {n: found[min(int(len(found) * q), len(found) - 1)] for n, q in names.items()}
        others = {str(status): n for status, n in self.statuses.items() if status != 200}
        return {n: round(ms, 1) for n, ms in cut.items()} | {"n": len(found), "others": others}


class Connections:
    """Keeps connections to the server open and sends one request on each at a time."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.host, self.port = parts.hostname or "127.0.0.1", parts.port or 80
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def send(self, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
        """Return the status and the body of an answer; 0 where there was none."""
        text = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: {self.host}\r\nContent-Length: {len(text)}\r\n"
        if text:
            head += "Content-Type: application/json\r\n"
        try:
            pair = self._kept() or await self._open()
            reader, writer = pair
            writer.write(head.encode() + b"\r\n" + text)
            top = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", top, re.IGNORECASE)
            answer = await reader.readexactly(int(length[1])) if length else b""
            if b"connection: close" in top.lower():
                writer.close()
            else:
                self._free.append(pair)
            return int(top.split(b" ", 2)[1]), answer
        except (OSError, asyncio.IncompleteReadError):
            return 0, b""

    def _kept(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """Return the connection used last that the server has not closed meanwhile."""
        while self._free:
            reader, writer = self._free.pop()
            if not reader.at_eof():
                return reader, writer
            writer.close()
        return None

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(self.host, self.port)


class Processors:
    """Processor time of the server, of the database that it started, and of this process.

    Args:
        server: its process; None where it was started elsewhere.
        home: folder of the embedded database.
    """

    def __init__(self, server: subprocess.Popen[str] | None, home: str) -> None:
        self._of: dict[str, list[psutil.Process]] = {"client": [psutil.Process()]}
        if server is None:
            return
        one = psutil.Process(server.pid)
        self._of["server"] = [one, *one.children(recursive=True)]
        graph = str(Path(home).resolve() / "graph")
        self._of["database"] = [
            each
            for each in psutil.process_iter(["cmdline"])
            if any(graph in word for word in each.info["cmdline"] or ())
        ]

    def seconds(self) -> dict[str, float]:
        """Return the seconds spent so far."""
        found = {}
        for name, processes in self._of.items():
            times = [each.cpu_times() for each in processes if each.is_running()]
            found[name] = sum(each.user + each.system for each in times)
        return found


Ask = Callable[[], Awaitable[tuple[int, bytes]]]


async def alone(ask: Ask, number: int) -> dict[str, Any]:
    """Send one request after another."""
    found = Latencies()
    for _ in range(number):
        begun = time.perf_counter()
        status, _ = await ask()
        found.statuses[status] += 1
        if status in (200, 201, 204):
            found.milliseconds.append((time.perf_counter() - begun) * 1000)
    return found.row()


async def at_rate(ask: Ask, rate: float, seconds: float) -> dict[str, Any]:
    """Send requests at random moments of a mean rate, whatever becomes of those before."""
    found, tasks = Latencies(), set()
    begun, due = time.perf_counter(), 0.0

    async def one(at: float) -> None:
        status, _ = await ask()
        found.statuses[status] += 1
        if status in (200, 201, 204):
            found.milliseconds.append((time.perf_counter() - begun - at) * 1000)

    while due < seconds:
        await asyncio.sleep(max(0.0, begun + due - time.perf_counter()))
        task = asyncio.create_task(one(due))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        due += random.expovariate(rate)
    await asyncio.gather(*tasks)
    return found.row()


async def searches(connections: Connections, rng: random.Random) -> dict[str, Ask]:
    """Return requests for titles, one for each way in which somebody searches."""
    known: list[str] = []
    cursor = ""
    while len(known) < 2000:
        _, body = await connections.send("GET", f"/v1/items?limit=100{cursor}")
        page = json.loads(body)
        titled = (item.get("title") or "" for item in page["items"])
        known += [title for title in titled if any(map(str.isalnum, title))]
        if not page["next"]:
            break
        cursor = f"&cursor={quote(page['next'])}"
    foreign = titles()

    def search(text: Callable[[], str], path: str = "items") -> Ask:
        async def ask() -> tuple[int, bytes]:
            return await connections.send("GET", f"/v1/{path}?q={quote(text())}")

        return ask

    def typed() -> str:
        title = rng.choice(known)
        return title[: rng.randint(3, max(3, len(title)))]

    return {
        "search, titles": search(lambda: rng.choice(known)),
        "search, one wrong letter": search(lambda: with_an_error(rng.choice(known), rng)),
        "search, as far as typed": search(typed),
        "search, titles of other catalogues": search(lambda: rng.choice(foreign)),
        "search of entities, as far as typed": search(typed, "entities"),
    }


async def measure(url: str, options: argparse.Namespace, processors: Processors) -> dict[str, Any]:
    """Time every kind of request, or those alone whose names begin as `only`."""
    connections, rng = Connections(url), random.Random(options.seed)
    send = connections.send
    users = []
    cursor = ""
    while len(users) < 5000:
        _, body = await send("GET", f"/v1/users?limit=100{cursor}")
        page = json.loads(body)
        users += [user["user_id"] for user in page["items"] if user["interactions"]]
        cursor = f"&cursor={quote(page['next'])}" if page["next"] else ""
        if not cursor:
            break

    def of(user: str, rest: str = "") -> str:
        return f"/v1/users/{quote(user, safe='')}/{rest}"

    async def recommend() -> tuple[int, bytes]:
        return await send("GET", of(rng.choice(users), "recommendations"))

    shown = []
    for user in rng.sample(users, min(WARM, len(users))):
        _, body = await send("GET", of(user, "recommendations"))
        found = json.loads(body)
        shown += [(user, item["item_id"], found["request_id"]) for item in found["items"][:2]]

    async def explain(search: bool = False) -> tuple[int, bytes]:
        user, item, token = rng.choice(shown)
        rest = f"recommendations/{quote(item, safe='')}/explanation?request_id={token}"
        return await send("GET", of(user, f"{rest}&counterfactual={str(search).lower()}"))

    async def similar() -> tuple[int, bytes]:
        return await send("GET", f"/v1/items/{quote(rng.choice(shown)[1], safe='')}/similar")

    async def feedback() -> tuple[int, bytes]:
        body = {"user_id": "benchmark", "item_id": rng.choice(shown)[1], "kind": "like"}
        return await send("POST", "/v1/feedback", body)

    kinds: dict[str, Ask] = {
        "recommendations": recommend,
        "explanations": explain,
        "explanations with counterfactual": lambda: explain(True),
        "similar items": similar,
        "feedback": feedback,
        **await searches(connections, rng),
    }
    strangers = iter(rng.sample(users, min(FIRST, len(users))))

    async def first() -> tuple[int, bytes]:
        return await send("GET", of(next(strangers), "recommendations"))

    found: dict[str, Any] = {}

    async def timed(name: str, answers: Coroutine[Any, Any, dict[str, Any]]) -> None:
        if not name.startswith(options.only):
            answers.close()
            return
        before = processors.seconds()
        row = await answers
        after = processors.seconds()
        each = 1000 / max(row["n"], 1)
        row["processor"] = {who: round((after[who] - before[who]) * each, 2) for who in after}
        found[name] = row

    await timed("recommendations, first", alone(first, min(FIRST, len(users))))
    await asyncio.sleep(options.settle)
    for name, ask in kinds.items():
        await timed(name, alone(ask, options.alone))
    for rate in options.rates:
        name = f"recommendations at {rate:g}/s"
        while name in found:  # a rate may be given again, to see what settles
            name += ", again"
        await timed(name, at_rate(recommend, rate, options.seconds))
    await send("DELETE", "/v1/users/benchmark")
    return found


@contextmanager
def server(options: argparse.Namespace) -> Iterator[tuple[str, subprocess.Popen[str] | None]]:
    """Run `kgrec serve` and yield its address and its process."""
    if options.url:
        yield options.url, None
        return
    words = ["--workers", str(options.workers)] if options.workers > 1 else []
    with started(*words) as served:
        yield served


def main() -> None:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rates", type=float, nargs="*", default=[20, 50, 100])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--alone", type=int, default=ALONE)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--only", default="", help="beginning of the names of what is timed")
    parser.add_argument("--settle", type=float, default=45.0, help="seconds without requests")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--url", help="of a server that runs already")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with server(options) as (url, process):
        processors = Processors(process, os.environ.get("KGREC_HOME", ".kgrec"))
        found = asyncio.run(measure(url, options, processors))
    if options.json:
        print(json.dumps(found, indent=1))
        return
    head = f"{'':38}{'p50':>9}{'p95':>9}{'p99':>9}"
    print(f"{head}   server, database, client: ms of processor; answers")
    for name, row in found.items():
        others = f", others {row['others']}" if row["others"] else ""
        spent = ", ".join(
            str(row["processor"].get(who, "-")) for who in ("server", "database", "client")
        )
        times = f"{row['p50']:9}{row['p95']:9}{row['p99']:9}"
        print(f"{name:38}{times}   {spent}; {row['n']}{others}")


if __name__ == "__main__":
    main()
