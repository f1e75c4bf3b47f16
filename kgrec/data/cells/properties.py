"""Properties of nodes: a cell as a value of the type that the vocabulary gives it."""

from __future__ import annotations

import re
from typing import Any

from kgrec.data.cells.lists import entries, one_text
from kgrec.data.cells.markup import plain_text
from kgrec.data.cells.numbers import read_number
from kgrec.data.cells.values import CellError, parse_text
from kgrec.data.records import Value

_WHOLE = re.compile(r"[+-]?[0-9]+")
_MOST_DIGITS, _INT64 = 19, 2**63


def parse_property(value: Any, role: str, kind: str, *, decimal: str = ".") -> Value | None:
    """Return a property of the kind that the vocabulary gives it, None for an empty cell.

    Args:
        kind: `string`, `integer`, `float` or `strings`.
        decimal: as of `read_number`.

    Raises:
        CellError: the cell holds something else, or an integer of more than 64 bits.
    """
    if kind == "strings":
        return tuple(one.name for one in entries(value, role, separator="|")) or None
    if kind == "string":
        value = one_text(value, role)
        return parse_text(plain_text(value) if isinstance(value, str) else value, role)
    if kind == "float":
        return read_number(value, role, decimal=decimal)
    return _whole_number(value, role, decimal)


def _whole_number(value: Any, role: str, decimal: str) -> int | None:
    """Return an integer; text and integers do not become a float, which holds 15 digits only."""
    text = value.strip() if isinstance(value, str) else ""
    if isinstance(value, int):
        number = int(value)
    elif _WHOLE.fullmatch(text) and len(text.lstrip("+-0")) <= _MOST_DIGITS:
        number = int(text)
    else:
        parsed = read_number(value, role, decimal=decimal)
        if parsed is None:
            return None
        if not parsed.is_integer():
            raise CellError(f"{role} is not a whole number", value)
        number = int(parsed)
    if not -_INT64 <= number < _INT64:
        raise CellError(f"{role} is too large a whole number", value)
    return number
