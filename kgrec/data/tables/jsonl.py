"""JSON lines, one object a line; other JSON by `kgrec.data.tables.json_documents`."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

from kgrec.data.tables.files import (
    WHOLE,
    Row,
    SetAside,
    TableFormat,
    ignore,
    thinned,
    unbroken,
)
from kgrec.data.tables.json_documents import begin_of, document_rows
from kgrec.data.tables.packing import binary
from kgrec.errors import DataError

_LOOKED_AT = 200


def look(path: Path, layout: TableFormat) -> tuple[TableFormat, tuple[str, ...]]:
    first = itertools.islice(rows(path, layout, (), ignore), _LOOKED_AT)
    names = dict.fromkeys(name for _, cells in first for name in cells)
    if not names:
        raise DataError(
            "the file does not hold JSON objects",
            value=str(path),
            remedy="Each line must be one JSON object, or the whole file a list of objects.",
        )
    return layout, tuple(names)


def rows(
    path: Path,
    layout: TableFormat,
    columns: tuple[str, ...],
    set_aside: SetAside,
    *,
    step: int = 1,
) -> Iterator[Row]:
    begin = begin_of(path, layout)
    if begin is not None:
        for number, cells in document_rows(path, layout, begin, set_aside):
            if number <= WHOLE or (number - WHOLE) % step == 0:
                yield number, cells
        return
    with binary(path, layout.max_growth) as file:
        for number, line in enumerate(thinned(unbroken(file, set_aside), step), 1):
            if number <= layout.skip:
                continue
            if not line.strip():
                continue
            try:
                cells = json.loads(line.decode(layout.encoding).removeprefix("\ufeff"))
            except UnicodeDecodeError:
                text = line.decode("utf-8", "backslashreplace").strip()
                set_aside(number, text, f"bytes that are not {layout.encoding.upper()}")
            except (ValueError, RecursionError):
                text = line.decode(layout.encoding, "replace").strip()
                set_aside(number, text, "not a line of JSON")
            else:
                if isinstance(cells, dict):
                    yield number, cells
                else:
                    set_aside(number, cells, "not a JSON object")
