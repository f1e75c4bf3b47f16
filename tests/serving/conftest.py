"""A planted graph, a team that was trained on it, and real servers over both."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn
from planted import plant
from pydantic import SecretStr

from kgrec.agents.fit import TeamConfig, fit_team
from kgrec.agents.team import Team
from kgrec.config import Settings
from kgrec.data.selection import Selection
from kgrec.graph.export import read_dataset
from kgrec.graph.store import GraphStore
from kgrec.serving.app import create_app
from kgrec.serving.config import ServingConfig
from kgrec.serving.server import listen, url_of
from kgrec.stages.publish import publish

KEYS = "read:reader-key,write:writer-key,admin:admin-key"


def train(store: GraphStore, models: Path, model_id: str) -> Team:
    """Train a team on the graph and put it into service."""
    selection = Selection(domain="movies")
    quick = TeamConfig(
        agents=("linear", "collaborative"), settings={"collaborative": {"steps": 20}}
    )
    team = fit_team(read_dataset(store, selection), None, quick)
    team.save(models / model_id)
    publish(store, team, model_id)
    return team


@pytest.fixture(scope="module")
def team(store: GraphStore, home: Path) -> Team:
    """The live team of the planted graph, trained when no module before did."""
    models = home / "models"
    if [row["model_id"] for row in store.read("recommend/live_model")] == ["serving"]:
        return Team.load(models / "serving")
    plant(store)
    return train(store, models, "serving")


@contextmanager
def served(settings: Settings, config: ServingConfig | None = None) -> Iterator[str]:
    """Run the server on a free port of this machine; yields its address."""
    bound = listen("127.0.0.1", 0)
    options = uvicorn.Config(create_app(settings, config), log_level="warning")
    server = uvicorn.Server(options)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield url_of("127.0.0.1", bound)
    finally:
        server.should_exit = True
        thread.join()
        bound.close()


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
