"""Texts read by workers of a Ray of this machine: the same facts, and what becomes of a failure."""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import pytest

import kgrec.text.workers as module
from kgrec.config import parse_config
from kgrec.errors import ClusterError, ConfigError, missing_extra
from kgrec.graph.setup import clear_graph
from kgrec.graph.store import GraphStore
from kgrec.schema import load_schema
from kgrec.stages.extract import ExtractConfig, ExtractSummary, extract
from kgrec.text.cluster import ray_cluster
from kgrec.text.workers import RayWorkers

pytestmark = pytest.mark.skipif(find_spec("ray") is None, reason="no Ray for this Python")

MOVIES = load_schema().domain("movies")
KILL, OWN = "kill-one", "kgrec_deadly"
COMPONENT = f'''
"""A component of one's own that ends the process where a file asks for it, once."""

import os, signal
from pathlib import Path
from kgrec.text.pipeline import TextFact
from kgrec.text.sources.fusion import TextFinding

PLACE = Path(__file__).with_name("{KILL}")

class Deadly:
    name, version = "deadly", "1"

    def find(self, items):
        if any(item.item_id == "m70" for item in items) and PLACE.exists():
            PLACE.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        return [TextFinding([self.fact(item)] if " the " in item.text else []) for item in items]

    def fact(self, item):
        start = item.text.index(" the ") + 1
        known = (item.item_id, "HAS_KEYWORD", "Keyword", item.text[start : start + 7].strip())
        return TextFact(*known, 0.4, self.name, known[3], start, start + 7, version=self.version)

def make(domain):
    return Deadly()
'''


class Plain:
    """Reads numbers; some of them in a way of its own."""

    def __init__(self) -> None:
        self.version = "1"

    def __call__(self, batch: list[int]) -> tuple[int, int]:
        """Return a process and a sum."""
        if -1 in batch:
            raise ValueError("no such number")
        if -2 in batch:
            os.kill(os.getpid(), signal.SIGKILL)
        self.version = "2" if -4 in batch else "1"
        if -3 in batch:
            raise ConfigError("what failed", value=-3, remedy="Do this.")
        return os.getpid(), sum(batch)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("own")
    (place / f"{OWN}.py").write_text(COMPONENT)
    return place


@pytest.fixture(scope="module")
def cluster(folder: Path) -> Iterator[int]:
    """A Ray of two workers that finds what is in the folder; nothing is left of it."""
    handler = signal.getsignal(signal.SIGTERM)
    with pytest.MonkeyPatch.context() as patch:
        path = os.pathsep.join([str(folder), *sys.path])
        patch.setenv("PYTHONPATH", path)
        patch.syspath_prepend(folder)
        patch.delenv("RAY_ADDRESS", raising=False)
        with ray_cluster(processes=2) as count:
            started = psutil.Process().children(recursive=True)
            yield count
    _, alive = psutil.wait_procs(list(started), timeout=20)
    assert not [_line(one) for one in alive]
    assert not list(Path(tempfile.gettempdir()).glob(f"kgrec-ray-{os.getpid()}-*"))
    assert not [name for name in os.environ if name.startswith("RAY_")]
    assert signal.getsignal(signal.SIGTERM) == handler


def _of_ray(process: psutil.Process) -> bool:
    return "ray::" in _line(process) or "/ray/" in _line(process)


def _line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


def test_where_nothing_answers_there_is_no_cluster() -> None:
    with pytest.raises(ClusterError, match=r"127\.0\.0\.1:1'"), ray_cluster("127.0.0.1:1"):
        pass


def test_what_brings_ray_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ModuleNotFoundError) as caught, ray_cluster():
        pass
    error = missing_extra(caught.value)
    assert error is not None
    assert "kgrec[ray]" in error.remedy


@pytest.fixture(scope="module")
def both(cluster: int) -> Iterator[RayWorkers[list[int], tuple[int, int]]]:
    made = RayWorkers(Plain, version="1", count=cluster, named=partial(str))
    yield made
    made.close()


