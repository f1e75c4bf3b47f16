"""The process beside a server that folds new items into the live model.

What reads texts (a language model, a parser) needs memory and seconds to load; so it is there once
for all workers, in a process of its own that yields to those that answer, and none of them loads
it. It finds its work in the graph, so items are folded in however they came, and an item that was
acknowledged before a kill is found after it.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from typing import Self

from kgrec.config import Settings

logger = logging.getLogger("kgrec.serving")

_YOUNG_S = 10.0
_RESTS_S = (2.0, 300.0)
"""Seconds before another process starts where one ends at once, at first and at most."""
_END_S = 5.0


class FoldingProcess:
    """Runs `kgrec fold --follow` while the block runs, and again where it ends before.

    Args:
        settings: where the graph and the models are.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._ending = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._look_after, name="folding", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        with self._lock:
            process = self._process
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _look_after(self) -> None:
        rest, longest = _RESTS_S
        while not self._ending.is_set():
            begun = time.monotonic()
            with self._lock:
                if self._ending.is_set():
                    return
                process = self._process = self._start()
            code = process.wait()
            if self._ending.is_set():
                return
            logger.warning("the process that folds new items in ended (%s); another starts", code)
            if time.monotonic() - begun > _YOUNG_S:
                rest = _RESTS_S[0]
            else:  # it may end at once again
                self._ending.wait(rest)
                rest = min(2 * rest, longest)

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "kgrec", "fold", "--follow"]
        return subprocess.Popen(
            [*command, "--parent", str(os.getpid())],
            env={**os.environ, "KGREC_HOME": str(self._settings.home)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl+C is for the server, which ends it
        )
