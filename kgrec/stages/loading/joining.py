"""Rows of one item or entity become one record: a table may have a row for each of its facts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from kgrec.data.records import EntityRecord, ItemRecord, UserRecord

RecordT = TypeVar("RecordT", ItemRecord, UserRecord, EntityRecord)


class RowJoiner(Generic[RecordT]):
    """Joins the facts of records with one id; of their properties the first row counts.

    A record is yielded once all of its rows were added, so that what a run before wrote is compared
    with all of them. Where the rows of an id stand together, one record is held at a time.

    Args:
        repeats: how many rows each id has that has several; None where they were not counted.
        refuse: called with line and id of a row that adds nothing to the first one of its id.

    Attributes:
        joined: how many rows added facts to the record of a row before.
    """

    def __init__(self, repeats: dict[str, int] | None, refuse: Callable[[int, str], None]) -> None:
        self.joined = 0
        self._is_counted = repeats is not None
        self._repeats, self._refuse = repeats or {}, refuse
        self._seen: set[str] = set()
        self._begun: dict[str, tuple[int, RecordT]] = {}

    def add(self, line: int, identifier: str, record: RecordT) -> Iterator[tuple[int, RecordT]]:
        """Yield the record of a row, once it is whole."""
        if identifier in self._begun:
            self._join(line, identifier, record)
        elif identifier in self._seen:
            self._refuse(line, identifier)
            return
        elif identifier in self._repeats:
            self._begun[identifier] = line, record
        else:
            if not self._is_counted:
                self._seen.add(identifier)
            yield line, record
            return
        self._repeats[identifier] -= 1
        if not self._repeats[identifier]:
            del self._repeats[identifier]
            self._seen.add(identifier)
            yield self._begun.pop(identifier)

    def left(self) -> Iterator[tuple[int, RecordT]]:
        """Yield what is not whole yet, at the end of the table."""
        yield from self._begun.values()
        self._begun = {}

    def _join(self, line: int, identifier: str, record: RecordT) -> None:
        first, before = self._begun[identifier]
        joined = before.joined(record)
        if joined is None:
            self._refuse(line, identifier)
            return
        self.joined += 1
        self._begun[identifier] = first, joined
