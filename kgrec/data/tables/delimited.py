"""Delimited text: encoding, delimiter, names of columns, rows."""

from __future__ import annotations

import codecs
import io
import itertools
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from kgrec.data.tables.files import (
    MAX_LINE,
    Columns,
    Row,
    SetAside,
    TableFormat,
    check_distinct,
    ignore,
    thinned,
    unbroken,
)
from kgrec.data.tables.packing import binary
from kgrec.data.tables.rows import BrokenRow, read_delimited, read_runs
from kgrec.data.tables.sniffing import (
    DELIMITERS,
    column_count,
    sniff_delimiter,
    with_form,
)
from kgrec.errors import DataError

_LONGEST_NAME = 300
_ATOMIC_TYPE = re.compile(r":(token|token_seq|float|float_seq)$")
_BAD_UTF8 = re.compile("[\udc80-\udcff]")
_REPLACED = re.compile("\ufffd")
_LOOKED_AT = 100
_SEPARATOR = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)
"""The line by which a file names to Excel what stands between its cells."""
_COUNTED = re.compile(r"(?:v|x|c|f|_c|col|column|field|unnamed:?)[ _]?(\d{1,4})", re.IGNORECASE)


def look(path: Path, layout: TableFormat) -> tuple[TableFormat, tuple[str, ...]]:
    with _text(path, layout) as text:
        lines = _first_lines(itertools.islice(unbroken(text, ignore), layout.skip, None))
    _check_is_text(path, lines)
    if lines and (named := _SEPARATOR.fullmatch(lines[0])):
        layout = layout.model_copy(update={"delimiter": layout.delimiter or named[1]})
        layout, lines = layout.model_copy(update={"skip": layout.skip + 1}), lines[1:]
    usual = "\t" if layout.format == "tsv" else ","
    layout = with_form(layout, lines, usual)
    delimiter, quoted = layout.delimiter or usual, layout.quoted is not False
    if column_count(lines, delimiter, quoted=quoted) == 1:
        _check_delimiter(path, lines, delimiter)
    first = next(iter(read_delimited(lines, delimiter, quoted=quoted)), None)
    header = layout.header
    if header:
        if not isinstance(first, BrokenRow) and first and _is_header(first.cells, header):
            layout = layout.model_copy(update={"skip": layout.skip + first.line})
        return layout, header
    if first is None:
        raise DataError("the file is empty", value=str(path))
    if isinstance(first, BrokenRow):
        raise DataError(f"the line of column names is broken ({first.reason})", value=str(path))
    return layout, _column_names(path, first.cells)


def rows(
    path: Path,
    layout: TableFormat,
    columns: tuple[str, ...],
    set_aside: SetAside,
    *,
    step: int = 1,
) -> Iterator[Row]:
    is_bad = (_BAD_UTF8 if _is_utf8(layout.encoding) else _REPLACED).search
    with _text(path, layout) as text:
        lines = itertools.islice(thinned(unbroken(text, set_aside), step), layout.skip, None)
        delimiter, quoted = layout.delimiter or ",", layout.quoted is not False
        found = read_delimited(
            lines, delimiter, quoted=quoted, width=len(columns), before=layout.skip
        )
        header_left = layout.header is None
        for row in found:
            if header_left:
                header_left = False
            elif isinstance(row, BrokenRow):
                set_aside(row.line, row.text.rstrip("\r\n"), row.reason)
            elif not (text_of := "\0".join(row.cells)).isascii() and is_bad(text_of):
                broken = next(cell for cell in row.cells if is_bad(cell))
                set_aside(row.line, broken, f"bytes that are not {layout.encoding.upper()}")
            else:
                yield row.line, dict(zip(columns, row.cells, strict=True))


