"""Fixtures: a home of its own and the real embedded server, one for each process of the run."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kgrec.config import Settings
from kgrec.graph import open_graph
from kgrec.graph.setup import clear_graph, ensure_schema
from kgrec.graph.store import GraphStore

# What tests compute is small: threads would wait for each other longer than they work.
for library in ("OMP", "MKL", "OPENBLAS"):
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")
# A database that lives for seconds spends half of its processor time on its second compiler.
os.environ.setdefault("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1")


def pytest_configure() -> None:
    """Make the consoles of the commands before a test sets a width, which they would keep."""
    os.environ.pop("COLUMNS", None)
    importlib.import_module("kgrec.cli.console")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take long, so that no process is left alone with one at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep what shares a graph in one process: each file, and all that asks one Neo4j."""
    from xdist.scheduler import LoadScopeScheduling

    class ByGraph(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            address = re.search(r"\[([\w.]+:\d+)", nodeid)
            return address[1] if address else nodeid.partition("::")[0]

    return ByGraph(config, log)


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
