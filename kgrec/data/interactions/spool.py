"""Sorting of interactions by user, on disk where they are many, in bounded memory.

A graph writes the relations of a node fastest in one batch. Ids are numbered, and rows of numbers
sorted as arrays; beyond a million rows they lie in a temporary file, split by user, and are sorted
a part at a time. So memory grows with the number of different ids, not with that of rows.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from kgrec.data.interactions.columns import InteractionBatch, Numbered
from kgrec.errors import DataError

_ROW = np.dtype(
    [
        ("user", np.int32),
        ("item", np.int32),
        ("kind", np.int32),
        ("device", np.int32),
        ("scenario", np.int32),
        ("time", np.int64),
        ("value", np.float64),
        ("line", np.int64),
        ("own", np.bool_),
    ]
)
_KEY = ("user", "item", "kind", "time")
_IN_MEMORY = 1 << 20
_PARTS = 64

_NO_ITEMS: Mapping[str, str] = MappingProxyType({})
_Rows = NDArray[Any]
"""Shape [n], dtype `_ROW`."""


class _Numbers(dict[str, int]):
    """Numbers of texts, in the order in which they came."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._values: list[str] = []
        """Of the numbered column that was read last, and the numbers of them."""
        self._known = np.empty(0, np.int32)

    def __missing__(self, text: str) -> int:
        self[text] = number = len(self)
        self.names.append(text)
        return number

    def of(self, column: Sequence[str]) -> Any:
        """Return the number of each text; those of a numbered column are looked up once."""
        if not isinstance(column, Numbered):
            return list(map(self.__getitem__, column))
        values = column.values
        if values is not self._values:
            self._values, self._known = values, np.empty(0, np.int32)
        if len(values) > len(self._known):
            found = list(map(self.__getitem__, values[len(self._known) :]))
            self._known = np.append(self._known, np.array(found, np.int32))
        return self._known[column.numbers]


