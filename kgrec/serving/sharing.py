"""Several workers at one socket, each with as many connections as the others.

The kernel wakes every worker for a new connection, and the first takes it: the one that is idle,
so one worker can hold nearly all connections of a client that keeps them, and be busy while
another waits. Here a worker leaves a connection to one that has fewer, for a few milliseconds.
"""

from __future__ import annotations

import mmap
import socket
import struct
import time
from typing import Any

_PATIENCE_S = 0.005
"""So long a connection is left to a worker that has fewer; it may be stuck."""
_PAUSE_S = 0.0003
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
