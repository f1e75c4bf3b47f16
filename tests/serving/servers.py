"""Trained teams and real servers, for the tests of this folder."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from kgrec.config import Settings
from kgrec.data.selection import Selection
from kgrec.graph.store import GraphStore
from kgrec.graph.training_data import read_dataset
from kgrec.learning.fit_team import fit_team
from kgrec.learning.team_config import TeamConfig
from kgrec.model.storage import save_team
from kgrec.model.team import Team
from kgrec.serving.app import create_app
from kgrec.serving.config import ServingConfig
from kgrec.serving.server import listen, server_config, url_of
from kgrec.stages.publish import publish


def train(
    store: GraphStore, models: Path, model_id: str, agents: tuple[str, ...] = ("linear",)
) -> Team:
    """Train a team on the graph and put it into service."""
    selection = Selection(domain="movies")
    settings = {"collaborative": {"steps": 20}} if "collaborative" in agents else {}
    quick = TeamConfig(agents=agents, settings=settings)
    team = fit_team(read_dataset(store, selection), None, quick)
    save_team(team, models / model_id)
    publish(store, team, model_id)
    return team


@contextmanager
def served(settings: Settings, config: ServingConfig | None = None) -> Iterator[str]:
    """Run the server on a free port of this machine; yields its address."""
    bound = listen("127.0.0.1", 0)
    limits = config or ServingConfig(ahead=0)
    server = uvicorn.Server(server_config(create_app(settings, limits), limits))
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


def get(api: httpx.Client, path: str, status: int = 200, **query: Any) -> dict[str, Any]:
    """Return the JSON of an answer, which must have a status and its media type."""
    answer = api.get(path, params=query or None)
    assert answer.status_code == status, answer.text
    wanted = "application/json" if status < 400 else "application/problem+json"
    assert answer.headers["content-type"] == wanted
    body: dict[str, Any] = answer.json()
    return body


def walk(api: httpx.Client, path: str, **query: Any) -> list[dict[str, Any]]:
    """Return every entry of a list, page after page."""
    entries: list[dict[str, Any]] = []
    cursor = None
    while True:
        page = get(api, path, **query, **({"cursor": cursor} if cursor else {}))
        assert len(page["items"]) <= query["limit"]
        entries += page["items"]
        cursor = page["next"]
        if cursor is None:
            return entries
