"""Kill the database and the server in turn while users write, and count what is lost.

    python examples/benchmarks/faults.py [--kills 60] [--home .kgrec] [--folder trial]

Starts `kgrec serve` over a graph of its own, a small planted one or a copy of `--home` (whose
server must not run), sends feedback without pause, and kills (SIGKILL) in turn the database, the
API server, the database with its supervisor, and all of them. A server that was killed is started
again at once, as a process manager would. A write counts as acknowledged when the API answered 200
or 201; at the end every acknowledged write must be in the graph, once.

With `--folder` each kill and each acknowledged write is kept there, in kills.jsonl and
writes.jsonl, and the same command goes on where it was stopped: 1,000 kills take an hour or more.

Prints one JSON object: kills, the load of the machine, statuses by number, seconds from each kill
to the first recommendation, writes acknowledged, lost and doubled. Exits with 1 when a write was
lost or doubled, or an answer was 500, 501 or 502.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import quote

import httpx2
import numpy as np

from kgrec.config import Settings
from kgrec.graph import open_graph
from kgrec.graph.home import GraphHome, free_ports

USERS, ITEMS, EACH = 60, 120, 12
KINDS = ("database", "server", "database and supervisor", "all")
LIMIT_S = 120.0
PROGRESS = 10


def main() -> int:
    """Run the faults and print what was found."""
    options = _options()
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, _interrupt)  # which a process in the background ignores
    with tempfile.TemporaryDirectory(prefix="kgrec-faults-") as temporary:
        folder = Path(options.folder or temporary)
        home = folder / "home"
        if not home.exists():
            folder.mkdir(parents=True, exist_ok=True)
            if options.home:
                shutil.copytree(options.home, home)
            else:
                prepare(folder, home)
        journal = Journal(folder)
        trial = Trial(home, journal)
        trial.start()
        try:
            trial.run(options.kills, options.writers, options.pause, options.max_time)
        except KeyboardInterrupt:
            print("stopped; what was done is counted", file=sys.stderr)
        finally:
            trial.stop()
        report = journal.report() | _lost(home, journal.acknowledged())
    print(json.dumps(report, indent=1))
    broken = any(int(status) in (500, 501, 502) for status in report["statuses"])
    return 1 if report["lost"] or report["doubled"] or broken else 0


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


class Journal:
    """What was done so far, in files that a later run goes on with."""

    def __init__(self, folder: Path) -> None:
        self._kills, self._writes = folder / "kills.jsonl", folder / "writes.jsonl"
        self._lock = threading.Lock()

    def kills(self) -> list[dict[str, Any]]:
        """Return the kills, oldest first."""
        return self._read(self._kills)

    def acknowledged(self) -> set[tuple[str, str, int]]:
        """Return user, item and value of each write that was acknowledged."""
        return {(str(u), str(i), int(v)) for u, i, v in self._read(self._writes)}

    def killed(self, kind: str, seconds: float, statuses: Counter[int]) -> None:
        """Note a kill, and the statuses since the one before."""
        load = round(os.getloadavg()[0], 1)
        row = {"kind": kind, "seconds": round(seconds, 3), "load": load, "statuses": statuses}
        self._append(self._kills, row)

    def wrote(self, user: str, item: str, value: int) -> None:
        """Note an acknowledged write."""
        self._append(self._writes, [user, item, value])

    def report(self) -> dict[str, Any]:
        """Return the times by kind, the statuses and the loads."""
        kills = self.kills()
        statuses: Counter[str] = Counter()
        for one in kills:
            statuses.update(one["statuses"])
        every = [float(one["seconds"]) for one in kills]
        loads = [float(one["load"]) for one in kills]
        by_kind = {k: [float(o["seconds"]) for o in kills if o["kind"] == k] for k in KINDS}
        times = {"every kind": every} | by_kind
        return {
            "kills": len(kills),
            "load": {"median": statistics.median(loads or [0]), "worst": max(loads, default=0)},
            "first_answer_s": {name: _summary(found) for name, found in times.items() if found},
            "statuses": dict(sorted(statuses.items())),
        }

    @staticmethod
    def _read(path: Path) -> list[Any]:
        lines = path.read_text().splitlines() if path.exists() else []
        return [json.loads(line) for line in lines]

    def _append(self, path: Path, row: Any) -> None:
        with self._lock, path.open("a") as file:
            file.write(json.dumps(row) + "\n")


class Trial:
    """One server, its writers, and what they saw."""

    def __init__(self, home: Path, journal: Journal) -> None:
        self.home = home
        self.journal = journal
        self.port = free_ports(1)[0]
        self.url = f"http://127.0.0.1:{self.port}"
        self.statuses: Counter[int] = Counter()
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._server: subprocess.Popen[bytes] | None = None
        self._path = "/readyz"
        self._items: list[str] = []

    def start(self) -> None:
        """Start the API server, or start it again."""
        code = "from kgrec.cli import main; main()"
        with (self.home.parent / "serve.log").open("ab") as log:
            self._server = subprocess.Popen(
                [sys.executable, "-c", code, "serve", "--port", str(self.port)],
                env=_environment(self.home),
                stdout=log,
                stderr=log,
            )

    def stop(self) -> None:
        """End the writers and the server."""
        self._over.set()
        if self._server is not None:
            self._server.terminate()
            self._server.wait(60)

    def run(self, kills: int, writers: int, pause: float, most: float) -> None:
        """Kill until there were so many kills, or for so many seconds."""
        done = len(self.journal.kills())
        end = time.monotonic() + most
        self.first_answer()
        self._look_around()
        names = [f"writer-{done}-{n}" for n in range(writers)]
        threads = [threading.Thread(target=self._write, args=[name]) for name in names]
        for thread in threads:
            thread.start()
        rng = np.random.default_rng(7 + done)
        try:
            for number in range(done, kills):
                if time.monotonic() > end:
                    break
                time.sleep(pause * (0.5 + rng.random()))
                self._one(KINDS[number % len(KINDS)])
                if (number + 1) % PROGRESS == 0 or number + 1 == kills:
                    self._show(number + 1, kills)
        finally:
            self._over.set()
            for thread in threads:
                thread.join()

    def _one(self, kind: str) -> None:
        begun = time.monotonic()
        self._kill(kind)
        seconds = self.first_answer() - begun
        with self._lock:
            statuses, self.statuses = self.statuses, Counter()
        self.journal.killed(kind, seconds, statuses)
        print(f"{kind}: {seconds:.2f} s", file=sys.stderr, flush=True)

    def _show(self, number: int, kills: int) -> None:
        found = self.journal.report()
        text = ", ".join(f"{k} {v}" for k, v in found["first_answer_s"]["every kind"].items())
        load = found["load"]["median"]
        print(f"{number} of {kills}: {text}; load {load}", file=sys.stderr, flush=True)

    def _look_around(self) -> None:
        """Choose the user who is recommended to, and the items that writers write about."""
        with httpx2.Client(base_url=self.url, timeout=20, trust_env=False) as client:
            users = client.get("/v1/users", params={"limit": 100}).json()["items"]
            user = next(one for one in users if one["interactions"] > 2)
            items = client.get("/v1/items", params={"limit": 100}).json()["items"]
        self._items = [one["item_id"] for one in items]
        self._path = f"/v1/users/{quote(user['user_id'], safe='')}/recommendations?k=5"
        self.first_answer()

    def first_answer(self) -> float:
        """Wait for a recommendation and return when it came; raises TimeoutError."""
        deadline = time.monotonic() + LIMIT_S
        with httpx2.Client(base_url=self.url, timeout=20, trust_env=False) as client:
            while time.monotonic() < deadline:
                try:
                    answer = client.get(self._path)
                    self._count(answer.status_code)
                    if answer.status_code == 200:
                        return time.monotonic()
                except httpx2.HTTPError:
                    pass
                time.sleep(0.05)
        raise TimeoutError(f"no answer within {LIMIT_S:g} s")

    def _write(self, user: str) -> None:
        number = 0
        with httpx2.Client(base_url=self.url, timeout=20, trust_env=False) as client:
            while not self._over.is_set():
                number += 1
                body = {
                    "user_id": user,
                    "item_id": self._items[number % len(self._items)],
                    "kind": "view",
                    "value": number,
                }
                self._send(client, body, f"{user}-{number}")

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
                self.journal.wrote(body["user_id"], body["item_id"], body["value"])
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
    """Return the variables of a server; its modules are compiled, as those of a package are."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KGREC_")}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    kept.setdefault("PYTHONPYCACHEPREFIX", str(home.parent / "compiled"))
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
    parser.add_argument("--home", help="a home that is copied; a small one is made without it")
    parser.add_argument("--folder", help="keeps what was done, so that a later run goes on")
    parser.add_argument("--max-time", type=float, default=7200.0, help="seconds of kills at most")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
