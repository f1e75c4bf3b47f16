"""The graph over Bolt: named statements in managed transactions, bounded in time and retried."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, LiteralString, TypeAlias, TypeVar

import neo4j

from kgrec.config import FrozenModel
from kgrec.deadline import bounded
from kgrec.errors import GraphConstraintError, GraphError, GraphStatementError, SchemaError
from kgrec.graph.address import Address, Login, shown
from kgrec.graph.answers import QueryResult, fetched
from kgrec.graph.dialects import Dialect, dialect_of
from kgrec.graph.failures import bad_address, sensible, translated, watched
from kgrec.graph.processes import in_turn
from kgrec.graph.read_only import bare, explained
from kgrec.graph.statements import MakeRow, exact_row, row
from kgrec.graph.under_way import UnderWay
from kgrec.schema import load_schema

Row: TypeAlias = dict[str, Any]
Step: TypeAlias = tuple[str, Mapping[str, str], Mapping[str, Any]]
_Text: TypeAlias = tuple[LiteralString, Mapping[str, Any]]
ResultT = TypeVar("ResultT")

# The driver's messages about retries belong into a log that someone set up, not on a terminal.
logging.getLogger("neo4j").addHandler(logging.NullHandler())

_SCHEMES = frozenset({"bolt", "bolt+s", "bolt+ssc", "neo4j", "neo4j+s", "neo4j+ssc"})
_NONE: Mapping[str, str] = {}
_CLOSE_S = 10.0
"""Seconds that transactions under way have to end when the store is closed."""

CATALOGUE = "catalogue"  # the `Revision` that counts changes of items, entities, facts and links


class StoreConfig(FrozenModel):
    """Bounds of one store, times in seconds."""

    connect_timeout: float = 10.0
    retry_time: float = 30.0
    """How long a transaction is tried again after errors that pass."""
    retry_delay: float = 0.1
    """Seconds before the first of these tries."""
    retry_growth: float = 2.0
    """How many times longer each later try waits."""
    read_timeout: float = 60.0
    write_timeout: float = 300.0
    lock_timeout: float = 600.0
    """How long a write waits for the writes of other processes on a one-writer engine."""
    constraint_retries: int = 2
    """Two writers that create the same node at once: the later one finds it at the next try."""


@dataclass(frozen=True)
class EngineInfo:
    """Which database a store is connected to."""

    engine: str
    version: str
    uri: str
    database: str


class GraphStore:
    """One property graph behind the Bolt protocol.

    Args:
        address: where it is.
        config: bounds of time and retries.

    Raises:
        GraphUnavailableError: nothing answers at the address.
        GraphAuthError: the user or the password is not accepted.
        ConfigError: the address is malformed.
    """

    def __init__(self, address: Address, config: StoreConfig | None = None) -> None:
        self.address = address
        self.config = config or StoreConfig()
        self.on_read: Callable[[str, float], None] | None = None
        """Called with the name of each statement that was read, and the seconds that it took."""
        self.on_away: Callable[[], None] = lambda: None
        """Called when a connection breaks or cannot be made, before the next try."""
        self.writes = 0  # of this store; what was read before the last may be out of date
        self._under_way = UnderWay()
        self._driver = self._connect(address.login)
        self._reader = self._driver
        try:
            with translated(address):
                agent = self._driver.get_server_info().agent
            self._agent = agent
            self.dialect: Dialect = dialect_of(agent)
            if address.reader is not None:
                self._reader = self._connect(address.reader)
        except BaseException:
            self._driver.close()
            raise

    def __enter__(self) -> GraphStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection; the store cannot be used afterwards.

        Other threads may end what they read or write first, within ten seconds.
        """
        self._under_way.end(_CLOSE_S)
        try:
            self._driver.close()
        finally:
            self._reader.close()

    def info(self) -> EngineInfo:
        """Return engine, version and address of the server."""
        return EngineInfo(
            engine=self.dialect.engine,
            version=self.dialect.version(self._agent),
            uri=shown(self.address.uri),
            database=self.address.database,
        )

    def read(
        self, statement: str, slots: Mapping[str, str] = _NONE, **parameters: Any
    ) -> list[Row]:
        """Return every row of a statement file, read in one read-only transaction.

        It is sent alone, and again after an error that passes.

        Args:
            statement: file below `graph_schema/cypher/`, without ending.
            slots: identifiers for the statement's `__SLOTS__`.
            parameters: values for its `$parameters`, all of them and no other.

        Raises:
            SchemaError: there is no such statement, or slots or parameters disagree with it.
            GraphError: the kinds below it, as the database answers.
            TimeLimitError: the deadline of the context has passed (`kgrec.deadline`).
        """
        begun = time.perf_counter()
        try:
            return self._read(_text(statement, slots, parameters), parameters)
        finally:
            if self.on_read is not None:
                self.on_read(statement, time.perf_counter() - begun)

    def read_exactly(
        self, statement: str, slots: Mapping[str, str] = _NONE, **parameters: Any
    ) -> list[Row]:
        """Return the rows as `read` does, with the driver's types, which know zones and points."""
        return self._read(_text(statement, slots, parameters), parameters, exact_row)

    def _read(
        self, text: LiteralString, parameters: Mapping[str, Any], make: MakeRow = row
    ) -> list[Row]:
        def attempt() -> list[Row]:
            timeout = bounded(self.config.read_timeout)
            return self._read_once(neo4j.Query(text, timeout=timeout), parameters, make)

        with translated(self.address):
            return self._retried(attempt)

    def write(
        self, statement: str, slots: Mapping[str, str] = _NONE, **parameters: Any
    ) -> list[Row]:
        """Run a statement file in one write transaction and return its rows.

        Raises what `read` raises, and GraphConstraintError on a contradiction with a constraint.
        The statement must be one that may run twice, for it is tried again after passing errors.
        """
        return self.write_all([(statement, slots, parameters)])[0]

    def write_all(
        self, steps: Sequence[Step], items: Collection[str] | None = None
    ) -> list[list[Row]]:
        """Run several statements in order in one transaction; all of them happen or none does.

        Args:
            steps: (statement, slots, parameters) each, as of `write`.
            items: the only ones whose text, facts or presence in the catalogue may change by it.

        What changes the catalogue counts up its revision in it.

        Returns:
            The rows of each step.
        """
        texts = [
            (_text(statement, slots, parameters), parameters)
            for statement, slots, parameters in steps
        ]
        schema = load_schema()
        if any(schema.statement(statement).changes_catalogue for statement, _, _ in steps):
            texts.append(_revision(items))
        for attempt in range(self.config.constraint_retries + 1):
            try:
                return self._write_once(texts)[: len(steps)]
            except GraphConstraintError:
                if attempt == self.config.constraint_retries:
                    raise
        raise AssertionError("the last attempt returns or raises")

    def query(
        self,
        cypher: str,
        parameters: Mapping[str, Any] | None = None,
        limit: int = 1000,
        timeout: float = 30.0,
        *,
        writing: bool = False,
        proven: bool = False,
        max_bytes: int | None = None,
    ) -> QueryResult:
        """Run a statement that a person wrote: read-only unless `writing`, bounded rows and time.

        Args:
            cypher: one statement.
            parameters: values for its `$parameters`.
            limit: rows at most.
            timeout: seconds at most.
            writing: whether it may write.
            proven: whether the engine must prove, before it runs, that the statement reads the
                graph and does nothing else (`kgrec.graph.read_only`).
            max_bytes: rows are cut where they are longer as JSON.

        Raises:
            GraphReadOnlyError: it writes, and `writing` is false, or it is not `proven` to read.
            GraphTimeoutError: it ran longer than `timeout` seconds.
            GraphStatementError: it is `proven`, and wrong in itself.
            GraphError: the database refuses it.
        """
        if proven:
            cypher = bare(cypher)
        with (
            translated(self.address),
            self.sole_writer() if writing else nullcontext(),
            self._connect(self._login(writing=writing)) as driver,
            watched(driver, timeout),
            self._session(writing=writing, driver=driver) as session,
            _blamed(self.address, proven=proven),
            session.begin_transaction(timeout=timeout) as transaction,
        ):
            given = dict(parameters or {})
            if proven:
                self.dialect.check_reading(
                    self.address, cypher, given, lambda: explained(transaction, cypher, given)
                )
            result = transaction.run(cypher, given)
            found = fetched(result, limit, max_bytes)
            if writing:
                result.consume()
                transaction.commit()
        if writing:
            self.writes += 1
            self._write_once([_revision()])
        return found

    def sole_writer(self) -> AbstractContextManager[None]:
        """Hold other processes off from writing while the block runs, where the engine needs it.

        Raises:
            GraphTimeoutError: they wrote for longer than `lock_timeout`.
        """
        if self.address.write_lock is None:
            return nullcontext()
        what = "writing to the graph"
        return in_turn(self.address.write_lock, timeout=self.config.lock_timeout, what=what)

    def _read_once(
        self, query: neo4j.Query, parameters: Mapping[str, Any], make: MakeRow
    ) -> list[Row]:
        with self._under_way.one(), self._session(writing=False) as session:
            result = session.run(query, dict(parameters))
            keys = result.keys()
            return [make(keys, record.values()) for record in result]

    def _connect(self, login: Login | None) -> neo4j.Driver:
        uri = self.address.uri
        if uri.partition("://")[0] not in _SCHEMES:
            raise bad_address(uri)
        with translated(self.address), sensible(uri):
            driver = neo4j.GraphDatabase.driver(
                uri,
                auth=(login.user, login.password) if login else None,
                connection_timeout=self.config.connect_timeout,
                connection_acquisition_timeout=self.config.connect_timeout * 2,
                notifications_min_severity="OFF",
                user_agent="kgrec",
            )
            try:
                driver.verify_connectivity()
            except BaseException:
                driver.close()
                raise
            return driver

    def _login(self, *, writing: bool) -> Login | None:
        return self.address.login if writing else self.address.reader or self.address.login

    def _session(self, *, writing: bool, driver: neo4j.Driver | None = None) -> neo4j.Session:
        driver = driver or (self._driver if writing else self._reader)
        access = neo4j.WRITE_ACCESS if writing else neo4j.READ_ACCESS
        return driver.session(database=self.address.database, default_access_mode=access)

    def _write_once(self, texts: Sequence[_Text]) -> list[list[Row]]:
        def attempt() -> list[list[Row]]:
            return self._transaction(texts, bounded(self.config.write_timeout))

        try:
            with translated(self.address), self.sole_writer():
                return self._retried(attempt)
        finally:
            self.writes += 1

    def _transaction(self, texts: Sequence[_Text], timeout: float) -> list[list[Row]]:
        with (
            self._under_way.one(),
            self._session(writing=True) as session,
            session.begin_transaction(timeout=timeout) as transaction,
        ):
            answers = []
            for text, parameters in texts:
                result = transaction.run(text, dict(parameters))
                keys = result.keys()
                answers.append([row(keys, record.values()) for record in result])
            transaction.commit()
        return answers

    def _is_displaced(self, error: Exception) -> bool:
        """Whether the port of the embedded server, which knew the login, is another's now."""
        return self.address.http_uri is not None and isinstance(error, neo4j.exceptions.AuthError)

    def _retried(self, attempt: Callable[[], ResultT]) -> ResultT:
        """Try again after errors that pass, and report each at which the database was away."""
        end, pause = 0.0, self.config.retry_delay
        while True:
            try:
                return attempt()
            except (neo4j.exceptions.Neo4jError, neo4j.exceptions.DriverError) as error:
                displaced = self._is_displaced(error)
                if not displaced and not error.is_retryable():
                    raise
                if displaced or isinstance(error, neo4j.exceptions.DriverError):
                    self.on_away()
                end = end or time.monotonic() + self.config.retry_time
                left = end - time.monotonic()
                if left <= 0:
                    raise
            time.sleep(min(pause * random.uniform(0.8, 1.2), left))  # noqa: S311 - not in step
            pause *= self.config.retry_growth


def _revision(items: Collection[str] | None = None) -> _Text:
    named = None if items is None else sorted(items)
    values = {"name": CATALOGUE, "now": int(time.time() * 1000), "items": named}
    return _text("admin/next_revision", _NONE, values), values


def _text(statement: str, slots: Mapping[str, str], parameters: Mapping[str, Any]) -> LiteralString:
    found = load_schema().statement(statement)
    if found.parameters != parameters.keys():
        wrong = ", ".join(sorted(found.parameters ^ parameters.keys()))
        raise SchemaError(f"statement {statement!r} and its parameters disagree", value=wrong)
    return found.text(**slots)


@contextmanager
def _blamed(address: Address, *, proven: bool) -> Iterator[None]:
    """Turn refusals by the database into errors of the caller's statement."""
    try:
        with translated(address):
            yield
    except GraphError as error:
        if not proven or type(error) is not GraphError:
            raise
        raise GraphStatementError(error.what, value=error.value) from error
