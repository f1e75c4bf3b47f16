"""A file that is a table, and the formats that there are."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from kgrec.data.tables import delimited, jsonl, parquet
from kgrec.data.tables.files import Row, SetAside, TableFormat, TableReader, ignore, readable
from kgrec.errors import ConfigError, DataError

READERS: dict[str, TableReader] = {
    "csv": cast(TableReader, delimited),
    "tsv": cast(TableReader, delimited),
    "jsonl": cast(TableReader, jsonl),
    "parquet": cast(TableReader, parquet),
}

_SUFFIXES = {
    ".csv": "csv",
    ".txt": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".inter": "tsv",
    ".item": "tsv",
    ".user": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_SAMPLE = 200


@dataclass(frozen=True)
class Table:
    """A file that is a table.

    Attributes:
        columns: names in their order; JSON lines have those of their first rows.
        sample: the first rows that can be used.
    """

    path: Path
    layout: TableFormat
    columns: tuple[str, ...]
    sample: tuple[dict[str, Any], ...]

    def rows(self, set_aside: SetAside) -> Iterator[Row]:
        """Yield every usable row; the others go to `set_aside`.

        Raises:
            DataError: the file cannot be read to its end.
        """
        with readable(self.path):
            yield from READERS[self.layout.format or "csv"].rows(
                self.path, self.layout, self.columns, set_aside
            )


def open_table(path: Path, layout: TableFormat | None = None) -> Table:
    """Look at a file: its format, delimiter, columns and first rows.

    Raises:
        DataError: the file is missing, empty, of another format, or its delimiter is wrong.
        ConfigError: the encoding is unknown.
    """
    layout = layout or TableFormat()
    _check_encoding(layout.encoding)
    with readable(path):
        if path.stat().st_size == 0:
            raise DataError("the file is empty", value=str(path))
        kind = layout.format or _SUFFIXES.get(_suffix(path), "csv")
        reader = READERS[kind]
        layout, columns = reader.look(path, layout.model_copy(update={"format": kind}))
        rows = reader.rows(path, layout, columns, ignore)
        sample = tuple(cells for _, cells in itertools.islice(rows, _SAMPLE))
    return Table(path, layout, columns, sample)


def _check_encoding(encoding: str) -> None:
    """Raise ConfigError unless bytes of this encoding can be read as text piece by piece."""
    try:
        # Some codecs turn bytes into bytes, or refuse to leave out what they cannot read.
        io.TextIOWrapper(io.BytesIO(b"x"), encoding=encoding, errors="replace").read()
    except (LookupError, UnicodeError, ValueError):
        raise ConfigError(
            "there is no such encoding",
            value=encoding,
            remedy="Examples: utf-8, latin-1, cp1252, utf-16.",
        ) from None


def _suffix(path: Path) -> str:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    return suffixes[-1] if suffixes else ""
