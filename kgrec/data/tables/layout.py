"""How a file is laid out, and what every reader takes and yields."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, Protocol

from kgrec.config import FrozenModel
from kgrec.errors import DataError

SetAside = Callable[[int, object, str], None]
"""Takes the line, the value and the reason of a row that cannot be used."""

Row = tuple[int, dict[str, Any]]
"""Line (row of a Parquet file), from 1, and cells by column."""


class TableFormat(FrozenModel):
    """How a file is laid out; what is None is told from the file.

    Attributes:
        format: csv, tsv, jsonl or parquet.
        delimiter: what stands between cells, one or more characters.
        quoted: whether cells may stand in double quotes; tab-separated ones usually do not.
        encoding: of the whole file, such as `utf-8` or `latin-1`.
        header: names of the columns of a file without a line of names.
    """

    format: Literal["csv", "tsv", "jsonl", "parquet"] | None = None
    delimiter: str | None = None
    quoted: bool | None = None
    encoding: str = "utf-8"
    header: tuple[str, ...] | None = None


class Reader(Protocol):
    """One format."""

    def look(self, path: Path, layout: TableFormat) -> tuple[TableFormat, tuple[str, ...]]:
        """Return the layout with what the file tells of it, and the names of the columns."""

    def rows(
        self, path: Path, layout: TableFormat, columns: tuple[str, ...], set_aside: SetAside
    ) -> Iterator[Row]:
        """Yield every usable row; the others go to `set_aside`."""


def check_distinct(path: Path, names: list[str]) -> None:
    """Raise DataError where two columns have the same name."""
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"{path}: two columns have the same name", value=twice)


def ignore(line: int, value: object, reason: str) -> None:
    """Drop a row while a file is only looked at; it is reported when the file is read."""
