"""Fixtures: a home of its own and the real embedded server, one for the whole run."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from kgrec.config import Settings
from kgrec.graph import open_graph
from kgrec.graph.setup import clear_graph, ensure_schema
from kgrec.graph.store import GraphStore


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
