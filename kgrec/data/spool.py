"""Sorting of records on disk into the order that the graph writes fastest, in bounded memory.

A graph writes the relations of a node fastest in one batch. SQLite, part of the standard library,
sorts them in a temporary file.
"""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import ClassVar, Generic, Self, TypeVar

from kgrec.data.records import LinkRecord, Node
from kgrec.errors import DataError

RecordT = TypeVar("RecordT")
_Row = tuple[str | int | float, ...]

_CACHE_KIB = 65_536


class _Spool(ABC, Generic[RecordT]):
    """Accepts records in any order, and yields one for each key in the order of the keys.

    Of several records with one key the last is kept.

    Attributes:
        received: number of records that were added, repeated keys included.

    Raises:
        DataError: the temporary file cannot be written.
    """

    columns: ClassVar[str]
    key: ClassVar[str]

    def __init__(self) -> None:
        self._database = sqlite3.connect("")
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        create = f"CREATE TABLE spool ({self.columns}, line, PRIMARY KEY ({self.key}))"
        self._database.execute(f"{create} WITHOUT ROWID")
        self.received = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def __len__(self) -> int:
        return int(self._database.execute("SELECT count(*) FROM spool").fetchone()[0])

    def add(self, records: Iterable[tuple[int, RecordT]]) -> None:
        """Add pairs of line and record.

        Raises:
            DataError: the temporary file cannot be written.
        """
        places = ", ".join("?" * (self.columns.count(",") + 2))
        insert = f"INSERT OR REPLACE INTO spool VALUES ({places})"  # noqa: S608
        try:
            self._database.executemany(insert, map(self._counted, records))
            self._database.commit()
        except sqlite3.Error as error:
            raise DataError(
                f"the rows cannot be sorted on disk ({error})",
                remedy="Make room in the folder for temporary files, or set TMPDIR to another.",
            ) from None

    def __iter__(self) -> Iterator[tuple[int, RecordT]]:
        """Yield line and record in the order of the key."""
        for *row, line in self._database.execute(f"SELECT * FROM spool ORDER BY {self.key}"):  # noqa: S608
            yield line, self._record(*row)

    def _counted(self, spooled: tuple[int, RecordT]) -> _Row:
        self.received += 1
        return (*self._row(spooled[1]), spooled[0])

    @abstractmethod
    def _row(self, record: RecordT) -> _Row:
        """Return the columns of a record."""

    @abstractmethod
    def _record(self, *row: str | int | float) -> RecordT:
        """Return the record of its columns."""


class LinkSpool(_Spool[LinkRecord]):
    """Edges by head; of two with the same head, relation and tail the later one stays."""

    columns = (
        "head_kind TEXT, head_id TEXT, head_type TEXT, head_name TEXT, relation TEXT, "
        "tail_kind TEXT, tail_id TEXT, tail_type TEXT, tail_name TEXT, confidence REAL, "
        "source TEXT, evidence TEXT"
    )
    key = "head_kind, head_id, relation, tail_kind, tail_id"

    def _row(self, record: LinkRecord) -> _Row:
        ends = (*record.head, record.relation, *record.tail)
        return (*ends, record.confidence, record.source, record.evidence)

    def _record(self, *row: str | int | float) -> LinkRecord:
        texts = [str(value) for value in row]
        head, tail = Node(*texts[:4]), Node(*texts[5:9])  # type: ignore[arg-type]
        confidence, source, evidence = float(row[9]), texts[10], texts[11]
        return LinkRecord(head, texts[4], tail, confidence, source, evidence=evidence)
