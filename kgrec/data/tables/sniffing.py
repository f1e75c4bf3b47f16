"""The delimiter of a text, and whether its cells stand in quotes, by its first lines."""

from __future__ import annotations

import re
from collections.abc import Sequence

from kgrec.data.tables.files import TableFormat
from kgrec.data.tables.rows import UNCLOSED, BrokenRow, Fields, read_delimited

DELIMITERS = (",", "\t", ";", "|")
_SNIFFED_LINES = 25
_WHOLLY_QUOTED = re.compile(r'"(?:[^"]|"")*""(?:[^"]|"")*"')


def with_form(layout: TableFormat, lines: Sequence[str], usual: str) -> TableFormat:
    """Return a layout with delimiter and quotes, guessed from the first lines where not given.

    Args:
        usual: as of `sniff_delimiter`.
    """
    delimiter = layout.delimiter or sniff_delimiter(lines, usual)
    quoted = layout.quoted
    if quoted is None:
        quoted = delimiter != "\t" or holds_quotes(lines, delimiter)
    return layout.model_copy(update={"delimiter": delimiter, "quoted": quoted})


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
    """Return how many of the rows are none; a quote may close behind these lines."""
    rows = list(read_delimited(lines, delimiter, quoted=quoted))
    broken = (isinstance(row, BrokenRow) and row.reason == UNCLOSED for row in rows)
    opens = next((n for n, is_open in enumerate(broken) if is_open), len(rows) - 1)
    return sum(isinstance(row, BrokenRow) for row in rows[:opens])
