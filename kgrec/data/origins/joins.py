"""Tables with the columns of others beside their own, so that codes are read as names.

The other table is read once into a temporary file of SQLite, so memory stays bounded whatever its
size; rows of the table itself keep their lines.
"""

from __future__ import annotations

import json
import sqlite3
import weakref
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from kgrec.data.origins.address import is_address, shown
from kgrec.data.origins.query import copy_query
from kgrec.data.origins.remote import copy_file
from kgrec.data.sources import JoinSpec
from kgrec.data.tables import Table, TableFormat, open_table
from kgrec.data.tables.files import Columns, Row, SetAside, ignore
from kgrec.errors import ConfigError, DataError
from kgrec.progress import SILENT, Progress

_KEPT = 100_000
_A_BATCH = 5_000


class JoinedRows:
    """The rows of another table by their key.

    Args:
        columns: those that are read of it.

    Attributes:
        on: the column of the first table that holds the key.
    """

    def __init__(self, spec: JoinSpec, table: Table, columns: Sequence[str]) -> None:
        self.on, self.columns = spec.on, tuple(columns)
        self._key = spec.key or spec.on
        # Rows may be read in another thread than the one that looked at them.
        self._database = sqlite3.connect("", check_same_thread=False)
        weakref.finalize(self, self._database.close)
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute("CREATE TABLE other (key TEXT PRIMARY KEY, cells) WITHOUT ROWID")
        try:
            self._database.executemany("INSERT OR IGNORE INTO other VALUES (?, ?)", self._of(table))
        except sqlite3.Error as error:
            raise DataError(
                f"the rows to join cannot be kept on disk ({error})",
                value=table.shown,
                remedy="Make room in the folder for temporary files, or set TMPDIR to another.",
            ) from None
        self.cells = lru_cache(_KEPT)(self._cells)

    def _of(self, table: Table) -> Iterator[tuple[str, str]]:
        for _, cells in table.rows(ignore):
            key = _key_of(cells.get(self._key))
            if key:
                values = [cells.get(name) for name in self.columns]
                yield key, json.dumps(values, ensure_ascii=False, default=str)

    def beside(self, cells: dict[str, Any]) -> dict[str, Any]:
        """Return the columns of the other table for a row of the first."""
        found = self.cells(_key_of(cells.get(self.on)))
        return dict(zip(self.columns, found, strict=True))

    def _cells(self, key: str) -> Sequence[Any]:
        row = self._database.execute("SELECT cells FROM other WHERE key = ?", (key,)).fetchone()
        nothing: list[Any] = [None] * len(self.columns)
        return nothing if row is None else list(json.loads(row[0]))


@dataclass(frozen=True)
class JoinedTable(Table):
    """A table with further columns.

    Attributes:
        base: the table itself.
        others: what is joined to it, in this order.
    """

    base: Table = field(kw_only=True)
    others: tuple[JoinedRows, ...] = ()

    def rows(self, set_aside: SetAside, *, step: int = 1) -> Iterator[Row]:
        """Yield what the table itself does, with the columns of the others."""
        for line, cells in self.base.rows(set_aside, step=step):
            yield line, self.widened(cells)

    def widened(self, cells: dict[str, Any]) -> dict[str, Any]:
        """Return a row with the columns of the others."""
        for other in self.others:
            cells = {**other.beside(cells), **cells}
        return cells

    def runs(self, names: Collection[str], set_aside: SetAside) -> Iterator[Columns]:
        """Yield what `rows` does, some thousand rows at once, column by column."""
        return self._runs(names, set_aside)


def joined(table: Table, specs: Sequence[JoinSpec], progress: Progress = SILENT) -> Table:
    """Return a table with what is joined to it.

    Raises:
        ConfigError: one of the tables lacks a column that is named.
        DataError: another table cannot be read.
    """
    if not specs:
        return table
    columns, others = dict.fromkeys(table.columns), list[JoinedRows]()
    for spec in specs:
        _check(tuple(columns), spec.on, table.shown)
        other = _other(spec, progress)
        for name in (spec.key or spec.on, *spec.take):
            _check(other.columns, name, other.shown)
        wanted = spec.take or [name for name in other.columns if name != (spec.key or spec.on)]
        chosen = [name for name in wanted if name not in columns]
        with progress.task(f"read {other.path.name}"):
            others.append(JoinedRows(spec, other, chosen))
        columns |= dict.fromkeys(chosen)
    whole = JoinedTable(**vars(table), base=table, others=tuple(others))
    sample = tuple(map(whole.widened, table.sample))
    return replace(whole, columns=tuple(columns), sample=sample)


def _other(spec: JoinSpec, progress: Progress) -> Table:
    layout = TableFormat(**{name: getattr(spec, name) for name in TableFormat.model_fields})
    if spec.query:
        copy = copy_query(spec.path, spec.query, "joined", progress)
        return open_table(
            copy.path, TableFormat(format="jsonl"), origin=shown(spec.path), copy=copy
        )
    if not is_address(spec.path):
        return open_table(Path(spec.path), layout)
    copy = copy_file(spec.path, progress)
    return open_table(copy.path, layout, origin=shown(spec.path), copy=copy)


def _check(columns: Collection[str], name: str, table: str) -> None:
    if name not in columns:
        raise ConfigError(
            f"{table} has no such column to join by",
            value=name,
            remedy=f"It has {', '.join(columns)}.",
        )


def _key_of(cell: Any) -> str:
    """Return a key as text; `12.0` is `12`, since a column with gaps becomes one of floats."""
    if cell is None:
        return ""
    text = str(cell).strip()
    return text.removesuffix(".0") if text.removesuffix(".0").isdigit() else text
