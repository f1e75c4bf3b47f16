"""Several processes that answer at one socket, forked from one that has loaded everything.

What is in memory before the fork (libraries, the model, the catalogue) is there once for all of
them: a page becomes a worker's own only when the worker writes to it.
"""

from __future__ import annotations

import gc
import logging
import mmap
import os
import signal
import struct
import threading
import time
from collections.abc import Callable
from multiprocessing.context import ForkProcess
from types import FrameType

logger = logging.getLogger("kgrec.serving")

_BEAT_S = 1.0
_SILENT_S = 30.0
"""A worker that gives no sign for so long is ended, and another takes its place."""
_YOUNG_S = 2.0
_LOOK_S = 0.2
_CLOCK = struct.Struct("d")


class ForkedWorkers:
    """Runs a function in several forked processes, and again in place of one that ends.

    Args:
        number: how many processes.
        answer: what each runs with its place among them, from 0, until SIGTERM ends it; it must not
            expect threads of the parent.
        grace_s: seconds from SIGTERM until a worker that has not ended is killed.
    """

    def __init__(self, number: int, answer: Callable[[int], None], grace_s: float) -> None:
        self._answer = answer
        self._grace_s = grace_s
        self._beats = mmap.mmap(-1, _CLOCK.size * number)  # shared: each worker writes its own
        self._stopping = threading.Event()
        self._running: list[tuple[ForkProcess, float]] = []
        self._number = number

    def run(self, on_start: Callable[[], None]) -> None:
        """Have the workers answer until SIGINT or SIGTERM; `on_start` is called once they run."""
        gc.collect()
        gc.freeze()  # a collection in a worker would write to every object of the parent
        before = {each: signal.signal(each, self._stop) for each in (signal.SIGINT, signal.SIGTERM)}
        try:
            self._running = [(self._fork(place), time.monotonic()) for place in range(self._number)]
            on_start()
            while not self._stopping.wait(_LOOK_S):
                for place in range(self._number):
                    self._look_after(place)
            self._end_all()
        finally:
            for process, _ in self._running:
                process.kill()
                process.join()
            for each, handler in before.items():
                signal.signal(each, handler)
            gc.unfreeze()

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping.set()

    def _fork(self, place: int) -> ForkProcess:
        self._beat(place)
        process = ForkProcess(target=self._work, args=(place, os.getpid()), name=f"worker {place}")
        process.start()
        return process

    def _look_after(self, place: int) -> None:
        process, begun = self._running[place]
        silent = time.monotonic() - _CLOCK.unpack_from(self._beats, place * _CLOCK.size)[0]
        if process.is_alive() and silent < _SILENT_S:
            return
        if process.is_alive():
            logger.warning("worker %s gave no sign for %.0f s and is ended", process.pid, silent)
            process.kill()
        process.join()
        logger.warning("worker %s ended (%s); another starts", process.pid, process.exitcode)
        if time.monotonic() - begun < _YOUNG_S:  # it may end at once again
            self._stopping.wait(_YOUNG_S)
        if not self._stopping.is_set():
            self._running[place] = (self._fork(place), time.monotonic())

    def _end_all(self) -> None:
        for process, _ in self._running:
            process.terminate()
        deadline = time.monotonic() + self._grace_s
        for process, _ in self._running:
            process.join(max(0.0, deadline - time.monotonic()))

    def _work(self, place: int, parent: int) -> None:
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.SIG_DFL)
        beating = threading.Thread(target=self._keep_beating, args=(place, parent), daemon=True)
        beating.start()
        self._answer(place)

    def _keep_beating(self, place: int, parent: int) -> None:
        while os.getppid() == parent:
            self._beat(place)
            time.sleep(_BEAT_S)
        os.kill(os.getpid(), signal.SIGTERM)  # the parent was killed: nobody looks after this one

    def _beat(self, place: int) -> None:
        _CLOCK.pack_into(self._beats, place * _CLOCK.size, time.monotonic())
