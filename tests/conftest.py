"""Fixtures: a home of its own and the real embedded server, one for each process of the run."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from kgrec.config import Settings
from kgrec.graph import open_graph
from kgrec.graph.setup import clear_graph, ensure_schema
from kgrec.graph.store import GraphStore

# What tests compute is small: threads would wait for each other longer than they work.
for library in ("OMP", "MKL", "OPENBLAS"):
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep each file in one process, and each Neo4j in one; begin with files that take long."""
    group = {item: _group(item) for item in items}
    slow = {group[item] for item in items if item.get_closest_marker("slow")}
    for item in items:
        item.add_marker(pytest.mark.xdist_group(group[item]))
    items.sort(key=lambda item: group[item] not in slow)


def _group(item: pytest.Item) -> str:
    callspec = getattr(item, "callspec", None)
    given = callspec.params.values() if callspec else ()
    outside = [one for one in given if isinstance(one, str) and one.startswith(("bolt", "neo4j"))]
    return urlsplit(outside[0]).netloc.rpartition("@")[2] if outside else item.path.stem


@pytest.fixture(scope="session")
def home() -> Iterator[Path]:
    """A kgrec home outside the checkout, removed at the end.

    Its path is short, and it survives the run's own clean-up of old temporary folders.
    """
    folder = Path(tempfile.mkdtemp(prefix="kgrec-test-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def settings(home: Path) -> Settings:
    """Settings that name the embedded server of `home`, whatever the environment says."""
    return Settings(home=home, graph_uri=None)


@pytest.fixture(scope="session")
def store(settings: Settings) -> Iterator[GraphStore]:
    """The embedded graph, schema set up, shared by the whole run: use ids of your own in it."""
    with open_graph(settings) as graph:
        ensure_schema(graph)
        yield graph


@pytest.fixture
def empty_store(store: GraphStore) -> GraphStore:
    """The same graph with nothing in it."""
    clear_graph(store)
    return store
