"""A planted graph, a team that was trained on it, and real servers over both."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from planted import plant
from pydantic import SecretStr
from servers import served, train

from kgrec.config import Settings
from kgrec.graph.store import GraphStore
from kgrec.model.storage import load_team
from kgrec.model.team import Team

KEYS = "read:reader-key,write:writer-key,analyst:analyst-key,admin:admin-key"


@pytest.fixture(scope="module")
def team(store: GraphStore, home: Path) -> Team:
    """The live team of the planted graph, trained when no module before did."""
    models = home / "models"
    if [row["model_id"] for row in store.read("recommend/live_model")] == ["serving"]:
        return load_team(models / "serving")
    plant(store)
    return train(store, models, "serving", ("linear", "collaborative"))


@pytest.fixture(scope="module")
def address(team: Team, settings: Settings) -> Iterator[str]:
    """A server without keys."""
    with served(settings) as url:
        yield url


@pytest.fixture(scope="module")
def api(address: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=address, timeout=30) as client:
        yield client


@pytest.fixture(scope="module")
def locked(team: Team, settings: Settings) -> Iterator[Callable[[str | None], httpx.Client]]:
    """Clients of a server with keys, by the key that they send."""
    with ExitStack() as stack:
        url = stack.enter_context(served(settings.model_copy(update={"api_keys": SecretStr(KEYS)})))

        def client(key: str | None) -> httpx.Client:
            headers = {"Authorization": f"Bearer {key}"} if key else {}
            return stack.enter_context(httpx.Client(base_url=url, headers=headers, timeout=30))

        yield client
