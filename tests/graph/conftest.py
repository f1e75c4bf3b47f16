"""The engines that the contract is run on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from kgrec.config import Settings
from kgrec.graph import open_graph
from kgrec.graph.home import free_ports
from kgrec.graph.setup import clear_graph, ensure_schema
from kgrec.graph.store import GraphStore

NEO4J = [one for one in os.environ.get("KGREC_TEST_NEO4J", "").split(",") if one]
"""Addresses such as `bolt://neo4j:password@localhost:7687`; their graphs are emptied."""

ONE_RELEASE = frozenset({"test_dump", "test_report"})
"""Modules for which one release of Neo4j stands for the others, to save minutes."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "engine" in metafunc.fixturenames:
        releases = NEO4J[:1] if metafunc.module.__name__ in ONE_RELEASE else NEO4J
        places = {urlsplit(one).netloc.rpartition("@")[2]: one for one in releases}
        metafunc.parametrize(
            "engine", ["embedded", *places.values()], ids=["embedded", *places], scope="session"
        )


@pytest.fixture(scope="session")
def engine_settings(engine: str, settings: Settings) -> Settings:
    """Settings of one engine under test."""
    if engine == "embedded":
        return settings
    parts = urlsplit(engine)
    return Settings.model_validate(
        {
            "graph_uri": f"{parts.scheme}://{parts.hostname}:{parts.port}",
            "graph_user": parts.username,
            "graph_password": parts.password,
        }
    )


@pytest.fixture(scope="session")
def shared_graph(engine_settings: Settings) -> Iterator[GraphStore]:
    with open_graph(engine_settings) as graph:
        ensure_schema(graph)
        yield graph
        clear_graph(graph)


@pytest.fixture
def graph(shared_graph: GraphStore) -> GraphStore:
    """One engine's graph, set up and empty."""
    clear_graph(shared_graph)
    return shared_graph


@pytest.fixture
def closed_port() -> int:
    """A port at which nothing listens."""
    return free_ports(1)[0]
