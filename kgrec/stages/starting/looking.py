"""One file, looked at: its encoding, its columns, and what their values are like."""

from __future__ import annotations

import codecs
import itertools
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kgrec.data.guess_file import STEP
from kgrec.data.origins.address import holds_secret, is_address, is_database, shown
from kgrec.data.origins.remote import copy_file
from kgrec.data.tables import Table, TableFormat, open_table
from kgrec.data.tables.copies import LocalCopy
from kgrec.data.tables.packing import packing_of, unpacked_suffix
from kgrec.errors import ConfigError, DataError
from kgrec.progress import SILENT, Progress
from kgrec.stages.starting.headless import guessed_names, wide_delimiter

SUFFIXES = frozenset(
    [
        ".csv",
        ".tsv",
        ".tab",
        ".txt",
        ".dat",
        ".data",
        ".inter",
        ".item",
        ".user",
        ".json",
        ".jsonl",
        ".ndjson",
        ".parquet",
        ".pq",
    ]
)
"""How files end that are looked at in a folder; each may be packed (.gz, .zst, ...)."""
_TEXTS = frozenset({".csv", ".tsv", ".tab", ".txt", ".dat", ".data", ".item", ".user", ""})
_TOKENS = re.compile(r"([^\t:]+):token_seq(?=\s)")
_ROWS = 100_000
_MOST_VALUES = 50_000
_BLOCK = 1 << 20
_LARGE = 5_000_000
"""Bytes of a file of which not every row is looked at."""


@dataclass
class Values:
    """What the cells of a column hold, in the rows that were read.

    Attributes:
        filled: cells that hold anything.
        counts: how often each value stands, up to a number of distinct values.
        least, most: of numbers, where all values are numbers.
        characters: in all cells together.
        lists: cells that are lists.
    """

    filled: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    numeric: bool = True
    least: float = float("inf")
    most: float = float("-inf")
    characters: int = 0
    lists: int = 0

    def add(self, cell: Any) -> None:
        """Count one cell."""
        if cell is None or cell == "":
            return
        self.filled += 1
        self.lists += isinstance(cell, list | tuple)
        text = str(cell)
        self.characters += len(text)
        if len(self.counts) < _MOST_VALUES or text in self.counts:
            self.counts[text] += 1
        if self.numeric and not isinstance(cell, bool):
            try:
                number = float(text)
            except ValueError:
                self.numeric = False
                return
            self.least, self.most = min(self.least, number), max(self.most, number)

    @property
    def distinct(self) -> int:
        return len(self.counts)

    @property
    def unique(self) -> bool:
        """Whether no value stands twice, nearly."""
        return self.filled > 0 and self.distinct >= 0.98 * min(self.filled, _MOST_VALUES)

    @property
    def length(self) -> float:
        """Characters of a filled cell, on average."""
        return self.characters / max(self.filled, 1)


@dataclass(frozen=True)
class LookedAt:
    """A file that can be read as a table.

    Attributes:
        rows: how many were read.
        whole: whether these are all.
        notes: what was noticed about its form.
        address, copy: of a file that is not on this machine; `path` is that of its copy.
        spaced: columns that the line of names types as lists of words, as atomic files do.
    """

    path: Path
    table: Table
    values: dict[str, Values]
    rows: int
    whole: bool
    notes: tuple[str, ...] = ()
    address: str = ""
    copy: LocalCopy | None = None
    spaced: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        return self.table.columns

    @property
    def form(self) -> dict[str, Any]:
        """What a pipeline file must state of the form, since it is not found again by itself."""
        layout = self.table.layout
        form: dict[str, Any] = {}
        if layout.encoding != "utf-8":
            form["encoding"] = layout.encoding
        if layout.delimiter == "::":
            form["delimiter"] = layout.delimiter
        if layout.header:
            form["header"] = list(layout.header)
        return form


