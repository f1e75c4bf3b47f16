"""Delimited text read line by line, so that a broken row never affects the rest of the file.

The reader of the standard library reads everything after an unclosed quote as one cell. Here such a
row is rejected after its first line, and reading continues with the second.
"""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from kgrec.data.tables.files import MAX_LINE

DELIMITERS = (",", "\t", ";", "|")
_SEPARATOR = "\x1f"
_SNIFFED_LINES = 25
_WHOLLY_QUOTED = re.compile(r'"(?:[^"]|"")*""(?:[^"]|"")*"')
csv.field_size_limit(MAX_LINE)


@dataclass(frozen=True, slots=True)
class Fields:
    """One row: the line it begins on, from 1, and its cells."""

    line: int
    cells: list[str]


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
    rows = csv.reader(
        feed,
        delimiter=delimiter if len(delimiter) == 1 else _SEPARATOR,
        quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
        strict=True,
    )
    while True:
        feed.begin()
        try:
            cells = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            yield BrokenRow(feed.line, feed.first, _reason(error, spans_lines=feed.spans_lines))
            feed.give_up()
            continue
        if not cells or (len(cells) == 1 and not cells[0].strip()):
            continue
        width = len(cells) if width is None else width
        if len(cells) == width:
            yield Fields(feed.line, cells)
            continue
        if feed.spans_lines:
            yield BrokenRow(feed.line, feed.first, "a quote opens here that does not close")
            feed.give_up()
        else:
            yield BrokenRow(
                feed.line, feed.first, f"{width} cells are expected, here are {len(cells)}"
            )


def column_count(lines: Sequence[str], delimiter: str, *, quoted: bool) -> int:
    """Return how many columns the header has if most rows agree with it, else 1."""
    text = lines[:_SNIFFED_LINES]
    widths = [
        len(found.cells) if isinstance(found, Fields) else 0
        for found in read_delimited(text, delimiter, quoted=quoted)
    ]
    if not widths or widths[0] < 2:
        return 1
    agreeing = sum(width == widths[0] for width in widths)
    return widths[0] if agreeing * 2 > len(widths) else 1


def sniff_delimiter(lines: Sequence[str], usual: str) -> str:
    """Return the delimiter that cuts the first lines into the most columns.

    Args:
        usual: delimiter by the file's suffix; used when no other fits better.
    """
    order = sorted(DELIMITERS, key=lambda delimiter: delimiter != usual)
    return max(order, key=lambda d: column_count(lines, d, quoted=d != "\t"))


def holds_quotes(lines: Sequence[str], delimiter: str) -> bool:
    """Return whether cells of a file that need not be quoted are.

    They are where all names of the header stand in quotes, where a cell in quotes holds doubled
    ones, or where rows have one length only if their quotes may hold line breaks.
    """
    if not any('"' in line for line in lines):
        return False
    cells = [cell for line in lines for cell in line.rstrip("\r\n").split(delimiter)]
    if any(_WHOLLY_QUOTED.fullmatch(cell) for cell in cells):
        return True
    header = lines[0].rstrip("\r\n").split(delimiter)
    if all(len(name) > 1 and name[0] == name[-1] == '"' for name in header):
        return True
    return _broken(lines, delimiter, quoted=True) < _broken(lines, delimiter, quoted=False)


def _broken(lines: Sequence[str], delimiter: str, *, quoted: bool) -> int:
    """Return how many of the rows are none; the last one may go on behind these lines."""
    rows = list(read_delimited(lines, delimiter, quoted=quoted))
    return sum(isinstance(row, BrokenRow) for row in rows[:-1])


def _single(lines: Iterable[str], delimiter: str) -> Iterator[str]:
    return (line.replace(delimiter, _SEPARATOR) for line in lines)


def _reason(error: csv.Error, *, spans_lines: bool) -> str:
    text = str(error)
    if "field larger" in text and not spans_lines:
        return f"a cell is longer than {csv.field_size_limit():,} characters"
    if "unexpected end of data" in text or "field larger" in text:
        return "a quote opens here that does not close"
    if "expected after" in text:
        return "characters follow a closing quote"
    return f"not a row of a delimited file ({text})"
