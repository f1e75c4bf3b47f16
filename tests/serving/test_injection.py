"""Statements, templates and paths in every string that a client may send: they stay strings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from planted import item_id, user_id

from kgrec.graph.store import GraphStore

CORPUS = (
    "' OR 1=1 //",
    '"}) DETACH DELETE n //',
    "') MATCH (n) DETACH DELETE n RETURN ('",
    "u0001'}) SET u.admin = true //",
    "`}) CREATE (:Admin) //",
    "$user_id",
    "{user_id}",
    "\\' MATCH (n) DETACH DELETE n //",
    "\\u0027 OR true //",
    "/* */ CALL { MATCH (n) DELETE n } IN TRANSACTIONS",
    "'; DROP INDEX items; //",
    "LOAD CSV FROM 'file:///etc/passwd' AS row RETURN row",
    "CALL dbms.shutdown()",
    "title:* OR *:*",
    'title:"a" AND (',
    "a~ a^9 [a TO z] +- && || ! { } ? : \\ /",
    "__ITEM_TYPE__",
    "${jndi:ldap://127.0.0.1/a}",
    "{{7*7}}${7*7}<%= 7*7 %>",
    "<script>alert(1)</script>",
    "../../../../etc/passwd",
    "..%2f..%2f",
    "%00%0d%0aSet-Cookie: a=b",
    "|| ping -c 1 127.0.0.1",
    "genre=' OR 1=1",
    "year>=1 OR true",
    "\u02bc OR 1=1 //",
    "\uff07) DETACH DELETE n",
    "null",
    "NaN",
    "a" * 500,
)


def census(store: GraphStore) -> dict[str, Any]:
    """Count everything there is, by label and by type, with a sum over what properties hold."""
    nodes = store.query("MATCH (n) RETURN labels(n) AS labels, count(*) AS number", limit=100)
    edges = store.query("MATCH ()-[r]->() RETURN type(r) AS type, count(*) AS number", limit=100)
    users = store.query("MATCH (u:User) RETURN u.user_id AS id, keys(u) AS keys", limit=5000)
    return {
        "nodes": sorted((sorted(row["labels"]), row["number"]) for row in nodes.rows),
        "edges": sorted((row["type"], row["number"]) for row in edges.rows),
        "users": sorted((row["id"], sorted(row["keys"])) for row in users.rows),
    }


def requests(api: httpx.Client, text: str) -> Iterator[httpx.Response]:
    """Send a text wherever a client may send one, feedback apart."""
    part, user, item = quote(text, safe=""), user_id(1), item_id(1)
    for path in ("", "/history", "/recommendations", f"/recommendations/{item}/explanation"):
        yield api.get(f"/v1/users/{part}{path}")
    yield api.get(f"/v1/users/{user}/recommendations/{part}/explanation")
    yield api.get(f"/v1/users/{user}/recommendations", params={"filter": text})
    yield api.get(f"/v1/users/{user}/recommendations", params={"filter": f"genre={text}"})
    yield api.get(f"/v1/users/{user}/recommendations", params={"filter": f"{text}=1"})
    explained = f"/v1/users/{user}/recommendations/{item}/explanation"
    yield api.get(explained, params={"request_id": text})
    for path in ("", "/similar"):
        yield api.get(f"/v1/items/{part}{path}")
    for path in ("/v1/users", "/v1/items"):
        yield api.get(path, params={"q": text})
        yield api.get(path, params={"cursor": text})
    yield api.post("/v1/recommendations", json={"history": [text, item], "filters": [text]})
    yield api.post("/v1/recommendations", json={"history": [text]})
    yield api.post("/v1/explanations", json={"history": [text, item], "item_id": text})
    yield api.post(
        "/v1/explanations", json={"history": [item], "item_id": item, "request_id": text}
    )
    yield api.post("/v1/feedback", json={"user_id": text, "item_id": text, "kind": "like"})
    yield api.post("/v1/feedback", json={"user_id": text, "item_id": item, "kind": text})
    yield api.delete(f"/v1/users/{part}/feedback/{item}")
    yield api.delete(f"/v1/users/{user}/feedback/{part}")
    yield api.delete(f"/v1/users/{part}")


def test_no_text_changes_the_graph_or_breaks_the_server(
    api: httpx.Client, store: GraphStore
) -> None:
    before = census(store)
    for text in CORPUS:
        for answer in requests(api, text):
            assert answer.status_code < 500, (text, answer.request.url, answer.text)
            assert "set-cookie" not in answer.headers
            assert "root:" not in answer.text
    assert census(store) == before


@pytest.mark.parametrize("text", CORPUS)
def test_a_user_of_such_a_name_is_that_user_and_nobody_else(
    api: httpx.Client, store: GraphStore, text: str
) -> None:
    before = census(store)
    feedback = {"user_id": text, "item_id": item_id(2), "kind": "like"}
    headers = {"Idempotency-Key": text[:200].encode("ascii", "replace").decode()}
    assert api.post("/v1/feedback", json=feedback, headers=headers).status_code == 201
    made = census(store)
    assert [user for user in made["users"] if user not in before["users"]] == [(text, ["user_id"])]
    path = f"/v1/users/{quote(text, safe='')}"
    assert api.get(path).json()["user_id"] == text
    assert api.get(f"{path}/history").json()["items"][0]["item_id"] == item_id(2)
    assert api.delete(path).status_code == 204
    assert census(store) == before
