"""Named queries over HTTP: described by their files, and right on the planted graph."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from planted import TASTES, item_id, user_id

from kgrec.errors import SchemaError
from kgrec.graph.store import GraphStore
from kgrec.schema import Statement, load_schema
from kgrec.serving.queries import named_queries


def run(api: httpx.Client, name: str, status: int = 200, **parameters: Any) -> dict[str, Any]:
    answer = api.post(f"/v1/queries/{name}", json={"parameters": parameters})
    assert answer.status_code == status, answer.text
    body: dict[str, Any] = answer.json()
    return body


def rows(api: httpx.Client, name: str, **parameters: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = run(api, name, **parameters)["rows"]
    return found


def test_each_file_is_a_query_that_says_what_it_is(api: httpx.Client) -> None:
    listed = api.get("/v1/queries").json()["items"]
    files = {name for name in load_schema().statements if name.startswith("queries/")}
    assert {f"queries/{query['name']}" for query in listed} == files
    for query in listed:
        assert query["meaning"].endswith(".")
        assert query["columns"]
        assert all(parameter["meaning"] for parameter in query["parameters"])
    [limit] = [p for p in listed[0]["parameters"] if p["name"] == "limit"]
    assert (limit["type"], limit["required"], limit["default"]) == ("integer", False, 20)


def test_every_query_runs(api: httpx.Client) -> None:
    entity = rows(api, "most_connected_entities", limit=1)[0]["entity_id"]
    known = {
        "entity_id": entity,
        "item_id": item_id(1),
        "other_id": item_id(1 + TASTES),
        "user_id": user_id(1),
    }
    for name, query in named_queries().items():
        needed = {p.name: known[p.name] for p in query.parameters if p.required}
        found = run(api, name, **needed)
        assert found["cut"] is None
        if found["rows"]:
            assert found["columns"] == query.columns, name
        elif name not in ("unexplained_items", "cold_items"):
            pytest.fail(f"{name} found nothing")


def test_what_queries_find_agrees_with_the_rest_of_the_api(api: httpx.Client) -> None:
    [hub] = rows(api, "most_connected_entities", type="Genre", limit=1)
    assert hub["types"] == ["Genre"]
    of_hub = rows(api, "items_of_entity", entity_id=hub["entity_id"], limit=1000)
    assert 0 < len(of_hub) <= hub["items"]  # which counts hidden items, too
    facts = api.get(f"/v1/items/{of_hub[0]['item_id']}").json()["facts"]
    assert hub["entity_id"] in {fact["entity_id"] for fact in facts}
    together = rows(api, "co_consumed_items", item_id=item_id(1), limit=5)
    assert [row["users"] for row in together] == sorted(
        (row["users"] for row in together), reverse=True
    )
    assert item_id(1) not in {row["item_id"] for row in together}
    [alike] = rows(api, "users_alike", user_id=user_id(1), at_least=1)
    assert alike["users"] >= rows(api, "users_alike", user_id=user_id(1), at_least=4)[0]["users"]
    coverage = {row["relation"]: row for row in rows(api, "fact_coverage")}
    assert coverage["HAS_GENRE"]["items"] >= hub["items"]
    assert rows(api, "suggested_items", item_id=item_id(1))[0]["weight"]


@pytest.mark.parametrize(
    ("name", "parameters", "status", "said"),
    [
        ("nothing", {}, 404, "no such query"),
        ("items_of_entity", {}, 422, "needs a parameter"),
        ("items_of_entity", {"entity_id": 1}, 422, "type string"),
        ("items_of_entity", {"entity_id": "x", "limit": -1}, 422, "type integer"),
        ("items_of_entity", {"entity_id": "x", "limit": True}, 422, "type integer"),
        ("items_of_entity", {"entity_id": "x", "limit": 2**70}, 422, ""),
        ("items_of_entity", {"entity_id": "x", "depth": 1}, 422, "no such parameter"),
    ],
)
def test_wrong_parameters_are_named(
    api: httpx.Client, name: str, parameters: dict[str, Any], status: int, said: str
) -> None:
    assert said in run(api, name, status, **parameters)["what"]


def test_a_header_without_a_type_is_an_error() -> None:
    from kgrec.serving.queries import _described

    body = "RETURN $x AS x"
    wrong = Statement(
        name="queries/wrong",
        header="p\n$x: something\nreturns: x",
        body=body,
        slots=frozenset(),
        parameters=frozenset({"x"}),
    )
    with pytest.raises(SchemaError, match="no type and meaning"):
        _described(wrong)


def test_what_is_hidden_is_in_no_recipe_and_in_no_stored_list(
    api: httpx.Client, store: GraphStore
) -> None:
    [genre] = rows(api, "most_connected_entities", type="Genre", limit=1)
    asked = {"entity_id": genre["entity_id"], "limit": 1000}

    def shown() -> dict[str, set[str]]:
        near = api.get(f"/v1/nodes/user/{user_id(1)}/neighbours?relation=RECOMMENDED").json()
        return {
            "entity": {row["item_id"] for row in rows(api, "items_of_entity", **asked)},
            "suggested": {row["item_id"] for row in rows(api, "suggested_items", **of_item)},
            "together": {row["item_id"] for row in rows(api, "co_consumed_items", **of_item)},
            "stored": {one["node"]["id"] for one in near["items"]},
        }

    of_item = {"item_id": item_id(1), "limit": 1000}
    first = rows(api, "suggested_items", **of_item)[0]["item_id"]
    rated = rows(api, "co_consumed_items", **of_item)[0]["item_id"]
    known = rows(api, "items_of_entity", **asked)[0]["item_id"]
    hidden = {first, rated, known}
    store.query(
        "MATCH (u:User {user_id: $user}) UNWIND $items AS id MATCH (i:Item {item_id: id}) "
        "CREATE (u)-[:RECOMMENDED {rank: 1, score: 1.0, model_id: 'serving'}]->(i)",
        {"user": user_id(1), "items": sorted(hidden)},
        writing=True,
    )
    before = shown()
    assert all(before[name] & hidden for name in before), before
    past = "2020-01-01T00:00:00Z"
    for item in hidden:  # `available = false` would take the stored ones out by itself
        assert api.patch(f"/v1/items/{item}", json={"expires_at": past}).status_code == 200
    try:
        after = shown()
        assert not any(after[name] & hidden for name in after)
        assert all(before[name] - hidden == after[name] for name in after)
    finally:
        for item in hidden:
            api.patch(f"/v1/items/{item}", json={"expires_at": None})
