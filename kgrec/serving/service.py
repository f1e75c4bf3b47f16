"""What requests share: the graph, the recommender and the explainer, opened at first use.

Each request holds a lease on what it was given, so that a connection that is given up is closed
only when the last request on it has ended.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request
from fastapi.concurrency import contextmanager_in_threadpool

from kgrec.config import Settings
from kgrec.deadline import bounded
from kgrec.errors import ConfigError, KGRecError, ModelError
from kgrec.explain.explainer import Explainer
from kgrec.graph import open_graph
from kgrec.graph.embedded import revive
from kgrec.graph.store import GraphStore, StoreConfig
from kgrec.retrieval.live import LiveModel
from kgrec.retrieval.recommender import Recommender
from kgrec.retrieval.snapshot import Snapshot
from kgrec.serving.problems import NotReadyError

logger = logging.getLogger("kgrec.serving")

_REST = 2.0
"""Seconds in which a graph that did not answer is not tried again."""


@dataclass(frozen=True, eq=False)
class Engine:
    """An open graph and what works on it."""

    store: GraphStore
    recommender: Recommender
    explainer: Explainer
    resources: ExitStack


class _Leases:
    """How many requests work on an engine, and whether it is given up.

    Args:
        engine: closed when it is given up and the last lease has ended.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._changed = threading.Condition()
        self._count = 0
        self._retired = False
        self._closed = False
        self._ended = threading.Event()

    def take(self) -> None:
        """Begin a lease."""
        with self._changed:
            self._count += 1

    def end(self) -> None:
        """End a lease, and close what was given up with the last one; never waits for that."""
        with self._changed:
            self._count -= 1
            self._changed.notify_all()
            due = self._retired and self._count <= 0
        if due:
            threading.Thread(target=self._close_unused, name="close the graph").start()

    def retire(self) -> None:
        """Give the engine up."""
        with self._changed:
            self._retired = True
        self._close_unused()

    def drain(self, seconds: float) -> None:
        """Wait until the last lease has ended, but no longer than so long, and close then."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._count == 0, seconds):
                logger.warning("%d requests were still under way at the end", self._count)
                self._count = 0
        self._close_unused()
        self._ended.wait(seconds)  # another thread may be closing it

    def _close_unused(self) -> None:
        with self._changed:
            due = self._retired and self._count <= 0 and not self._closed
            self._closed = self._closed or due
        if due:  # outside the lock, for closing takes time
            try:
                self.engine.resources.close()
            finally:
                self._ended.set()


@dataclass(frozen=True)
class Loaded:
    """What has been loaded before workers are forked, so that all of them share it.

    Attributes:
        live: the live model; None where none is live.
        catalogue: as of one revision.
    """

    live: LiveModel | None
    catalogue: Snapshot | None


class Service:
    """Gives each request the engine; safe to share between threads.

    The graph may come and go while the server runs: requests meanwhile fail with
    GraphUnavailableError, and the next one after it is back succeeds. An embedded server that
    was killed is started again.

    Args:
        settings: where the graph and the models are.
        time_limit_s: seconds after which nobody waits for an answer of the graph any more.
        loaded: a model and a catalogue to begin with.

    Attributes:
        on_open: called with each store that is opened, before it is used.
        on_prepared: called once model and catalogue are in memory.
    """

    def __init__(
        self, settings: Settings, time_limit_s: float, loaded: Loaded | None = None
    ) -> None:
        self.settings = settings
        self._loaded = loaded or Loaded(None, None)
        self.on_open: Callable[[GraphStore], None] = lambda store: None
        self.on_prepared: Callable[[], None] = lambda: None
        self._bounds = StoreConfig(
            connect_timeout=min(5.0, time_limit_s),
            retry_time=min(2.0, time_limit_s / 3),
            retry_delay=0.05,
            retry_growth=1.3,  # a database that is started again is found soon after
            read_timeout=time_limit_s,
            write_timeout=time_limit_s,
            lock_timeout=time_limit_s,
        )
        self._time_limit_s = time_limit_s
        self._lock = threading.Lock()
        self._open_engine: _Leases | None = None
        self._failed: tuple[float, KGRecError] | None = None
        self._reviving = False

    @contextmanager
    def lease(self) -> Iterator[Engine]:
        """Yield the engine, opening it when it is not; it stays open until the block ends.

        Raises what `open_graph` raises.
        """
        # Another request may be opening the engine; who waited in vain must not keep its thread.
        if not self._lock.acquire(timeout=bounded(self._time_limit_s)):
            raise NotReadyError("the server is still opening the graph", remedy="Try again.")
        try:
            leases = self._opened()
            leases.take()
        finally:
            self._lock.release()
        with _held(leases) as engine:
            yield engine

    def domain(self) -> str | None:
        """Return the domain of the model that answers, None before one does; never waits."""
        lease = self.lease_opened()
        if lease is None:
            return None
        with lease as engine:
            live = engine.recommender.live.latest()
        return None if live is None else live.selection.domain

    def lease_opened(self) -> AbstractContextManager[Engine] | None:
        """Return a lease on the engine where that takes no time, else None; never waits."""
        if not self._lock.acquire(blocking=False):
            return None
        try:
            if self._open_engine is None:
                return None
            self._open_engine.take()
            return _held(self._open_engine)
        finally:
            self._lock.release()

    @contextmanager
    def engine(self) -> Iterator[Engine]:
        """Lease the engine for a request; settings of no use are the server's fault, not its."""
        with ExitStack() as stack:
            try:
                engine = stack.enter_context(self.lease())
            except ConfigError as error:
                raise NotReadyError(
                    "the server is not set up as it must be",
                    value=str(error),
                    remedy="The log of the server has the reason.",
                ) from error
            yield engine

    def open(self) -> Engine:
        """Return the engine without a lease, for callers that end before `close` is called."""
        with self._lock:
            return self._opened().engine

    def prepare(self) -> None:
        """Open the graph and load the live model, so that the first request need not wait for it.

        What fails here fails the requests that need it, with the same error.
        """
        try:
            with self.lease() as engine:
                engine.recommender.live.current()
                if self._loaded.catalogue is None:
                    engine.recommender.warm_up()
        except KGRecError as error:
            logger.info("not ready for recommendations yet: %s", error)
        self.on_prepared()

    def load(self) -> Loaded:
        """Load the live model and the catalogue; raises what `open_graph` raises."""
        with self.lease() as engine:
            recommender, live = engine.recommender, None
            try:
                live = recommender.live.current()
                live.team.warm_up()
            except ModelError as error:
                logger.warning("There are no recommendations yet: %s", error)
            return Loaded(live, recommender.resident.load() if recommender.resident else None)

    def look_again(self) -> None:
        """See to it that an embedded server that is gone comes back, behind the request.

        To be called when the graph does not answer. What is in memory stays, and the driver finds
        the server at the port that it had; only where another uses that now is the engine
        opened anew. A Neo4j is found again by the driver.
        """
        if self.settings.graph_uri is not None:
            return
        if not self._lock.acquire(blocking=False):  # whoever holds it for long opens the engine
            return
        try:
            leases = self._open_engine
            if leases is None or self._reviving:
                return
            self._reviving = True
        finally:
            self._lock.release()
        threading.Thread(target=self._revive, args=[leases], name="revive", daemon=True).start()

    def _revive(self, leases: _Leases) -> None:
        try:
            state = revive(self.settings.home)
            if state.bolt_port == urlsplit(leases.engine.store.address.uri).port:
                return
            with self._lock:
                if self._open_engine is leases:
                    self._open_engine = None
            leases.retire()
        except KGRecError as error:
            logger.warning("the embedded graph database does not come back: %s", error)
        finally:
            with self._lock:
                self._reviving = False

    def close(self) -> None:
        """Close the graph, after the requests that are under way or the time that they have."""
        with self._lock:
            leases, self._open_engine = self._open_engine, None
        if leases is not None:
            leases.retire()
            leases.drain(self._time_limit_s)

    def _opened(self) -> _Leases:
        if self._open_engine is None:
            self._open_engine = _Leases(self._open())
        return self._open_engine

    def _open(self) -> Engine:
        if self._failed and time.monotonic() < self._failed[0] + _REST:
            raise self._failed[1]
        with ExitStack() as stack:
            try:
                store = stack.enter_context(open_graph(self.settings, self._bounds))
            except KGRecError as error:
                self._failed = (time.monotonic(), error)
                raise
            self._failed = None
            self.on_open(store)
            store.on_away = self.look_again
            recommender = Recommender(store, self.settings.home / "models", resident=True)
            if self._loaded.live is not None:
                recommender.live.keep(self._loaded.live)
            if self._loaded.catalogue is not None and recommender.resident is not None:
                recommender.resident.keep(self._loaded.catalogue)
            explainer = Explainer(recommender)
            return Engine(store, recommender, explainer, stack.pop_all())


@contextmanager
def _held(leases: _Leases) -> Iterator[Engine]:
    """Yield the engine of a lease that has begun, and end that."""
    try:
        yield leases.engine
    finally:
        leases.end()


async def _engine_of(request: Request) -> AsyncIterator[Engine]:
    """Yield the engine; threads are entered only where it must be opened, or closed."""
    service: Service = request.app.state.service
    lease = service.lease_opened()
    if lease is not None:
        with lease as engine:
            yield engine
        return
    async with contextmanager_in_threadpool(service.engine()) as engine:
        yield engine


CurrentEngine = Annotated[Engine, Depends(_engine_of)]
"""The engine, as a parameter of an endpoint."""
