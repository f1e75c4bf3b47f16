"""JSON that is no JSON lines: an array of objects, objects over several lines, a list in an object.

`[{"id": 1}, {"id": 2}]` as pandas and most exports write it, objects that stand behind each other
as jq writes them, and `{"total": 2, "items": [{"id": 1}, {"id": 2}]}` as APIs answer. Objects are
read one after the other, so memory is bounded by the largest of them.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from kgrec.data.tables.files import MAX_LINE, Row, SetAside, TableFormat
from kgrec.data.tables.packing import binary

LIST_KEYS = frozenset(
    {"data", "items", "results", "records", "rows", "entries", "documents", "docs", "values"}
)
"""Keys under which an object holds the rows, whatever else it holds."""

_DECODER = json.JSONDecoder(strict=False)
_HEAD, _BLOCK = 1 << 16, 1 << 16
_BETWEEN = re.compile(r"[\s,]*")
_SPACE = re.compile(r"\s*")
_NEXT = re.compile(r"\}\s*,?\s*(?=\{)")
_SHOWN = 200
_BROKEN = f"not JSON, or broken off, or longer than {MAX_LINE:,} characters"


def begin_of(path: Path, layout: TableFormat) -> int | None:
    """Return where the rows of a document begin, in characters; None for JSON lines."""
    try:
        with binary(path, layout.max_growth) as file:
            head = codecs.getincrementaldecoder(layout.encoding)("replace").decode(file.read(_HEAD))
    except EOFError:
        return None
    start = len(head) - len(head.removeprefix("\ufeff").lstrip())
    if head[start : start + 1] == "[":
        return start + 1
    if head[start : start + 1] != "{":
        return None
    listed = _list_in_object(head, start + 1)
    line = head[start:].partition("\n")[0]
    if _is_object(line):
        return listed if listed is not None and "\n" not in head[start:].strip() else None
    if listed is not None:
        return listed
    try:
        _, end = _DECODER.raw_decode(head, start)
    except (ValueError, RecursionError):
        return start if line.strip() == "{" else None
    return start if "\n" in head[start:end] else None


def document_rows(
    path: Path, layout: TableFormat, begin: int, set_aside: SetAside
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


def _values(file: IO[bytes], encoding: str, begin: int) -> Iterator[tuple[Any, str]]:
    """Yield values, or the beginning of what is none and why, up to the end of their list."""
    decoder = codecs.getincrementaldecoder(encoding)("surrogateescape")
    text, at, size = "", begin, _BLOCK
    ended = False
    while True:
        at = _BETWEEN.match(text, at).end() if at <= len(text) else at  # type: ignore[union-attr]
        if text[at : at + 1] == "]":
            return
        if at < len(text):
            try:
                value, end = _DECODER.raw_decode(text, at)
            except (ValueError, RecursionError):
                end = -1
            # A number at the end of what was read may go on behind it.
            if end >= 0 and (end < len(text) or ended):
                yield value, ""
                at, size = end, _BLOCK
                continue
        if ended or len(text) - at > MAX_LINE:
            found = _NEXT.search(text, at)
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


def _list_in_object(text: str, at: int) -> int | None:
    """Return where the list of an object begins that holds the rows, None where there is none.

    It is the only value of the object, or it is called as such lists are.
    """
    is_first = True
    try:
        while True:
            at = _after_space(text, at)
            key, at = _DECODER.raw_decode(text, at)
            at = _after_space(text, at)
            if not isinstance(key, str) or text[at] != ":":
                return None
            at = _after_space(text, at + 1)
            holds_objects = text[at] == "[" and text[_after_space(text, at + 1)] == "{"
            is_usual = key.casefold() in LIST_KEYS
            if holds_objects and (is_usual or (is_first and _is_only(text, at))):
                return at + 1
            _, at = _DECODER.raw_decode(text, at)
            at = _after_space(text, at)
            if text[at] != ",":
                return None
            at, is_first = at + 1, False
    except (ValueError, RecursionError, IndexError):
        return None


def _is_only(text: str, at: int) -> bool:
    """Return whether an object ends behind the list that begins here, as far as can be seen."""
    try:
        _, end = _DECODER.raw_decode(text, at)
    except (ValueError, RecursionError):
        return True
    return text[_after_space(text, end) :][:1] == "}"


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return at if found is None else found.end()
