"""Items over HTTP: created, changed, hidden and removed, and lists that follow at once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from planted import item_id, user_id

from kgrec.graph.store import GraphStore
from kgrec.retrieval.snapshot import read_snapshot
from kgrec.stages.retiring.restore import restore

LINES = {"Content-Type": "application/x-ndjson"}
NEW: dict[str, Any] = {
    "item_id": "n/1",
    "title": "A new film",
    "year": 1999,
    "genres": ["Drama", "Western"],
    "director": "Somebody New",
}


@pytest.fixture(autouse=True)
def removed(api: httpx.Client) -> Iterator[None]:
    yield
    for name in ("n%2F1", "n2", "n3"):
        api.delete(f"/v1/items/{name}")


def shown(api: httpx.Client, path: str) -> list[str]:
    return [item["item_id"] for item in api.get(path).json()["items"]]


def test_an_item_is_created_once_with_its_facts(api: httpx.Client) -> None:
    answer = api.post("/v1/items", json=NEW).raise_for_status().json()
    assert (answer["created"], answer["facts"], answer["untrained"]) == (1, 3, 1)
    item = api.get("/v1/items/n%2F1").json()
    assert item["properties"]["year"] == 1999
    assert {fact["name"] for fact in item["facts"]} == {"Drama", "Western", "Somebody New"}
    again = api.post("/v1/items", json=NEW).json()
    assert (again["created"], again["updated"], again["unchanged"], again["facts"]) == (0, 0, 1, 0)
    less = api.post("/v1/items", json={**NEW, "genres": ["Drama"]}).json()
    assert (less["updated"], less["withdrawn"]) == (1, 1)
    similar = api.get("/v1/items/n%2F1/similar").json()
    assert similar["fallback"] == "untrained_item"


def test_lines_of_no_use_are_set_aside(api: httpx.Client) -> None:
    rows = [
        json.dumps({"item_id": "n2", "title": "Two", "year": "soon", "colour": "red"}),
        "{",
        json.dumps({"title": "without an id"}),
        json.dumps({"item_id": "n2", "title": "Two again"}),
        "",
        json.dumps({"item_id": "n3"}),
        json.dumps([1]),
    ]
    body = "\n".join(rows)
    answer = api.post("/v1/items", content=body, headers=LINES).raise_for_status().json()
    assert (answer["created"], answer["rejected"], answer["rejected_cells"]) == (1, 5, 1)
    assert {one["line"] for one in answer["rejects"] if not one["row_kept"]} == {2, 3, 4, 6, 7}
    assert answer["unused"] == ["colour"]


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b"3",
        b"null",
        b'{"title": "x"}',
        b'{"item_id": "n2"}',
        b'{"item_id": "n2", "title": "x", "\\ud800": 1' + b"0" * 5000 + b"}",
        b"[" * 100_000,
    ],
)
def test_a_body_of_no_use_is_refused(api: httpx.Client, body: bytes) -> None:
    answer = api.post("/v1/items", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422, answer.text
    assert answer.json()["what"]


def test_a_hidden_item_is_in_no_list_of_the_next_request(api: httpx.Client) -> None:
    path = f"/v1/users/{user_id(1)}/recommendations?k=5"
    first = shown(api, path)[0]
    title = api.get(f"/v1/items/{first}").json()["title"]
    for hiding in ({"available": False}, {"expires_at": 1}, {"available_from": "2100-01-01"}):
        changed = api.patch(f"/v1/items/{first}", json=hiding).raise_for_status().json()
        assert changed["available"] is False
        assert first not in shown(api, path)
        found = api.get("/v1/items", params={"q": title}).json()["items"]
        assert [item["available"] for item in found if item["item_id"] == first] == [False]
        showing = dict.fromkeys(hiding)
        assert api.patch(f"/v1/items/{first}", json=showing).json()["available"] is True
        assert shown(api, path)[0] == first


def test_a_change_empties_what_is_null(api: httpx.Client) -> None:
    api.post("/v1/items", json=NEW).raise_for_status()
    changed = api.patch("/v1/items/n%2F1", json={"year": None, "genres": None, "title": "Other"})
    item = changed.raise_for_status().json()
    assert item["title"] == "Other"
    assert "year" not in item["properties"]
    assert [fact["name"] for fact in item["facts"]] == ["Somebody New"]
    for wrong in ({"title": None}, {"item_id": "n2"}, [1]):
        assert api.patch("/v1/items/n%2F1", json=wrong).status_code == 422
    assert api.patch("/v1/items/nothing", json={"year": 1}).status_code == 404


def test_an_item_without_a_title_is_called_by_its_id_everywhere(
    api: httpx.Client, store: GraphStore
) -> None:
    store.write("ingest/create_items", {"item_type": "Movie"}, items=["n3"])
    api.post("/v1/items", json=NEW).raise_for_status()
    store.query(
        "MATCH (u:User {user_id: $user}), (i:Item {item_id: 'n3'}), (f:Item {item_id: 'n/1'}) "
        "CREATE (u)-[:INTERACTED {key: 'view@1', kind: 'view', value: 1.0}]->(i) "
        "CREATE (f)-[:SEQUEL_OF {confidence: 1.0}]->(i)",
        {"user": user_id(1)},
        writing=True,
    )
    assert api.get("/v1/items/n3").json()["title"] == "n3"
    history = api.get(f"/v1/users/{user_id(1)}/history", params={"limit": 100}).json()["items"]
    assert {entry["item_id"]: entry["title"] for entry in history}["n3"] == "n3"
    around = api.get("/v1/nodes/item/n%2F1/neighbours").raise_for_status().json()["items"]
    assert [each["node"]["name"] for each in around if each["relation"] == "SEQUEL_OF"] == ["n3"]
    assert read_snapshot(store).titles(["n3"]) == {"n3": "n3"}


def test_facts_paths_filters_and_search_of_a_trained_item_follow_at_once(
    api: httpx.Client,
) -> None:
    name, user = item_id(7), user_id(2)
    lists = f"/v1/users/{user}/recommendations"
    before = api.get(f"/v1/items/{name}").json()
    narrow = {"filter": "directed_by=Agnes Example", "k": 10}
    assert api.get(lists, params=narrow).json()["items"] == []
    change = {"title": "Renamed entirely", "director": "Agnes Example"}
    api.patch(f"/v1/items/{name}", json=change).raise_for_status()
    try:
        found = api.get(lists, params=narrow).json()["items"]
        assert [item["item_id"] for item in found] == [name]
        assert found[0]["title"] == "Renamed entirely"
        facts = {fact["name"] for fact in api.get(f"/v1/items/{name}").json()["facts"]}
        assert "Agnes Example" in facts
        assert name in shown(api, "/v1/items?q=Renamed")
        # Another item of the same director: the path between them is there as well.
        api.post("/v1/items", json={"item_id": "n2", "title": "Two", "director": "Agnes Example"})
        alike = api.get("/v1/items/n2/similar").json()["items"]
        assert [item["item_id"] for item in alike][:1] == [name]
    finally:
        undone = {"title": before["title"], "director": None}
        api.patch(f"/v1/items/{name}", json=undone).raise_for_status()
    assert api.get(lists, params=narrow).json()["items"] == []
    assert api.get(f"/v1/items/{name}").json() == before


def test_a_removed_item_is_gone_and_can_be_brought_back(
    api: httpx.Client, store: GraphStore
) -> None:
    api.post("/v1/items", json=NEW).raise_for_status()
    before = api.get("/v1/items/n%2F1").json()
    assert api.delete("/v1/items/n%2F1").status_code == 204
    assert api.get("/v1/items/n%2F1").status_code == 404
    assert api.delete("/v1/items/n%2F1").status_code == 404
    assert api.get("/v1/entities", params={"q": "Somebody New"}).json()["items"] == []
    restore(store)
    assert api.get("/v1/items/n%2F1").json() == before


def test_writing_needs_a_role(locked: Callable[[str | None], httpx.Client]) -> None:
    item = f"/v1/items/{item_id(3)}"
    for key, status in (("reader-key", 403), ("analyst-key", 403), ("writer-key", 404)):
        client = locked(key)
        assert client.delete("/v1/items/nothing").status_code == status
        assert client.get(item).status_code == 200
    assert locked("reader-key").post("/v1/items", json=NEW).status_code == 403
    assert locked("reader-key").patch(item, json={}).status_code == 403


def test_a_corrected_fact_stays_corrected(api: httpx.Client) -> None:
    created = {"item_id": "c/1", "title": "Corrected", "director": "Nil Nowi"}
    assert api.post("/v1/items", json=created).status_code == 200
    body = {"item_id": "c/1", "relation": "DIRECTED_BY", "entity": "Nil Nowi"}
    changed = {**body, "verdict": "change", "instead": "Nil Novi"}
    answer = api.post("/v1/corrections", json=changed)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["written"], answer.json()["withdrawn"]) == (1, 1)
    assert api.post("/v1/items", json=created).json()["facts"] == 0
    facts = api.get("/v1/items/c%2F1").json()["facts"]
    assert [(one["relation"], one["name"]) for one in facts] == [("DIRECTED_BY", "Nil Novi")]
    assert api.post("/v1/corrections", json={**body, "verdict": "change"}).status_code == 422
    assert api.post("/v1/corrections", json={**body, "verdict": "reject"}).status_code == 404
    assert api.delete("/v1/items/c%2F1").status_code == 204
    assert api.delete("/v1/entities/Person%3Anil%20nowi").status_code == 204
