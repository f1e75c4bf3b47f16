"""JSON that is no JSON lines: arrays of objects, objects over several lines, objects in an object.

`[{"id": 1}, {"id": 2}]` as pandas and most exports write it, objects that stand behind each other
as jq writes them, `{"total": 2, "items": [{"id": 1}, {"id": 2}]}` as APIs answer, and objects by
their ids, `{"1": {"title": "Heat"}, "2": {"title": "Up"}}`. Objects are read one after the other,
so memory is bounded by the largest of them.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

from kgrec.data.tables.files import MAX_LINE, Row, SetAside, TableFormat
from kgrec.data.tables.packing import binary
from kgrec.errors import DataError

LIST_KEYS = frozenset(
    {"data", "items", "results", "records", "rows", "entries", "documents", "docs", "values"}
)
"""Keys under which an object holds the rows, whatever else it holds."""
_ABOUT = frozenset(
    {"count", "cursor", "error", "errors", "limit", "links", "meta", "metadata", "next", "offset"}
    | {"ok", "page", "pages", "paging", "pagination", "prev", "previous", "schema", "status"}
    | {"success", "took", "total", "updated", "version", "_links"}
)
"""Keys that stand beside the rows and belong to none of them, whatever the key of the rows is."""

_DECODER = json.JSONDecoder(strict=False)
_HEAD, _BLOCK = 1 << 16, 1 << 16
_BETWEEN = re.compile(r"[\s,]*")
_SPACE = re.compile(r"\s*")
_NEXT = re.compile(r"\}\s*,?\s*(?=\{)")
_NEXT_BY_ID = re.compile(r'\}\s*,\s*(?=")')
_SHOWN = 200
_LOOKED_AT = 20
_BROKEN = f"not JSON, or broken off, or longer than {MAX_LINE:,} characters"


class Begin(NamedTuple):
    """Where the rows of a document begin.

    Attributes:
        at: in characters.
        by_id: whether each object stands behind its id.
    """

    at: int
    by_id: bool = False


def begin_of(path: Path, layout: TableFormat) -> Begin | None:
    """Return where the rows of a document begin; None for JSON lines.

    Raises:
        DataError: the document holds columns and not rows.
    """
    try:
        with binary(path, layout.max_growth) as file:
            head = codecs.getincrementaldecoder(layout.encoding)("replace").decode(file.read(_HEAD))
    except EOFError:
        return None
    start = len(head) - len(head.removeprefix("\ufeff").lstrip())
    if head[start : start + 1] == "[":
        return Begin(start + 1)
    if head[start : start + 1] != "{":
        return None
    line = head[start:].partition("\n")[0]
    if _is_object(line) and "\n" in head[start:].strip():
        return None
    listed = _list_in_object(head, start + 1)
    if listed is not None:
        return Begin(listed)
    if _holds_objects_by_id(head, start + 1, path):
        return Begin(start + 1, by_id=True)
    if _is_object(line):
        return None
    try:
        _, end = _DECODER.raw_decode(head, start)
    except (ValueError, RecursionError):
        return Begin(start) if line.strip() == "{" else None
    return Begin(start) if "\n" in head[start:end] else None


def document_rows(
    path: Path, layout: TableFormat, begin: Begin, set_aside: SetAside
) -> Iterator[Row]:
    """Yield the objects of a document with their numbers, from 1; others go to `set_aside`."""
    with binary(path, layout.max_growth) as file:
        for number, (value, why) in enumerate(_values(file, layout.encoding, begin), 1):
            if why:
                set_aside(number, value, why)
            elif isinstance(value, dict):
                yield number, value
            else:
                set_aside(number, value, "not a JSON object")


def _values(file: IO[bytes], encoding: str, begin: Begin) -> Iterator[tuple[Any, str]]:
    """Yield values, or the beginning of what is none and why, up to the end of their list."""
    decoder = codecs.getincrementaldecoder(encoding)("surrogateescape")
    text, at, size = "", begin.at, _BLOCK
    decode = _by_id if begin.by_id else _DECODER.raw_decode
    ends, following = ("}", _NEXT_BY_ID) if begin.by_id else ("]", _NEXT)
    ended = False
    while True:
        at = _BETWEEN.match(text, at).end() if at <= len(text) else at  # type: ignore[union-attr]
        if text[at : at + 1] == ends:
            return
        if at < len(text):
            try:
                value, end = decode(text, at)
            except (ValueError, RecursionError):
                end = -1
            # A number at the end of what was read may go on behind it.
            if end >= 0 and (end < len(text) or ended):
                yield value, ""
                at, size = end, _BLOCK
                continue
        if ended or len(text) - at > MAX_LINE:
            found = following.search(text, at)
            if at < len(text):
                yield text[at : at + _SHOWN], _BROKEN
            if ended and found is None:
                return
            at, size = (len(text) if found is None else found.end()), _BLOCK
            continue
        try:
            block = file.read(size)
        except EOFError:
            block = b""
        ended = not block
        kept = max(0, at - len(text))
        text = text[at:] + decoder.decode(block, final=ended)
        at, size = kept, min(2 * size, MAX_LINE)


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line, strict=False), dict)
    except (ValueError, RecursionError):
        return False


def _by_id(text: str, at: int) -> tuple[Any, int]:
    """Read an object behind its id, which it has as `id` where it has none; raises ValueError."""
    key, value, end = _entry(text, at)
    return ({"id": key, **value} if isinstance(value, dict) else value), end


def _entry(text: str, at: int) -> tuple[str, Any, int]:
    """Return a key of an object, its value, and where that ends; raises ValueError."""
    key, at = _key(text, at)
    value, end = _DECODER.raw_decode(text, at)
    return key, value, end


def _key(text: str, at: int) -> tuple[str, int]:
    """Return a key of an object, and where its value begins; raises ValueError."""
    key, at = _DECODER.raw_decode(text, _after_space(text, at))
    at = _after_space(text, at)
    if not isinstance(key, str) or text[at : at + 1] != ":":
        raise ValueError("not a key")
    return key, _after_space(text, at + 1)


def _list_in_object(text: str, at: int) -> int | None:
    """Return where the list of an object begins that holds the rows, None where there is none.

    It is called as such lists are, or all other values of the object are about the rows.
    """
    others_are_about = True
    try:
        while True:
            key, at = _key(text, at)
            holds_objects = text[at] == "[" and text[_after_space(text, at + 1)] == "{"
            is_usual = key.casefold() in LIST_KEYS
            if holds_objects and (is_usual or (others_are_about and _only_about(text, at))):
                return at + 1
            _, at = _DECODER.raw_decode(text, at)
            at = _after_space(text, at)
            if text[at] != ",":
                return None
            at, others_are_about = at + 1, others_are_about and key.casefold() in _ABOUT
    except (ValueError, RecursionError, IndexError):
        return None


def _only_about(text: str, at: int) -> bool:
    """Return whether what follows the list that begins here is about it, as far as can be seen."""
    try:
        _, end = _DECODER.raw_decode(text, at)
        end = _after_space(text, end)
        while text[end] == ",":
            key, _, end = _entry(text, end + 1)
            if key.casefold() not in _ABOUT:
                return False
            end = _after_space(text, end)
    except (ValueError, RecursionError, IndexError):
        return True
    return text[end] == "}"


def _holds_objects_by_id(text: str, at: int, path: Path) -> bool:
    """Return whether the values of an object are the rows: objects that have keys in common.

    Raises:
        DataError: they are columns, whose keys are the numbers of the rows.
    """
    rows: list[set[str]] = []
    try:
        while len(rows) < _LOOKED_AT:
            _, value, at = _entry(text, at)
            if not isinstance(value, dict):
                return False
            rows.append(set(value))
            at = _after_space(text, at)
            if text[at] != ",":
                break
            at += 1
    except (ValueError, RecursionError, IndexError):
        pass  # what was looked at ends here
    if len(rows) < 2 or not set.intersection(*rows):
        return False
    if all(key.isdecimal() for key in rows[0]) and all(row == rows[0] for row in rows):
        raise DataError(
            "the file holds columns and not rows",
            value=str(path),
            remedy="Write it row by row, with pandas by to_json(orient='records', lines=True).",
        )
    return True


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return at if found is None else found.end()