def runs(
    path: Path, layout: TableFormat, columns: tuple[str, ...], set_aside: SetAside
) -> Iterator[Columns]:
    """Yield what `rows` does, column by column."""
    is_bad = (_BAD_UTF8 if _is_utf8(layout.encoding) else _REPLACED).search
    with _text(path, layout) as text:
        lines = itertools.islice(unbroken(text, set_aside), layout.skip, None)
        delimiter, quoted = layout.delimiter or ",", layout.quoted is not False
        found = read_runs(lines, delimiter, quoted=quoted, width=len(columns), before=layout.skip)
        header_left = layout.header is None
        for one in found:
            if isinstance(one, BrokenRow):
                if not header_left:
                    set_aside(one.line, one.text.rstrip("\r\n"), one.reason)
                header_left = False
                continue
            begin, cells = one.line, one.columns
            if header_left:
                begin, cells = begin + 1, [column[1:] for column in cells]
            header_left = False
            numbers: Sequence[int] = range(begin, begin + len(cells[0]))
            if not all(map(str.isascii, itertools.chain.from_iterable(cells))):
                whole = []
                for line, row in zip(numbers, zip(*cells, strict=True), strict=True):
                    broken = next((cell for cell in row if is_bad(cell)), None)
                    if broken is None:
                        whole.append((line, row))
                        continue
                    set_aside(line, broken, f"bytes that are not {layout.encoding.upper()}")
                numbers = [line for line, _ in whole]
                cells = list(zip(*(row for _, row in whole), strict=True))
            if numbers:
                yield Columns(numbers, dict(zip(columns, cells, strict=True)))


def _first_lines(lines: Iterator[str]) -> list[str]:
    found: list[str] = []
    length = 0
    for line in itertools.islice(lines, _LOOKED_AT):
        found.append(line)
        length += len(line)
        if length > MAX_LINE:
            break
    return found


@contextmanager
def _text(path: Path, layout: TableFormat) -> Iterator[io.TextIOWrapper]:
    is_utf8 = _is_utf8(layout.encoding)
    encoding = "utf-8-sig" if is_utf8 else layout.encoding
    errors = "surrogateescape" if is_utf8 else "replace"
    with (
        binary(path, layout.max_growth) as file,
        io.TextIOWrapper(file, encoding=encoding, errors=errors, newline="") as text,
    ):
        yield text


def _is_utf8(encoding: str) -> bool:
    return codecs.lookup(encoding).name in {"utf-8", "ascii"}


def _check_is_text(path: Path, lines: list[str]) -> None:
    start = "".join(lines[:10])
    if "\0" in start:
        raise DataError(
            "the file is not a text table",
            value=str(path),
            remedy="Give its format (csv, tsv, jsonl, parquet) or its encoding, such as utf-16.",
        )


def _check_delimiter(path: Path, lines: list[str], delimiter: str) -> None:
    better = sniff_delimiter(lines, delimiter)
    if better in DELIMITERS and better != delimiter:
        count = column_count(lines, better, quoted=better != "\t")
        if count > 1:
            raise DataError(
                f"{path}: the delimiter does not cut the rows into columns",
                value=delimiter,
                remedy=f"{better!r} would give {count} columns.",
            )


def _column_names(path: Path, cells: list[str]) -> tuple[str, ...]:
    names = [_ATOMIC_TYPE.sub("", cell.strip()) for cell in cells]
    if _are_positions(names):
        raise DataError(
            f"{path}: the first line numbers the columns and does not name them",
            value=", ".join(names),
            remedy="Give the names with --header a,b,c, or `header = [...]` in a pipeline file; "
            "this line is then left out.",
        )
    if _is_number(names[0]) or any(map(_is_value, names)):
        raise DataError(
            f"{path}: the first line holds values, not names of columns",
            value=", ".join(names),
            remedy="Give the names with --header a,b,c, or `header = [...]` in a pipeline file.",
        )
    names = [name or f"column_{n}" for n, name in enumerate(names, 1)]
    check_distinct(path, names)
    return tuple(names)


def _are_positions(cells: list[str]) -> bool:
    """Return whether a line counts its columns: 0;1;2 or 1;2;3, one before them perhaps empty."""
    texts = [cell.strip() for cell in cells]
    texts = texts[1:] if texts[:1] == [""] else texts
    return len(texts) > 2 and any(
        texts == [str(n) for n in range(start, start + len(texts))] for start in (0, 1)
    )


def _is_header(cells: list[str], header: Sequence[str]) -> bool:
    """Return whether a line has the names that are given, or counts the columns: V1,V2,V3."""
    texts = [cell.strip().casefold() for cell in cells]
    if texts == [name.strip().casefold() for name in header]:
        return True
    counts = [found[1] for text in texts if (found := _COUNTED.fullmatch(text))]
    return _are_positions(counts if len(counts) == len(cells) else cells)


def _is_value(text: str) -> bool:
    """Return whether no column would be called so: a text, lists, objects."""
    return len(text) > _LONGEST_NAME or text == "[]" or text.startswith(("[{", '{"'))


def _is_number(text: str) -> bool:
    return bool(re.fullmatch(r"[-+]?\d+(\.\d+)?", text))
