"""What a request may cost, held by the real middleware around applications that misbehave."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field

import httpx
import pytest
import uvicorn
from fastapi import Depends, FastAPI

from kgrec.deadline import check
from kgrec.errors import TimeLimitError
from kgrec.serving.app import router as health
from kgrec.serving.config import ServingConfig
from kgrec.serving.limits import Limits, Slots, expensive
from kgrec.serving.problems import add_handlers
from kgrec.serving.server import listen, server_config, url_of


@dataclass(frozen=True)
class Sleep:
    """What the sleeping endpoint says, and what ends its sleep."""

    begun: threading.Event = field(default_factory=threading.Event)
    stopped: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)


@contextmanager
def running(config: ServingConfig) -> Iterator[tuple[str, Sleep]]:
    """Serve an application that sleeps, breaks and echoes."""
    rest = Sleep()
    app = FastAPI()
    app.add_middleware(Limits, config=config)
    app.include_router(health)
    add_handlers(app, lambda: None, lambda path: ())
    app.state.slots = Slots(config)

    def compute(seconds: float = 20) -> str:
        """Compute until the deadline, as a counterfactual does."""
        rest.begun.set()
        try:
            end = time.monotonic() + seconds
            while time.monotonic() < end and not rest.over.is_set():
                check()
                time.sleep(0.01)
        except TimeLimitError:
            rest.stopped.set()
            raise
        return "computed"

    app.add_api_route("/compute", compute)
    app.add_api_route("/explain", compute, dependencies=[Depends(expensive)])

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
    server = uvicorn.Server(server_config(app, config))
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


BEGUN = b"POST /length HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{"


def connect(url: str) -> socket.socket:
    host, port = url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=5)


def test_a_body_that_never_comes_is_504() -> None:
    with running(ServingConfig(body_time_limit_s=0.3)) as (url, _), connect(url) as connection:
        connection.sendall(BEGUN)
        assert b" 504 " in connection.recv(200)


def test_bodies_that_never_come_keep_nobody_out() -> None:
    limits = ServingConfig(max_in_flight=2)
    with running(limits) as (url, _), ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(connect(url)).sendall(BEGUN)
        assert httpx.get(f"{url}/healthz").status_code == 200
        assert httpx.post(f"{url}/length", json={"text": "x"}).status_code == 200


def test_idle_connections_keep_nobody_out() -> None:
    with running(ServingConfig(max_connections=10)) as (url, _), ExitStack() as stack:
        idle = [stack.enter_context(connect(url)) for _ in range(30)]
        assert httpx.get(f"{url}/healthz").status_code == 200
        assert httpx.post(f"{url}/length", json={"text": "x"}).status_code == 200
        idle[0].settimeout(5)
        with suppress(ConnectionResetError):
            assert idle[0].recv(1) == b""  # the oldest gave way


def test_a_connection_at_work_gives_way_to_none() -> None:
    limits = ServingConfig(max_connections=1)
    with running(limits) as (url, sleep), ThreadPoolExecutor(1) as pool:
        slow = pool.submit(httpx.get, f"{url}/sleep", timeout=20)
        assert sleep.begun.wait(10)
        refused = httpx.get(f"{url}/healthz")
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "1"
        sleep.over.set()
        assert slow.result().json() == "slept"


@pytest.mark.parametrize("sent", [b"", b"GET /healthz HTTP/1.1\r\nHost: x\r\n"])
def test_headers_that_do_not_come_or_trickle_end_the_connection(sent: bytes) -> None:
    with running(ServingConfig(header_time_limit_s=0.4)) as (url, _), connect(url) as slow:
        slow.sendall(sent)
        begun = time.monotonic()
        with suppress(BrokenPipeError, ConnectionResetError):
            while time.monotonic() - begun < 5:
                slow.settimeout(0.1)
                with suppress(TimeoutError):
                    assert slow.recv(1) == b""
                    break
                if sent:
                    slow.sendall(b"X-Part: 1\r\n")  # each byte alone renews nothing
        assert time.monotonic() - begun < 3


def test_work_whose_time_is_up_stops() -> None:
    with running(ServingConfig(time_limit_s=0.3)) as (url, work):
        assert httpx.get(f"{url}/compute").status_code == 504
        assert work.stopped.wait(2)


def test_work_whose_caller_left_stops_and_leaves_its_place() -> None:
    with running(ServingConfig(time_limit_s=15, max_in_flight=1)) as (url, work):
        with connect(url) as caller:
            caller.sendall(b"GET /compute HTTP/1.1\r\nHost: x\r\n\r\n")
            assert work.begun.wait(10)
            assert httpx.get(f"{url}/compute").status_code == 503
        assert work.stopped.wait(2)
        deadline = time.monotonic() + 5
        while httpx.post(f"{url}/length", json={"text": "x"}).status_code != 200:
            assert time.monotonic() < deadline


def test_expensive_answers_take_turns_and_too_many_are_503_at_once() -> None:
    limits = ServingConfig(time_limit_s=15, max_expensive=1, max_waiting=2)
    with running(limits) as (url, _), ThreadPoolExecutor(6) as pool:
        begun = time.monotonic()
        asked = [pool.submit(httpx.get, f"{url}/explain?seconds=0.5", timeout=20) for _ in range(6)]
        answers = [one.result() for one in asked]
        assert time.monotonic() - begun < 10
    assert sorted(answer.status_code for answer in answers) == [200] * 3 + [503] * 3
    assert {a.headers["retry-after"] for a in answers if a.status_code == 503} == {"1"}


def test_the_end_waits_for_requests_under_way_and_for_nothing_else() -> None:
    with ThreadPoolExecutor(1) as pool, ExitStack() as stack:
        with running(ServingConfig(time_limit_s=5)) as (url, work):
            stack.enter_context(connect(url))
            stack.enter_context(connect(url)).sendall(b"GET / HT")
            slow = pool.submit(httpx.get, f"{url}/compute?seconds=1", timeout=20)
            assert work.begun.wait(10)
            begun = time.monotonic()
        assert slow.result().status_code == 200
        assert time.monotonic() - begun < 5


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


def test_a_bug_is_500_without_its_inner_words(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR), running(ServingConfig()) as (url, _):
        answer = httpx.get(f"{url}/break")
    assert answer.status_code == 500
    assert answer.json()["status"] == 500
    assert "secret" not in answer.text
    assert "an inner secret" in caplog.text
