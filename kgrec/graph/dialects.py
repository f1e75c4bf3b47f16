"""Dialects of the engines: names and definitions of indexes, and how existing ones are read.

ArcadeDB defines indexes over its HTTP interface, since its Cypher cannot express them.
"""

from __future__ import annotations

import pkgutil
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, Protocol

from kgrec.errors import GraphAuthError, SchemaError
from kgrec.graph.address import Address
from kgrec.graph.http import post, run_sql
from kgrec.graph.read_only import Plan, check_plan, refused, unreached
from kgrec.schema import Index, load_schema

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
    def release_properties(
        self, store: StatementRunner, label: str, kinds: Mapping[str, str]
    ) -> None:
        """Drop the index of each property that is declared as another kind than `kinds` names.

        An engine that declares what it indexes would cut values to that kind, or refuse them.

        Args:
            kinds: kind by name of the property; others are left as they are.
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

    def release_properties(
        self, store: StatementRunner, label: str, kinds: Mapping[str, str]
    ) -> None:
        """Do nothing: an index holds values of any kind."""

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

    def release_properties(
        self, store: StatementRunner, label: str, kinds: Mapping[str, str]
    ) -> None:
        rows = run_sql(
            store.address,
            f"SELECT expand(properties) FROM schema:types WHERE name = '{label}'",  # noqa: S608
        )
        declared = {str(one["name"]): one["type"] for one in rows}
        for name in declared.keys() & kinds.keys():
            if declared[name] != _SQL_TYPES.get(kinds[name]):
                with store.sole_writer():
                    run_sql(store.address, f"DROP INDEX `{label}[{name}]` IF EXISTS")
                    run_sql(store.address, f"DROP PROPERTY {label}.{name} IF EXISTS")

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
            post(reader, f"/api/v1/query/{address.database}", body)
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
