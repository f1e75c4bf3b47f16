"""Addresses of sources: what they stand for, and how they are shown without their secrets."""

from __future__ import annotations

import os
import re
from urllib.parse import parse_qsl, unquote, urlsplit

from kgrec.errors import ConfigError

_ADDRESS = re.compile(r"[A-Za-z][\w+.-]*://|[A-Za-z]\w*:\w+:/")
_VARIABLE = re.compile(r"\$\{(\w+)\}")
_SCHEME = re.compile(r"([A-Za-z][\w+.-]*)://")
_DATABASES = frozenset(
    {"sqlite", "postgresql", "postgres", "mysql", "mariadb", "oracle", "mssql", "duckdb"}
)
SQLITE = "sqlite:///"
_NO_RELATIVE_FILE = ("/", ":memory:", "file:", "${")
_SHORTEST = 4
"""Characters of the shortest value of an address's query that is left out of messages."""


def is_address(text: str) -> bool:
    """Return whether a text is an address, and no path: it begins with `scheme://`."""
    return _ADDRESS.match(text) is not None


def scheme_of(address: str) -> str:
    """Return the first scheme of an address, in lower case, without a driver: `postgresql`."""
    found = _SCHEME.match(address)
    return found[1].lower().partition("+")[0] if found else ""


def is_database(address: str) -> bool:
    """Return whether an address is one of a database."""
    return scheme_of(address) in _DATABASES


def sqlite_file(address: str) -> str | None:
    """Return the path that the address of an SQLite file names, where it is a relative one."""
    file = address.removeprefix(SQLITE)
    named = address.startswith(SQLITE) and file and not file.startswith(_NO_RELATIVE_FILE)
    return file if named else None


def filled(address: str) -> str:
    """Return an address with the variables of the environment that `${NAME}` stands for.

    Raises:
        ConfigError: a variable is not set.
    """

    def value(found: re.Match[str]) -> str:
        if found[1] not in os.environ:
            raise ConfigError(
                "the address names a variable of the environment that is not set",
                value=found[1],
                remedy=f"Set {found[1]}, or write the address without it.",
            )
        return os.environ[found[1]]

    return _VARIABLE.sub(value, address)


def shown(address: str) -> str:
    """Return an address without user, password, query and fragment, for messages and provenance."""
    return "::".join(_shown(part) for part in address.split("::"))


def redacted(text: str, address: str) -> str:
    """Return a message about an address, without what the address holds of secrets.

    Args:
        address: with its variables filled in.
    """
    text = text.replace(address, shown(address))
    for secret in sorted(_secrets(address), key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


def holds_secret(address: str) -> bool:
    """Return whether an address has a password or a query, other than by `${NAME}`."""
    return any(one.strip("$") for one in _secrets(_VARIABLE.sub("$", address)))


def file_name(address: str) -> str:
    """Return the last part of the path of an address, or its host."""
    parts = urlsplit(address.partition("::")[0])
    return unquote(parts.path).rstrip("/").rpartition("/")[2] or parts.hostname or "table"


def _shown(part: str) -> str:
    if not is_address(part):
        return part
    scheme, _, rest = part.partition("://")
    if scheme.lower() in ("file", "local", "memory", "zip", "tar"):  # names may hold any sign
        return part
    place = re.split(r"[?#]", rest, maxsplit=1)[0]
    authority, slash, path = place.partition("/")
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}"


def _secrets(address: str) -> set[str]:
    found: set[str] = set()
    for part in address.split("::"):
        rest = part.partition("://")[2]
        user, at, _ = rest.partition("/")[0].rpartition("@")
        name, _, password = user.partition(":")
        given = [password or name, unquote(password or name)] if at else []
        query = rest.partition("?")[2].partition("#")[0]
        given += [value for _, value in parse_qsl(query)]
        given += [pair.partition("=")[2] for pair in query.split("&")]
        found.update(one for one in given if len(one) >= _SHORTEST)
        if at and password:
            found.add(password)
    return {one for one in found if one}
