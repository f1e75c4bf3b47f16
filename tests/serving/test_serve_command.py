"""`kgrec serve` as a process: it says where it is, refuses what it must, and ends cleanly."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import httpx
import psutil
from started import COMMAND, started

from kgrec.model.team import Team


def run(*options: str, home: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *options],
        env={**_own(home), **variables},
        capture_output=True,
        text=True,
        timeout=60,
    )


def _own(home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KGREC_")}
    return {**kept, "KGREC_HOME": str(home)}


def test_it_serves_until_it_is_told_to_end(team: Team, home: Path) -> None:
    with started(environment=_own(home), errors=True) as (url, process):
        assert process.stderr is not None
        ready = httpx.get(f"{url}/v1/model", timeout=30).json()
        assert ready["model_id"] == "serving"
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert "Traceback" not in process.stderr.read()


def test_without_a_model_it_serves_and_says_what_is_missing() -> None:
    with tempfile.TemporaryDirectory(prefix="kgrec-own-") as folder:
        with started(environment=_own(Path(folder)), errors=True) as (url, process):
            assert process.stderr is not None
            assert httpx.get(f"{url}/v1/items?q=star", timeout=30).json()["items"] == []
            process.send_signal(signal.SIGTERM)
            process.wait(30)
            told = process.stderr.read()
        assert "kgrec publish" in told
        assert "Traceback" not in told


def test_beyond_this_machine_it_needs_keys(home: Path) -> None:
    refused = run("--host", "0.0.0.0", home=home)
    assert refused.returncode == 2
    assert "KGREC_API_KEYS" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_keys_of_no_use_are_refused_and_not_shown(home: Path) -> None:
    refused = run(home=home, KGREC_API_KEYS="my-secret")
    assert refused.returncode == 2
    assert "my-secret" not in refused.stderr + refused.stdout


def test_a_port_that_is_taken_is_told(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        refused = run("--port", port, home=home)
    assert refused.returncode == 2
    assert port in refused.stderr
    assert "--port" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_an_address_that_does_not_exist_is_told(home: Path) -> None:
    refused = run("--host", "no.such.host.invalid", home=home, KGREC_API_KEYS="read:a")
    assert refused.returncode == 2
    assert "Traceback" not in refused.stderr


def test_without_a_graph_it_does_not_start(home: Path) -> None:
    refused = run("--port", "0", home=home, KGREC_GRAPH_URI="bolt://127.0.0.1:1")
    assert refused.returncode == 6
    assert "Traceback" not in refused.stderr


def test_several_workers_answer_and_one_that_is_killed_comes_back(team: Team, home: Path) -> None:
    with started("--workers", "2", environment=_own(home), errors=True) as (url, process):
        assert process.stderr is not None
        with httpx.Client(base_url=url, timeout=60) as client:
            assert client.get("/v1/model").json()["model_id"] == "serving"
        workers = _workers(process.pid)
        assert len(workers) == 2
        if sys.platform == "linux":  # both map the file of the model, and share what is in memory
            for worker in workers:
                assert any(m.path.endswith("model.safetensors") for m in worker.memory_maps())
                full = worker.memory_full_info()
                assert full.uss < full.rss / 2
        with ExitStack() as held:  # connections that are kept are shared out
            for _ in range(6):
                client = held.enter_context(httpx.Client(base_url=url, timeout=60))
                assert client.get("/v1/queries").status_code == 200
            assert min(_connected(worker) for worker in workers) >= 2
        before = _answered(url)
        for _ in range(20):  # each over a connection of its own, so that either may answer
            assert httpx.get(f"{url}/v1/queries", timeout=60).status_code == 200
        assert {_answered(url) for _ in range(6)} == {before + 20}
        workers[0].kill()
        workers[0].wait(30)
        deadline = time.monotonic() + 60
        while len(_workers(process.pid)) < 2 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert len(_workers(process.pid)) == 2
        for _ in range(4):
            answer = httpx.get(f"{url}/v1/model", timeout=60)
            assert answer.json()["model_id"] == "serving"
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        assert not _workers(process.pid)
        assert "Traceback" not in process.stderr.read()


def _connected(worker: psutil.Process) -> int:
    """Return how many clients have a connection to a worker."""
    listening = {one.laddr for one in worker.net_connections() if one.status == "LISTEN"}
    established = (one for one in worker.net_connections() if one.status == "ESTABLISHED")
    return sum(one.laddr in listening for one in established)


def _answered(url: str) -> float:
    """Return how often the list of queries was answered, by whichever worker reports it."""
    text = httpx.get(f"{url}/metrics", timeout=60).text
    found = re.findall(r'^kgrec_http_requests_total\{.*route="/v1/queries".*\} (\S+)$', text, re.M)
    return sum(map(float, found))


def _workers(parent: int) -> list[psutil.Process]:
    """Return the processes that answer: forks of the one that was started."""
    try:
        children = psutil.Process(parent).children()
    except psutil.NoSuchProcess:
        return []
    return [one for one in children if one.cmdline()[-1:] == ["2"]]
