"""Formats of table files, the interface of their readers, and opening files.

Files are fingerprinted; broken ones are distinguished from missing ones.
"""

from __future__ import annotations

import gzip
import hashlib
import itertools
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, Protocol, TypeVar

from pydantic import Field

from kgrec.config import FrozenModel
from kgrec.errors import DataError, KGRecError

SetAside = Callable[[int, object, str], None]
"""Called with the line, the value and the reason of an invalid row."""

Row = tuple[int, dict[str, Any]]
"""Line (row of a Parquet file), from 1, and cells by column."""


@dataclass(frozen=True)
class Columns:
    """Some rows, column by column.

    Attributes:
        lines: as of `Row`.
        cells: by column, in the order of the rows.
    """

    lines: Sequence[int]
    cells: Mapping[str, Sequence[Any]]

    def rows(self) -> Iterator[Row]:
        """Yield the rows."""
        names = tuple(self.cells)
        for line, *cells in zip(self.lines, *self.cells.values(), strict=True):
            yield line, dict(zip(names, cells, strict=True))


class TableFormat(FrozenModel):
    """The format of a file; settings of None are detected from the file.

    Attributes:
        format: csv, tsv, jsonl or parquet; ntriples, turtle and kg of catalogues.
        delimiter: what stands between cells, one or more characters.
        quoted: whether cells may stand in double quotes; tab-separated ones usually do not.
        encoding: of the whole file, such as `utf-8` or `latin-1`.
        header: names of the columns of a file without a line of names.
        skip: lines before the table, which are not read.
        max_growth: how many times its size a packed file may unpack to, beyond 256 MiB.
    """

    format: Literal["csv", "tsv", "jsonl", "parquet", "ntriples", "turtle", "kg"] | None = None
    delimiter: str | None = None
    quoted: bool | None = None
    encoding: str = "utf-8"
    header: tuple[str, ...] | None = None
    skip: int = Field(default=0, ge=0)
    max_growth: float = Field(default=100, gt=0)


class TableReader(Protocol):
    """One format."""

    def look(self, path: Path, layout: TableFormat) -> tuple[TableFormat, tuple[str, ...]]:
        """Return the layout completed from the file, and the names of the columns."""

    def rows(
        self,
        path: Path,
        layout: TableFormat,
        columns: tuple[str, ...],
        set_aside: SetAside,
        *,
        step: int = 1,
    ) -> Iterator[Row]:
        """Yield every usable row; the others go to `set_aside`.

        With a step above 1, behind the first `WHOLE` lines only every step-th is read.
        """


def check_distinct(path: Path, names: list[str]) -> None:
    """Raise DataError where two columns have the same name."""
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DataError(
            f"{path}: two columns have the same name",
            value=twice,
            remedy="Rename one; or name all with --header, and leave the line of names out with "
            "--skip 1.",
        )


def ignore(line: int, value: object, reason: str) -> None:
    """Ignore an invalid row while a format is detected; it is reported when the file is read."""


LineT = TypeVar("LineT", str, bytes)

WHOLE = 20_000


def thinned(lines: Iterator[LineT], step: int) -> Iterator[LineT]:
    """Return the first `WHOLE` lines, and of those behind them every step-th."""
    if step == 1:
        return lines
    return itertools.chain(
        itertools.islice(lines, WHOLE), itertools.islice(lines, step - 1, None, step)
    )


MAX_LINE = 1 << 22
"""Characters, or bytes, of the longest line that is read."""
_SHOWN = 80

_BROKEN_OFF = (EOFError, gzip.BadGzipFile, zlib.error)


@dataclass(frozen=True)
class Fingerprint:
    """A summary of a file's content: the start of its SHA-256 and its number of lines."""

    digest: str
    lines: int


def fingerprint(path: Path) -> Fingerprint:
    """Read a file once for its hash and the number of its lines."""
    digest, lines = hashlib.sha256(), 0
    with readable(path), path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
            lines += block.count(b"\n")
    return Fingerprint(digest.hexdigest()[:16], lines)


@contextmanager
def readable(path: Path, origin: str = "") -> Iterator[None]:
    """Turn what opening and reading a file raises into a DataError that names it.

    Args:
        origin: what the file is a copy of, which errors name in its place.
    """
    try:
        with _readable(path):
            yield
    except KGRecError as error:
        if not origin:
            raise
        value = error.value
        if isinstance(value, str):
            value = value.replace(str(path), origin)
        what, remedy = (one.replace(str(path), origin) for one in (error.what, error.remedy))
        raise type(error)(what, value=value, remedy=remedy) from None


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise DataError("there is no such file", value=str(path)) from None
    except UnicodeError as error:
        raise DataError(
            f"the file is not text of this encoding ({error})",
            value=str(path),
            remedy="Give its encoding, such as utf-8, latin-1 or utf-16.",
        ) from None
    except (OSError, *_BROKEN_OFF) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"the file cannot be read ({reason})", value=str(path)) from None


def unbroken(file: IO[LineT], set_aside: SetAside) -> Iterator[LineT]:
    """Yield the lines of a file in bounded memory, and set aside what is not one.

    That is the rest of a compressed file that breaks off, and a line that is too long: a megabyte
    may unpack to a line of a gigabyte. In its place comes an empty line, so that the lines after
    it keep their numbers.
    """
    count = 0
    while True:
        try:
            line = file.readline(MAX_LINE)
            if not line:
                return
            count += 1
            if len(line) == MAX_LINE and not _ends(line):
                end = _skipped(file)
                set_aside(count, line[:_SHOWN], f"the line is longer than {MAX_LINE:,} characters")
                line = line[:0] + end
        except _BROKEN_OFF as error:
            set_aside(count + 1, str(error), "the compressed file breaks off here")
            return
        yield line


def _ends(line: str | bytes) -> bool:
    return line.endswith("\n") if isinstance(line, str) else line.endswith(b"\n")


def _skipped(file: IO[LineT]) -> LineT:
    """Read on to the end of a line and return what ends it, empty at the end of the file."""
    while True:
        part = file.readline(MAX_LINE)
        if not part or _ends(part):
            return part[-1:]
