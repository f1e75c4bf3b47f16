"""Feedback: committed before it is acknowledged, once however often sent, heard at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from planted import item_id, user_id

from kgrec.graph.store import GraphStore

AT = "2026-03-01T12:00:00.123Z"


@pytest.fixture
def visitor() -> str:
    """An id that no user has yet."""
    return f"visitor-{uuid.uuid4()}"


def send(api: httpx.Client, user: str, item: str, key: str | None = None, **more: Any) -> Any:
    headers = {} if key is None else {"Idempotency-Key": key}
    body = {"user_id": user, "item_id": item, "kind": "like", **more}
    headers |= {"Content-Type": "application/json"}
    return api.post("/v1/feedback", content=json.dumps(body), headers=headers)


def history(store: GraphStore, user: str) -> list[dict[str, Any]]:
    return store.read(
        "serving/history", user_id=user, before=2**53, after_item="", after_key="", limit=100
    )


def test_it_is_in_the_graph_when_it_is_acknowledged(
    api: httpx.Client, store: GraphStore, visitor: str
) -> None:
    answer = send(api, visitor, item_id(3), at=AT)
    assert answer.status_code == 201
    assert answer.json()["created"]
    assert answer.json()["at"] == "2026-03-01T12:00:00.123000Z"
    [entry] = history(store, visitor)
    assert (entry["item_id"], entry["kind"], entry["value"]) == (item_id(3), "like", 1.0)


def test_likes_change_the_next_recommendation(api: httpx.Client, visitor: str) -> None:
    path = f"/v1/users/{visitor}/recommendations?k=10"
    before = api.get(path).json()
    assert before["fallback"] == "unknown_user"
    for number in (2, 6):
        assert send(api, visitor, item_id(number)).status_code == 201
    after = api.get(path).json()
    assert after["fallback"] is None
    assert not {item_id(2), item_id(6)} & {item["item_id"] for item in after["items"]}
    assert sum(int(item["item_id"][1:]) % 4 == 2 for item in after["items"]) >= 7


def test_a_dislike_takes_the_item_out_of_what_speaks(api: httpx.Client, visitor: str) -> None:
    send(api, visitor, item_id(2))
    send(api, visitor, item_id(2), kind="dislike")
    found = api.get(f"/v1/users/{visitor}/recommendations").json()
    assert found["fallback"] == "empty_history"
    assert item_id(2) not in {item["item_id"] for item in found["items"]}


def test_a_dislike_can_be_taken_back(api: httpx.Client, store: GraphStore, visitor: str) -> None:
    send(api, visitor, item_id(2), kind="rating", value=5, at=AT)
    send(api, visitor, item_id(2), kind="dislike")
    answer = api.delete(f"/v1/users/{visitor}/feedback/{item_id(2)}")
    assert answer.json() == {"withdrawn": 1}
    assert [entry["kind"] for entry in history(store, visitor)] == ["rating"]
    assert api.delete(f"/v1/users/{visitor}/feedback/{item_id(2)}").json() == {"withdrawn": 0}
    assert api.delete(f"/v1/users/nobody/feedback/{item_id(2)}").status_code == 404


@pytest.mark.parametrize("how", [{"at": AT}, {"key": "3f1c"}])
def test_sent_twice_it_is_there_once(
    api: httpx.Client, store: GraphStore, visitor: str, how: dict[str, str]
) -> None:
    first = send(api, visitor, item_id(3), **how)
    again = send(api, visitor, item_id(3), **how)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == {**again.json(), "created": True}
    assert len(history(store, visitor)) == 1


def test_sent_by_many_at_once_it_is_there_once(
    api: httpx.Client, store: GraphStore, visitor: str
) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: send(api, visitor, item_id(3), key="once"), range(16)))
    assert sorted(answer.status_code for answer in answers) == [200] * 15 + [201]
    assert len(history(store, visitor)) == 1


def test_one_idempotency_key_is_for_one_request(api: httpx.Client, visitor: str) -> None:
    send(api, visitor, item_id(3), key="k")
    answer = send(api, visitor, item_id(3), key="k", kind="dislike")
    assert answer.status_code == 422
    assert "Idempotency-Key" in answer.json()["what"]


def test_an_empty_idempotency_key_loses_nothing(api: httpx.Client, visitor: str) -> None:
    assert send(api, visitor, item_id(3), key="").status_code == 422


def test_a_user_whose_id_holds_slashes_is_read_and_erased(api: httpx.Client, visitor: str) -> None:
    user = f"team/{visitor}/history of/7"
    assert send(api, user, item_id(3)).status_code == 201
    path = f"/v1/users/{quote(user, safe='')}"
    assert api.get(path).json()["user_id"] == user
    assert len(api.get(f"{path}/history").json()["items"]) == 1
    best = api.get(f"{path}/recommendations?k=1").json()["items"][0]["item_id"]
    assert api.get(f"{path}/recommendations/{best}/explanation").status_code == 200
    assert api.delete(f"{path}/feedback/{item_id(3)}").json() == {"withdrawn": 1}
    assert api.delete(path).status_code == 204
    assert api.get(path).status_code == 404


def test_an_id_that_looks_like_a_path_is_that_of_its_own_user(
    api: httpx.Client, store: GraphStore, visitor: str
) -> None:
    other = f"{visitor}/feedback/{item_id(3)}"
    for user in (visitor, other):
        assert send(api, user, item_id(3), kind="like").status_code == 201
    assert api.get(f"/v1/users/{quote(other, safe='')}").json()["user_id"] == other
    assert api.delete(f"/v1/users/{quote(other, safe='')}").status_code == 204
    assert [entry["kind"] for entry in history(store, visitor)] == ["like"]
    assert api.delete(f"/v1/users/{visitor}/feedback/{item_id(3)}").json() == {"withdrawn": 1}


@pytest.mark.parametrize("tail", ["feedback/{item}", "history", "recommendations", "a%2Fhistory"])
def test_a_path_with_an_unencoded_slash_never_means_two_things(
    api: httpx.Client, store: GraphStore, visitor: str, tail: str
) -> None:
    user = f"{visitor}/a"
    assert send(api, user, item_id(3)).status_code == 201
    assert api.get(f"/v1/users/{user}").json()["user_id"] == user  # one meaning: still served
    answer = api.delete(f"/v1/users/{user}/{tail.format(item=item_id(3))}")
    assert answer.status_code == 404
    assert "%2F" in answer.json()["remedy"]
    assert len(history(store, user)) == 1


def test_a_path_that_is_no_text_is_refused(api: httpx.Client) -> None:
    assert api.get("/v1/users/%ff").status_code == 400


def test_a_like_of_tomorrow_is_refused(api: httpx.Client, store: GraphStore, visitor: str) -> None:
    now = datetime.now(UTC)
    tomorrow = (now + timedelta(hours=20)).isoformat()
    assert send(api, visitor, item_id(2), at=tomorrow).status_code == 422
    skewed = (now + timedelta(seconds=30)).isoformat()
    assert send(api, visitor, item_id(2), at=skewed).status_code == 201
    assert len(history(store, visitor)) == 1


def test_views_at_different_times_are_different_events(
    api: httpx.Client, store: GraphStore, visitor: str
) -> None:
    for second in range(3):
        send(api, visitor, item_id(3), kind="view", at=f"2026-03-01T12:00:0{second}Z")
    assert len(history(store, visitor)) == 3


def test_an_unknown_item_leaves_no_user_behind(api: httpx.Client, visitor: str) -> None:
    answer = send(api, visitor, "nothing")
    assert answer.status_code == 404
    assert answer.json()["value"] == "nothing"
    assert api.get(f"/v1/users/{visitor}").status_code == 404


@pytest.mark.parametrize(
    "more",
    [
        {"kind": "lick"},
        {"value": "five"},
        {"value": -1},
        {"kind": "rating", "value": 1e300},
        {"kind": "\ud800"},
        {"at": "yesterday"},
        {"at": "2026-03-01T12:00:00"},
        {"at": "2999-01-01T00:00:00Z"},
        {"user_id": ""},
        {"user_id": "a\nb"},
        {"item_id": 7},
        {"surplus": 1},
    ],
)
def test_a_body_of_no_use_is_422(api: httpx.Client, visitor: str, more: dict[str, Any]) -> None:
    answer = send(api, visitor, item_id(3), **more)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["where"].startswith("body")
    assert api.get(f"/v1/users/{visitor}").status_code == 404


def test_text_that_is_no_json_is_refused(api: httpx.Client) -> None:
    body = '{"user_id": "a", "item_id": "b", "kind": "like"}'
    plain = api.post("/v1/feedback", content=body, headers={"Content-Type": "text/plain"})
    assert plain.status_code == 415
    assert api.post("/v1/feedback", content=body).status_code == 415
    broken = {"Content-Type": "application/json"}
    assert api.post("/v1/feedback", content=body[:-1], headers=broken).status_code == 422
    assert api.post("/v1/feedback", content=b"\xff", headers=broken).status_code in (400, 422)


def test_erasing_a_user_leaves_nothing(api: httpx.Client, store: GraphStore, visitor: str) -> None:
    send(api, visitor, item_id(3))
    assert api.delete(f"/v1/users/{visitor}").status_code == 204
    assert api.get(f"/v1/users/{visitor}").status_code == 404
    assert history(store, visitor) == []
    assert api.delete(f"/v1/users/{visitor}").status_code == 404
    assert api.get(f"/v1/users/{user_id(1)}").status_code == 200


def test_the_benchmark_counts_what_it_wrote(address: str, home: Path, store: GraphStore) -> None:
    script = Path(__file__).parents[2] / "examples" / "benchmarks" / "feedback.py"
    numbers = ["--changes", "3", "--posts", "20", "--number", "300"]
    kept = {name: one for name, one in os.environ.items() if not name.startswith("KGREC_")}
    done = subprocess.run(
        [sys.executable, str(script), "--url", address, *numbers],
        env={**kept, "KGREC_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["same_key"] == {"sent": 6, "statuses": {"200": 3, "201": 3}, "interactions": 3}
    assert found["posts"]["there"] == 20
    assert found["rows"]["there"] == found["rows"]["known_the_second_time"] == 300
    assert found["batch"]["there"] == found["batch"]["there_after_the_second_time"] == 300
    assert found["changes"]["changed_list_ms"]["p50"] >= found["changes"]["post_ms"]["p50"]
    users = store.query("MATCH (u:User) WHERE u.user_id STARTS WITH 'benchmark-' RETURN u").rows
    assert users == []
