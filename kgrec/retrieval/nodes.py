"""The nodes of one kind in memory: their ids, names and types, found by id and by name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from kgrec.data.dataset import IntArray
from kgrec.retrieval.finding.names import NameIndex, name_index


@dataclass(frozen=True, eq=False)
class Nodes:
    """The nodes of one kind, in the order of their rows.

    Attributes:
        ids, names, types: of each node, [N].
        row: row by id.
    """

    ids: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    types: list[str] = field(default_factory=list)
    row: dict[str, int] = field(default_factory=dict)

    def add(self, ids: Sequence[str], names: Sequence[str], types: Sequence[str]) -> None:
        """Append nodes."""
        self.row.update(zip(ids, range(len(self.ids), len(self.ids) + len(ids)), strict=True))
        self.ids.extend(ids)
        self.names.extend(names)
        self.types.extend(types)

    def rows(self, ids: Iterable[str]) -> IntArray:
        """Return rows by id, int64; -1 for an unknown one."""
        return np.array([self.row.get(each, -1) for each in ids], dtype=np.int64)

    @cached_property
    def index(self) -> NameIndex:
        """What finds the nodes by their names."""
        return name_index(tuple(self.names))
