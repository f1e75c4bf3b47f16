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
from kgrec.graph.setup import clear_graph
from kgrec.graph.store import GraphStore
from kgrec.model.storage import load_team
from kgrec.model.team import Team

KEYS = "read:reader-key,write:writer-key,analyst:analyst-key,admin:admin-key"


@pytest.fixture(scope="module")
def team(store: GraphStore, home: Path) -> Iterator[Team]:
    """The live team of the planted graph, trained when no module before did.

    A module must leave the catalogue as it was, for the modules after it read the same graph.
    """
    models = home / "models"
    if is_live(store):
        team = load_team(models / "serving")
    else:
        plant(store)
        team = train(store, models, "serving", ("linear", "collaborative"))
    before = planted(store)
    yield team
    if is_live(store) and (changed := before ^ planted(store)):
        clear_graph(store)
        pytest.fail(f"the module leaves what was planted changed: {sorted(changed)[:10]}")


def is_live(store: GraphStore) -> bool:
    return [row["model_id"] for row in store.read("recommend/live_model")] == ["serving"]


def planted(store: GraphStore) -> set[str]:
    """Return the items, what is known of them, and what planted users did, one string each."""
    parts = (
        "MATCH (i:Item) RETURN i.item_id AS item, properties(i) AS known",
        "MATCH (e:Entity) RETURN e.entity_id AS entity",
        "MATCH (i:Item)-[f]->(e:Entity) RETURN i.item_id AS item, type(f) AS fact, "
        "e.entity_id AS entity, properties(f) AS known",
        "MATCH (u:User)-[x:INTERACTED]->(i:Item) WHERE u.user_id STARTS WITH 'u0' "
        "RETURN u.user_id AS user, i.item_id AS item, properties(x) AS known",
    )
    rows = [row for part in parts for row in store.query(part, limit=100_000).rows]
    own = (
        "vector_a",
        "vector_b",
        "origins",
        "evidence",
    )  # of kgrec itself: by the model, and who set what
    for row in rows:
        known = row.get("known", {})
        row["known"] = sorted((name, known[name]) for name in known.keys() - set(own))
    return {repr(row) for row in rows}


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
