"""How long an answer is worth computing: until its time is up, or until nobody waits for it.

Work in threads cannot be interrupted from outside. So whoever bounds it sets a deadline for the
context, and loops that may take long call `check` at each round.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from typing import TypeVar

from kgrec.errors import TimeLimitError

ArgumentT = TypeVar("ArgumentT")
ResultT = TypeVar("ResultT")


class Deadline:
    """One moment after which work stops; it may be cancelled before, from any thread.

    Args:
        seconds: from now.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._at = time.monotonic() + seconds
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        """End the work that watches this deadline at its next check."""
        self._cancelled.set()

    def remaining(self) -> float:
        """Return the seconds left, 0.0 when the time is up or the work was cancelled."""
        return 0.0 if self._cancelled.is_set() else max(self._at - time.monotonic(), 0.0)


_current: ContextVar[Deadline | None] = ContextVar("deadline", default=None)


@contextmanager
def within(deadline: Deadline) -> Iterator[None]:
    """Set the deadline of everything that runs in the block, tasks and threads included.

    Tasks copy the context when they are created, and so does `anyio.to_thread.run_sync`.
    """
    token = _current.set(deadline)
    try:
        yield
    finally:
        _current.reset(token)


def in_thread(
    pool: ThreadPoolExecutor, work: Callable[[ArgumentT], ResultT], argument: ArgumentT
) -> Future[ResultT]:
    """Do something in a thread of a pool, within the deadline of this one."""
    return pool.submit(copy_context().run, work, argument)


def check() -> None:
    """Raise TimeLimitError when the deadline of this context has passed or was cancelled."""
    deadline = _current.get()
    if deadline is not None and not deadline.remaining():
        raise TimeLimitError(
            f"the answer took too long: more than {deadline.seconds:g} s, or nobody waits for it",
            remedy="Ask for less, or try again.",
        )


def bounded(seconds: float) -> float:
    """Return so many seconds, or fewer where the deadline of this context comes before.

    Raises:
        TimeLimitError: it has passed.
    """
    check()
    deadline = _current.get()
    return seconds if deadline is None else min(seconds, max(deadline.remaining(), 0.05))
