"""On which line of a TOML file a key stands, which `tomllib` does not keep."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

_TABLE = re.compile(r"^\s*\[(?P<list>\[)?\s*(?P<name>[^\[\]]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"""^\s*(?P<key>(?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*[\w-]+)*)\s*=""")

Key = Sequence[str | int]


def line_of(text: str, key: Key) -> int | None:
    """Return the line of a key, from 1; that of the nearest key around it where it has none.

    Args:
        key: names of tables and keys, with the number of an entry of a list of tables.

    None is returned where nothing of the key stands in the text.
    """
    wanted = tuple(key)
    best, found = 0, None
    for place, line in _places(text):
        length = len(place)
        if length > best and wanted[:length] == place:
            best, found = length, line
    return found


def _places(text: str) -> Iterator[tuple[tuple[str | int, ...], int]]:
    """Yield each table and key of a file with its line."""
    table: tuple[str | int, ...] = ()
    entries: Counter[tuple[str | int, ...]] = Counter()
    inside = ""  # what ends a text of several lines that the line lies in
    for number, line in enumerate(text.splitlines(), 1):
        if inside:
            inside = "" if inside in line else inside
            continue
        if header := _TABLE.match(line):
            table = tuple(_parts(header["name"]))
            if header["list"]:
                entries[table] += 1
                table = (*table, entries[table] - 1)
            yield table, number
        elif found := _KEY.match(line):
            yield (*table, *_parts(found["key"])), number
            inside = next((m for m in ('"""', "'''") if line.count(m) == 1), "")


def _parts(name: str) -> list[str]:
    return [part.strip().strip("\"'") for part in name.split(".")]
