"""Running the application: a socket on an address that is allowed, and uvicorn behind it."""

from __future__ import annotations

import gc
import logging
import math
import resource
import socket
import sys
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

import uvicorn
from fastapi import FastAPI

from kgrec.config import Settings
from kgrec.errors import ConfigError, GraphReadOnlyError, ModelError
from kgrec.graph.embedded import embedded_server
from kgrec.graph.setup import ensure_schema
from kgrec.graph.store import GraphStore
from kgrec.serving.app import create_app
from kgrec.serving.config import ServingConfig
from kgrec.serving.connections import protocol_for
from kgrec.serving.folding import FoldingProcess
from kgrec.serving.keys import KeyRing, check_address
from kgrec.serving.limits import Activity
from kgrec.serving.service import Service
from kgrec.serving.sharing import FairListener, FairServer, OpenConnections
from kgrec.serving.workers import ForkedWorkers

logger = logging.getLogger("kgrec.serving")

_BACKLOG = 2048
_SWITCH_S = 0.001
"""Seconds for which a thread that computes keeps the event loop waiting; Python's usual 5 ms add
up, since a request returns to the loop several times."""
_YOUNG = 5_000
"""Objects that are made between collections; Python's usual 700 make one for each request."""
_OTHER_FILES = 256
"""Open files besides the connections: of the graph, the models, the libraries."""


def serve(
    settings: Settings,
    host: str,
    port: int,
    *,
    config: ServingConfig | None = None,
    workers: int = 1,
    fold: bool = True,
    on_start: Callable[[str], None] = lambda url: None,
) -> None:
    """Serve until a signal ends it.

    Args:
        host: address or name to listen on; beyond this machine only with API keys.
        port: 0 means a free one.
        config: limits, of each process.
        workers: so many processes answer; one that ends is started again. They share the model
            and the catalogue.
        fold: whether a process beside them folds new items into the live model.
        on_start: called with the address of the page once connections are accepted.

    Raises:
        ConfigError: the address may not or cannot be listened on, or the keys are not usable.
        GraphError: the kinds below it, when the graph does not answer at the start.
    """
    keys = KeyRing.of(settings)
    check_address(host, keys)
    if keys.plain:
        logger.warning(
            "KGREC_API_KEYS holds plain keys, which go on working; `kgrec keys create` makes keys"
            " that are stored as hashes, rotated and revoked"
        )
    with ExitStack() as beside, listen(host, port) as bound:

        def started() -> None:
            if fold:
                beside.enter_context(FoldingProcess(settings))
            on_start(url_of(host, bound))

        if workers > 1:
            _serve_by_workers(settings, bound, workers, config or ServingConfig(), started)
            return
        app = create_app(settings, config)
        try:
            _warm(app.state.service)
            # What was read lives on; a collection that goes through it holds all requests up.
            app.state.service.on_prepared = gc.freeze
            started()
            uvicorn.Server(server_config(app, config or ServingConfig())).run(sockets=[bound])
        finally:
            app.state.service.close()


def _serve_by_workers(
    settings: Settings,
    bound: socket.socket,
    workers: int,
    limits: ServingConfig,
    on_start: Callable[[], None],
) -> None:
    """Have several processes accept connections at one socket until a signal ends them."""
    with ExitStack() as held:
        if settings.graph_uri is None:  # it would stop, and start again, before the workers open it
            held.enter_context(embedded_server(settings.home))
        service = Service(settings, limits.time_limit_s)
        try:  # the graph is up, or its error comes once, before any worker starts
            with service.lease() as engine:
                _prepare_schema(engine.store)
            loaded = service.load()
        finally:
            service.close()

        connections, board = OpenConnections(workers), Activity.shared(workers)

        def answer(place: int) -> None:
            app = create_app(settings, limits, loaded, Activity(board, place))
            listener = FairListener.over(bound, connections, place)
            connections.note(place, 0)
            config = server_config(app, limits, partial(connections.note, place))
            try:
                FairServer(config, listener).run()
            finally:
                app.state.service.close()

        ForkedWorkers(workers, answer, limits.time_limit_s + 5).run(on_start)


def server_config(
    app: FastAPI, limits: ServingConfig, on_closed: Callable[[int], None] | None = None
) -> uvicorn.Config:
    """Return how uvicorn serves the application within its limits.

    At the end it waits for the requests that are under way, but not longer than they may take.

    Args:
        on_closed: see `protocol_for`.
    """
    _allow_files(limits.max_connections)
    sys.setswitchinterval(_SWITCH_S)
    gc.set_threshold(_YOUNG, 20, 100)
    return uvicorn.Config(
        app,
        http=protocol_for(limits, on_closed),
        log_level=logging.WARNING,
        server_header=False,
        backlog=_BACKLOG,
        timeout_keep_alive=limits.keep_alive_s,
        timeout_graceful_shutdown=math.ceil(limits.time_limit_s) + 1,
    )


def _allow_files(connections: int) -> None:
    """Raise the number of files that the process may have open where connections need it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = connections + _OTHER_FILES
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed < needed:
        logger.warning(
            "the system allows %d open files, and %d connections need %d: raise `ulimit -n`",
            allowed,
            connections,
            needed,
        )


def _prepare_schema(store: GraphStore) -> None:
    try:
        ensure_schema(store)
    except GraphReadOnlyError:
        logger.warning("The user of the graph may not write: there can be no feedback")


def _warm(service: Service) -> None:
    """Open the graph and load the model, so that the first request finds both."""
    with service.lease() as engine:
        _prepare_schema(engine.store)
        try:
            engine.recommender.live.current()
        except ModelError as error:
            logger.warning("There are no recommendations yet: %s", error)


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that takes connections at an address; raises ConfigError."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise ConfigError(
            f"there is no such address to listen on ({error.strerror or error})",
            value=host,
            remedy="Give --host an address of this machine, such as 127.0.0.1.",
        ) from None
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(_BACKLOG)
    except OSError as error:
        bound.close()
        raise ConfigError(
            f"cannot listen there ({error.strerror or error})",
            value=f"{host}:{port}",
            remedy="Choose another with --port, such as --port 8001; --port 0 takes a free one.",
        ) from None
    return bound


def url_of(host: str, bound: socket.socket) -> str:
    """Return the address of the page of a socket."""
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{bound.getsockname()[1]}"
