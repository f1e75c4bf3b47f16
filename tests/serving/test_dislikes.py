"""A dislike over HTTP: it changes scores, is explained, and is gone when it is withdrawn."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from planted import item_id, plant, train
from servers import served

from kgrec.config import Settings
from kgrec.graph.store import GraphStore
from kgrec.model.rejection import RejectionWeights
from kgrec.model.storage import save_team
from kgrec.stages.publish import publish


@pytest.fixture(scope="module")
def api(store: GraphStore, home: Path, settings: Settings) -> Iterator[httpx.Client]:
    plant(store)
    _, team = train(store)
    team = replace(team, rejection=RejectionWeights({"dislike": -0.5, "skip": -0.25}))
    save_team(team, home / "models" / "disliking")
    publish(store, team, "disliking")
    with served(settings) as url, httpx.Client(base_url=url, timeout=30) as client:
        yield client


@pytest.mark.parametrize("kind", ["dislike", "skip"])
def test_it_changes_scores_until_it_is_withdrawn(api: httpx.Client, kind: str) -> None:
    user = f"visitor-{uuid.uuid4()}"

    def send(number: int, kind: str) -> None:
        body = {"user_id": user, "item_id": item_id(number), "kind": kind}
        assert api.post("/v1/feedback", json=body).status_code == 201

    def scores() -> dict[str, float]:
        found = api.get(f"/v1/users/{user}/recommendations", params={"k": 100}).json()
        return {item["item_id"]: item["score"] for item in found["items"]}

    for number in (4, 8, 12):
        send(number, "like")
    before = scores()
    send(16, kind)
    after = scores()
    assert item_id(16) in before
    assert item_id(16) not in after
    alike = {i for i in before.keys() & after.keys() if int(i[1:]) % 4 == 0}
    assert sum(after[i] < before[i] for i in alike) > len(alike) / 2
    shown = min(alike & set(list(after)[:20]), key=lambda i: after[i] - before[i])
    why = api.get(f"/v1/users/{user}/recommendations/{shown}/explanation").json()
    assert why["score"] == after[shown]
    against = next(each for each in why["history"] if each["item_id"] == item_id(16))
    assert (against["kind"], against["contribution"] < 0) == (kind, True)
    assert against["deletion_effect"] == pytest.approx(-against["contribution"], abs=1e-7)
    parts = sum(each["contribution"] for each in why["history"])
    parts += sum(agent["prior"] for agent in why["agents"])
    assert parts == pytest.approx(why["score"], abs=1e-5)
    assert any(f"{kind.rstrip('e')}" in sentence for sentence in why["words"])
    withdrawn = api.delete(f"/v1/users/{user}/feedback/{item_id(16)}")
    assert withdrawn.json() == {"withdrawn": 1}
    assert scores() == before, "to the last bit"
