"""Entities, neighbours of nodes and paths between items, over the planted graph."""

from __future__ import annotations

from typing import Any

import httpx
from planted import item_id, user_id
from servers import get, walk

from kgrec.graph.store import GraphStore
from kgrec.retrieval.paths import read_paths
from kgrec.serving import neighbourhood

ITEM = item_id(5)


def test_entities_are_listed_found_and_shown(api: httpx.Client) -> None:
    everything = walk(api, "/v1/entities", limit=7)
    ids = [entity["entity_id"] for entity in everything]
    assert ids == sorted(set(ids))
    genres = walk(api, "/v1/entities", limit=3, type="Genre")
    assert genres == [entity for entity in everything if entity["type"] == "Genre"]
    found = get(api, "/v1/entities", q="comed", type="Genre")["items"]
    assert [entity["name"] for entity in found] == ["Comedy"]
    assert get(api, "/v1/entities", q="zebra")["items"] == []
    shown = get(api, f"/v1/entities/{found[0]['entity_id']}")
    assert shown["items"] > 0
    assert shown["name"] == "Comedy"
    problem = get(api, "/v1/entities/nothing", 404)
    assert "GET /v1/entities" in problem["remedy"]


def test_neighbours_of_an_item_are_its_facts(api: httpx.Client) -> None:
    facts = get(api, f"/v1/items/{ITEM}")["facts"]
    path = f"/v1/nodes/item/{ITEM}/neighbours"
    near = walk(api, path, limit=1)
    assert sorted((n["relation"], n["node"]["id"]) for n in near) == sorted(
        (fact["relation"], fact["entity_id"]) for fact in facts
    )
    assert {n["direction"] for n in near} == {"out"}
    only = walk(api, path, limit=10, relation="HAS_GENRE")
    assert only == [n for n in near if n["relation"] == "HAS_GENRE"]
    users = walk(api, path, limit=5, relation="INTERACTED")
    degree = {one["relation"]: one["count"] for one in get(api, path)["degree"]}
    assert len(users) == degree["INTERACTED"] > 0
    assert {n["node"]["kind"] for n in users} == {"user"}


def test_neighbours_of_entities_and_users(api: httpx.Client) -> None:
    fact = get(api, f"/v1/items/{ITEM}")["facts"][0]
    near = walk(api, f"/v1/nodes/entity/{fact['entity_id']}/neighbours", limit=20)
    assert ITEM in {n["node"]["id"] for n in near}
    assert len({n["node"]["id"] for n in near}) == len(near)
    seen = walk(api, f"/v1/nodes/user/{user_id(1)}/neighbours", limit=5)
    history = walk(api, f"/v1/users/{user_id(1)}/history", limit=50)
    assert {n["node"]["id"] for n in seen} == {entry["item_id"] for entry in history}
    assert get(api, "/v1/nodes/user/loner/neighbours")["items"] == []
    get(api, "/v1/nodes/user/nobody/neighbours", 404)
    get(api, "/v1/nodes/film/x/neighbours", 422)
    get(api, f"/v1/nodes/item/{ITEM}/neighbours", 422, cursor="nonsense")


def test_a_node_of_too_many_relations_needs_a_filter(api: httpx.Client, monkeypatch: Any) -> None:
    monkeypatch.setattr(neighbourhood, "MAX_DEGREE", 1)
    path = f"/v1/nodes/item/{ITEM}/neighbours"
    assert "relation" in get(api, path, 422)["remedy"]
    assert get(api, path, relation="HAS_GENRE")["items"]


def test_paths_are_those_of_explanations(api: httpx.Client, store: GraphStore) -> None:
    of_genre = get(api, f"/v1/nodes/item/{ITEM}/neighbours", relation="HAS_GENRE")["items"]
    genre = of_genre[0]["node"]["id"]
    around = get(api, f"/v1/nodes/entity/{genre}/neighbours")["items"]
    other = next(n["node"]["id"] for n in around if n["node"]["id"] != ITEM)
    found = get(api, "/v1/paths", **{"from": ITEM, "to": other, "hops": 2})
    assert (found["start"]["id"], found["end"]["id"]) == (ITEM, other)
    expected = read_paths(store, {ITEM: ""}, {other: ""})
    expected = [path for path in expected if path.hops <= 2]
    assert len(found["items"]) == min(len(expected), 20) > 0
    for path in found["items"]:
        assert path["steps"][-1]["node"]["id"] == other
        assert len(path["steps"]) <= 2
    assert genre in {path["steps"][0]["node"]["id"] for path in found["items"]}
    assert get(api, "/v1/paths", **{"from": ITEM, "to": ITEM})["items"] == []
    get(api, "/v1/paths", 404, **{"from": ITEM, "to": "nothing"})
    get(api, "/v1/paths", 422, **{"from": ITEM, "to": other, "hops": 9})