Both = RayWorkers[list[int], tuple[int, int]]


def test_results_are_in_the_order_of_the_batches_and_few_are_under_way(both: Both) -> None:
    begun: list[int] = []

    def batches() -> Iterator[list[int]]:
        for number in range(60):
            begun.append(number)
            yield [number, number]

    ahead, found = [], []
    for batch, (process, total) in both.map(batches()):
        assert process != os.getpid()
        found.append((batch, total))
        ahead.append(len(begun) - len(found))
    assert found == [([n, n], 2 * n) for n in range(60)]
    assert max(ahead) < 10


def test_an_error_of_kgrec_arrives_as_it_is(both: Both) -> None:
    with pytest.raises(ConfigError) as caught:
        list(both.map([[1], [-3], [3]]))
    assert (caught.value.what, caught.value.value) == ("what failed", -3)
    assert caught.value.remedy == "Do this."
    assert [total for _, (_, total) in both.map([[1], [2]])] == [1, 2]


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (-1, ["ValueError", "no such number", "[4, -1]"]),
        (-4, ["another way", "2, not 1"]),
        (-2, ["died", "[4, -2]"]),
    ],
)
def test_a_failure_that_stays_is_named(
    both: Both, number: int, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TRIES", 1)
    with pytest.raises(ClusterError) as caught:
        list(both.map([[4, number], [5]]))
    assert all(word in str(caught.value) for word in words), caught.value


def test_its_ports_are_those_of_this_machine_alone(cluster: int) -> None:
    processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
    found = [
        (_line(process), one.laddr.ip)
        for process in processes
        if _of_ray(process) or process.pid == os.getpid()
        for one in process.net_connections("inet")
        if one.status == psutil.CONN_LISTEN
    ]
    assert len(found) > 3
    assert {place for _, place in found} <= {"127.0.0.1", "::ffff:127.0.0.1", "::1"}, found


def test_facts_are_those_of_the_local_engine_though_a_worker_is_killed(
    cluster: int,
    empty_store: GraphStore,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    annotated = Path(__file__).with_name("annotated_movies.toml")
    texts = [one["text"] for one in tomllib.loads(annotated.read_text("utf-8"))["texts"]]
    texts = [*texts, "", " ".join(texts[:12]), *texts]  # one is read in pieces
    rows = [
        {"item_id": f"m{number}", "properties": {"title": f"Film {number}", "description": text}}
        for number, text in enumerate(texts)
    ]
    options = {"components": ["names", "ner", "rules", "quantities", f"{OWN}:make"]}

    def read(**more: Any) -> tuple[ExtractSummary, str]:
        clear_graph(empty_store)
        ids = [row["item_id"] for row in rows]
        empty_store.write("ingest/create_items", {"item_type": "Movie"}, items=ids)
        empty_store.write("ingest/set_items", rows=rows)
        config = parse_config(ExtractConfig, {**options, **more}, origin="the test")
        done = extract(empty_store, MOVIES, config)
        return done, content(empty_store)

    plain, expected = read()
    (folder / KILL).touch()
    done, found = read(engine="ray", processes=2)
    assert capsys.readouterr().out == ""
    assert not (folder / KILL).exists()
    assert (done.texts, done.facts, done.components) == (plain.texts, plain.facts, plain.components)
    assert done.texts > 64
    assert done.components["deadly"] > 10
    assert found == expected


def content(store: GraphStore) -> str:
    """Return all edges and items of a graph, but for the ids of runs."""
    edges = store.query(
        "MATCH (a)-[r]->(b) RETURN coalesce(a.item_id, a.entity_id) AS head, type(r) AS relation, "
        "coalesce(b.item_id, b.entity_id) AS tail, r.confidence AS sure, r.source AS source, "
        "r.extractor AS extractor, r.evidence AS evidence",
        limit=10_000,
    ).rows
    items = store.query("MATCH (i:Item) RETURN i.item_id AS id, properties(i) AS known").rows
    return json.dumps(sorted(json.dumps(row, sort_keys=True, default=str) for row in edges + items))
