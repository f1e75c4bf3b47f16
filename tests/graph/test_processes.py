"""Processes that are not our children, as `ps` shows them where there is no `/proc`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kgrec.graph import processes


@pytest.mark.skipif(shutil.which("ps") is None, reason="this machine has no ps")
def test_a_long_command_line_is_not_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "Path", lambda _: Path(os.devnull) / "missing")
    monkeypatch.setenv("COLUMNS", "80")
    long = "x" * 500
    child = subprocess.Popen([sys.executable, "-c", "input()", long], stdin=subprocess.PIPE)
    try:
        assert processes.command_line(child.pid).endswith(long)
        assert processes.is_alive(child.pid)
    finally:
        child.communicate(b"\n")
    assert not processes.is_alive(child.pid)
