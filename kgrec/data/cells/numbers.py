"""Numbers as people write them: currency, thousands, percent, decimal comma, magnitudes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from kgrec.data.cells.values import CellError, parse_number

_CODES = (
    r"US\$|CA\$|AU\$|A\$|C\$|R\$|Rs\.?|kr\.?|zł|Kč|Ft|лв|руб\.?|"
    r"USD|EUR|GBP|CHF|JPY|CNY|RMB|INR|BRL|CAD|AUD|NZD|SEK|NOK|DKK|PLN|CZK|RUB|KRW|MXN|ZAR|TRY"
)
_CURRENCY = rf"(?:[$€£¥₹₽₩₺₴₪₫₱฿¢]|{_CODES})"
_CORE = (
    r"(?P<core>\d{1,3}(?:(?P<mark>[ ,.'’\u00a0\u202f\u2009])\d{3})(?:(?P=mark)\d{3})*(?:[.,]\d+)?"
    r"|\d{1,2}(?:,\d{2})+,\d{3}(?:\.\d+)?|\d+(?:[.,]\d+)?|[.,]\d+)"
)
_STYLED = re.compile(
    rf"(?:[~≈]|(?:ca|approx)\.)?\s*(?P<sign>[-+−]?)\s*{_CURRENCY}?\s*(?P<sign2>[-+−]?){_CORE}(?:[.,][-–—]+)?\s*"
    rf"(?P<unit>(?:[KkMB]|bn|thousand|million|billion)\b)?\s*(?:{_CURRENCY}|%|‰|\+)?"
    r"(?:\s+out of \d+(?: stars?)?)?"
)
_UNITS = {"k": 1e3, "thousand": 1e3, "m": 1e6, "million": 1e6, "b": 1e9, "bn": 1e9, "billion": 1e9}
_DECIMAL_COMMA = re.compile(r"^\D*\d{1,3}(?:[.'’\s]\d{3})*,(?:\d{1,2}|\d{4,})\D*$|\.\d{3},\d")
_DECIMAL_POINT = re.compile(r"\d\.(?:\d{1,2}|\d{4,})\D*$|,\d{3}\.\d|,\d{3},\d{3}")
_MOST = 60
_IN_BRACKETS = re.compile(r"\(([^()]*\d)\)")
_FREE = frozenset({"free", "gratis", "kostenlos", "free to play", "free-to-play"})


def read_number(value: Any, role: str, *, decimal: str = ".") -> float | None:
    """Return a number in any usual writing, None for an empty cell; `85 %` is 85, `free` is 0.

    Args:
        decimal: what stands before the decimals in this column, `.` or `,`; it decides what
            `1.234` and `1,234` are, where the cell itself does not.

    Raises:
        CellError: the cell holds something else, or a number that is not finite.
    """
    if isinstance(value, str):
        if value.strip().casefold() in _FREE:
            return 0.0
        if found := _IN_BRACKETS.fullmatch(value.strip()):  # a loss, as accounts have it
            value = f"-{found[1]}"
    styled = isinstance(value, str) and (decimal == "," or not _is_plain(value))
    if styled and len(value) <= _MOST and (found := _STYLED.fullmatch(value.strip())):
        number = float(_plain(found["core"], found["mark"], decimal))
        number *= _UNITS.get((found["unit"] or "").lower(), 1.0)
        return -number if {found["sign"], found["sign2"]} & {"-", "−"} else number
    return parse_number(value, role)


def decimal_mark(values: Sequence[Any]) -> str:
    """Return what stands before the decimals in most values of a column, `.` or `,`."""
    texts = [value for value in values if isinstance(value, str)]
    commas = sum(bool(_DECIMAL_COMMA.search(text)) for text in texts)
    points = sum(bool(_DECIMAL_POINT.search(text)) for text in texts)
    return "," if commas > points else "."


def are_numbers(values: Sequence[Any]) -> list[float] | None:
    """Return the values as numbers, None where one of them is none."""
    decimal = decimal_mark(values)
    try:
        numbers = [read_number(value, "", decimal=decimal) for value in values]
    except CellError:
        return None
    return [number for number in numbers if number is not None]


def _is_plain(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _plain(core: str, mark: str | None, decimal: str) -> str:
    """Return digits with a point before the decimals."""
    if mark in (",", "."):
        last = max(core.rfind(","), core.rfind("."))
        other = "." if mark == "," else ","
        if core.count(mark) == 1 and other not in core and decimal == mark:
            return core.replace(",", ".")
        if core[last] == other:
            return f"{core[:last].replace(mark, '')}.{core[last + 1 :]}"
        return core.replace(mark, "")
    if mark:
        return core.replace(mark, "").replace(",", ".")
    if core.count(",") > 1:  # 12,34,567.8
        return core.replace(",", "")
    return core.replace(",", ".")
