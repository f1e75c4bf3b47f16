"""Dialects of the engines: names and definitions of indexes, and how existing ones are read.

ArcadeDB defines users and indexes over its HTTP interface, since its Cypher cannot express them.
"""

from __future__ import annotations

import json
import pkgutil
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, Protocol

import httpx2

from kgrec.errors import (
    GraphAuthError,
    GraphError,
    GraphStatementError,
    GraphUnavailableError,
    SchemaError,
)
from kgrec.graph.address import Address, shown
from kgrec.graph.launch import READER_GROUP
from kgrec.graph.read_only import Plan, check_plan, placed, refused, unreached
from kgrec.schema import Index, load_schema

_TIMEOUT = 600.0
"""Seconds; an index over a large catalogue takes minutes to build."""
_PROMPT = 5.0
"""Seconds for a request that a server answers at once or not at all."""


def run_sql(address: Address, command: str) -> list[dict[str, Any]]:
    """Run one SQL command and return its rows.

    Raises:
        GraphError: the address has no HTTP endpoint, or the server refuses the command.
        GraphUnavailableError: nothing answers.
    """
    path = f"/api/v1/command/{address.database}"
    answer = _post(address, path, {"language": "sql", "command": command})
    rows: list[dict[str, Any]] = answer["result"]
    return rows


def is_ready(address: Address) -> bool:
    """Whether the server has opened its database; raises GraphAuthError for a refused login."""
    try:
        answer = _get(address, _exists(address), timeout=_PROMPT)
    except GraphAuthError:
        raise
    except GraphError:
        return False
    return bool(answer.get("result"))


def accepts_reader(address: Address) -> bool:
    """Whether the user that may only read can log in with the stored password."""
    try:
        _get(replace(address, login=address.reader), _exists(address), timeout=_PROMPT)
    except GraphAuthError:
        return False
    return True


def ensure_reader(address: Address) -> None:
    """Create the user that may only read; an existing one is replaced, for its password."""
    if address.reader is None:
        return
    user = {
        "name": address.reader.user,
        "password": address.reader.password,
        "databases": {address.database: [READER_GROUP]},
    }
    users = _get(address, "/api/v1/server/users")
    if any(one.get("name") == address.reader.user for one in users.get("result", [])):
        _post(address, "/api/v1/server", {"command": f"drop user {address.reader.user}"})
    _post(address, "/api/v1/server", {"command": f"create user {json.dumps(user)}"})


def _exists(address: Address) -> str:
    return f"/api/v1/exists/{address.database}"


def _get(address: Address, path: str, *, timeout: float = _TIMEOUT) -> dict[str, Any]:
    return _send(address, "GET", path, None, timeout)


def _post(address: Address, path: str, body: dict[str, Any]) -> dict[str, Any]:
    return _send(address, "POST", path, body, _TIMEOUT)


def _send(
    address: Address, method: str, path: str, body: dict[str, Any] | None, timeout: float
) -> dict[str, Any]:
    if address.http_uri is None or address.login is None:
        raise GraphError(
            "an ArcadeDB server can only be used as the embedded one",
            value=shown(address.uri),
            remedy="Unset KGREC_GRAPH_URI, or set it to a Neo4j.",
        )
    login = (address.login.user, address.login.password)
    try:
        # A proxy of the environment must not see loopback traffic, which needs no certificates:
        # reading those would take longer than the request.
        with httpx2.Client(timeout=timeout, trust_env=False, verify=False) as client:
            answer = client.request(method, address.http_uri + path, json=body, auth=login)
        if not answer.is_success:
            raise _refusal(answer.status_code, answer.content)
        result: dict[str, Any] = answer.json()
    except (httpx2.HTTPError, ValueError) as error:
        raise GraphUnavailableError(
            f"the embedded graph database does not answer ({error})", value=address.http_uri
        ) from None
    return result


def _refusal(code: int, body: bytes) -> GraphError:
    try:
        answer = json.loads(body)
        detail, kind = answer.get("detail", ""), str(answer.get("exception", ""))
    except ValueError:
        detail, kind = body.decode(errors="replace"), ""
    if kind.endswith(".QueryNotIdempotentException"):
        return refused("it writes, or changes definitions or the server")
    if kind.endswith((".CommandParsingException", ".CommandParameterMissingException")):
        message = placed(str(detail).splitlines()[0])
        return GraphStatementError(
            f"the graph database refuses the statement (SyntaxError): {message}"
        )
    if code in (401, 403):
        return GraphAuthError(f"the graph database refuses the login: {detail}")
    return GraphError(f"the graph database refuses a command: {detail}", value=code)


