"""The example client, as a stranger runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from planted import user_id

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "api_client.py"


def run(address: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(EXAMPLE), *options, "--address", address]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_it_prints_recommendations_and_reasons(address: str) -> None:
    done = run(address, user_id(2))
    assert done.returncode == 0, done.stderr
    assert "1. Film" in done.stdout
    assert "Why the first:" in done.stdout


def test_it_tells_a_problem_in_words(address: str) -> None:
    done = run(address, user_id(2), "--like", "nothing")
    assert done.returncode == 1
    assert "no such item: 'nothing'" in done.stderr
    assert "Traceback" not in done.stderr
