"""The property graph over Bolt: store, embedded server, dialects, export."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from kgrec.config import Settings

if TYPE_CHECKING:
    from kgrec.graph.store import GraphStore, StoreConfig

__all__ = ["open_graph"]


@contextmanager
def open_graph(settings: Settings, bounds: StoreConfig | None = None) -> Iterator[GraphStore]:
    """Yield the graph of these settings: the Neo4j they name, or the embedded server of `home`.

    Args:
        bounds: limits of time, where those of a command do not fit.

    Raises:
        GraphUnavailableError: no server answers, or the embedded one does not start.
        GraphAuthError: the user or the password is not accepted.
        ConfigError: the address is malformed, the folder is not writable, or the embedded
            server is not installed.
    """
    # The supervisor imports this package and must not carry the driver.
    from kgrec.graph.address import Address, Login
    from kgrec.graph.embedded import embedded_server
    from kgrec.graph.store import GraphStore

    if settings.graph_uri is None:
        with embedded_server(settings.home) as address, GraphStore(address, bounds) as store:
            yield store
        return
    password = settings.graph_password
    login = Login(settings.graph_user, password.get_secret_value()) if password else None
    address = Address(settings.graph_uri, settings.graph_database.lower(), login)
    with GraphStore(address, bounds) as store:
        yield store
