"""Processes that are not our children: alive, of which command line, and ended."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from kgrec.graph import processes

STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(600)
"""


def test_a_long_command_line_is_not_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    long = "x" * 500
    wait = "print(); input()"  # an empty line: until it runs, its command line may not be set
    child = subprocess.Popen(
        [sys.executable, "-u", "-c", wait, long], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert child.stdout is not None
        child.stdout.readline()
        assert processes.command_line(child.pid).endswith(long)
        assert processes.is_alive(child.pid)
    finally:
        child.communicate(b"\n")
    assert not processes.is_alive(child.pid)
    assert processes.command_line(child.pid) == ""


def test_a_process_that_nobody_reaps_is_not_alive() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    deadline = time.monotonic() + 10
    while processes.is_alive(child.pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert child.returncode is None  # it has ended and was not waited for
    assert not processes.is_alive(child.pid)
    processes.end(child.pid, timeout=5)
    child.wait()


def test_what_ignores_the_request_is_killed() -> None:
    child = subprocess.Popen([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    begun = time.monotonic()
    processes.end(child.pid, timeout=0.3)
    assert 0.3 <= time.monotonic() - begun < 5
    assert child.wait() == -9
    child.stdout.close()
    processes.end(child.pid, timeout=5)
