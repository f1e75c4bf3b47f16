"""Kill the database and the server in turn while users write, and count what is lost.

    python examples/benchmarks/faults.py [--kills 60] [--writers 2] [--pause 1.0] [--max-time 600]

Starts `kgrec serve` over a graph of its own in a temporary home, sends feedback without pause, and
kills (SIGKILL) in turn the database, the API server, the database with its supervisor, and all of
them. A server that was killed is started again at once, as a process manager would. A write counts
as acknowledged when the API answered 200 or 201; at the end every acknowledged write must be in
the graph. Prints one JSON object: kills, statuses by number, seconds from each kill to the first
recommendation, writes acknowledged and lost. Exits with 1 when a write was lost or an answer was
500, 501 or 502.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import httpx2
import numpy as np

from kgrec.config import Settings
from kgrec.graph import open_graph
from kgrec.graph.home import GraphHome, free_ports

USERS, ITEMS, EACH = 60, 120, 12
KINDS = ("database", "server", "database and supervisor", "all")
LIMIT_S = 120.0


def main() -> int:
    """Run the faults and print what was found."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="kgrec-faults-") as folder:
        home = Path(folder) / "home"
        prepare(Path(folder), home)
        trial = Trial(home)
        trial.start()
        try:
            report = trial.run(options.kills, options.writers, options.pause, options.max_time)
        finally:
            trial.stop()
        report |= _lost(home, trial.acknowledged)
    print(json.dumps(report, indent=1))
    broken = sum(count for status, count in trial.statuses.items() if status in (500, 501, 502))
    return 1 if report["lost"] or broken else 0


class Trial:
    """One server, its writers, and what they saw."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = free_ports(1)[0]
        self.url = f"http://127.0.0.1:{self.port}"
        self.acknowledged: set[tuple[str, str, int]] = set()
        self.statuses: Counter[int] = Counter()
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._server: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the API server, or start it again."""
        code = "from kgrec.cli import main; main()"
        with (self.home.parent / "serve.log").open("ab") as log:
            self._server = subprocess.Popen(
                [sys.executable, "-c", code, "serve", "--port", str(self.port)],
                env={**_environment(self.home)},
                stdout=log,
                stderr=log,
            )

    def stop(self) -> None:
        """End the writers and the server."""
        self._over.set()
        if self._server is not None:
            self._server.terminate()
            self._server.wait(60)

    def run(self, kills: int, writers: int, pause: float, most: float) -> dict[str, Any]:
        """Kill so many times, or for so many seconds, and return what was measured."""
        end = time.monotonic() + most
        self.first_answer()
        threads = [threading.Thread(target=self._write, args=[n]) for n in range(writers)]
        for thread in threads:
            thread.start()
        rng = np.random.default_rng(7)
        seconds: dict[str, list[float]] = defaultdict(list)
        for number in range(kills):
            if time.monotonic() > end:
                break
            time.sleep(pause * (0.5 + rng.random()))
            kind = KINDS[number % len(KINDS)]
            begun = time.monotonic()
            self._kill(kind)
            seconds[kind].append(self.first_answer() - begun)
            print(f"{number + 1} {kind}: {seconds[kind][-1]:.2f} s", file=sys.stderr, flush=True)
        self._over.set()
        for thread in threads:
            thread.join()
        every = [one for found in seconds.values() for one in found]
        return {
            "kills": len(every),
            "load": round(os.getloadavg()[1], 1),
            "first_answer_s": {"all": _summary(every)}
            | {kind: _summary(found) for kind, found in seconds.items()},
            "statuses": {str(status): count for status, count in sorted(self.statuses.items())},
        }

    def first_answer(self) -> float:
        """Wait for a recommendation and return when it came; raises TimeoutError."""
        deadline = time.monotonic() + LIMIT_S
        with httpx2.Client(base_url=self.url, timeout=20, trust_env=False) as client:
            while time.monotonic() < deadline:
                try:
                    answer = client.get("/v1/users/u1/recommendations", params={"k": 5})
                    self._count(answer.status_code)
                    if answer.status_code == 200:
                        return time.monotonic()
                except httpx2.HTTPError:
                    pass
                time.sleep(0.05)
        raise TimeoutError(f"no answer within {LIMIT_S:g} s")

    def _write(self, writer: int) -> None:
        number = 0
        with httpx2.Client(base_url=self.url, timeout=20, trust_env=False) as client:
            while not self._over.is_set():
                number += 1
                body = {
                    "user_id": f"writer-{writer}",
                    "item_id": f"i{number % ITEMS}",
                    "kind": "view",
                    "value": number,
                }
                self._send(client, body, f"{writer}-{number}")

    def _send(self, client: httpx2.Client, body: dict[str, Any], key: str) -> None:
        """Send feedback until it is acknowledged, under one idempotency key."""
        while not self._over.is_set():
            try:
                answer = client.post("/v1/feedback", json=body, headers={"Idempotency-Key": key})
            except httpx2.HTTPError:
                time.sleep(0.05)
                continue
            self._count(answer.status_code)
            if answer.status_code in (200, 201):
                with self._lock:
                    self.acknowledged.add((body["user_id"], body["item_id"], body["value"]))
                return
            time.sleep(0.05)

    def _count(self, status: int) -> None:
        with self._lock:
            self.statuses[status] += 1

    def _kill(self, kind: str) -> None:
        server = self._server
        state = GraphHome.below(self.home).read_state()
        victims: list[int] = []
        if state is not None and kind in ("database and supervisor", "all"):
            victims.append(state.supervisor)
        if state is not None and kind != "server":
            victims.append(state.pid)
        if server is not None and kind in ("server", "all"):
            victims.append(server.pid)
        for pid in victims:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        if server is not None and server.pid in victims:
            server.wait()
            self.start()


