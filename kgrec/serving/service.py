"""What requests share: the graph, the recommender and the explainer, opened at first use."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request

from kgrec.config import Settings
from kgrec.errors import ConfigError, KGRecError
from kgrec.explain.explainer import Explainer
from kgrec.graph import open_graph
from kgrec.graph.embedded import running
from kgrec.graph.store import GraphStore, StoreConfig
from kgrec.retrieval.recommender import Recommender
from kgrec.serving.problems import NotReadyError

logger = logging.getLogger("kgrec.serving")

_REST = 2.0
"""Seconds in which a graph that did not answer is not asked again."""


@dataclass(frozen=True, eq=False)
class Engine:
    """An open graph and what works on it."""

    store: GraphStore
    recommender: Recommender
    explainer: Explainer
    resources: ExitStack


class Service:
    """Gives each request the engine; safe to share between threads.

    The graph may come and go while the server runs: requests meanwhile fail with
    GraphUnavailableError, and the next one after it is back succeeds. An embedded server that
    was killed is started again.

    Args:
        settings: where the graph and the models are.
        time_limit_s: seconds after which nobody waits for an answer of the graph any more.
    """

    def __init__(self, settings: Settings, time_limit_s: float) -> None:
        self.settings = settings
        self._bounds = StoreConfig(
            connect_timeout=min(5.0, time_limit_s),
            retry_time=min(2.0, time_limit_s / 3),
            read_timeout=time_limit_s,
            write_timeout=time_limit_s,
            lock_timeout=time_limit_s,
        )
        self._lock = threading.Lock()
        self._engine: Engine | None = None
        self._failed: tuple[float, KGRecError] | None = None

    def open(self) -> Engine:
        """Return the engine, opening it when it is not; raises what `open_graph` raises."""
        with self._lock:
            if self._engine is None:
                self._engine = self._open()
            return self._engine

    def prepare(self) -> None:
        """Open the graph and load the live model, so that the first request need not wait for it.

        What fails here is told to the requests that need it.
        """
        try:
            self.open().recommender.live.current()
        except KGRecError as error:
            logger.info("not ready for recommendations yet: %s", error)

    def look_again(self) -> None:
        """Forget an embedded server that is gone: the one after it listens elsewhere.

        To be called after a GraphUnavailableError. A Neo4j is found again by the driver.
        """
        if self.settings.graph_uri is not None:
            return
        state = running(self.settings.home)
        with self._lock:
            if self._engine is None:
                return
            port = urlsplit(self._engine.store.address.uri).port
            if state is not None and state.bolt_port == port:
                return
            logger.warning("the embedded graph database is gone; the next request looks for it")
            self._let_go()

    def close(self) -> None:
        """Let go of the graph."""
        with self._lock:
            self._let_go()

    def _let_go(self) -> None:
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.resources.close()

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
            recommender = Recommender(store, self.settings.home / "models")
            explainer = Explainer(recommender)
            return Engine(store, recommender, explainer, stack.pop_all())


def _engine_of(request: Request) -> Engine:
    service: Service = request.app.state.service
    try:
        return service.open()
    except ConfigError as error:  # the server's settings, which no client has chosen
        raise NotReadyError(
            "the server is not set up as it must be",
            value=str(error),
            remedy="The log of the server says what is wrong.",
        ) from error


CurrentEngine = Annotated[Engine, Depends(_engine_of)]
"""The engine, as a parameter of an endpoint."""
