"""A caller's own statement over HTTP: what it may do, how much of it comes back, and for whom."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from planted import item_id, user_id

from kgrec.graph.store import GraphStore


def run(api: httpx.Client, statement: str, status: int = 200, **more: Any) -> dict[str, Any]:
    answer = api.post("/v1/cypher", json={"statement": statement, **more})
    assert answer.status_code == status, answer.text
    body: dict[str, Any] = answer.json()
    return body


def test_rows_come_as_objects_in_the_order_of_the_columns(api: httpx.Client) -> None:
    found = run(
        api,
        "MATCH (i:Item {item_id: $id}) RETURN i.title AS title, i, datetime('2026-01-01') AS at,"
        " 0.0 / 0.0 AS none, [1, 2] AS list",
        parameters={"id": item_id(5)},
    )
    assert found["columns"] == ["title", "i", "at", "none", "list"]
    [row] = found["rows"]
    assert row["i"]["title"] == row["title"]
    assert "Item" in row["i"]["labels"]
    assert (row["at"], row["none"], row["list"]) == ("2026-01-01T00:00:00+00:00", None, [1, 2])
    assert found["cut"] is None
    assert found["milliseconds"] > 0


def test_an_answer_says_what_cut_it(api: httpx.Client) -> None:
    every = "MATCH (i:Item) RETURN i.item_id AS id ORDER BY id"
    found = run(api, every, limits={"rows": 2})
    assert ([row["id"] for row in found["rows"]], found["cut"]) == (
        [item_id(0), item_id(1)],
        "rows",
    )
    assert run(api, every, limits={"bytes": 50})["cut"] == "bytes"
    slow = "UNWIND range(1, 100000) AS x UNWIND range(1, 100000) AS y RETURN sum(x * y) AS s"
    problem = run(api, slow, 504, limits={"seconds": 0.2})
    assert "longer than 0.2 seconds" in problem["what"]


def test_what_writes_is_forbidden(api: httpx.Client, store: GraphStore) -> None:
    before = store.query("MATCH (n) RETURN count(n) AS n").rows
    for statement in ("MATCH (n) DETACH DELETE n", "CREATE (:Evil)", "CALL db.createLabel('E')"):
        problem = run(api, statement, 403)
        assert problem["what"].startswith("the statement does not only read the graph")
        assert problem["remedy"]
    assert store.query("MATCH (n) RETURN count(n) AS n").rows == before


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"statement": "MATCH (n) RETRUN n"}, "SyntaxError"),
        ({"statement": "RETURN $absent AS x"}, "absent"),
        ({"statement": "RETURN toInteger([1]) AS x"}, ""),
        ({"statement": "SHOW USERS"}, ""),
        ({"statement": " ; "}, "no statement"),
        ({"statement": "\ud800"}, ""),
        ({"statement": "RETURN $x AS x", "parameters": {"x": 2**63}}, ""),
        ({"statement": "RETURN $x AS x", "parameters": {"x": "\udc00"}}, ""),
        ({"statement": "RETURN 1 AS x", "limits": {"rows": 0}}, ""),
        ({"statement": "RETURN 1 AS x", "wriing": True}, ""),
    ],
)
def test_what_is_wrong_is_said(api: httpx.Client, body: dict[str, Any], said: str) -> None:
    answer = api.post(
        "/v1/cypher", content=json.dumps(body), headers={"Content-Type": "application/json"}
    )
    assert answer.status_code in (403, 422), answer.text
    assert said in answer.json()["what"]
    assert answer.headers["content-type"] == "application/problem+json"


def test_deep_parameters_are_refused(api: httpx.Client) -> None:
    deep: Any = 1
    for _ in range(60):
        deep = [deep]
    run(api, "RETURN $x AS x", 422, parameters={"x": deep})


def test_only_analysts_may(locked: Callable[[str | None], httpx.Client]) -> None:
    statement = {"statement": "MATCH (u:User) RETURN u.user_id AS id ORDER BY id LIMIT 1"}
    for key, status in (
        (None, 401),
        ("reader-key", 403),
        ("writer-key", 403),
        ("analyst-key", 200),
        ("admin-key", 200),
    ):
        answer = locked(key).post("/v1/cypher", json=statement)
        assert answer.status_code == status, key
    assert answer.json()["rows"] != [{"id": user_id(1)}]
    feedback = {"user_id": "eve", "item_id": item_id(1), "kind": "like"}
    assert locked("analyst-key").post("/v1/feedback", json=feedback).status_code == 403
