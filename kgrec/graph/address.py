"""The address of a graph database, and the users that log in to it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

# Up to the last @, for a password may hold any character.
_USER = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*://)?.*@", re.DOTALL)


@dataclass(frozen=True)
class Login:
    """A user of the database and its password."""

    user: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class Address:
    """Everything that is needed to open a store.

    Attributes:
        uri: Bolt address.
        database: name of the database, in lower case.
        login: user that may write; None where the server needs no login.
        reader: user that may only read, where the engine does not enforce read-only sessions.
        http_uri: HTTP interface of the embedded engine, for commands that Cypher lacks.
        write_lock: file that is locked around each write, where the engine needs one writer.
        log_file: what the server writes, where it runs on this machine for kgrec.
    """

    uri: str
    database: str
    login: Login | None
    reader: Login | None = None
    http_uri: str | None = None
    write_lock: Path | None = None
    log_file: Path | None = None


def shown(uri: str) -> str:
    """Return an address for display, without a user or password in it."""
    return _USER.sub(r"\1***@", uri)
