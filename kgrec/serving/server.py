"""Running the application: a socket on an address that is allowed, and uvicorn behind it."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable

import uvicorn

from kgrec.config import Settings
from kgrec.errors import ConfigError, GraphReadOnlyError, ModelError
from kgrec.graph.setup import ensure_schema
from kgrec.serving.app import create_app
from kgrec.serving.config import ServingConfig
from kgrec.serving.security import KeyRing, check_address
from kgrec.serving.service import Service

logger = logging.getLogger("kgrec.serving")

_BACKLOG = 2048


def serve(
    settings: Settings,
    host: str,
    port: int,
    *,
    config: ServingConfig | None = None,
    on_start: Callable[[str], None] = lambda url: None,
) -> None:
    """Serve until a signal ends it.

    Args:
        host: address or name to listen on; beyond this machine only with API keys.
        port: 0 means a free one.
        on_start: called with the address of the page once connections are accepted.

    Raises:
        ConfigError: the address may not or cannot be listened on, or the keys are not usable.
        GraphError: the kinds below it, when the graph does not answer at the start.
    """
    check_address(host, KeyRing.of(settings))
    with listen(host, port) as bound:
        app = create_app(settings, config)
        try:
            _warm(app.state.service)
            on_start(url_of(host, bound))
            options = uvicorn.Config(
                app,
                log_level=logging.WARNING,
                server_header=False,
                limit_concurrency=(config or ServingConfig()).max_connections,
            )
            uvicorn.Server(options).run(sockets=[bound])
        finally:
            app.state.service.close()


def _warm(service: Service) -> None:
    """Open the graph and load the model, so that the first request finds both."""
    with service.lease() as engine:
        try:
            ensure_schema(engine.store)
        except GraphReadOnlyError:
            logger.warning("The user of the graph may not write: there can be no feedback")
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
