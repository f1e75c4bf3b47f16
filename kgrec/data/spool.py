"""Interactions in the order of their users, whatever the order of the file, in bounded memory.

A graph writes a node's relations fastest when they come together. SQLite, which Python brings
along, sorts on disk; its file is temporary and unnamed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from types import TracebackType

from kgrec.data.records import InteractionRecord
from kgrec.errors import DataError

Spooled = tuple[int, InteractionRecord]
"""Line of the file and record."""

_CREATE = """
CREATE TABLE spool (
    user_id TEXT, item_id TEXT, kind TEXT, at INTEGER, value REAL, line INTEGER,
    PRIMARY KEY (user_id, item_id, kind, at)
) WITHOUT ROWID
"""
_INSERT = "INSERT OR REPLACE INTO spool VALUES (?, ?, ?, ?, ?, ?)"
_SELECT = "SELECT line, user_id, item_id, kind, value, at FROM spool ORDER BY user_id, item_id"
_CACHE_KIB = 65_536


class InteractionSpool:
    """Takes interactions in any order and gives them back by user, each key once.

    Of two with the same user, item, kind and time the later one stays.

    Raises:
        DataError: the temporary file cannot be written.
    """

    def __init__(self) -> None:
        self._database = sqlite3.connect("")
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        self._database.execute(_CREATE)
        self.taken = 0

    def __enter__(self) -> InteractionSpool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._database.close()

    def __len__(self) -> int:
        return int(self._database.execute("SELECT count(*) FROM spool").fetchone()[0])

    def take(self, interactions: Iterable[Spooled]) -> None:
        """Take everything that an iterator yields."""
        try:
            self._database.executemany(_INSERT, map(self._row, interactions))
            self._database.commit()
        except sqlite3.Error as error:
            raise DataError(
                f"the interactions cannot be sorted on disk ({error})",
                remedy="Make room in the folder for temporary files, or set TMPDIR to another.",
            ) from None

    def by_user(self) -> Iterator[Spooled]:
        """Yield what was taken in the order of user and item."""
        for line, user_id, item_id, kind, value, at in self._database.execute(_SELECT):
            yield line, InteractionRecord(user_id, item_id, kind, value, at)

    def _row(self, spooled: Spooled) -> tuple[str, str, str, int, float, int]:
        line, one = spooled
        self.taken += 1
        return one.user_id, one.item_id, one.kind, one.at, one.value, line
