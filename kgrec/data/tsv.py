"""Tab-separated files with a header of `name:type` columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kgrec.errors import DataError


@dataclass
class Table:
    """A tab-separated file: column names and types from its header, rows of equal length.

    Attributes:
        types: `token`, `token_seq`, `float`, … by column; empty strings in plain TSV.
        rows: fields of each usable row.
        lines: line number of each usable row.
        rejects: `file:line: reason` of the others.
    """

    path: Path
    columns: list[str]
    types: list[str]
    rows: list[list[str]] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    rejects: list[str] = field(default_factory=list)

    def find(self, names: Sequence[str]) -> int | None:
        """Return the position of the first column that has one of these names, in any case."""
        low = [column.lower() for column in self.columns]
        return next((low.index(name) for name in names if name in low), None)

    def reject(self, line: int, reason: str) -> None:
        self.rejects.append(f"{self.path.name}:{line}: {reason}")


def read_table(path: Path) -> Table:
    """Read a tab-separated file with a header; rows of another length are set aside.

    Raises:
        DataError: the file is missing, empty, not UTF-8, or its header has a single column.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError(
            "there is no such file", value=str(path), remedy="Check the path."
        ) from None
    except UnicodeDecodeError as error:
        raise DataError(
            f"the file is not UTF-8 (byte {error.start})",
            value=str(path),
            remedy="Convert it, for example with iconv -f latin1 -t utf-8.",
        ) from None
    except OSError as error:
        raise DataError(f"the file cannot be read ({error.strerror})", value=str(path)) from None
    lines = text.split("\n")
    header = lines[0].rstrip("\r").split("\t")
    if not lines[0].strip():
        raise DataError("the file is empty", value=str(path), remedy="Give a header and rows.")
    if len(header) < 2:
        raise DataError(
            "the file has a single column; columns must be separated by tabs",
            value=f"{path}: {lines[0][:80]}",
            remedy="Write the header as user_id:token<TAB>item_id:token, and rows likewise.",
        )
    columns, _, types = zip(*(column.strip().partition(":") for column in header), strict=True)
    table = Table(path, list(columns), list(types))
    _fill(table, lines)
    return table


def _fill(table: Table, lines: Sequence[str]) -> None:
    for number, line in enumerate(lines[1:], start=2):
        fields = line.rstrip("\r").split("\t")
        if fields == [""]:
            continue
        if len(fields) != len(table.columns):
            table.reject(number, f"{len(fields)} fields, expected {len(table.columns)}")
            continue
        table.rows.append(fields)
        table.lines.append(number)


def missing_column(table: Table, what: str, names: Sequence[str]) -> DataError:
    """Return the error that says which column the file must have."""
    return DataError(
        f"the file has no {what} column",
        value=f"{table.path}: {', '.join(table.columns)}",
        remedy=f"Name it {names[0]}.",
    )


def column_of(table: Table, name: str) -> int:
    """Return the position of a column; raises DataError where there is none."""
    column = table.find((name,))
    if column is None:
        raise missing_column(table, name, (name,))
    return column
