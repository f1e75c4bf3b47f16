"""Rows of an SQL query, by SQLAlchemy: read once, in a stream, into a file of JSON lines.

The connection is closed before anything is loaded, so that no cursor stays open while the graph is
written, and every pass over the table sees the same rows.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

from kgrec.data.origins.address import filled, redacted, shown
from kgrec.data.tables.copies import LocalCopy, unwritable
from kgrec.errors import ConfigError, DataError
from kgrec.progress import SILENT, Progress, Task

_ROWS = 2_000
_TABLE = re.compile(r"[\w$]+(\.[\w$]+)?")
_SHOWN = 200


def copy_query(
    address: str,
    query: str,
    title: str,
    progress: Progress = SILENT,
    *,
    limit: int | None = None,
) -> LocalCopy:
    """Copy the rows of a query to JSON lines: numbers, times, lists and objects stay what they are.

    Args:
        address: of SQLAlchemy, such as `postgresql+psycopg://${DB_USER}@host/shop`; `${NAME}` is a
            variable of the environment.
        query: SQL, or the name of a table.
        title: how the copy is called.
        limit: rows that are copied; all when None.

    Raises:
        ConfigError: the address is none, or a package for it is not installed.
        DataError: the database cannot be reached, or refuses the query.
    """
    try:
        import sqlalchemy as sa
    except ImportError:
        raise _lacks("sqlalchemy", "'kgrec[sql]'") from None
    full, name = filled(address), shown(address)
    copy = LocalCopy(f"{title}.jsonl")
    try:
        engine = _engine(full, name)
        with engine.connect() as connection, progress.task(f"query {title}") as task:
            options: dict[str, Any] = {"stream_results": True, "yield_per": _ROWS}
            if engine.dialect.name == "postgresql":
                options["postgresql_readonly"] = True
            connection = connection.execution_options(**options)
            text = query
            if _TABLE.fullmatch(query.strip()):
                quote = engine.dialect.identifier_preparer.quote
                text = f"SELECT * FROM {'.'.join(map(quote, query.strip().split('.')))}"  # noqa: S608
            with closing(connection.exec_driver_sql(text)) as result:
                _write(copy.path, _columns(result, query), result, task, limit)
        engine.dispose()
    except sa.exc.SQLAlchemyError as error:
        reason = redacted(str(getattr(error, "orig", None) or error), full)
        raise DataError(
            f"{name}: the query failed ({' '.join(reason.split())})", value=_short(query)
        ) from None
    return copy


def table_names(address: str) -> list[str]:
    """Return the tables and views of a database, in their order by name.

    Raises:
        ConfigError, DataError: as of `copy_query`.
    """
    try:
        import sqlalchemy as sa
    except ImportError:
        raise _lacks("sqlalchemy", "'kgrec[sql]'") from None
    full, name = filled(address), shown(address)
    try:
        engine = _engine(full, name)
        found = sa.inspect(engine)
        names = sorted({*found.get_table_names(), *found.get_view_names()})
        engine.dispose()
    except sa.exc.SQLAlchemyError as error:
        reason = redacted(str(getattr(error, "orig", None) or error), full)
        raise DataError(f"the database cannot be read ({reason})", value=name) from None
    return names


def _engine(full: str, name: str) -> Any:
    import sqlalchemy as sa

    try:
        url = sa.make_url(full)
        if url.drivername == "postgres":
            url = url.set(drivername="postgresql")
        if url.drivername == "postgresql" and not _is_installed("psycopg2"):
            url = url.set(drivername="postgresql+psycopg")
        if url.get_backend_name() == "sqlite":
            url = _read_only(url, name)
        return sa.create_engine(url, poolclass=sa.pool.NullPool)
    except sa.exc.NoSuchModuleError as error:
        raise ConfigError(
            "there is no such kind of database",
            value=name,
            remedy=f"SQLAlchemy knows sqlite, postgresql, mysql, oracle and mssql. {error}",
        ) from None
    except sa.exc.ArgumentError as error:
        raise ConfigError(
            f"the address is not one of a database ({redacted(str(error), full)})",
            value=name,
            remedy="Examples: sqlite:///shop.db, postgresql://user@host/shop.",
        ) from None
    except ImportError as error:
        package = (error.name or "").partition(".")[0]
        extra = "'kgrec[sql]'" if package.startswith("psycopg") else package
        raise _lacks(package, extra) from None


def _read_only(url: Any, name: str) -> Any:
    """Return the address of an SQLite file that must be there, and is not written."""
    path = url.database
    if not path or path == ":memory:" or path.startswith("file:"):
        return url
    if not Path(path).is_file():
        raise DataError("there is no such file", value=name, remedy="Check the address.")
    quoted = path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    return url.set(database=f"file:{quoted}").update_query_dict({"mode": "ro", "uri": "true"})


def _columns(result: Any, query: str) -> list[str]:
    if not result.returns_rows:
        raise DataError("the query returns no rows", value=_short(query), remedy="SELECT some.")
    names = [str(name) for name in result.keys()]  # noqa: SIM118
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DataError(
            f"the query has two columns called {twice}",
            value=_short(query),
            remedy="Name one of them by AS.",
        )
    return names


def _write(path: Path, columns: Sequence[str], result: Any, task: Task, limit: int | None) -> None:
    """Write rows as they come; some thousand are in memory."""
    count = 0
    try:
        with path.open("w", encoding="utf-8") as file:
            for rows in result.partitions(_ROWS):
                file.writelines(_lines(columns, rows))
                count += len(rows)
                task.advance(len(rows))
                if limit is not None and count >= limit:
                    break
    except OSError as error:
        raise unwritable(error) from None
    if not count:
        raise DataError("the query has no rows", value=", ".join(columns))


def _lines(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Iterator[str]:
    for row in rows:
        cells = {
            name: None if isinstance(cell, float) and not math.isfinite(cell) else cell
            for name, cell in zip(columns, row, strict=True)
        }
        yield json.dumps(cells, ensure_ascii=False, default=_plain) + "\n"


def _plain(value: Any) -> Any:
    """Return what JSON has for a value of a database."""
    if isinstance(value, Decimal):
        return _number(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, bytes | bytearray | memoryview):
        raw = bytes(value)
        try:
            return raw.decode()
        except UnicodeDecodeError:
            return raw.hex()
    if isinstance(value, set | frozenset):
        return sorted(value, key=str)
    if isinstance(value, Enum):
        return value.value
    return str(value)


def _number(value: Decimal) -> int | float | str | None:
    if not value.is_finite():
        return None
    if value == value.to_integral_value() and abs(value) < 10**18:
        return int(value)
    return float(value) if Decimal(repr(float(value))) == value else str(value)


def _short(query: str) -> str:
    text = " ".join(query.split())
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _is_installed(package: str) -> bool:
    from importlib.util import find_spec

    return find_spec(package) is not None


def _lacks(what: str, package: str) -> ConfigError:
    return ConfigError(
        "a package that a query needs is not installed",
        value=what,
        remedy=f"Run `pip install {package}`.",
    )