def prepare(folder: Path, home: Path) -> None:
    """Make a home with a small graph and a live model."""
    rng = np.random.default_rng(3)
    films = [f"i{n},Film {n},{1950 + n % 60},{('Drama', 'Comedy')[n % 2]}" for n in range(ITEMS)]
    (folder / "films.csv").write_text("\n".join(["item_id,title,year,genres", *films]) + "\n")
    seen = [
        f"u{user},i{item},like,{1_600_000_000 + user}"
        for user in range(USERS)
        for item in rng.choice(ITEMS // 2, EACH, replace=False) * 2 + user % 2
    ]
    (folder / "seen.csv").write_text("\n".join(["user_id,item_id,kind,timestamp", *seen]) + "\n")
    _kgrec(home, "graph", "start")
    _kgrec(home, "ingest", "catalog", str(folder / "films.csv"), "--domain", "movies")
    _kgrec(home, "ingest", "interactions", str(folder / "seen.csv"), "--domain", "movies")
    _kgrec(home, "train", "--domain", "movies", "--agents", "linear")
    _kgrec(home, "publish")
    _kgrec(home, "graph", "stop")


def _kgrec(home: Path, *args: str) -> None:
    code = "from kgrec.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, *args],
        env=_environment(home),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"kgrec {' '.join(args)}: {done.stderr or done.stdout}")


def _environment(home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KGREC_")}
    return {**kept, "KGREC_HOME": str(home)}


def _lost(home: Path, acknowledged: set[tuple[str, str, int]]) -> dict[str, Any]:
    with open_graph(Settings(home=home, graph_uri=None)) as store:
        rows = store.query(
            "MATCH (u:User)-[r:INTERACTED]->(i:Item) WHERE u.user_id STARTS WITH 'writer-'"
            " RETURN u.user_id AS user, i.item_id AS item, r.value AS value",
            limit=10_000_000,
            timeout=120,
        ).rows
    written = [(str(row["user"]), str(row["item"]), int(row["value"])) for row in rows]
    return {
        "acknowledged": len(acknowledged),
        "lost": len(acknowledged - set(written)),
        "doubled": len(written) - len(set(written)),
    }


def _summary(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    return {
        "count": len(ordered),
        "median": round(statistics.median(ordered), 2),
        "p95": round(ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))], 2),
        "worst": round(ordered[-1], 2),
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--writers", type=int, default=2)
    parser.add_argument("--pause", type=float, default=1.0, help="seconds between two kills")
    parser.add_argument("--max-time", type=float, default=7200.0, help="seconds of kills at most")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
