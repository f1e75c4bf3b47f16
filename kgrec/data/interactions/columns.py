"""Interactions column by column: what each distinct cell of a column holds is read once.

A table of a million interactions has some ten thousand users and items and ten ratings. So a cell
is read by what reads it in a row (`RowParser.roles`), and numbered: where it comes again, its
number is looked up, and all that follows is done with arrays of numbers. Rows with a cell that is
invalid, or that holds a word for nothing, are read one by one, and put back into their places.
"""

from __future__ import annotations

import heapq
import operator
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import NoneType
from typing import Any, Self, overload

import numpy as np
from numpy.typing import NDArray

from kgrec.data.cells.times import MAX_AHEAD_MS
from kgrec.data.cells.values import CellError
from kgrec.data.parsing import RowParser
from kgrec.data.records import InteractionRecord
from kgrec.data.tables.files import Columns, SetAside

_MOST_KNOWN = 200_000
"""Cells of a column; memory stays bounded where all of them differ."""
_SECONDS, _MILLISECONDS = 10**11, 10**14  # what is below them counts these since 1970
_DIGITS = 15


@dataclass(frozen=True, slots=True)
class Numbered(Sequence[Any]):
    """A column as numbers of its distinct values.

    Attributes:
        numbers: positions in `values`, shape [n].
        values: grows at its end while more of the column is read.
    """

    numbers: NDArray[np.int32]
    values: list[Any]

    def __len__(self) -> int:
        return len(self.numbers)

    @overload
    def __getitem__(self, at: int) -> Any: ...
    @overload
    def __getitem__(self, at: slice) -> Numbered: ...
    def __getitem__(self, at: int | slice) -> Any:
        if isinstance(at, slice):
            return Numbered(self.numbers[at], self.values)
        return self.values[self.numbers[at]]

    def __iter__(self) -> Iterator[Any]:
        return map(self.values.__getitem__, self.numbers.tolist())

    def through(self, read: Callable[[Any], Any]) -> Numbered:
        """Return what a function returns of each value."""
        return Numbered(self.numbers, list(map(read, self.values)))


@dataclass(frozen=True, slots=True)
class InteractionBatch:
    """Some interactions as columns: line of the file, and the fields of `InteractionRecord`."""

    lines: Sequence[int]
    users: Sequence[str]
    items: Sequence[str]
    kinds: Sequence[str]
    values: Sequence[float]
    times: Sequence[int]
    devices: Sequence[str]
    scenarios: Sequence[str]

    @classmethod
    def of(cls, records: Iterable[tuple[int, InteractionRecord]]) -> Self:
        """Return records, each with its line, as columns."""
        rows = [
            (line, r.user_id, r.item_id, r.kind, r.value, r.at, r.device, r.scenario)
            for line, r in records
        ]
        return cls(*map(list, zip(*rows, strict=True))) if rows else cls(*([] for _ in range(8)))

    def __len__(self) -> int:
        return len(self.users)

    def records(self) -> Iterator[tuple[int, InteractionRecord]]:
        """Yield line and record."""
        columns = (self.users, self.items, self.kinds, self.values, self.times)
        rows = zip(*columns, self.devices, self.scenarios, strict=True)
        for line, row in zip(self.lines, rows, strict=True):
            yield line, InteractionRecord(*row)

    def chosen(self, rows: Sequence[int]) -> InteractionBatch:
        """Return some of them."""
        columns = (getattr(self, name) for name in self.__slots__)
        return InteractionBatch(*([column[n] for n in rows] for column in columns))

    @property
    def keys(self) -> list[str]:
        """What `interaction_key` returns of each."""
        return [f"{kind}@{at}" for kind, at in zip(self.kinds, self.times, strict=True)]


class _Known(dict[Any, int]):
    """Numbers of the cells of a column, by cell; -1 for those that need their row.

    Attributes:
        found: what the cell of each number holds.
    """

    def __init__(self, read: Callable[[Any], Any], nulls: Counter[str]) -> None:
        self._read, self._nulls = read, nulls
        self.found: list[Any] = []

    def __missing__(self, cell: Any) -> int:
        before = dict(self._nulls)
        try:
            value = self._read(cell)
            is_read = self._nulls == before  # a word for nothing counts in each row
        except CellError:
            is_read = False
        if self._nulls != before:
            self._nulls.clear()
            self._nulls.update(before)
        if not is_read:
            self[cell] = -1
            return -1
        self[cell] = number = len(self.found)
        self.found.append(value)
        return number

    def numbered(self, cells: Sequence[Any]) -> Numbered | None:
        """Return what cells hold, with numbers below 0 where they need their row.

        None where cells cannot be looked up.
        """
        if len(self) >= _MOST_KNOWN:
            self.clear()
            self.found = []
        try:
            found = list(map(self.__getitem__, cells))
        except TypeError:  # a list or an object
            return None
        return Numbered(np.array(found, np.int32), self.found)