_SQL_TYPES = {"integer": "LONG", "float": "DOUBLE"}
_VERSION = re.compile(r"\d+(?:\.\d+)+")


class StatementRunner(Protocol):
    """What a dialect needs of a store to define indexes; `GraphStore` satisfies it."""

    address: Address

    def read(
        self, statement: str, slots: Mapping[str, str] = ..., **parameters: Any
    ) -> list[dict[str, Any]]:
        """Return the rows of a statement file."""

    def write(
        self, statement: str, slots: Mapping[str, str] = ..., **parameters: Any
    ) -> list[dict[str, Any]]:
        """Run a statement file in a write transaction and return its rows."""

    def sole_writer(self) -> AbstractContextManager[None]:
        """Exclude the writes of other processes while the block runs."""


class Dialect(ABC):
    """How one engine names and defines the indexes that `[indexes]` of core.toml has by key."""

    engine: str

    @abstractmethod
    def version(self, agent: str) -> str:
        """Return the version within the server's agent string."""

    @abstractmethod
    def index_name(self, key: str) -> str:
        """Return the name by which procedures call the index."""

    @abstractmethod
    def create_fulltext_index(self, store: StatementRunner, key: str) -> None:
        """Create a full-text index where it is missing."""

    @abstractmethod
    def create_vector_index(self, store: StatementRunner, key: str, dimensions: int) -> None:
        """Create a cosine vector index, which must not exist."""

    @abstractmethod
    def drop_index(self, store: StatementRunner, key: str) -> None:
        """Drop an index, which must exist."""

    @abstractmethod
    def forget_deleted(self, store: StatementRunner, label: str, key: str) -> None:
        """Rewrite the index of the keys of a label where it would keep those that are deleted."""

    @abstractmethod
    def vector_dimensions(self, store: StatementRunner, key: str) -> int | None:
        """Return the length of the vectors of an index, None where there is no such index."""

    @abstractmethod
    def create_property_index(
        self, store: StatementRunner, label: str, name: str, kind: str
    ) -> None:
        """Create an index for ranges of a property, where there is none.

        Args:
            kind: `integer` or `float`.
        """

    @abstractmethod
    def check_reading(
        self,
        address: Address,
        statement: str,
        parameters: Mapping[str, Any],
        explain: Callable[[], Plan],
    ) -> None:
        """Have the engine prove that a statement reads the graph and does nothing else.

        Args:
            address: where the engine is.
            statement: one statement, which is not run.
            parameters: values for its parameters.
            explain: compiles the statement in the transaction that it is to run in.

        Raises:
            GraphReadOnlyError: it does something else.
            GraphStatementError: it is wrong.
        """

    def vector_index(self, slot: str) -> str:
        """Return the name of the vector index of a slot, for `$index` of a statement."""
        return self.index_name(slot)

    def fulltext_index(self, key: str) -> str:
        """Return the name of a full-text index, for `$index` of a statement."""
        return self.index_name(key)


class Neo4jDialect(Dialect):
    """Neo4j 5 and the releases named by year."""

    engine = "neo4j"

    def version(self, agent: str) -> str:
        return _first_version(agent)

    def index_name(self, key: str) -> str:
        index_of(key)
        return key

    def create_fulltext_index(self, store: StatementRunner, key: str) -> None:
        store.write("setup/fulltext_index", _index_slots(key))

    def create_vector_index(self, store: StatementRunner, key: str, dimensions: int) -> None:
        store.write("setup/vector_index", _index_slots(key), dimensions=dimensions)

    def drop_index(self, store: StatementRunner, key: str) -> None:
        store.write("setup/drop_index", {"index": key})

    def forget_deleted(self, store: StatementRunner, label: str, key: str) -> None:
        """Do nothing: its tree takes a key out."""

    def create_property_index(
        self, store: StatementRunner, label: str, name: str, kind: str
    ) -> None:
        slots = {"index": f"{label.lower()}_{name}_range", "label": label, "property": name}
        store.write("setup/property_index", slots)

    def check_reading(
        self,
        address: Address,
        statement: str,
        parameters: Mapping[str, Any],
        explain: Callable[[], Plan],
    ) -> None:
        check_plan(explain())

    def vector_dimensions(self, store: StatementRunner, key: str) -> int | None:
        rows = store.read("setup/index_options", index=key)
        return int(rows[0]["config"]["vector.dimensions"]) if rows else None


