"""File locks and processes of the embedded server.

Locks are `flock` itself, freed by the system when their holder dies, however it dies. The package
filelock does not do here: users share a lock and the last of them converts it to an exclusive one
in place, and the supervisor inherits its lock over a fork. Its exclusive lock drops the descriptor
in a forked child, and its read-write lock refuses the conversion.

Processes that are not child processes are inspected and ended by psutil.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from kgrec.errors import ConfigError, GraphTimeoutError


class FileLock:
    """One hold on a lock file, shared or exclusive.

    Every instance opens the file anew, so instances within one process exclude each other like
    those of two processes.

    Raises:
        ConfigError: the file cannot be opened for writing.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigError(
                f"the lock file cannot be opened ({error.strerror})",
                value=str(path),
                remedy="Make the folder writable, or set KGREC_HOME to another one.",
            ) from None

    def try_acquire(self, *, shared: bool = False) -> bool:
        """Acquire the lock, or convert it to the other kind, if that needs no wait."""
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        try:
            fcntl.flock(self._handle, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def acquire(self, *, timeout: float, what: str, shared: bool = False) -> None:
        """Acquire the lock, waiting at most `timeout` seconds.

        Raises:
            GraphTimeoutError: another process still holds it; `what` names what it does.
        """
        deadline = time.monotonic() + timeout
        pause = 0.001
        while not self.try_acquire(shared=shared):
            if time.monotonic() > deadline:
                raise GraphTimeoutError(
                    f"another process has been {what} for {timeout:g} seconds",
                    remedy="Wait until it ends, then try again.",
                )
            time.sleep(pause)
            pause = min(pause * 1.5, 0.02)

    def unlock(self) -> None:
        """Give the lock up and keep the file open, to acquire it again later."""
        fcntl.flock(self._handle, fcntl.LOCK_UN)

    def release(self) -> None:
        """Release the lock, also for children that inherited the descriptor."""
        if self._handle >= 0:
            fcntl.flock(self._handle, fcntl.LOCK_UN)
            self.close()

    def close(self) -> None:
        """Close the descriptor; a child that shares it keeps the lock."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


def is_held(path: Path) -> bool:
    """Whether any process holds the lock of this file."""
    if not path.exists():
        return False
    lock = FileLock(path)
    try:
        return not lock.try_acquire(shared=True)
    finally:
        lock.close()


@contextmanager
def exclusive(path: Path, *, timeout: float, what: str) -> Iterator[None]:
    """Hold a lock file while the block runs; raises GraphTimeoutError after `timeout` seconds."""
    lock = FileLock(path)
    try:
        lock.acquire(timeout=timeout, what=what)
        yield
    finally:
        lock.release()


@contextmanager
def in_turn(path: Path, *, timeout: float, what: str) -> Iterator[None]:
    """Hold a lock file exclusively, first come first served.

    A process first acquires the turnstile beside the lock and keeps it while it waits, so that one
    which writes without pause cannot starve the others.
    """
    lock = FileLock(path)
    try:
        with exclusive(path.with_suffix(".turn"), timeout=timeout, what=what):
            lock.acquire(timeout=timeout, what=what)
        yield
    finally:
        lock.release()


def is_alive(pid: int) -> bool:
    """Whether a process of this id exists and is not a zombie."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


def command_line(pid: int) -> str:
    """Return the command line of a process, empty where it cannot be read."""
    try:
        return " ".join(psutil.Process(pid).cmdline())
    except psutil.Error:
        return ""


def with_argument(argument: str) -> list[int]:
    """Return the ids of the processes of this machine that were started with an argument."""
    return [
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if argument in (process.info["cmdline"] or ())
    ]


def ports_of(pid: int) -> set[int] | None:
    """Return the TCP ports that a process listens at, None where that cannot be read."""
    try:
        found = psutil.Process(pid).net_connections("tcp")
    except psutil.Error:
        return None
    return {one.laddr.port for one in found if one.status == psutil.CONN_LISTEN}


def end(pid: int, *, timeout: float) -> None:
    """Terminate a process, and kill it if it has not ended after `timeout` seconds.

    A later process of the same id is recognised by the time of its start and left alone.
    """
    try:
        process = psutil.Process(pid)
        for send, patience in ((process.terminate, timeout), (process.kill, 5.0)):
            send()
            deadline = time.monotonic() + patience
            # Not `wait`, which waits on for a process that ended but whose parent never reaps it.
            while time.monotonic() < deadline:
                if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
                    return
                time.sleep(0.05)
    except psutil.NoSuchProcess:
        return
