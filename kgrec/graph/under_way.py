"""What is under way on a connection, so that it is closed under nobody."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from kgrec.errors import GraphUnavailableError


class UnderWay:
    """Counts the transactions under way; safe to share between threads.

    A connection is for one thread at a time: to close it while another thread sends or receives
    on it breaks both.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._count = 0
        self._ended = False

    @contextmanager
    def one(self) -> Iterator[None]:
        """Count a transaction while the block runs.

        Raises:
            GraphUnavailableError: `end` was called before.
        """
        with self._changed:
            if self._ended:
                raise GraphUnavailableError("the connection to the graph has been closed")
            self._count += 1
        try:
            yield
        finally:
            with self._changed:
                self._count -= 1
                self._changed.notify_all()

    def end(self, seconds: float) -> None:
        """Let no other begin, and wait for those under way, but no longer than `seconds`."""
        with self._changed:
            self._ended = True
            self._changed.wait_for(lambda: self._count == 0, seconds)