def look_at(path: Path | str, progress: Progress = SILENT) -> LookedAt:
    """Read up to a hundred thousand rows of a file.

    Args:
        path: a file, or as a text the address of one.

    Raises:
        DataError: it is no table, or has no names of columns.
    """
    if isinstance(path, str):
        copy = copy_file(path, progress)
        return replace(look_at(copy.path, progress), address=path, copy=copy)
    encoding, notes = _encoding(path)
    step = 1 if path.stat().st_size < _LARGE else STEP
    text = unpacked_suffix(path) in _TEXTS and packing_of(path) is None
    wide = wide_delimiter(path, encoding) if text else None
    layout = TableFormat(encoding=encoding, delimiter=wide)
    try:
        table = open_table(path, layout).surveyed(step=step)
    except DataError:
        names = guessed_names(path, layout) if text else None
        if names is None:
            raise
        table = open_table(path, layout.model_copy(update={"header": names})).surveyed(step=step)
        notes += ("it has no line of names; these are by the values",)
    values = {column: Values() for column in table.columns}
    rows = 0
    with progress.task(f"look at {path.name}") as task:
        found = table.rows(lambda *_: None)
        for _, cells in itertools.islice(found, _ROWS):
            rows += 1
            for column, known in values.items():
                known.add(cells.get(column))
            if rows % 1000 == 0:
                task.advance(1000)
        whole = next(found, None) is None
    if not rows:
        raise DataError("the file has no rows below the names of its columns", value=str(path))
    spaced = _spaced(path, encoding) if text else ()
    return LookedAt(path, table, values, rows, whole, notes, spaced=spaced)


def _spaced(path: Path, encoding: str) -> tuple[str, ...]:
    with path.open(encoding=encoding, errors="replace") as file:
        return tuple(_TOKENS.findall(file.readline()))


def files_of(paths: Sequence[Path | str]) -> list[Path | str]:
    """Return files, for a folder the files in it that may be tables, and addresses as they are.

    Raises:
        DataError: there is no such file, or a folder holds none.
        ConfigError: an address holds a password, which a pipeline file would hold too.
    """
    found: list[Path | str] = []
    for name in paths:
        if isinstance(name, str) and is_address(name):
            _check_address(name)
            found.append(name)
            continue
        path = Path(name)
        if not path.exists():
            raise DataError("there is no such file", value=str(path), remedy="Check the path.")
        if path.is_file():
            found.append(path)
            continue
        inside = sorted(
            one for one in path.iterdir() if one.is_file() and unpacked_suffix(one) in SUFFIXES
        )
        if not inside:
            raise DataError(
                "the folder holds no table",
                value=str(path),
                remedy=f"Tables end in {', '.join(sorted(SUFFIXES))}.",
            )
        found += inside
    return list(dict.fromkeys(found))


def _check_address(address: str) -> None:
    if is_database(address):
        raise ConfigError(
            "only files are looked at, and not databases",
            value=shown(address),
            remedy="kgrec init --domain NAME writes a pipeline file: give a source `path` and "
            "`query`, and see kgrec ingest KIND ADDRESS --query SQL --dry-run.",
        )
    if holds_secret(address):
        raise ConfigError(
            "the pipeline file would hold what the address has of secrets",
            value=shown(address),
            remedy="Put it into a variable of the environment, and write ${NAME} in its place.",
        )


def _encoding(path: Path) -> tuple[str, tuple[str, ...]]:
    """Return the encoding of a file by its bytes: UTF-8 where all are, else Latin-1."""
    if unpacked_suffix(path) in {".parquet", ".pq"} or packing_of(path):
        return "utf-8", ()
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with path.open("rb") as file:
            start = file.read(2)
            if start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
                return "utf-16", ("it begins with the mark of UTF-16",)
            decoder.decode(start)
            while block := file.read(_BLOCK):
                decoder.decode(block)
    except UnicodeDecodeError as error:
        return "latin-1", (f"it is not UTF-8 (byte {error.object[error.start]:#x}), so Latin-1",)
    except OSError as error:
        raise DataError(f"the file cannot be read ({error.strerror})", value=str(path)) from None
    return "utf-8", ()
