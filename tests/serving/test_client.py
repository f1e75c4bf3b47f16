"""The typed client against a running server: every operation, its errors, and its retries."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, ClassVar

import httpx
import pytest
from planted import item_id, user_id

from kgrec.client import (
    ApiError,
    AsyncClient,
    Client,
    KeyNotAllowedError,
    KeyNotKnownError,
    RequestRefusedError,
    ResourceNotFoundError,
    RetryConfig,
    ServerUnavailableError,
    TooManyRequestsError,
    calls,
)
from kgrec.client.calls import Call

USER = user_id(1)
ITEM = item_id(5)
SLASHED = "u1/feedback/100 %"

ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "recommend": (USER,),
    "explain": (USER, "…"),
    "recommend_for": ([item_id(2), item_id(6)],),
    "explain_for": ([item_id(2), item_id(6)], "…"),
    "similar": (ITEM,),
    "send_feedback": (SLASHED, ITEM, "like"),
    "send_interactions": ([{"user_id": SLASHED, "item_id": ITEM, "kind": "view"}],),
    "withdraw_feedback": (SLASHED, ITEM),
    "users": ("u00",),
    "user": (USER,),
    "history": (USER,),
    "erase_user": (SLASHED,),
    "items": ("film",),
    "item": (ITEM,),
    "put_items": (
        [{"item_id": "new/1", "title": "A new film", "year": 1999, "director": "Nil Novi"}],
    ),
    "change_item": ("new/1", {"year": 2000}),
    "correct": ("new/1", "DIRECTED_BY", "Nil Novi", "confirm"),
    "delete_entity": ("Person:nil novi",),
    "delete_item": ("new/1",),
    "entities": ("comedy",),
    "entity": ("…",),
    "neighbours": ("item", ITEM),
    "paths": (ITEM, item_id(1)),
    "cypher": ("MATCH (i:Item) RETURN count(i) AS n",),
    "queries": (),
    "run_query": ("fact_coverage",),
    "health": (),
    "readiness": (),
    "model": (),
}
"""What each method is called with; `…` is filled by the test."""


@pytest.fixture
def client(address: str) -> Iterator[Client]:
    with Client(address) as client:
        yield client


def built(name: str) -> Call[Any]:
    call: Call[Any] = getattr(calls, name)(*ARGUMENTS[name])
    return call


def test_every_operation_of_the_api_has_a_method(api: httpx.Client) -> None:
    described = api.get("/openapi.json").json()["paths"]
    operations = {
        (method.upper(), path) for path, methods in described.items() for method in methods
    }
    assert {(built(name).method, built(name).template) for name in ARGUMENTS} == operations
    for kind in (Client, AsyncClient):
        assert {name for name in ARGUMENTS if not hasattr(kind("http://x"), name)} == set()


def test_every_parameter_of_the_api_can_be_sent(api: httpx.Client) -> None:
    described = api.get("/openapi.json").json()["paths"]
    for name in ARGUMENTS:
        call = built(name)
        operation = described[call.template][call.method.lower()]
        known = {p["name"] for p in operation.get("parameters", ()) if p["in"] == "query"}
        assert set(call.query) == known, name
        assert bool(call.body is not None) == ("requestBody" in operation), name


def test_answers_are_records(client: Client) -> None:
    found = client.recommend(USER, k=3, filters=["year>=1950"], diversity=0.2)
    assert len(found.items) == 3
    best = found.items[0]
    explained = client.explain(USER, best.item_id, request_id=found.request_id)
    assert explained.score == pytest.approx(best.score)
    assert client.item(best.item_id).title == best.title
    assert client.entities("comedy").items[0].type == "Genre"
    assert client.neighbours("item", ITEM, relations=["HAS_GENRE"]).items[0].direction == "out"
    count = client.cypher("MATCH (i:Item) RETURN count(i) AS n").rows[0]["n"]
    assert client.run_query("cold_items", {"limit": 5}, rows=2).columns or count
    first = client.items(limit=2)
    second = client.items(limit=2, cursor=first.next)
    assert not {i.item_id for i in first.items} & {i.item_id for i in second.items}


def test_each_method_is_answered(client: Client) -> None:
    best = client.recommend_for(*ARGUMENTS["recommend_for"]).items[0].item_id
    genre = client.entities("comedy").items[0].entity_id
    for name, arguments in ARGUMENTS.items():
        filled = [genre if name == "entity" and a == "…" else a for a in arguments]
        if name == "explain":
            filled = [USER, client.recommend(USER).items[0].item_id]
        if name == "explain_for":
            filled = [arguments[0], best]
        answer = getattr(client, name)(*filled)
        assert (answer is None) == (name in ("erase_user", "delete_item", "delete_entity"))
    with pytest.raises(ResourceNotFoundError):
        client.user(SLASHED)


def test_the_same_for_asyncio(address: str) -> None:
    async def run() -> None:
        async with AsyncClient(address) as client:
            one, two = await asyncio.gather(client.recommend(USER, k=2), client.item(ITEM))
            assert len(one.items) == 2
            assert two.item_id == ITEM
            with pytest.raises(ResourceNotFoundError):
                await client.item("nothing")

    asyncio.run(run())


def test_problems_are_errors(client: Client, locked: Callable[[str | None], httpx.Client]) -> None:
    with pytest.raises(ResourceNotFoundError, match="there is no such item") as missing:
        client.item("nothing")
    assert missing.value.http_status == 404
    assert missing.value.value == "nothing"
    assert "GET /v1/items" in missing.value.remedy
    with pytest.raises(RequestRefusedError, match="k"):
        client.recommend(USER, k=1000)
    with pytest.raises(KeyNotAllowedError, match="only read"):
        client.cypher("CREATE (n)")
    url = str(locked(None).base_url)
    with Client(url) as nobody, pytest.raises(KeyNotKnownError):
        nobody.model()
    with Client(url, key="reader-key") as reader:
        assert reader.model().items
        with pytest.raises(KeyNotAllowedError):
            reader.erase_user(USER)


class _Script(BaseHTTPRequestHandler):
    """Answers with one status after the other."""

    answers: ClassVar[list[tuple[int, dict[str, str]]]]
    seen: ClassVar[list[tuple[str, float]]]

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        self.rfile.read(length)
        type(self).seen.append((self.path, time.monotonic()))
        status, headers = self.answers.pop(0)
        body = b'{"status": "ok", "version": "1"}' if status == 200 else b"{}"
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = _answer

    def log_message(self, *_: Any) -> None:
        """Be quiet."""


@contextmanager
def scripted(*answers: tuple[int, dict[str, str]]) -> Iterator[tuple[str, type[_Script]]]:
    script = type("Script", (_Script,), {"answers": list(answers), "seen": []})
    server = HTTPServer(("127.0.0.1", 0), script)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", script
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


QUICK = RetryConfig(attempts=3, pause=0.01, longest=2.0)


def test_calls_that_cannot_count_twice_are_made_again() -> None:
    with (
        scripted((503, {"Retry-After": "1"}), (502, {}), (200, {})) as (url, script),
        Client(url, retry=QUICK) as client,
    ):
        assert client.health().status == "ok"
        times = [at for _, at in script.seen]
    assert len(times) == 3
    assert times[1] - times[0] >= 1.0
    assert times[2] - times[1] < 1.0
    with scripted((503, {}), (503, {}), (503, {})) as (url, script), Client(url, retry=QUICK) as c:
        with pytest.raises(ServerUnavailableError) as failed:
            c.health()
        assert (failed.value.http_status, len(script.seen)) == (503, 3)


def test_a_pause_longer_than_allowed_is_not_waited_for() -> None:
    with (
        scripted((429, {"Retry-After": "60"})) as (url, script),
        Client(url, retry=QUICK) as client,
    ):
        with pytest.raises(TooManyRequestsError):
            client.health()
        assert len(script.seen) == 1


def test_what_may_count_twice_is_not_sent_again() -> None:
    with scripted((503, {}), (503, {})) as (url, script), Client(url, retry=QUICK) as client:
        with pytest.raises(ServerUnavailableError):
            client.send_feedback("u", "i", "like")
        assert len(script.seen) == 1
    with scripted((503, {}), (503, {}), (503, {})) as (url, script), Client(url, retry=QUICK) as c:
        with pytest.raises(ServerUnavailableError):
            c.send_feedback("u", "i", "like", idempotency_key="once")
        assert len(script.seen) == 3


def test_a_server_that_is_away_is_named() -> None:
    with Client("http://127.0.0.1:9", retry=QUICK) as client:
        with pytest.raises(ServerUnavailableError, match="does not answer") as failed:
            client.health()
        assert failed.value.http_status == 0
        assert isinstance(failed.value, ApiError)


def test_methods_have_the_signature_and_the_words_of_their_calls() -> None:
    for name in ARGUMENTS:
        for kind in (Client, AsyncClient):
            method = getattr(kind("http://x"), name)
            assert method.__doc__
            assert inspect.signature(method).parameters == (
                inspect.signature(getattr(calls, name)).parameters
            )


def test_importing_the_client_imports_no_torch() -> None:
    code = (
        "import sys, kgrec.client;"
        " print(sorted({'torch', 'transformers', 'fastapi'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
