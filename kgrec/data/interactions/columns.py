"""Interactions column by column: what each distinct cell of a column holds is read once.

A table of a million interactions has some ten thousand users and items and ten ratings. So a cell
is read by what reads it in a row (`RowParser.roles`), and looked up where it comes again. Rows with
a cell that is invalid, or that holds a word for nothing, are read one by one.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import NoneType
from typing import Any, Self

import numpy as np

from kgrec.data.cells.times import MAX_AHEAD_MS
from kgrec.data.cells.values import CellError
from kgrec.data.parsing import RowParser
from kgrec.data.records import InteractionRecord
from kgrec.data.tables.files import Columns, SetAside

_MOST_KNOWN = 100_000
"""Cells of a column; memory stays bounded where all of them differ."""
_UNREAD = object()
_SECONDS, _MILLISECONDS = 10**11, 10**14  # what is below them counts these since 1970
_DIGITS = 15


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


class _Known(dict[Any, Any]):
    """What the cells of a column hold, by cell; `_UNREAD` for those that need their row.

    Attributes:
        unread: how many of these there were.
    """

    def __init__(self, read: Callable[[Any], Any], counts: Counter[str]) -> None:
        self._read, self._counts = read, counts
        self.unread = 0

    def __missing__(self, cell: Any) -> Any:
        before = self._counts["nulls"]
        try:
            found = self._read(cell)
        except CellError:
            found = _UNREAD
        if self._counts["nulls"] != before:  # a word for nothing is counted for each row
            found = _UNREAD
        self._counts["nulls"] = before
        if found is _UNREAD:
            self.unread += 1
            return found
        if len(self) >= _MOST_KNOWN:
            self.clear()
        self[cell] = found
        return found


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
        found: dict[str, Sequence[Any]] = {}
        for role in self._parser.roles:
            column = self._column(role, rows)
            if column is None:
                return InteractionBatch.of(self._one_by_one(rows, set_aside))
            found[role] = column
        kinds = [kind for kind, _ in found["kind"]]
        values = found["value"] if "value" in self._columns else [w for _, w in found["kind"]]
        ids = (rows.lines, found["user_id"], found["item_id"])
        return InteractionBatch(
            *ids, kinds, values, found["at"], found["device"], found["scenario"]
        )

    def _column(self, role: str, rows: Columns) -> Sequence[Any] | None:
        """Return what the cells of a role hold, None where they cannot be looked up."""
        if role not in self._columns:
            return [self._parser.roles[role](None)] * len(rows.lines)
        cells = rows.cells[self._columns[role]]
        # One type beside nothing: 1, 1.0 and True are one key, and not one id.
        types = set(map(type, cells)) - {NoneType}
        if len(types) > 1:
            return None
        kind = types.pop() if types else NoneType
        if role == "at" and kind is str and (times := self._times(cells)) is not None:
            return times
        if (role, kind) not in self._known:
            self._known[role, kind] = _Known(self._parser.roles[role], self._parser.counts)
        known = self._known[role, kind]
        before = known.unread
        try:
            found = list(map(known.__getitem__, cells))
        except TypeError:  # a list or an object
            return None
        return found if known.unread == before else None

    def _times(self, cells: Sequence[str]) -> list[int] | None:
        """Return `parse_time` of cells that all count seconds, or milliseconds, since 1970."""
        if self._parser.plan.roles["at"].form is not None or None in cells:
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
