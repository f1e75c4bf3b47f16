"""`kgrec serve` as a process, for tests and for the benchmarks in `examples`."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

COMMAND = (sys.executable, "-c", "from kgrec.cli import main; main()", "serve")
_ADDRESS = re.compile(r"http://[\d.]+:\d+")


@contextmanager
def started(
    *options: str, environment: Mapping[str, str] | None = None, errors: bool = False
) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run the server on a free port; yields its address and its process, and ends it.

    Args:
        environment: in place of this process's own.
        errors: whether what it writes to standard error can be read from the process.
    """
    given = os.environ if environment is None else environment
    with subprocess.Popen(
        [*COMMAND, "--port", "0", *options],
        env={**given, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE if errors else None,
        text=True,
        preexec_fn=_listen_to_interrupts,
    ) as process:
        try:
            yield address_of(process), process
        finally:
            process.terminate()
            process.wait(60)


def address_of(process: subprocess.Popen[Any]) -> str:
    """Return the address that a server has printed first; RuntimeError where it ended instead."""
    assert process.stdout is not None
    found = _ADDRESS.search(process.stdout.readline())
    if found is None:
        process.kill()
        why = process.stderr.read() if process.stderr is not None else ""
        raise RuntimeError(f"the server did not start: {why}")
    return found[0]


def _listen_to_interrupts() -> None:
    """Undo that a process in the background ignores SIGINT, and so do all that it starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
