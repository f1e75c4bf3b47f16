"""Advisory file locks (flock), which the system frees when their holder dies, however it dies.

Processes that are not our children: are they alive, are they ours, and ending them.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kgrec.errors import ConfigError, GraphTimeoutError


class FileLock:
    """One hold on a lock file, shared or exclusive.

    Every instance opens the file anew, so instances of one process exclude each other as those of
    two processes do.

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
        """Take the lock, or change its kind, if that needs no wait."""
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        try:
            fcntl.flock(self._handle, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def acquire(self, *, timeout: float, what: str, shared: bool = False) -> None:
        """Take the lock, waiting at most `timeout` seconds.

        Raises:
            GraphTimeoutError: another process still holds it; `what` says for what.
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

    def release(self) -> None:
        """Give the lock up, also for children that inherited the descriptor."""
        if self._handle >= 0:
            fcntl.flock(self._handle, fcntl.LOCK_UN)
            self.close()

    def close(self) -> None:
        """Forget the descriptor; a child that shares it keeps the lock."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


def is_held(path: Path) -> bool:
    """Say whether any process holds the lock of this file."""
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
    """Hold a lock file, first come first served.

    Who wants the lock first takes the turnstile beside it and keeps that while it waits, so a
    process that writes without pause cannot starve the others.
    """
    lock = FileLock(path)
    try:
        with exclusive(path.with_suffix(".turn"), timeout=timeout, what=what):
            lock.acquire(timeout=timeout, what=what)
        yield
    finally:
        lock.release()


def is_alive(pid: int) -> bool:
    """Say whether a process of this id exists and is not merely waiting to be reaped."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not _state(pid).startswith("Z")


def command_line(pid: int) -> str:
    """Return the command line of a process, empty where it cannot be told."""
    path = Path(f"/proc/{pid}/cmdline")
    try:
        return path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return _ps(pid, "command=")


def end(pid: int, *, timeout: float) -> None:
    """Ask a process to end, and kill it if it has not after `timeout` seconds."""
    for number, patience in ((signal.SIGTERM, timeout), (signal.SIGKILL, 5.0)):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if not is_alive(pid):
                return
            time.sleep(0.05)


def _state(pid: int) -> str:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return _ps(pid, "stat=")
    return text.rpartition(")")[2].strip()


def _ps(pid: int, column: str) -> str:
    try:
        answer = subprocess.run(
            # Without -ww a command line is cut at the width of a terminal.
            ["ps", "-ww", "-o", column, "-p", str(pid)],
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return ""
    return answer.stdout.strip()
