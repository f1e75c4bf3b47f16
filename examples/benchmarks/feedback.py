"""Time feedback: to a list that is changed by it, twice under one key, and ten thousand at once.

    python examples/benchmarks/feedback.py [--changes 200] [--number 10000] [--url http://...]

Starts `kgrec serve` on the graph of KGREC_HOME (as `make demo` leaves one in `.kgrec`), or uses a
server at `--url` that serves that graph. Prints one JSON object:
- `changes`: milliseconds of a `POST /v1/feedback`, and from its start to the list of the next
  request, which must be changed by it (p50, p95, p99);
- `same_key`: feedback that was sent twice at once under one idempotency key, and how many
  interactions it made;
- `posts`: feedback sent over eight connections, each when the one before is answered;
- `rows`: the same number of interactions by `POST /v1/interactions`, so many rows a request, sent
  twice;
- `batch`: interactions of one file that `kgrec ingest interactions` loads beside the server, and
  the milliseconds from its end to a list that they changed; the file is loaded twice;
- `wrong`: what did not hold.
Everything that was written is erased again. Exits with 1 when a list did not change, or when what
was acknowledged is not in the graph exactly once.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
from serving import server

from kgrec.config import load_settings
from kgrec.graph import open_graph

PREFIX = "benchmark-feedback-"
CONNECTIONS = 8
ROWS = 1_000
USERS = 100


def main() -> int:
    """Measure, erase what was written, and print the result."""
    options = _options()
    with server(options) as (url, _):
        trial = Trial(url, options.domain)
        try:
            report = {
                "load": round(os.getloadavg()[0], 1),
                "changes": trial.changes(options.changes),
                "same_key": asyncio.run(trial.same_key(options.changes)),
                "posts": asyncio.run(trial.posts(options.posts)),
                "rows": trial.rows(options.number),
                "batch": trial.batch(options.number),
            }
        finally:
            trial.erase()
    print(json.dumps({**report, "wrong": trial.wrong}, indent=1))
    return 1 if trial.wrong else 0


class Trial:
    """One server, and what is sent to it."""

    def __init__(self, url: str, domain: str) -> None:
        self.url, self.domain = url, domain
        self.wrong: list[str] = []
        self._client = httpx2.Client(base_url=url, timeout=60, trust_env=False)
        self._users: set[str] = set()
        page = self._client.get("/v1/items", params={"limit": 100}).json()
        names = [one["item_id"] for one in page["items"]]
        # A like of an item that the model does not know leaves the list as it was.
        self.items = [name for name in names if self._is_known(name)]
        if not self.items:
            raise SystemExit("the live model knows none of the first hundred items")

    def changes(self, number: int) -> dict[str, Any]:
        """Send likes of new users one after another, and request the list after each."""
        written, changed = [], []
        for n in range(number):
            user = self._user(f"change-{n}")
            before = self._list(user)
            begun = time.perf_counter()
            self._client.post("/v1/feedback", json=self._like(user, n)).raise_for_status()
            written.append((time.perf_counter() - begun) * 1000)
            after = self._list(user)
            changed.append((time.perf_counter() - begun) * 1000)
            self._check(f"change {n}: one item of history", after["history"] == 1)
            self._changed(f"change {n}", before, after)
            shown = {item["item_id"] for item in after["items"]}
            self._check(f"change {n}: the item is no longer listed", self._item(n) not in shown)
        return {"number": number, "post_ms": _cut(written), "changed_list_ms": _cut(changed)}

    async def same_key(self, number: int) -> dict[str, Any]:
        """Send each feedback twice at once under one key."""
        statuses: Counter[int] = Counter()
        user = self._user("same-key")
        async with httpx2.AsyncClient(base_url=self.url, timeout=60, trust_env=False) as client:
            for n in range(number):
                body, headers = self._like(user, n), {"Idempotency-Key": f"{PREFIX}{n}"}
                both = [client.post("/v1/feedback", json=body, headers=headers) for _ in range(2)]
                statuses.update(answer.status_code for answer in await asyncio.gather(*both))
        made = self._count(user)
        each_once = made == number and statuses == {201: number, 200: number}
        self._check("same_key: each counted once", each_once)
        return {"sent": 2 * number, "statuses": _named(statuses), "interactions": made}

    async def posts(self, number: int) -> dict[str, Any]:
        """Send feedback over several connections."""
        statuses: Counter[int] = Counter()
        user, left = self._user("posts"), iter(range(number))

        async def one(client: httpx2.AsyncClient) -> None:
            for n in left:
                headers = {"Idempotency-Key": f"{PREFIX}post-{n}"}
                answer = await client.post(
                    "/v1/feedback", json=self._like(user, n), headers=headers
                )
                statuses[answer.status_code] += 1

        begun = time.perf_counter()
        async with httpx2.AsyncClient(base_url=self.url, timeout=60, trust_env=False) as client:
            await asyncio.gather(*(one(client) for _ in range(CONNECTIONS)))
        seconds = time.perf_counter() - begun
        made = self._count(user)
        self._check("posts: each counted once", made == statuses[201] == number)
        rate = round(number / seconds, 1)
        return {"number": number, "per_second": rate, "statuses": _named(statuses), "there": made}

    def rows(self, number: int) -> dict[str, Any]:
        """Send feedback of many users, many rows a request, twice."""
        names = [self._user(f"rows-{n}") for n in range(min(USERS, number))]
        rows = [
            {
                **self._like(names[n % len(names)], n // len(names)),
                "idempotency_key": f"{PREFIX}row-{n}",
            }
            for n in range(number)
        ]
        before = self._list(names[0])
        created, known, seconds = 0, 0, []
        for _ in range(2):
            begun = time.perf_counter()
            for start in range(0, number, ROWS):
                answer = self._client.post("/v1/interactions", json=rows[start : start + ROWS])
                answer.raise_for_status()
                found = answer.json()
                created, known = created + found["created"], known + found["known"]
            seconds.append(time.perf_counter() - begun)
        there, after = self._count(f"{PREFIX}rows-"), self._list(names[0])
        self._check("rows: each counted once", number == there == created == known)
        self._changed("rows", before, after)
        return {
            "number": number,
            "seconds": [round(each, 1) for each in seconds],
            "per_second": round(number / seconds[0], 1),
            "there": there,
            "known_the_second_time": known,
        }

    def batch(self, number: int) -> dict[str, Any]:
        """Load a file of feedback beside the server, twice."""
        names = [self._user(f"batch-{n}") for n in range(min(USERS, number))]
        before = self._list(names[0])
        with tempfile.TemporaryDirectory(prefix="kgrec-feedback-") as folder:
            path = Path(folder) / "feedback.csv"
            with path.open("w", newline="") as file:
                rows = csv.writer(file)
                rows.writerow(["user_id", "item_id", "kind", "timestamp"])
                for n in range(number):
                    user, turn = names[n % len(names)], n // len(names)
                    rows.writerow([user, self._item(turn), "like", 1_700_000_000 + turn])
            seconds = [self._ingest(path)]
            begun = time.perf_counter()
            after = self._list(names[0])
            milliseconds = (time.perf_counter() - begun) * 1000
            there = self._count(f"{PREFIX}batch-")
            seconds.append(self._ingest(path))
        again = self._count(f"{PREFIX}batch-")
        self._check("batch: each counted once", number == there == again)
        self._changed("batch", before, after)
        return {
            "number": number,
            "seconds": round(seconds[0], 1),
            "per_second": round(number / seconds[0], 1),
            "list_ms": round(milliseconds, 1),
            "there": there,
            "there_after_the_second_time": again,
        }

    def erase(self) -> None:
        """Erase every user of this trial."""
        for user in sorted(self._users):
            self._client.delete(f"/v1/users/{quote(user, safe='')}")
        self._client.close()

    def _check(self, what: str, holds: bool) -> None:
        if not holds:
            self.wrong.append(what)

    def _changed(self, what: str, before: dict[str, Any], after: dict[str, Any]) -> None:
        self._check(f"{what}: the list is another one", after["items"] != before["items"])

    def _is_known(self, item: str) -> bool:
        answer = self._client.get(f"/v1/items/{quote(item, safe='')}/similar")
        return answer.is_success and not answer.json()["fallback"]

    def _ingest(self, path: Path) -> float:
        begun = time.perf_counter()
        words = ["ingest", "interactions", str(path), "--domain", self.domain]
        done = subprocess.run(
            [sys.executable, "-m", "kgrec", *words], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(done.stderr or done.stdout)
        return time.perf_counter() - begun

    def _count(self, prefix: str) -> int:
        with open_graph(load_settings()) as store:
            rows = store.query(
                "MATCH (u:User)-[r:INTERACTED]->(:Item) WHERE u.user_id STARTS WITH $prefix"
                " RETURN count(r) AS number",
                {"prefix": prefix},
            ).rows
        return int(rows[0]["number"])

    def _list(self, user: str) -> dict[str, Any]:
        answer = self._client.get(f"/v1/users/{quote(user, safe='')}/recommendations")
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def _like(self, user: str, number: int) -> dict[str, Any]:
        return {"user_id": user, "item_id": self._item(number), "kind": "like"}

    def _item(self, number: int) -> str:
        return self.items[number % len(self.items)]

    def _user(self, name: str) -> str:
        self._users.add(PREFIX + name)
        return PREFIX + name


def _named(statuses: Counter[int]) -> dict[str, int]:
    return {str(status): number for status, number in sorted(statuses.items())}


def _cut(milliseconds: list[float]) -> dict[str, float]:
    found = sorted(milliseconds)
    parts = {"p50": 0.50, "p95": 0.95, "p99": 0.99}
    return {n: round(found[min(int(len(found) * q), len(found) - 1)], 1) for n, q in parts.items()}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--changes", type=int, default=200)
    parser.add_argument("--posts", type=int, default=1_000)
    parser.add_argument("--number", type=int, default=10_000, help="interactions of the file")
    parser.add_argument("--domain", default="movies")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--url", help="of a server that runs already, on the graph of KGREC_HOME")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
