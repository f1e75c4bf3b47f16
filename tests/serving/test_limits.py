"""What a request may cost, held by the real middleware around applications that misbehave."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from kgrec.serving.config import ServingConfig
from kgrec.serving.security import Limits
from kgrec.serving.server import listen, url_of


@dataclass(frozen=True)
class Sleep:
    """What the sleeping endpoint says, and what ends its sleep."""

    begun: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)


@contextmanager
def running(config: ServingConfig) -> Iterator[tuple[str, Sleep]]:
    """Serve an application that sleeps, breaks and echoes."""
    rest = Sleep()
    app = FastAPI()
    app.add_middleware(Limits, config=config)

    @app.get("/sleep")
    def sleep() -> str:
        rest.begun.set()
        rest.over.wait(20)
        return "slept"

    @app.get("/break")
    def broken() -> str:
        raise RuntimeError("an inner secret")

    @app.post("/length")
    def length(body: dict[str, str]) -> int:
        return len(body["text"])

    bound = listen("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield url_of("127.0.0.1", bound), rest
    finally:
        rest.over.set()
        server.should_exit = True
        thread.join()
        bound.close()


def test_a_long_body_is_413_whether_its_length_is_told_or_not() -> None:
    with running(ServingConfig(max_body_bytes=1000)) as (url, _):
        fits = httpx.post(f"{url}/length", json={"text": "x" * 900})
        assert fits.json() == 900
        told = httpx.post(f"{url}/length", json={"text": "x" * 1000})
        parts = (b'{"text": "', *(b"x" * 100 for _ in range(20)), b'"}')
        json = {"Content-Type": "application/json"}
        untold = httpx.post(f"{url}/length", content=iter(parts), headers=json)
        assert [told.status_code, untold.status_code] == [413, 413]
        assert "1000" in told.json()["what"]


def test_an_answer_that_takes_too_long_is_504() -> None:
    with running(ServingConfig(time_limit_s=0.3)) as (url, _):
        begun = time.monotonic()
        answer = httpx.get(f"{url}/sleep")
        assert answer.status_code == 504
        assert answer.headers["content-type"] == "application/problem+json"
        assert time.monotonic() - begun < 5
        assert httpx.post(f"{url}/length", json={"text": "x"}).json() == 1


def test_a_body_that_never_comes_is_504() -> None:
    with running(ServingConfig(time_limit_s=0.3)) as (url, _):
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=5) as connection:
            connection.sendall(b"POST /length HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{")
            assert b" 504 " in connection.recv(200)


def test_one_request_too_many_is_503_and_told_when_to_come_back() -> None:
    with running(ServingConfig(max_in_flight=1)) as (url, sleep):
        sleeper = threading.Thread(target=httpx.get, args=[f"{url}/sleep"], kwargs={"timeout": 30})
        sleeper.start()
        assert sleep.begun.wait(10)
        answer = httpx.post(f"{url}/length", json={"text": "x"})
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "1"
        sleep.over.set()
        sleeper.join()
        assert httpx.post(f"{url}/length", json={"text": "x"}).status_code == 200


def test_a_body_on_its_way_counts_as_under_way() -> None:
    with running(ServingConfig(max_in_flight=1)) as (url, _):
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=5) as connection:
            connection.sendall(b"POST /length HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{")
            deadline = time.monotonic() + 10
            while httpx.post(f"{url}/length", json={"text": "x"}).status_code != 503:
                assert time.monotonic() < deadline
        while httpx.post(f"{url}/length", json={"text": "x"}).status_code != 200:
            assert time.monotonic() < deadline


def test_a_bug_is_500_without_its_inner_words(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR), running(ServingConfig()) as (url, _):
        answer = httpx.get(f"{url}/break")
    assert answer.status_code == 500
    assert answer.json()["status"] == 500
    assert "secret" not in answer.text
    assert "an inner secret" in caplog.text
