"""Many interactions at once: all in the graph when they are acknowledged, each counted once."""

from __future__ import annotations

import json
import os
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest
from planted import item_id

from kgrec.data.sources import EventKind, Source
from kgrec.graph.store import GraphStore
from kgrec.stages.following.follow import Follower
from kgrec.stages.following.lines import Pipe
from kgrec.stages.ingest import ingest, prepare
from kgrec.stages.resolving.merging import Pair, merge
from kgrec.stages.resolving.undoing import undo

AT = "2026-03-01T12:00:00.123Z"


@pytest.fixture
def visitor() -> str:
    """An id that no user has yet."""
    return f"visitor-{uuid.uuid4()}"


def send(api: httpx.Client, rows: list[Any], *, lines: bool = False) -> httpx.Response:
    if lines:
        content = "\n".join(json.dumps(row) for row in rows)
        headers = {"Content-Type": "application/x-ndjson"}
        return api.post("/v1/interactions", content=content, headers=headers)
    return api.post("/v1/interactions", json=rows)


def history(store: GraphStore, user: str) -> list[tuple[str, str, float]]:
    rows = store.read(
        "serving/history", user_id=user, before=2**53, after_item="", after_key="", limit=1000
    )
    return sorted((row["item_id"], row["kind"], row["value"]) for row in rows)


@pytest.mark.parametrize("lines", [False, True])
def test_rows_are_there_when_they_are_acknowledged_and_count_once(
    api: httpx.Client, store: GraphStore, visitor: str, lines: bool
) -> None:
    rows = [
        {"user_id": visitor, "item_id": item_id(3), "kind": "like", "at": AT},
        {"user_id": visitor, "item_id": item_id(4), "kind": "rating", "value": 2.5, "at": AT},
        {"user_id": visitor, "item_id": item_id(3), "kind": "like", "at": AT},
        {"user_id": visitor, "item_id": item_id(5), "kind": "view", "idempotency_key": "once"},
    ]
    answer = send(api, rows, lines=lines)
    assert answer.status_code == 200
    assert answer.json() == {"created": 3, "known": 1, "rejected": 0, "rejects": []}
    expected = sorted(
        [(item_id(3), "like", 1.0), (item_id(4), "rating", 2.5), (item_id(5), "view", 1.0)]
    )
    assert history(store, visitor) == expected
    again = send(api, rows, lines=lines).json()
    assert (again["created"], again["known"]) == (0, 4)
    assert history(store, visitor) == expected
    single = {"user_id": visitor, "item_id": item_id(3), "kind": "like", "at": AT}
    assert api.post("/v1/feedback", json=single).status_code == 200  # the same interaction
    shown = api.get(f"/v1/users/{visitor}/recommendations").json()
    assert shown["fallback"] is None
    assert not {item["item_id"] for item in shown["items"]} & {item_id(3), item_id(4), item_id(5)}


def test_rows_of_no_use_are_set_aside_and_counted(
    api: httpx.Client, store: GraphStore, visitor: str
) -> None:
    good = {"user_id": visitor, "item_id": item_id(3), "kind": "like", "at": AT}
    rows = [
        good,
        {**good, "item_id": "there is none"},
        {**good, "kind": "stare"},
        {**good, "at": "2999-01-01T00:00:00Z"},
        {**good, "surprise": 1},
        {**good, "value": "much"},
        ["no object"],
        {**good, "item_id": "there is none"},
        {**good, "user_id": ""},
    ]
    found = send(api, rows).json()
    assert (found["created"], found["known"], found["rejected"]) == (1, 0, 8)
    assert [each["line"] for each in found["rejects"]] == [2, 3, 4, 5, 6, 7, 8, 9]
    assert found["rejects"][0]["reason"] == "item_id: there is no such item"
    assert history(store, visitor) == [(item_id(3), "like", 1.0)]


