"""A file that is a table, and the formats that there are."""

from __future__ import annotations

import io
import itertools
import json
import shutil
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from kgrec.data.tables import delimited, jsonl, parquet
from kgrec.data.tables.copies import LocalCopy
from kgrec.data.tables.files import (
    Columns,
    Row,
    SetAside,
    TableFormat,
    TableReader,
    ignore,
    readable,
)
from kgrec.data.tables.packing import binary, packing_of, unpacked_suffix
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
_RUN = 5_000
_MOST_ROWS, _MOST_HELD = 8_192, 1 << 24
_LONGEST_CELL = 4_000


@dataclass(frozen=True)
class Table:
    """A file that is a table.

    Attributes:
        columns: names in their order; JSON lines have those of their first rows.
        sample: rows that can be used, the first ones or, of `surveyed`, some of the whole file.
        late: columns that the first rows do not have.
        origin: what the file is a copy of, such as an address without its secrets.
        copy: the copy, which lives as long as the table.
    """

    path: Path
    layout: TableFormat
    columns: tuple[str, ...]
    sample: tuple[dict[str, Any], ...]
    late: tuple[str, ...] = ()
    origin: str = ""
    copy: LocalCopy | None = None

    @property
    def shown(self) -> str:
        """How messages call the table."""
        return self.origin or str(self.path)

    def rows(self, set_aside: SetAside, *, step: int = 1) -> Iterator[Row]:
        """Yield every usable row, or some of them; the others go to `set_aside`.

        Raises:
            DataError: the file cannot be read to its end.
        """
        with readable(self.path, self.origin):
            self._refuse(set_aside)
            yield from READERS[self.layout.format or "csv"].rows(
                self.path, self.layout, self.columns, set_aside, step=step
            )

    def _refuse(self, set_aside: SetAside) -> None:
        """Set aside what could not be copied."""
        if self.copy is not None and self.copy.refused.exists():
            with self.copy.refused.open(encoding="utf-8") as lines:
                for line in lines:
                    set_aside(*json.loads(line))

    def runs(self, names: Collection[str], set_aside: SetAside) -> Iterator[Columns]:
        """Yield what `rows` does, some thousand rows at once, column by column.

        It reads ahead, which `rows` does not.

        Args:
            names: columns that are wanted; of others some readers yield nothing.

        Raises:
            DataError: the file cannot be read to its end.
        """
        if READERS[self.layout.format or "csv"] is delimited:
            with readable(self.path, self.origin):
                self._refuse(set_aside)
                yield from delimited.runs(self.path, self.layout, self.columns, set_aside)
            return
        yield from self._runs(names, set_aside)

    def _runs(self, names: Collection[str], set_aside: SetAside) -> Iterator[Columns]:
        rows = self.rows(set_aside)
        while part := list(itertools.islice(rows, _RUN)):
            cells = {name: [row.get(name) for _, row in part] for name in names}
            yield Columns([line for line, _ in part], cells)

    def surveyed(self, *, step: int = 1) -> Table:
        """Return the table with a sample of its whole file, and with every column that it has.

        The rows of the sample lie at equal distances. Memory stays bounded: long cells are cut.

        Args:
            step: as of `TableReader.rows`.

        Raises:
            DataError: the file cannot be read to its end.
        """
        kept: list[dict[str, Any]] = []
        names = dict.fromkeys(self.columns)
        held = distance = 1
        for number, (_, cells) in enumerate(self.rows(ignore, step=step)):
            if len(cells) != len(names) or cells.keys() - names.keys():
                names |= dict.fromkeys(cells)
            if number % distance:
                continue
            row = _cut(cells)
            kept.append(row)
            held += sum(_size(cell) for cell in row.values())
            while len(kept) > 1 and (len(kept) > _MOST_ROWS or held > _MOST_HELD):
                del kept[1::2]
                distance *= 2
                held = sum(_size(cell) for one in kept for cell in one.values())
        late = tuple(name for name in names if name not in self.columns)
        return replace(self, columns=tuple(names), sample=tuple(kept), late=late)


def open_table(
    path: Path,
    layout: TableFormat | None = None,
    *,
    origin: str = "",
    copy: LocalCopy | None = None,
) -> Table:
    """Look at a file: its format, delimiter, columns and first rows.

    Args:
        origin, copy: as of `Table`, where the file is a copy of something.

    Raises:
        DataError: the file is missing, empty, of another format, or its delimiter is wrong.
        ConfigError: the encoding is unknown.
    """
    layout = layout or TableFormat()
    _check_encoding(layout.encoding)
    with readable(path, origin):
        if path.stat().st_size == 0:
            raise DataError("the file is empty", value=str(path))
        kind = layout.format or _SUFFIXES.get(unpacked_suffix(path), "csv")
        if kind == "parquet" and packing_of(path):
            origin = origin or str(path)
            copy = _unpacked(path, layout.max_growth)
            path = copy.path
        if kind not in READERS:
            raise DataError("triples are read as a catalogue only", value=str(path))
        reader = READERS[kind]
        layout, columns = reader.look(path, layout.model_copy(update={"format": kind}))
        rows = reader.rows(path, layout, columns, ignore)
        sample = tuple(_cut(cells) for _, cells in itertools.islice(rows, _SAMPLE))
    return Table(path, layout, columns, sample, origin=origin, copy=copy)


def _unpacked(path: Path, max_growth: float) -> LocalCopy:
    """Unpack a file that is not read from front to back."""
    copy = LocalCopy(path.stem)
    with binary(path, max_growth) as packed, copy.path.open("wb") as target:
        shutil.copyfileobj(packed, target, 1 << 20)
    return copy


def _cut(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row of a sample, whose long cells are cut."""
    return {
        name: cell[:_LONGEST_CELL] if isinstance(cell, str) else cell for name, cell in row.items()
    }


def _size(cell: Any) -> int:
    """Return about how many characters a cell holds."""
    if isinstance(cell, str):
        return len(cell)
    if isinstance(cell, list | tuple | dict):
        values = cell.values() if isinstance(cell, dict) else cell
        return 16 + sum(_size(one) for one in values)
    return 8


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
