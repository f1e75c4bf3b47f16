"""Translation of the driver's errors to those of kgrec."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer

import neo4j
from neo4j.exceptions import (
    AuthError,
    ConfigurationError,
    DriverError,
    IncompleteCommit,
    Neo4jError,
    SessionExpired,
)

from kgrec.errors import (
    ConfigError,
    GraphAuthError,
    GraphConstraintError,
    GraphError,
    GraphReadOnlyError,
    GraphTimeoutError,
    GraphUnavailableError,
    KGRecError,
)
from kgrec.graph.address import Address, shown
from kgrec.graph.home import logged_cause

_BY_CODE: tuple[tuple[str, type[GraphError], str, str], ...] = (
    # start of the code, our error, what failed, the remedy
    (
        "Neo.ClientError.Security.Forbidden",
        GraphReadOnlyError,
        "the graph database does not allow this",
        "A read-only session cannot write; otherwise the user lacks a right.",
    ),
    (
        "Neo.ClientError.Statement.AccessMode",
        GraphReadOnlyError,
        "a read-only session cannot write",
        "",
    ),
    (
        "Neo.ClientError.Security",
        GraphAuthError,
        "the graph database does not accept the user or the password",
        "Check KGREC_GRAPH_USER and KGREC_GRAPH_PASSWORD.",
    ),
    (
        "Neo.ClientError.Transaction.TransactionTimedOut",
        GraphTimeoutError,
        "the graph database ended a statement that took too long",
        "Request less at a time.",
    ),
    (
        "Neo.ClientError.Schema.ConstraintValidationFailed",
        GraphConstraintError,
        "a write contradicts a uniqueness constraint",
        "",
    ),
    (
        "Neo.ClientError.Database.DatabaseNotFound",
        GraphError,
        "the graph database server has no such database",
        "Check KGREC_GRAPH_DATABASE.",
    ),
    (
        "Neo.TransientError",
        GraphUnavailableError,
        "the graph database could not do this now",
        "Try again.",
    ),
)


@contextmanager
def translated(address: Address) -> Iterator[None]:
    """Translate errors of the driver within the block into errors of kgrec."""
    try:
        yield
    except KGRecError:
        raise
    except Neo4jError as error:
        raise _from_server(error, address.log_file) from error
    except ConfigurationError as error:
        raise bad_address(address.uri) from error
    except IncompleteCommit as error:
        raise GraphUnavailableError(
            "the connection broke during a commit, so it may or may not have happened",
            value=shown(address.uri),
            remedy="Run the command again: what is already there is not doubled.",
        ) from error
    except (DriverError, OSError) as error:
        raise _from_driver(error, address.uri) from error


@contextmanager
def sensible(uri: str) -> Iterator[None]:
    """Turn the driver's complaints about the parts of an address into ConfigError."""
    try:
        yield
    except ValueError as error:
        raise bad_address(uri) from error


def bad_address(uri: str) -> ConfigError:
    """Return the error for an address that cannot be one."""
    remedy = "Set KGREC_GRAPH_URI to something like bolt://localhost:7687."
    if "@" in uri:
        remedy += " User and password belong into KGREC_GRAPH_USER and KGREC_GRAPH_PASSWORD."
    return ConfigError("the graph database's address is invalid", value=shown(uri), remedy=remedy)


def _from_server(error: Neo4jError, log_file: Path | None) -> GraphError:
    code = error.code or ""
    message = (error.message or str(error) or code).strip()
    if isinstance(error, AuthError):
        code = "Neo.ClientError.Security.Unauthorized"
    for prefix, kind, what, remedy in _BY_CODE:
        if code.startswith(prefix):
            return kind(what, value=message, remedy=remedy)
    kind_of_error = code.rpartition(".")[2] or type(error).__name__
    first = message.splitlines()[0]
    cause = logged_cause(log_file, first) if log_file is not None else None
    reason = f"{first} ({cause})" if cause else first
    return GraphError(f"the graph database refuses the statement ({kind_of_error}): {reason}")


def _from_driver(error: Exception, uri: str) -> GraphError:
    broken = isinstance(error, SessionExpired)
    what = "the connection to the graph database broke" if broken else "no graph database answers"
    return GraphUnavailableError(
        what, value=shown(uri), remedy="Check that it runs, and that KGREC_GRAPH_URI names it."
    )


@contextmanager
def watched(driver: neo4j.Driver, seconds: float) -> Iterator[None]:
    """Hang up after some time, for the embedded engine ignores the timeout that it is sent."""
    late = False

    def break_off() -> None:
        nonlocal late
        late = True
        driver.close()

    timer = Timer(seconds * 1.1 + 0.5, break_off)
    timer.daemon = True
    timer.start()
    try:
        yield
    except Exception as error:
        if not late:
            raise
        raise GraphTimeoutError(
            f"the statement ran longer than {seconds:g} seconds",
            remedy="Request less, or allow more time.",
        ) from error
    finally:
        timer.cancel()