def test_events_are_read_as_tables_of_interactions_are(
    api: httpx.Client, store: GraphStore, visitor: str, tmp_path: Path
) -> None:
    table = tmp_path / "gazes.csv"
    table.write_text(f"user_id,item_id,event\nev-{visitor},{item_id(1)},Gaze\n")
    kinds = {"gaze": EventKind(kind="view", weight=0.5), "advert": EventKind(kind="")}
    source = Source(kind="interactions", path=table, kinds=kinds)
    ingest(store, prepare(source, "movies", cache=tmp_path), home=tmp_path)
    rows = [
        {"user_id": visitor, "item_id": item_id(1), "kind": "gaze", "at": AT},
        {"user_id": visitor, "item_id": item_id(2), "kind": "GAZE", "value": 2.0, "at": AT},
        {"user_id": visitor, "item_id": item_id(3), "kind": "add_to_cart", "at": AT},
        {"user_id": visitor, "item_id": item_id(4), "kind": "advert", "at": AT},
        {"user_id": visitor, "item_id": item_id(5), "kind": "stare", "at": AT},
    ]
    found = send(api, rows).json()
    assert [each["line"] for each in found["rejects"]] == [4, 5]
    reasons = [each["reason"] for each in found["rejects"]]
    assert [each["value"] for each in found["rejects"]] == ["advert", "stare"]
    assert "left out" in reasons[0]
    assert all(name in reasons[1] for name in ("view", "purchase", "gaze"))
    wanted = [("view", 0.5), ("view", 2.0), ("cart", 1.0)]
    assert history(store, visitor) == [(item_id(n), *one) for n, one in enumerate(wanted, 1)]


def test_a_body_without_rows_is_refused(api: httpx.Client) -> None:
    for body in ("", "[]", "3", "{not json"):
        headers = {"Content-Type": "application/json"}
        answer = api.post("/v1/interactions", content=body, headers=headers)
        assert answer.status_code in (400, 422)
        assert "interaction" in answer.json()["what"]


def test_a_thousand_rows_in_one_request(api: httpx.Client, store: GraphStore, visitor: str) -> None:
    rows = [
        {"user_id": visitor, "item_id": item_id(n % 50), "kind": "view", "idempotency_key": str(n)}
        for n in range(1000)
    ]
    assert send(api, rows, lines=True).json()["created"] == 1000
    assert len(history(store, visitor)) == 1000


def test_a_log_that_is_followed_changes_lists(
    api: httpx.Client, store: GraphStore, visitor: str, tmp_path: Path
) -> None:
    path = f"/v1/users/{visitor}/recommendations"
    seen = [item_id(n) for n in (3, 4, 5)]
    lines = "".join(
        json.dumps({"user_id": visitor, "item_id": item, "event": "like", "ts": 1_700_000_000 + n})
        + "\n"
        for n, item in enumerate(seen)
    )
    out, into = os.pipe()
    source = Source(kind="interactions", path=Path("-"))
    follower = Follower(store, source, "movies", f"pipe of {visitor}", home=tmp_path)
    os.write(into, lines.encode())
    assert api.get(path).json()["fallback"] is not None
    during: list[httpx.Response] = []
    with os.fdopen(out, "rb") as stream:
        done = follower.run(
            Pipe(stream),
            stop=lambda: bool(during),
            on_batch=lambda _: during.append(api.get(path)),
        )
    os.close(into)
    assert done.created == 3
    shown = during[0].json()
    assert shown["fallback"] is None
    assert shown["items"]
    assert not {item["item_id"] for item in shown["items"]} & set(seen)


def test_what_names_a_merged_item_reaches_the_kept_one(
    api: httpx.Client, store: GraphStore, visitor: str
) -> None:
    kept, merged = item_id(3), item_id(4)
    rows = [{"user_id": visitor, "item_id": merged, "kind": "like", "at": AT}]
    assert send(api, rows).json()["created"] == 1
    merge_id = merge(store, Pair("item", kept, merged))
    try:
        assert history(store, visitor) == [(kept, "like", 1.0)]
        assert send(api, rows).json() == {"created": 0, "known": 1, "rejected": 0, "rejects": []}
        seen = {"user_id": visitor, "item_id": merged, "kind": "view", "at": AT}
        assert api.post("/v1/feedback", json=seen).status_code == 201
        assert history(store, visitor) == [(kept, "like", 1.0), (kept, "view", 1.0)]
        listed = api.get(f"/v1/users/{visitor}/recommendations", params={"k": 50}).json()["items"]
        assert listed
        assert not {kept, merged} & {one["item_id"] for one in listed}
    finally:
        undo(store, merge_id)
    assert history(store, visitor) == [(kept, "view", 1.0), (merged, "like", 1.0)]
