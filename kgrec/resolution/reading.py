"""The records of one source: ids and columns of cells as text, from a file of any separator."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from kgrec.data.tables import TableFormat, open_table
from kgrec.errors import ConfigError, DataError

_REASONS = 5


@dataclass(frozen=True)
class RecordTable:
    """Records of one source.

    Attributes:
        ids: one of each record, none twice.
        columns: by name, one cell of each record; an empty one is a missing value.
        refused: how many rows could not be used, by reason.
    """

    ids: tuple[str, ...]
    columns: dict[str, list[str]]
    refused: dict[str, int]

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def row_of(self) -> dict[str, int]:
        """The row of each id."""
        return {one: row for row, one in enumerate(self.ids)}

    @cached_property
    def texts(self) -> list[str]:
        """All cells of each record as one text."""
        if not self.columns:
            return [""] * len(self)
        return [" ".join(filter(None, row)) for row in zip(*self.columns.values(), strict=True)]


def read_source(path: Path, id_column: str, encoding: str = "utf-8") -> RecordTable:
    """Read a file of records: CSV of any separator, TSV, JSON lines or Parquet, plain or packed.

    Ids stay text, with their leading zeros. Rows without an id, or with one that came before, are
    refused and counted.

    Raises:
        DataError: the file is missing, empty or no table.
        ConfigError: it has no such column.
    """
    table = open_table(path, TableFormat(encoding=encoding))
    if id_column not in table.columns:
        raise ConfigError(
            f"{path.name} has no column of ids of this name",
            value=id_column,
            remedy=f"Name one with --id: {', '.join(table.columns[:12])}.",
        )
    refused: Counter[str] = Counter()
    names = [name for name in table.columns if name != id_column]
    ids: dict[str, None] = {}
    columns: dict[str, list[str]] = {name: [] for name in names}

    def set_aside(line: int, value: object, reason: str) -> None:
        refused[reason] += 1

    for _, cells in table.rows(set_aside):
        one = _text(cells.get(id_column))
        if not one or one in ids:
            refused["an id that came before" if one else "no id"] += 1
            continue
        ids[one] = None
        for name in names:
            columns[name].append(_text(cells.get(name)))
    return RecordTable(tuple(ids), columns, dict(refused.most_common(_REASONS)))


def read_labels(path: Path, left: RecordTable, right: RecordTable) -> dict[tuple[int, int], bool]:
    """Read labelled pairs: columns left_id, right_id and label (0 or 1).

    Returns:
        Whether the records of two rows are one; a pair with an id that no source has is left out.

    Raises:
        DataError: the columns are others, a label is neither 0 nor 1, or no pair is of the sources.
    """
    table = open_table(path)
    wanted = ("left_id", "right_id", "label")
    if missing := [name for name in wanted if name not in table.columns]:
        raise DataError(
            f"{path.name} has no column {', '.join(missing)}",
            value=", ".join(table.columns[:12]),
            remedy="A file of labels has the columns left_id, right_id and label (0 or 1).",
        )
    found: dict[tuple[int, int], bool] = {}
    for line, cells in table.rows(lambda *_: None):
        one, other, label = (_text(cells.get(name)) for name in wanted)
        if label not in ("0", "1", "0.0", "1.0"):
            raise DataError(f"{path.name}, line {line}: a label is 0 or 1", value=label)
        if one in left.row_of and other in right.row_of:
            found[left.row_of[one], right.row_of[other]] = label.startswith("1")
    if not found:
        raise DataError(
            "no pair of the labels has ids of the two sources",
            value=str(path),
            remedy="left_id is an id of the first file, right_id one of the second.",
        )
    return found


def _text(cell: Any) -> str:
    if cell is None or cell != cell:
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, list | tuple):
        return " ".join(map(_text, cell))
    text = str(cell).strip()
    return "" if text.casefold() in _NOTHING else text


_NOTHING = frozenset(["nan", "null", "none", "n/a", "\\n", "-"])
