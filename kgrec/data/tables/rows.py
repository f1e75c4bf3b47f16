"""Delimited text read line by line, so that a broken row never affects the rest of the file.

The reader of the standard library reads everything after an unclosed quote as one cell. Here such a
row is rejected after its first line, and reading continues with the second.
"""

from __future__ import annotations

import csv
import itertools
import operator
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from kgrec.data.tables.files import MAX_LINE

UNCLOSED = "a quote opens here that does not close"
_SEPARATOR = "\x1f"
_RUN_LINES, _RUN_CHARACTERS = 5_000, 1 << 20
_PART_LINES = 20
"""So many are read before their length is looked at, which bounds memory."""
csv.field_size_limit(MAX_LINE)


@dataclass(frozen=True, slots=True)
class Fields:
    """One row: the line it begins on, from 1, and its cells."""

    line: int
    cells: list[str]


@dataclass(frozen=True, slots=True)
class Run:
    """Rows that follow each other, one on each line: the first line, from 1, and their columns."""

    line: int
    columns: list[Sequence[str]]


@dataclass(frozen=True, slots=True)
class BrokenRow:
    """A line that is not a valid row, and why."""

    line: int
    text: str
    reason: str


class _Feed:
    """Lines for a csv reader that can be pushed back."""

    def __init__(self, lines: Iterable[str], before: int = 0) -> None:
        self._lines = iter(lines)
        self._back: deque[str] = deque()
        self._consumed: list[str] = []
        self._before = before

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._back.popleft() if self._back else next(self._lines)
        self._consumed.append(line)
        return line

    @property
    def line(self) -> int:
        """The line on which the present row begins."""
        return self._before + 1

    @property
    def first(self) -> str:
        return self._consumed[0] if self._consumed else ""

    @property
    def spans_lines(self) -> bool:
        return len(self._consumed) > 1

    def begin(self) -> None:
        """Begin a row with the next line."""
        self._before += len(self._consumed)
        self._consumed.clear()

    def run(self) -> list[str]:
        """Return some thousand lines, to be read at once, where none was pushed back."""
        self.begin()
        found: list[str] = []
        size = 0
        while not self._back and len(found) < _RUN_LINES and size <= _RUN_CHARACTERS:
            part = list(itertools.islice(self._lines, _PART_LINES))
            if not part:
                break
            found += part
            size += sum(map(len, part))
        return found

    def end(self, run: Sequence[str], *, read: bool) -> None:
        """Keep a run as consumed where it was read, else push it back."""
        if read:
            self._before += len(run)
        else:
            self._back.extend(run)

    def give_up(self) -> None:
        """Keep the first line of the current row as consumed and push the others back."""
        self._back.extendleft(reversed(self._consumed[1:]))
        del self._consumed[1:]


def read_delimited(
    lines: Iterable[str],
    delimiter: str,
    *,
    quoted: bool,
    width: int | None = None,
    before: int = 0,
) -> Iterator[Fields | BrokenRow]:
    """Yield the rows of delimited text; blank lines are skipped.

    Args:
        lines: with their line ends.
        delimiter: one or more characters.
        quoted: whether cells may stand in double quotes.
        width: how many cells a row must have; the first row decides when it is None.
        before: how many lines of the file come before these.
    """
    feed = _Feed(lines if len(delimiter) == 1 else _single(lines, delimiter), before)
    rows = csv.reader(feed, **_style(delimiter, quoted=quoted))
    while (row := _next_row(feed, rows, width)) is not None:
        if isinstance(row, Fields):
            width = len(row.cells)
        yield row


def read_runs(
    lines: Iterable[str], delimiter: str, *, quoted: bool, width: int, before: int = 0
) -> Iterator[Run | BrokenRow]:
    """Yield what `read_delimited` does, with rows that follow each other together.

    It reads some thousand lines ahead, so it is not for text that somebody still writes.
    """
    feed = _Feed(lines if len(delimiter) == 1 else _single(lines, delimiter), before)
    style = _style(delimiter, quoted=quoted)
    rows = csv.reader(feed, **style)
    while True:
        run = feed.run()
        found = _read_at_once(run, width, style)
        begin = feed.line
        feed.end(run, read=found is not None)
        if found is not None:
            yield Run(begin, found)
            continue
        row = _next_row(feed, rows, width)
        if row is None:
            return
        yield Run(row.line, [[cell] for cell in row.cells]) if isinstance(row, Fields) else row


def _style(delimiter: str, *, quoted: bool) -> dict[str, Any]:
    return {
        "delimiter": delimiter if len(delimiter) == 1 else _SEPARATOR,
        "quoting": csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
        "strict": True,
    }


def _read_at_once(run: list[str], width: int, style: dict[str, Any]) -> list[Sequence[str]] | None:
    """Return the columns of a run of lines where each line is a row, None where they need care."""
    if not run or width == 1:  # a line of spaces is blank, and no row of one cell
        return None
    if (columns := _split(run, width, style["delimiter"])) is not None:
        return columns
    try:
        rows = list(csv.reader(run, **style))
    except csv.Error:
        return None
    if len(rows) != len(run) or set(map(len, rows)) != {width}:
        return None
    return list(zip(*rows, strict=True))


def _split(run: list[str], width: int, delimiter: str) -> list[Sequence[str]] | None:
    """Return the columns of lines without quotes, None where there is a quote or a stray break."""
    text = "".join(run)
    if '"' in text or set(map(operator.methodcaller("count", delimiter), run)) != {width - 1}:
        return None
    if text.count("\r\n") == len(run):
        text = text.replace("\r\n", "\n")
    if "\r" in text or text.count("\n") != len(run) or delimiter == "\n":
        return None
    cells = text.replace("\n", delimiter).split(delimiter)
    return [cells[n : width * len(run) : width] for n in range(width)]


def _next_row(
    feed: _Feed, rows: Iterator[list[str]], width: int | None
) -> Fields | BrokenRow | None:
    """Return the next row that is not blank, None at the end."""
    while True:
        feed.begin()
        try:
            cells = next(rows)
        except StopIteration:
            return None
        except csv.Error as error:
            reason = _reason(error, spans_lines=feed.spans_lines)
            broken = BrokenRow(feed.line, feed.first, reason)
            feed.give_up()
            return broken
        if not cells or (len(cells) == 1 and not cells[0].strip()):
            continue
        if width is None or len(cells) == width:
            return Fields(feed.line, cells)
        if feed.spans_lines:
            broken = BrokenRow(feed.line, feed.first, UNCLOSED)
            feed.give_up()
            return broken
        reason = f"{width} cells are expected, here are {len(cells)}"
        return BrokenRow(feed.line, feed.first, reason)


def _single(lines: Iterable[str], delimiter: str) -> Iterator[str]:
    return (line.replace(delimiter, _SEPARATOR) for line in lines)


def _reason(error: csv.Error, *, spans_lines: bool) -> str:
    text = str(error)
    if "field larger" in text and not spans_lines:
        return f"a cell is longer than {csv.field_size_limit():,} characters"
    if "unexpected end of data" in text or "field larger" in text:
        return UNCLOSED
    if "expected after" in text:
        return "characters follow a closing quote"
    return f"not a row of a delimited file ({text})"