class InteractionColumns:
    """Reads the interactions of a table, some thousand rows at once."""

    def __init__(self, parser: RowParser) -> None:
        self._parser = parser
        roles = parser.plan.roles
        self._columns = {role: roles[role].column for role in parser.roles if role in roles}
        self._known: dict[tuple[str, type], _Known] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that are read."""
        return tuple(self._columns.values())

    def read(self, rows: Columns, set_aside: SetAside) -> InteractionBatch:
        """Return the interactions of some rows; invalid ones go to `set_aside`."""
        found: dict[str, Numbered] = {}
        times = self._times(rows)
        unread = np.zeros(len(rows.lines), bool)
        for role in self._parser.roles:
            if role == "at" and times is not None:
                continue
            column = self._column(role, rows)
            if column is None:
                return InteractionBatch.of(self._one_by_one(rows, set_aside))
            found[role] = column
            unread |= column.numbers < 0
        if not unread.any():
            return self._batch(rows.lines, found, times)
        again = list(self._one_by_one(_chosen(rows, np.flatnonzero(unread).tolist()), set_aside))
        places: list[int] = np.flatnonzero(~unread).tolist()
        found = {role: Numbered(one.numbers[places], one.values) for role, one in found.items()}
        lines = [rows.lines[n] for n in places]
        batch = self._batch(lines, found, None if times is None else [times[n] for n in places])
        if not again:
            return batch
        return InteractionBatch.of(heapq.merge(batch.records(), again, key=operator.itemgetter(0)))

    def _batch(
        self, lines: Sequence[int], found: Mapping[str, Numbered], times: list[int] | None
    ) -> InteractionBatch:
        kinds, weights = (found["kind"].through(operator.itemgetter(n)) for n in (0, 1))
        return InteractionBatch(
            lines,
            found["user_id"],
            found["item_id"],
            kinds,
            found["value"] if "value" in self._columns else weights,
            found["at"] if times is None else times,
            found["device"],
            found["scenario"],
        )

    def _column(self, role: str, rows: Columns) -> Numbered | None:
        """Return what the cells of a role hold, None where they cannot be looked up."""
        if role not in self._columns:
            nothing = [self._parser.roles[role](None)]
            return Numbered(np.zeros(len(rows.lines), np.int32), nothing)
        cells = rows.cells[self._columns[role]]
        # One type beside nothing: 1, 1.0 and True are one key, and not one id.
        types = set(map(type, cells)) - {NoneType}
        if len(types) > 1:
            return None
        kind = types.pop() if types else NoneType
        if (role, kind) not in self._known:
            self._known[role, kind] = _Known(self._parser.roles[role], self._parser.nulls)
        return self._known[role, kind].numbered(cells)

    def _times(self, rows: Columns) -> list[int] | None:
        """Return `parse_time` of cells that all count seconds, or milliseconds, since 1970."""
        if "at" not in self._columns or self._parser.plan.roles["at"].form is not None:
            return None
        cells = rows.cells[self._columns["at"]]
        if set(map(type, cells)) != {str}:
            return None
        digits = "".join(cells)
        if not (digits.isascii() and digits.isdecimal()):
            return None
        lengths = set(map(len, cells))
        if 0 in lengths or max(lengths) > _DIGITS:
            return None
        times = np.array(list(map(int, cells)), np.int64)
        if times.max() < _SECONDS:
            times *= 1000
        elif times.min() < _SECONDS or times.max() >= _MILLISECONDS:
            return None
        late = times.max() > time.time() * 1000 + MAX_AHEAD_MS
        return None if late else times.tolist()

    def _one_by_one(
        self, rows: Columns, set_aside: SetAside
    ) -> Iterator[tuple[int, InteractionRecord]]:
        for line, cells in rows.rows():
            try:
                one = self._parser.interaction(cells)
            except CellError as error:
                set_aside(line, error.value, error.reason)
            else:
                yield line, one


def _chosen(rows: Columns, places: Sequence[int]) -> Columns:
    """Return some of the rows."""
    cells = {name: [column[n] for n in places] for name, column in rows.cells.items()}
    return Columns([rows.lines[n] for n in places], cells)
