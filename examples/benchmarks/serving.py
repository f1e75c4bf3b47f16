"""Time the HTTP API: one request at a time, and at fixed rates that do not wait for answers.

    python examples/benchmarks/serving.py [--rates 20 50 100] [--seconds 10] [--workers 2] [--json]

Starts `kgrec serve` on the graph of KGREC_HOME (as `make demo` leaves one in `.kgrec`) and loads it
from this one process, on the same cores. A latency at a rate is measured from the moment that the
request was due, so waiting counts. Feedback is withdrawn again. Prints the median, the 95th and the
99th percentile in milliseconds, and what was not answered by 200.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

ALONE = 200
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
            pair = self._free.pop() if self._free else await self._open()
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

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(self.host, self.port)


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


async def measure(url: str, options: argparse.Namespace) -> dict[str, Any]:
    """Time every kind of request."""
    send, rng = Connections(url).send, random.Random(options.seed)
    users = []
    cursor = ""
    while len(users) < 500:
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
    }
    found = {name: await alone(ask, options.alone) for name, ask in kinds.items()}
    for rate in options.rates:
        found[f"recommendations at {rate:g}/s"] = await at_rate(recommend, rate, options.seconds)
    await send("DELETE", "/v1/users/benchmark")
    return found


@contextmanager
def server(options: argparse.Namespace) -> Iterator[str]:
    """Run `kgrec serve` and yield its address."""
    if options.url:
        yield options.url
        return
    words = ["serve", "--port", "0"]
    if options.workers > 1:
        words += ["--workers", str(options.workers)]
    command = [sys.executable, "-m", "kgrec", *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if place := re.search(r"http://\S+?(?=/)\S*:\d+|http://[\d.]+:\d+", line):
                yield place[0]
                break
        else:
            raise SystemExit("kgrec serve did not start")
    finally:
        process.terminate()
        process.wait(timeout=30)


def main() -> None:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rates", type=float, nargs="*", default=[20, 50, 100])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--alone", type=int, default=ALONE)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--url", help="of a server that runs already")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with server(options) as url:
        found = asyncio.run(measure(url, options))
    if options.json:
        print(json.dumps(found, indent=1))
        return
    print(f"{'':36}{'p50':>9}{'p95':>9}{'p99':>9}   answers")
    for name, row in found.items():
        others = f", others {row['others']}" if row["others"] else ""
        print(f"{name:36}{row['p50']:9}{row['p95']:9}{row['p99']:9}   {row['n']}{others}")


if __name__ == "__main__":
    main()
