"""File locks: held, waited for, and freed with their holder."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from kgrec.errors import ConfigError, GraphTimeoutError
from kgrec.graph.processes import FileLock, exclusive, in_turn, is_held

HOLD = """
import sys, time
from pathlib import Path
from kgrec.graph.processes import FileLock
lock = FileLock(Path(sys.argv[1]))
assert lock.try_acquire()
print("held", flush=True)
time.sleep(600)
"""


def test_one_holds_it_alone_and_many_share_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert not is_held(path)
    one, two, three = (FileLock(path) for _ in range(3))
    assert one.try_acquire(shared=True)
    assert two.try_acquire(shared=True)
    assert not three.try_acquire()
    one.release()
    two.release()
    assert three.try_acquire()
    assert is_held(path)
    three.release()
    assert not is_held(path)


def test_waiting_ends_with_an_error_that_says_for_what(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with (
        exclusive(path, timeout=1, what="at it"),
        pytest.raises(GraphTimeoutError, match="another process has been at it"),
        exclusive(path, timeout=0.05, what="at it"),
    ):
        raise AssertionError("it must not be acquired")
    with exclusive(path, timeout=0.05, what="at it"):
        assert is_held(path)


def test_a_killed_holder_frees_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    assert is_held(path)
    holder.kill()
    holder.communicate()
    with exclusive(path, timeout=2, what="at it"):
        assert is_held(path)


def test_a_writer_without_pause_starves_nobody(tmp_path: Path) -> None:
    path = tmp_path / "write.lock"
    done = threading.Event()
    turns = 0

    def busy() -> None:
        nonlocal turns
        while not done.is_set():
            with in_turn(path, timeout=10, what="writing"):
                time.sleep(0.005)
            turns += 1

    thread = threading.Thread(target=busy)
    thread.start()
    try:
        for _ in range(20):
            with in_turn(path, timeout=10, what="writing"):
                before = turns
            assert turns - before <= 1
    finally:
        done.set()
        thread.join()


def test_a_lock_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="KGREC_HOME"):
        FileLock(tmp_path / "missing" / "lock")
