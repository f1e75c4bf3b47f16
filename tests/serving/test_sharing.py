"""Workers at one socket share its connections out."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
import uvicorn

from kgrec.serving import sharing
from kgrec.serving.server import listen
from kgrec.serving.sharing import FairListener, FairServer, OpenConnections


@pytest.fixture
def bound() -> Iterator[socket.socket]:
    with listen("127.0.0.1", 0) as found:
        found.setblocking(False)
        yield found


def test_a_connection_is_left_to_the_worker_with_fewer(
    bound: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    connections = OpenConnections(2)
    with ExitStack() as held:
        one, other = (
            held.enter_context(FairListener.over(bound, connections, place)) for place in (0, 1)
        )
        monkeypatch.setattr(sharing, "_PATIENCE_S", 60.0)

        def connect() -> None:
            held.enter_context(socket.create_connection(bound.getsockname()))

        def accept(listener: FairListener) -> None:
            held.enter_context(listener.accept()[0])

        connect()
        accept(one)
        connect()
        with pytest.raises(BlockingIOError):
            one.accept()
        accept(other)
        assert [connections.of(place) for place in (0, 1)] == [1, 1]
        connect()
        accept(other)
        connections.note(1, 0)  # its connections have closed
        connect()
        with pytest.raises(BlockingIOError):
            one.accept()
        monkeypatch.setattr(sharing, "_PATIENCE_S", 0.0)
        accept(one)  # the other worker may be stuck
        assert connections.of(0) == 2


def test_without_a_connection_nothing_is_counted(bound: socket.socket) -> None:
    connections = OpenConnections(1)
    with FairListener.over(bound, connections, 0) as listener:
        with pytest.raises(BlockingIOError):
            listener.accept()
        assert connections.least() == 0


def test_a_worker_serves_what_it_accepts_and_then_accepts_nothing(bound: socket.socket) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"here"})

    connections = OpenConnections(1)
    listener = FairListener.over(bound, connections, 0)
    server = FairServer(uvicorn.Config(app, lifespan="off", log_level="error"), listener)
    thread = threading.Thread(target=server.run)
    thread.start()
    host, port = bound.getsockname()
    with httpx.Client(base_url=f"http://{host}:{port}") as client:
        assert [client.get("/").text for _ in range(3)] == ["here"] * 3
        assert connections.of(0) == 1  # kept for all three
    server.should_exit = True
    thread.join(30)
    assert not thread.is_alive()
    assert listener.fileno() == -1
