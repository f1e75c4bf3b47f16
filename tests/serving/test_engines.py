"""Search, feedback and erasure on every engine; `KGREC_TEST_NEO4J` names those beside our own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest
from planted import item_id, plant, user_id
from servers import served, train

from kgrec.config import Settings
from kgrec.graph import open_graph
from kgrec.graph.setup import clear_graph

ENGINES = ["embedded", *filter(None, os.environ.get("KGREC_TEST_NEO4J", "").split(","))]


def _settings(engine: str, settings: Settings) -> Settings:
    if engine == "embedded":
        return settings
    parts = urlsplit(engine)
    return Settings.model_validate(
        {
            "home": settings.home,
            "graph_uri": f"{parts.scheme}://{parts.hostname}:{parts.port}",
            "graph_user": parts.username,
            "graph_password": parts.password,
        }
    )


@pytest.fixture(
    scope="module",
    params=ENGINES,
    ids=[urlsplit(e).netloc.rpartition("@")[2] or e for e in ENGINES],
)
def client(request: pytest.FixtureRequest, settings: Settings) -> Iterator[httpx.Client]:
    """A client of a server over a planted graph on one engine."""
    place = _settings(request.param, settings)
    with open_graph(place) as store:
        plant(store)
        train(store, place.home / "models", "engines")
        with served(place) as url, httpx.Client(base_url=url, timeout=30) as client:
            yield client
        clear_graph(store)


def ids(answer: httpx.Response, name: str = "item_id") -> list[str]:
    assert answer.status_code == 200, answer.text
    return [entry[name] for entry in answer.json()["items"]]


def test_lists_and_searches(client: httpx.Client) -> None:
    assert ids(client.get("/v1/users?q=u000&limit=2"), "user_id") == ["u0000", "u0001"]
    assert ids(client.get("/v1/items?q=film+042"))[0] == item_id(42)
    assert len(ids(client.get("/v1/items?q=fi&limit=100"))) == 100
    assert ids(client.get("/v1/items?q=zebra")) == []
    assert ids(client.get("/v1/items?limit=3")) == [item_id(n) for n in range(3)]
    item = client.get(f"/v1/items/{item_id(5)}").json()
    assert item["properties"] == {"year": 1965}
    assert {fact["relation"] for fact in item["facts"]} == {"HAS_GENRE", "DIRECTED_BY"}


@pytest.mark.parametrize("signs", ['"', "AND", "OR (", "a* ~2", "title:film", "\\", "+-!{}[]^/"])
def test_signs_of_a_query_language_are_only_text(client: httpx.Client, signs: str) -> None:
    assert client.get("/v1/items", params={"q": signs}).status_code == 200


def test_history_pages_do_not_overlap(client: httpx.Client) -> None:
    path = f"/v1/users/{user_id(1)}/history?limit=5"
    page = client.get(path).json()
    seen = [entry["item_id"] for entry in page["items"]]
    while page["next"]:
        page = client.get(f"{path}&cursor={page['next']}").json()
        seen += [entry["item_id"] for entry in page["items"]]
    assert len(seen) == len(set(seen)) == 12


def test_feedback_is_once_heard_withdrawn_and_erased(client: httpx.Client) -> None:
    like = {"user_id": "eve", "item_id": item_id(2), "kind": "like", "at": "2026-03-01T12:00:00Z"}
    sent = [client.post("/v1/feedback", json=like).status_code for _ in range(3)]
    assert sent == [201, 200, 200]
    assert client.post("/v1/feedback", json={**like, "item_id": "nothing"}).status_code == 404
    found = client.get("/v1/users/eve/recommendations?k=5").json()
    assert found["fallback"] is None
    assert ids(client.get("/v1/users/eve/history")) == [item_id(2)]
    best = found["items"][0]
    told = client.get(f"/v1/users/eve/recommendations/{best['item_id']}/explanation").json()
    assert told["score"] == pytest.approx(best["score"], rel=1e-5)
    withdrawn = client.delete(f"/v1/users/eve/feedback/{item_id(2)}").json()
    assert withdrawn == {"withdrawn": 1}
    assert client.delete("/v1/users/eve").status_code == 204
    assert client.get("/v1/users/eve").status_code == 404


def test_the_graph_can_be_looked_at(client: httpx.Client) -> None:
    [comedy] = client.get("/v1/entities?q=comedy&type=Genre").json()["items"]
    near = client.get(f"/v1/nodes/entity/{comedy['entity_id']}/neighbours?limit=2").json()
    [one, two] = [neighbour["node"]["id"] for neighbour in near["items"]]
    follow = {"limit": 2, "cursor": near["next"]}
    later = client.get(f"/v1/nodes/entity/{comedy['entity_id']}/neighbours", params=follow).json()
    assert [n["node"]["id"] for n in later["items"]] > [one, two]
    paths = client.get("/v1/paths", params={"from": one, "to": two}).json()["items"]
    assert comedy["entity_id"] in {path["steps"][0]["node"]["id"] for path in paths}
    for query in client.get("/v1/queries").json()["items"]:
        values = {"entity_id": comedy["entity_id"], "item_id": one, "other_id": two}
        known = {**values, "user_id": user_id(1)}
        needed = {p["name"]: known[p["name"]] for p in query["parameters"] if p["required"]}
        answer = client.post(f"/v1/queries/{query['name']}", json={"parameters": needed})
        assert answer.status_code == 200, answer.text
    statement = "MATCH (i:Item {item_id: $id}) RETURN i.title AS title"
    body = {"statement": statement, "parameters": {"id": one}}
    assert client.post("/v1/cypher", json=body).json()["rows"][0]["title"]
    assert client.post("/v1/cypher", json={"statement": "CREATE (n)"}).status_code == 403