class ArcadeDialect(Dialect):
    """ArcadeDB, whose indexes are defined in its own SQL and named by label and property."""

    engine = "arcadedb"

    def version(self, agent: str) -> str:
        return _first_version(agent.partition("ArcadeDB")[2])

    def index_name(self, key: str) -> str:
        return f"{index_of(key).label}[{indexed_property(key)}]"

    def create_fulltext_index(self, store: StatementRunner, key: str) -> None:
        self._create(store, key, "STRING", "FULL_TEXT")

    def create_vector_index(self, store: StatementRunner, key: str, dimensions: int) -> None:
        metadata = f'METADATA {{"dimensions": {int(dimensions)}, "similarity": "COSINE"}}'
        self._create(store, key, "ARRAY_OF_FLOATS", f"LSM_VECTOR {metadata}")

    def drop_index(self, store: StatementRunner, key: str) -> None:
        with store.sole_writer():
            run_sql(store.address, f"DROP INDEX `{self.index_name(key)}`")

    def forget_deleted(self, store: StatementRunner, label: str, key: str) -> None:
        with store.sole_writer():  # an LSM tree marks what is deleted, and writes on
            run_sql(store.address, f"DROP INDEX `{label}[{key}]`")
            run_sql(store.address, f"CREATE PROPERTY {label}.{key} IF NOT EXISTS STRING")
            index = f"CREATE INDEX IF NOT EXISTS ON {label} ({key}) UNIQUE NULL_STRATEGY SKIP"
            run_sql(store.address, index)

    def create_property_index(
        self, store: StatementRunner, label: str, name: str, kind: str
    ) -> None:
        self._define(store, label, name, _SQL_TYPES[kind], "NOTUNIQUE")

    def check_reading(
        self,
        address: Address,
        statement: str,
        parameters: Mapping[str, Any],
        explain: Callable[[], Plan],
    ) -> None:
        """Have the endpoint for queries judge it: EXPLAIN of this engine names no query type."""
        body = {
            "language": "opencypher",
            "command": unreached(statement),
            "params": dict(parameters),
        }
        reader = replace(address, login=address.reader)
        try:
            _post(reader, f"/api/v1/query/{address.database}", body)
        except GraphAuthError as error:
            raise refused("the engine does not allow it") from error

    def vector_dimensions(self, store: StatementRunner, key: str) -> int | None:
        label = index_of(key).label
        rows = run_sql(
            store.address,
            f"SELECT expand(indexes) FROM schema:types WHERE name = '{label}'",  # noqa: S608
        )
        name = self.index_name(key)
        found = [int(one["dimensions"]) for one in rows if one["name"] == name]
        return found[0] if found else None

    def _create(self, store: StatementRunner, key: str, kind: str, index: str) -> None:
        self._define(store, index_of(key).label, indexed_property(key), kind, index)

    @staticmethod
    def _define(store: StatementRunner, label: str, name: str, kind: str, index: str) -> None:
        with store.sole_writer():
            run_sql(store.address, f"CREATE VERTEX TYPE {label} IF NOT EXISTS")
            run_sql(store.address, f"CREATE PROPERTY {label}.{name} IF NOT EXISTS {kind}")
            run_sql(store.address, f"CREATE INDEX IF NOT EXISTS ON {label} ({name}) {index}")


DIALECTS: dict[str, str] = {
    # word of the agent string: module:class; the first that occurs counts
    "ArcadeDB": "kgrec.graph.dialects:ArcadeDialect",
    "Neo4j": "kgrec.graph.dialects:Neo4jDialect",
}


def dialect_of(agent: str) -> Dialect:
    """Return the dialect of a server by its agent string, such as `Neo4j/5.26.30`.

    A server that names itself otherwise is treated as a Neo4j, whose protocol it uses.
    """
    words = (word for word in DIALECTS if word in agent)
    dialect: type[Dialect] = pkgutil.resolve_name(DIALECTS[next(words, "Neo4j")])
    return dialect()


def index_of(key: str) -> Index:
    """Return an index of `core.toml`; raises SchemaError when there is none of this name."""
    try:
        return load_schema().core.indexes[key]
    except KeyError:
        raise SchemaError("there is no such index", value=key) from None


def indexed_property(key: str) -> str:
    """Return the one property of an index.

    Raises:
        SchemaError: it covers none or several, which no statement is written for.
    """
    index = index_of(key)
    names = index.properties if index.property is None else (index.property,)
    if len(names) != 1:
        raise SchemaError(f"the index {key!r} must cover one property", value=", ".join(names))
    return names[0]


def _index_slots(key: str) -> dict[str, str]:
    return {"index": key, "label": index_of(key).label, "property": indexed_property(key)}


def _first_version(text: str) -> str:
    found = _VERSION.search(text)
    return found.group() if found else "unknown"
