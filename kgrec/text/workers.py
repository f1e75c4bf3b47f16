"""Workers of a Ray cluster that read batches of texts, with results in the order of the batches.

Each worker is an actor that loads what it reads with once. Few batches are under way at once, so
memory is bounded. A batch whose worker died is read by another.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from kgrec.errors import ClusterError, KGRecError

logger = logging.getLogger(__name__)

BatchT = TypeVar("BatchT")
ResultT = TypeVar("ResultT")
BatchInT = TypeVar("BatchInT", contravariant=True)
ResultOutT = TypeVar("ResultOutT", covariant=True)

TRIES = 3
"""Workers that may die of one batch."""
START_S = 180.0
"""Seconds that a first worker may take to start."""
_QUEUED = 2
"""Batches that a worker has at once: one that it reads, and the next."""
_AHEAD = 4
"""Batches, for each worker, of which the results are not used yet."""


class BatchReader(Protocol[BatchInT, ResultOutT]):
    """What a worker reads with.

    Attributes:
        version: differs where the same batch may give another result.
    """

    version: str

    def __call__(self, batch: BatchInT) -> ResultOutT:
        """Return what is found in a batch."""


class _Actor:
    """Runs in a worker; what it reads with is made for its first batch, so that errors arrive."""

    def __init__(self, make: Callable[[], BatchReader[Any, Any]], folder: str) -> None:
        if Path(folder).is_dir():
            os.chdir(folder)  # models may be named by relative paths
        self._make = make
        self._reader: BatchReader[Any, Any] | None = None

    def start(self) -> None:
        """Answer, once the worker runs."""

    def read(self, batch: Any) -> tuple[str, Any]:
        if self._reader is None:
            self._reader = self._make()
        found = self._reader(batch)
        return self._reader.version, found


@dataclass(eq=False)
class _Task:
    batch: Any
    deaths: int = 0
    done: bool = False
    result: Any = None


@dataclass(eq=False)
class _Worker:
    """An actor, the answer that it has started, and its batches in order with their answers."""

    actor: Any
    starting: Any
    tasks: deque[tuple[Any, _Task]] = field(default_factory=deque)

    @property
    def next_answer(self) -> Any:
        """The answer that comes next; None where the worker has nothing to do."""
        if self.starting is not None:
            return self.starting
        return self.tasks[0][0] if self.tasks else None


class RayWorkers(Generic[BatchT, ResultT]):
    """Reads batches by several workers of the cluster that the process is connected to.

    Args:
        make: makes what a worker reads with; it is pickled, and called once in each worker.
        version: that what is made there must have.
        count: workers.
        named: how an error names a batch.
        gpu: whether a worker needs one; it has a part of one where there are fewer than workers.
    """

    def __init__(
        self,
        make: Callable[[], BatchReader[BatchT, ResultT]],
        *,
        version: str,
        count: int,
        named: Callable[[BatchT], str],
        gpu: bool = False,
    ) -> None:
        import ray

        self._ray: Any = ray
        self._version, self._named = version, named
        gpus = self._ray.cluster_resources().get("GPU", 0) / count if gpu else 0
        self._actor: Any = self._ray.remote(_Actor).options(
            num_cpus=1, num_gpus=min(1, gpus), max_restarts=0, scheduling_strategy="SPREAD"
        )
        self._make = self._ray.put(make)  # once for all, since it may hold many names
        self._failed_starts = 0
        self._workers = [self._started() for _ in range(count)]

    def map(self, batches: Iterable[BatchT]) -> Iterator[tuple[BatchT, ResultT]]:
        """Yield batches, in their order, with what was found in them.

        Raises:
            KGRecError: what a worker raised.
            ClusterError: a worker failed in another way, no worker starts, those of a batch died
                `TRIES` times, or a worker would read in another way than this process.
        """
        stream = iter(batches)
        waiting: deque[_Task] = deque()
        unread: deque[_Task] = deque()
        room = _AHEAD * len(self._workers)
        try:
            while True:
                while len(waiting) < room and (batch := next(stream, None)) is not None:
                    waiting.append(_Task(batch))
                    unread.append(waiting[-1])
                self._hand_out(unread)
                if not waiting:
                    return
                if waiting[0].done:
                    task = waiting.popleft()
                    yield task.batch, task.result
                else:
                    self._collect(unread)
        finally:
            for worker in self._workers:  # what is under way after an error answers to nobody
                worker.tasks.clear()

    def close(self) -> None:
        """End the workers."""
        for worker in self._workers:
            self._end(worker)
        self._workers = []

    def _started(self) -> _Worker:
        actor = self._actor.remote(self._make, str(Path.cwd()))
        return _Worker(actor, actor.start.remote())

    def _end(self, worker: _Worker) -> None:
        try:
            self._ray.kill(worker.actor, no_restart=True)
        except (ValueError, self._ray.exceptions.RayError) as error:
            logger.debug("the worker has ended before: %s", error)

    def _hand_out(self, unread: deque[_Task]) -> None:
        """Give unread batches to workers that have started, the least busy first."""
        ready = [worker for worker in self._workers if worker.starting is None]
        for busy in range(_QUEUED):
            for worker in ready:
                if unread and len(worker.tasks) == busy:
                    task = unread.popleft()
                    worker.tasks.append((worker.actor.read.remote(task.batch), task))

    def _collect(self, unread: deque[_Task]) -> None:
        """Wait for the next answers, and take them."""
        answers = {one.next_answer: one for one in self._workers if one.next_answer is not None}
        done, _ = self._ray.wait(list(answers), num_returns=1, timeout=START_S)
        if not done and all(worker.starting is not None for worker in self._workers):
            free = self._ray.available_resources().get("CPU", 0)
            raise ClusterError(
                f"no worker of Ray has started within {START_S:.0f} s",
                value=f"{free:g} free processors",
                remedy="Each takes one processor; see `ray status`, or end what holds them.",
            )
        for answer in done:
            self._take(answers[answer], answer, unread)

    def _take(self, worker: _Worker, answer: Any, unread: deque[_Task]) -> None:
        errors = self._ray.exceptions
        try:
            found = self._ray.get(answer)
        except errors.RayTaskError as error:
            raise self._raised(error, worker.tasks[0][1]) from error
        except errors.RayError as error:
            self._replace(worker, error, unread)
            return
        if worker.starting is not None:
            worker.starting = None
            return
        _, task = worker.tasks.popleft()
        version, task.result = found
        if version != self._version:
            raise ClusterError(
                "a worker reads texts in another way than this process",
                value=f"{version}, not {self._version}",
                remedy="Install the same releases of kgrec and of the models on all machines.",
            )
        task.done = True
        self._failed_starts = 0

    def _raised(self, error: Any, task: _Task) -> KGRecError:
        cause = error.cause
        if isinstance(cause, KGRecError):
            return cause
        lines = str(cause).strip().splitlines() or [""]
        return ClusterError(
            f"a worker of Ray failed to read texts ({type(cause).__name__}: {lines[-1]})",
            value=self._named(task.batch),
            remedy="Read them with --engine local to see where.",
        )

    def _replace(self, worker: _Worker, error: Exception, unread: deque[_Task]) -> None:
        """Start another worker for one that died, and have its batches read again."""
        lines = str(error).strip().splitlines()
        reason = lines[-1 if "creation task" in lines[0] else 0]  # behind a traceback
        logger.warning("a worker of Ray died, its texts are read by another: %s", reason)
        tasks = [task for _, task in worker.tasks]
        if tasks:
            tasks[0].deaths += 1
        else:
            self._failed_starts += 1
        died_of_it = bool(tasks) and tasks[0].deaths >= TRIES
        if died_of_it or self._failed_starts >= TRIES + len(self._workers):
            raise ClusterError(
                f"workers of Ray died one after another ({reason})",
                value=self._named(tasks[0].batch) if tasks else "before they read a text",
                remedy="Check the memory of the machines and the logs of Ray.",
            )
        unread.extendleft(reversed(tasks))
        self._end(worker)
        self._workers[self._workers.index(worker)] = self._started()
