"""Connections of the server: bounded in number, and in the time that a client may be silent.

uvicorn bounds neither the time until the headers of a request are complete nor, in a way that
keeps the server reachable, the number of connections: beyond its limit it refuses every request,
health checks included, while idle connections stay. Here the connection that has kept the server
waiting the longest gives way to a new one (slow loris: RFC 9112, section 9.8).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from kgrec.serving.config import ServingConfig

logger = logging.getLogger("kgrec.serving")

_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\n"
    b"connection: close\r\n\r\n"
)


def protocol_for(
    limits: ServingConfig, on_closed: Callable[[int], None] | None = None
) -> type[H11Protocol]:
    """Return the protocol class for `uvicorn.Config(http=...)` that keeps these limits.

    Args:
        on_closed: called with the number of connections that are left when one has closed.
    """

    class _Bounded(BoundedProtocol):
        config_of_serving = limits

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            if on_closed is not None:
                on_closed(len(self.connections))

    return _Bounded


class BoundedProtocol(H11Protocol):
    """One connection: closed when a request's headers do not arrive in time."""

    config_of_serving = ServingConfig()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._headers_due: asyncio.TimerHandle | None = None
        self._silent_since = time.monotonic()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._silent_since = time.monotonic()
        self._arm()
        if len(self.connections) > self.config_of_serving.max_connections:
            self._make_room()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._at_work():
            self._disarm()
        else:  # not renewed by each byte that trickles in
            self._arm()

    def on_response_complete(self) -> None:
        self._silent_since = time.monotonic()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        super().connection_lost(exc)

    def waits_for_client(self) -> bool:
        """Tell whether the next move is the client's: a request, or the rest of one."""
        return not self._at_work() or bool(self.cycle.more_body)

    def _at_work(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _arm(self) -> None:
        if self._headers_due is None and not self.transport.is_closing():
            limit = self.config_of_serving.header_time_limit_s
            self._headers_due = self.loop.call_later(limit, self._give_up)

    def _disarm(self) -> None:
        if self._headers_due is not None:
            self._headers_due.cancel()
            self._headers_due = None

    def _give_up(self) -> None:
        self._headers_due = None
        self.transport.close()

    def _make_room(self) -> None:
        waiting = [
            other
            for other in self.connections
            if isinstance(other, BoundedProtocol)
            and other is not self
            and other.waits_for_client()
            and not other.transport.is_closing()
        ]
        if waiting:
            oldest = min(waiting, key=lambda other: other._silent_since)
            oldest.transport.abort()
        else:
            self.transport.write(_FULL)
            self.transport.close()
