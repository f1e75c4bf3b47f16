"""The only crossing between external ids (strings) and row indices (integers)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kgrec.errors import DataError, NotFoundError


class Vocabulary:
    """The ids of one node type in row order, with a hash that pins both ids and order.

    Args:
        ids: distinct ids; the row index of an id is its position.

    Raises:
        DataError: an id occurs twice.
    """

    def __init__(self, ids: Iterable[str]) -> None:
        self._ids: tuple[str, ...] = tuple(ids)
        self._rows = {identifier: row for row, identifier in enumerate(self._ids)}
        if len(self._rows) != len(self._ids):
            seen: set[str] = set()
            twice = next(i for i in self._ids if i in seen or seen.add(i))  # type: ignore[func-returns-value]
            raise DataError("an id stands twice in a vocabulary", value=twice)

    @classmethod
    def of(cls, ids: Iterable[str]) -> Vocabulary:
        """Build from ids that may repeat, in the order of first appearance."""
        return cls(dict.fromkeys(ids))

    def __len__(self) -> int:
        return len(self._ids)

    def __contains__(self, identifier: object) -> bool:
        return identifier in self._rows

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self._ids == other._ids

    def __hash__(self) -> int:
        return hash(self._ids)

    @property
    def ids(self) -> tuple[str, ...]:
        return self._ids

    @cached_property
    def hash(self) -> str:
        """Sixteen hexadecimal digits of SHA-256 over the ids in order."""
        digest = hashlib.sha256()
        for identifier in self._ids:
            digest.update(identifier.encode())
            digest.update(b"\0")
        return digest.hexdigest()[:16]

    def row(self, identifier: str) -> int:
        """Return the row of an id; raises NotFoundError when the vocabulary lacks it."""
        try:
            return self._rows[identifier]
        except KeyError:
            raise NotFoundError("the id is not in the vocabulary", value=identifier) from None

    def rows(self, identifiers: Iterable[str]) -> NDArray[np.int64]:
        """Return the rows of ids, -1 for an unknown one."""
        get = self._rows.get
        return np.fromiter((get(i, -1) for i in identifiers), dtype=np.int64)

    def id(self, row: int) -> str:
        return self._ids[row]

    def take(self, rows: Sequence[int] | NDArray[np.int64]) -> list[str]:
        """Return the ids of rows."""
        return [self._ids[row] for row in rows]
