"""New items beside a real server: recommended at once by every worker, and after a kill."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from planted import user_id
from started import started

from kgrec.graph import embedded
from kgrec.model.team import Team

WAIT_S = 120.0  # of a machine that does much else; a quiet one needs a second


@pytest.fixture(scope="module")
def serving(team: Team, home: Path) -> Iterator[tuple[psutil.Process, str]]:
    """Two workers and the process that folds; yields the parent and the address."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KGREC_")}
    environment = {**kept, "KGREC_HOME": str(home)}
    with started("--workers", "2", environment=environment) as (url, process):
        yield psutil.Process(process.pid), url


def folding(parent: psutil.Process) -> psutil.Process | None:
    own = [one for one in parent.children() if "--follow" in one.cmdline()]
    return own[0] if own else None


def eventually(condition: Any) -> float:
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < WAIT_S
        time.sleep(0.1)
    return time.monotonic() - begun


def listed(url: str, item: str) -> bool:
    """Tell whether ten requests in a row, over connections of their own, all have the item."""
    query = {"k": 100}
    path = f"{url}/v1/users/{user_id(2)}/recommendations"
    lists = [httpx.get(path, params=query, timeout=60).json()["items"] for _ in range(10)]
    return all(item in {one["item_id"] for one in found} for found in lists)


def row(name: str) -> dict[str, Any]:
    return {"item_id": name, "title": name, "genres": ["Western"], "director": "Director 20"}


def test_both_workers_recommend_it_and_forget_it_again(
    serving: tuple[psutil.Process, str],
) -> None:
    _, url = serving
    answer = httpx.post(f"{url}/v1/items", json=row("fresh"), timeout=60)
    assert answer.json()["untrained"] == 1
    eventually(lambda: listed(url, "fresh"))
    assert not httpx.get(f"{url}/v1/items/fresh/similar", timeout=60).json()["fallback"]
    path = f"{url}/v1/users/{user_id(2)}/recommendations"
    found = httpx.get(path, params={"k": 100}, timeout=60).json()
    one = next(item for item in found["items"] if item["item_id"] == "fresh")
    query = {"request_id": found["request_id"]}
    why = httpx.get(f"{path}/fresh/explanation", params=query, timeout=60).json()
    assert why["score"] == one["score"]
    assert httpx.delete(f"{url}/v1/items/fresh", timeout=60).status_code == 204
    for _ in range(10):
        items = httpx.get(path, params={"k": 100}, timeout=60).json()["items"]
        assert "fresh" not in {item["item_id"] for item in items}


def test_a_kill_between_acknowledgement_and_folding_loses_nothing(
    serving: tuple[psutil.Process, str],
) -> None:
    parent, url = serving
    eventually(lambda: folding(parent) is not None)
    process = folding(parent)
    assert process is not None
    process.suspend()
    assert httpx.post(f"{url}/v1/items", json=row("spared"), timeout=60).status_code == 200
    time.sleep(1)
    assert not listed(url, "spared")
    os.kill(process.pid, signal.SIGKILL)
    eventually(lambda: listed(url, "spared"))
    another = folding(parent)
    assert another is not None
    assert another.pid != process.pid
    httpx.delete(f"{url}/v1/items/spared", timeout=60)


def test_a_changed_trained_item_follows_and_comes_back(
    serving: tuple[psutil.Process, str],
) -> None:
    _, url = serving
    path = f"{url}/v1/users/{user_id(2)}/recommendations"

    def scores() -> dict[str, float]:
        items = httpx.get(path, params={"k": 100}, timeout=60).json()["items"]
        return {item["item_id"]: item["score"] for item in items}

    others = [each for each in scores() if int(each[1:]) % 4 != 2]
    name = others[len(others) // 2]

    def score() -> float:
        return scores()[name]

    before = score()
    for genres, wanted in (
        (["Western"], lambda now: now > before),
        (None, lambda now: now == before),
    ):
        answer = httpx.patch(f"{url}/v1/items/{name}", json={"genres": genres}, timeout=60)
        assert answer.status_code == 200, answer.text
        eventually(lambda wanted=wanted: wanted(score()))


def test_the_database_outlives_a_killed_server_and_ends_with_the_next(tmp_path: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KGREC_")}
    environment = {**kept, "KGREC_HOME": str(tmp_path)}
    try:
        with started(environment=environment) as (url, server):
            parent = psutil.Process(server.pid)
            eventually(lambda: httpx.get(f"{url}/v1/items", timeout=60).status_code == 200)
            eventually(lambda: folding(parent) is not None)
            process, state = folding(parent), embedded.running(tmp_path)
            assert process is not None
            assert state is not None
            time.sleep(5)  # until it follows the graph
            server.kill()
            eventually(lambda: not process.is_running())
            assert embedded.running(tmp_path) == state
        with started(environment=environment) as (url, _):
            eventually(lambda: httpx.get(f"{url}/v1/items", timeout=60).status_code == 200)
            assert embedded.running(tmp_path) == state
        eventually(lambda: embedded.running(tmp_path) is None)
    finally:
        embedded.stop(tmp_path, force=True)