class InteractionSpool:
    """Interactions by user; of two with the same user, item, kind and time the later one stays.

    Args:
        kept: items that stand for others. What names another one comes before what names them.

    Attributes:
        received: number of interactions that were added, repeated ones included.

    Raises:
        DataError: the temporary file cannot be written.
    """

    def __init__(self, kept: Mapping[str, str] = _NO_ITEMS) -> None:
        self.received = 0
        self._kept = kept
        self._now: list[int] = []
        """The number of the item that stands for each."""
        self._numbers = {name: _Numbers() for name in ("user", "item", "kind", "device")}
        self._numbers["scenario"] = _Numbers()
        self._rows: list[_Rows] = []
        self._is_sorted = False
        self._file = tempfile.TemporaryFile(prefix="kgrec-")  # noqa: SIM115 - closed by __exit__
        self._bounds: list[NDArray[np.int64]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, interactions: InteractionBatch) -> None:
        """Add interactions.

        Raises:
            DataError: the temporary file cannot be written.
        """
        if not len(interactions):
            return
        rows = np.empty(len(interactions), _ROW)
        rows["user"] = self._numbers["user"].of(interactions.users)
        rows["item"], rows["own"] = self._numbers["item"].of(interactions.items), True
        if self._kept:
            self._redirect(rows)
        rows["kind"] = self._numbers["kind"].of(interactions.kinds)
        rows["device"] = self._numbers["device"].of(interactions.devices)
        rows["scenario"] = self._numbers["scenario"].of(interactions.scenarios)
        rows["time"] = _plain(interactions.times)
        rows["value"] = _plain(interactions.values)
        rows["line"] = interactions.lines
        self._rows.append(rows)
        self._is_sorted = False
        self.received += len(rows)
        if sum(map(len, self._rows)) >= _IN_MEMORY:
            self._spill()

    def _redirect(self, rows: _Rows) -> None:
        items, at = self._numbers["item"], len(self._now)
        while at < len(items.names):  # which grows by the items that stand for others
            name = items.names[at]
            self._now.append(items[self._kept.get(name, name)])
            at += 1
        now = np.array(self._now, np.int32)[rows["item"]]
        rows["own"] = now == rows["item"]
        rows["item"] = now

    def __len__(self) -> int:
        return sum(len(part) for part in self._parts())

    @property
    def num_users(self) -> int:
        """How many users there are."""
        return len(self._numbers["user"])

    @property
    def num_items(self) -> int:
        """How many items there are."""
        return len(self._numbers["item"])

    def by_user(self, size: int, most: int) -> Iterator[InteractionBatch]:
        """Yield batches of whole users.

        Args:
            size: a batch ends with the user that fills it.
            most: a batch ends at so many, within a user too.
        """
        names = {name: numbers.names for name, numbers in self._numbers.items()}
        for rows in self._parts():
            users = rows["user"]
            ends = np.append(np.flatnonzero(users[1:] != users[:-1]) + 1, len(rows))
            begin = 0
            while begin < len(rows):
                place = np.searchsorted(ends, min(begin + size, len(rows)))
                end = min(int(ends[place]), begin + most)
                yield _columns(rows[begin:end], names)
                begin = end

    def has(self, user_id: str, item_id: str, kind: str, at: int) -> bool:
        """Return whether there is such an interaction."""
        texts = {"user": user_id, "item": item_id, "kind": kind}
        if any(text not in self._numbers[name] for name, text in texts.items()):
            return False
        user, item, kind_number = (self._numbers[name][text] for name, text in texts.items())
        pairs, kinds, times = self._sorted
        pair = user * len(self._numbers["item"]) + item
        begin, end = np.searchsorted(pairs, pair, "left"), np.searchsorted(pairs, pair, "right")
        found = (kinds[begin:end] == kind_number) & (times[begin:end] == at)
        return bool(found.any())

    @cached_property
    def _sorted(self) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Pairs of user and item as one number each, in order, with kinds and times."""
        count = len(self._numbers["item"])
        parts = [rows[list(_KEY)] for rows in self._parts()] or [np.empty(0, _ROW)]
        rows = np.concatenate(parts)
        pairs = rows["user"].astype(np.int64) * count + rows["item"]
        order = np.argsort(pairs, kind="stable")
        return pairs[order], rows["kind"][order], rows["time"][order]

    def _parts(self) -> Iterator[_Rows]:
        """Yield the rows of some users each, sorted, each key once."""
        if not self._bounds:
            if self._rows and not self._is_sorted:
                self._rows = [self._distinct(np.concatenate(self._rows))]
                self._is_sorted = True
            yield from self._rows
            return
        self._spill()
        for part in range(_PARTS):
            rows = [self._read(bounds[part], bounds[part + 1]) for bounds in self._bounds]
            if any(map(len, rows)):
                yield self._distinct(np.concatenate(rows))

    def _distinct(self, rows: _Rows) -> _Rows:
        names = self._numbers["user"].names
        users = sorted(np.unique(rows["user"]).tolist(), key=names.__getitem__)
        place = np.empty(len(names), np.int32)
        place[users] = np.arange(len(users))
        pair = place[rows["user"]] * np.int64(len(self._numbers["item"])) + rows["item"]
        # One kind, as in most tables, need not be sorted by.
        kinds = [rows["kind"]] if len(self._numbers["kind"]) > 1 else []
        own = [rows["own"]] if self._kept else []
        order = np.lexsort((*own, rows["time"], *kinds, pair))
        rows = rows[order]  # of one key those that came first stand first
        last = np.ones(len(rows), bool)
        same = [rows[name][1:] == rows[name][:-1] for name in _KEY]
        last[:-1] = ~np.logical_and.reduce(same)
        return rows[last]

    def _spill(self) -> None:
        if not self._rows:
            return
        rows = np.concatenate(self._rows)
        parts = rows["user"] % _PARTS
        order = np.argsort(parts, kind="stable")
        counts = np.bincount(parts, minlength=_PARTS)
        try:
            begin = self._file.seek(0, 2) // _ROW.itemsize
            self._file.write(rows[order].tobytes())
            self._file.flush()
        except OSError as error:
            raise DataError(
                f"the rows cannot be sorted on disk ({error.strerror})",
                remedy="Make room in the folder for temporary files, or set TMPDIR to another.",
            ) from None
        self._bounds.append(begin + np.append(0, np.cumsum(counts)))
        self._rows = []

    def _read(self, begin: int, end: int) -> _Rows:
        self._file.seek(int(begin) * _ROW.itemsize)
        return np.frombuffer(self._file.read(int(end - begin) * _ROW.itemsize), _ROW)


def _plain(column: Sequence[float]) -> Any:
    if not isinstance(column, Numbered) or len(column.values) > len(column):
        return list(column)
    return np.array(column.values)[column.numbers]


def _columns(rows: _Rows, names: dict[str, list[str]]) -> InteractionBatch:
    texts = {name: list(map(of.__getitem__, rows[name].tolist())) for name, of in names.items()}
    return InteractionBatch(
        rows["line"].tolist(),
        texts["user"],
        texts["item"],
        texts["kind"],
        rows["value"].tolist(),
        rows["time"].tolist(),
        texts["device"],
        texts["scenario"],
    )
