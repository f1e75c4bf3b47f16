"""Several workers at one socket, each with as many connections as the others.

The kernel wakes every worker for a new connection, and the first takes it: the one that is idle,
so one worker can hold nearly all connections of a client that keeps them, and be busy while
another waits. Here a worker leaves a connection to one that has fewer, for a few milliseconds.
"""

from __future__ import annotations

import asyncio
import errno
import mmap
import socket
import struct
import time
from typing import Any

import uvicorn

_PATIENCE_S = 0.005
"""So long a connection is left to a worker that has fewer; it may be stuck."""
_PAUSE_S = 0.0003
_REST_S = 1.0
"""So long nothing is accepted where the process may open no further files."""
_COUNT = struct.Struct("q")


class OpenConnections:
    """How many connections each worker has open, in memory that forked processes share.

    Args:
        workers: how many there are.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._counts = mmap.mmap(-1, _COUNT.size * workers)  # each worker writes its own

    def of(self, worker: int) -> int:
        """Return how many a worker has open."""
        return int(_COUNT.unpack_from(self._counts, worker * _COUNT.size)[0])

    def note(self, worker: int, number: int) -> None:
        """Write down how many a worker has open."""
        _COUNT.pack_into(self._counts, worker * _COUNT.size, number)

    def least(self) -> int:
        """Return how many the worker with the fewest has open."""
        return min(self.of(worker) for worker in range(self._workers))


class FairListener(socket.socket):
    """A listening socket that leaves a connection to the worker with the fewest."""

    _open: OpenConnections
    _worker: int
    _waiting_since: float | None

    @classmethod
    def over(cls, bound: socket.socket, connections: OpenConnections, worker: int) -> FairListener:
        """Listen where a socket is bound, as one of the workers."""
        found = cls(bound.family, bound.type, bound.proto, fileno=socket.dup(bound.fileno()))
        found._open, found._worker, found._waiting_since = connections, worker, None
        return found

    def accept(self) -> tuple[socket.socket, Any]:
        """Accept a connection; raises BlockingIOError while it is another worker's turn."""
        mine, now = self._open.of(self._worker), time.monotonic()
        if mine > self._open.least():
            self._waiting_since = self._waiting_since or now
            if now - self._waiting_since < _PATIENCE_S:
                time.sleep(_PAUSE_S)  # the event loop would return at once
                raise BlockingIOError
        self._waiting_since = None
        found = super().accept()
        self._open.note(self._worker, mine + 1)
        return found


class FairServer(uvicorn.Server):
    """A worker that serves what its `FairListener` accepts.

    uvicorn leaves that to the event loop, and uvloop accepts below Python.
    """

    def __init__(self, config: uvicorn.Config, listener: FairListener) -> None:
        super().__init__(config)
        self._listener = listener
        self._opening: set[asyncio.Task[Any]] = set()  # the loop alone would lose them

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        await super().startup([])
        self._listener.setblocking(False)
        self._listener.listen(self.config.backlog)
        self._listen()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept nothing more, and end what is under way."""
        asyncio.get_running_loop().remove_reader(self._listener.fileno())
        await super().shutdown([self._listener])

    def _listen(self) -> None:
        if self._listener.fileno() >= 0:
            asyncio.get_running_loop().add_reader(self._listener.fileno(), self._accept)

    def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                raise
            loop.remove_reader(self._listener.fileno())
            loop.call_later(_REST_S, self._listen)
            return
        connection.setblocking(False)
        task = loop.create_task(loop.connect_accepted_socket(self._protocol, connection))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    def _protocol(self) -> asyncio.Protocol:
        protocol: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return protocol
