"""A planted graph with a live model, one for the package."""

from __future__ import annotations

from pathlib import Path

import pytest
from planted import Planted, planted

from kgrec.graph.store import GraphStore
from kgrec.retrieval.recommender import Recommender


@pytest.fixture(scope="module")
def live(store: GraphStore, tmp_path_factory: pytest.TempPathFactory) -> Planted:
    """A planted graph whose model is live; a test that changes it must not use it."""
    models: Path = tmp_path_factory.mktemp("models")
    return planted(store, models)


@pytest.fixture(scope="module")
def recommender(live: Planted) -> Recommender:
    return Recommender(live.store, live.models)
