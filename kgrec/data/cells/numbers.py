"""Numbers as people write them: currency, thousands, percent, decimal comma, magnitudes."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Any

from kgrec.data.cells.units import in_unit
from kgrec.data.cells.values import CellError, decoded, parse_number

_CODES = (
    r"(?:US|CA|AU|NT|HK|NZ|MX|[ACRS])\$|Rs\.?|kr\.?|zł|Kč|Ft|лв|руб\.?|[円元원]|"
    r"USD|EUR|GBP|CHF|JPY|CNY|RMB|INR|BRL|CAD|AUD|NZD|SEK|NOK|DKK|PLN|CZK|RUB|KRW|MXN|ZAR|TRY|TWD|HKD|SGD|THB|VND|IDR|AED"
)
_CURRENCY = rf"(?:[$€£¥￥₹₽₩₺₴₪₫₱฿¢]|{_CODES})"
_CORE = (
    r"(?P<core>\d{1,3}(?:(?P<mark>[ ,.'’\u00a0\u202f\u2009])\d{3})(?:(?P=mark)\d{3})*(?:[.,]\d+)?"
    r"|\d{1,2}(?:,\d{2})+,\d{3}(?:\.\d+)?|\d+(?:[.,]\d+)?|[.,]\d+)"
)
_STYLED = re.compile(
    rf"(?:[~≈]|(?:ca|approx)\.)?\s*(?P<sign>[-+−]?)\s*{_CURRENCY}?\s*(?P<sign2>[-+−]?){_CORE}"
    r"(?P<whole>[.,][-–—]+|/-)?\s*(?P<fraction>[½¼¾⅓⅔⅛⅜⅝⅞]|\s[1-9]/[1-9]\d?)?\s*"
    rf"(?P<unit>(?:[KkMB]|bn|thousand|million|billion)\b)?\s*(?:{_CURRENCY}|%|‰|\+)?"
    r"(?:\s+out of \d+(?: stars?)?)?(?:\s*(?:/|per|pro|par)\s?(?:mo|month|year|yr|week|day|night|"
    r"hour|h|person|unit|Monat|Jahr|Tag|mois|jour|kg|l)\b\.?)?\*?"
)
_UNITS = {"k": 1e3, "thousand": 1e3, "m": 1e6, "million": 1e6, "b": 1e9, "bn": 1e9, "billion": 1e9}
_DECIMAL_COMMA = re.compile(r"^\D*\d{1,3}(?:[.'’\s]\d{3})*,(?:\d{1,2}|\d{4,})\D*$|\.\d{3},\d")
_DECIMAL_POINT = re.compile(r"\d\.(?:\d{1,2}|\d{4,})\D*$|,\d{3}\.\d|,\d{3},\d{3}")
_RATED = re.compile(
    r"\s*(?:(?P<of>\d{1,3}(?:[.,]\d+)?)\s*/\s*(?:4|5|6|7|10|20|100)"
    r"|(?P<stars>[★⭐]{1,10})\ufe0f?(?P<half>½?)☆{0,10})\s*"
)
_MOST = 60
_FROM = re.compile(
    r"(?:(?:starting |starts )?(?:from|at)|as low as|ab|von|à partir de|dès|a partir de|desde|da|"
    r"od|от|vanaf|从)[\s:]\s*(?=\S)",
    re.IGNORECASE,
)
_BETWEEN = re.compile(r"\s*[-–—]\s*|\s+(?:to|bis|à|a)\s+")
_MONEY = re.compile(rf"{_CURRENCY}")
_CENTS = re.compile(r"\d(?: cents|\s?¢)")
_INSIDE = re.compile(r"(\d+)\s?[€£$](\d\d)")
_IN_BRACKETS = re.compile(r"\(([^()]*\d)\)")
_BEHIND = re.compile(
    r"\s*(?:\([^()\d]*\)|per annum|p\. ?a\.|annually|a year|brutto|netto|gross|net)$", re.IGNORECASE
)
"""What stands behind sums without changing them: `$80K (est.)`, `38.000 € brutto`."""
_FREE = frozenset(
    {
        *("free", "gratis", "kostenlos", "free to play", "free-to-play", "gratuit", "gratuito"),
        *("for free", "free of charge", "umsonst", "免费", "免費", "無料", "무료", "бесплатно"),
    }
)


def read_number(value: Any, role: str, *, decimal: str = ".") -> float | None:
    """Return a number in any usual writing, None for an empty cell; `85 %` is 85, `free` is 0.

    `from $12` is 12, and so is `$12 - $20`, the least that is to be paid.

    Args:
        decimal: what stands before the decimals in this column, `.` or `,`; it decides what
            `1.234` and `1,234` are, where the cell itself does not.

    Raises:
        CellError: the cell holds something else, or a number that is not finite.
    """
    if isinstance(value, str) and len(value) <= _MOST and (decimal == "," or not _is_plain(value)):
        text = str(decoded(value, role)).strip()
        if text.rstrip("!").casefold() in _FREE:
            return 0.0
        if found := _IN_BRACKETS.fullmatch(text):  # a loss, as accounts have it
            text = f"-{found[1]}"
        text = _FROM.sub("", text, count=1) if _FROM.match(text) else text
        text = _BEHIND.sub("", text)
        if isinstance(held := in_unit(text, role), float):
            return held
        text = held or text
        number = _styled(text, decimal)
        if number is None and len(ends := _BETWEEN.split(text)) == 2 and _MONEY.search(text):
            low, high = (_styled(end, decimal) for end in ends)
            number = low if low is not None and high is not None and low <= high else None
        if number is not None:
            return number
    return parse_number(value, role)


def read_stars(value: Any) -> Any:
    """Return a rating written as `4/5` or `★★★★☆` as the number before it, others as they are."""
    if not isinstance(value, str) or not (found := _RATED.fullmatch(value)):
        return value
    return found["of"] or len(found["stars"]) + (0.5 if found["half"] else 0)


def _styled(text: str, decimal: str) -> float | None:
    """Return a number with all that may stand around it, None where there is something else."""
    if len(text) == 1 and unicodedata.category(text) == "No":  # ½
        return unicodedata.numeric(text)
    if found := _INSIDE.fullmatch(text):  # 12€50
        return float(f"{found[1]}.{found[2]}")
    cents = _CENTS.search(text)
    found = _STYLED.fullmatch(text.replace(" cents", "¢") if cents else text)
    if found is None:
        return None
    core, mark = found["core"], found["mark"]
    number = float(re.sub(r"\D", "", core) if found["whole"] else _plain(core, mark, decimal))
    number += _fraction(found["fraction"])
    number *= _UNITS.get((found["unit"] or "").lower(), 0.01 if cents else 1.0)
    return -number if {found["sign"], found["sign2"]} & {"-", "−"} else number


def _fraction(text: str | None) -> float:
    if text is None:
        return 0.0
    if "/" not in text:
        return unicodedata.numeric(text)
    top, bottom = map(int, text.split("/"))
    return top / bottom


def decimal_mark(values: Sequence[Any]) -> str:
    """Return what stands before the decimals in most values of a column, `.` or `,`."""
    texts = [value for value in values if isinstance(value, str)]
    commas = sum(bool(_DECIMAL_COMMA.search(text)) for text in texts)
    points = sum(bool(_DECIMAL_POINT.search(text)) for text in texts)
    return "," if commas > points else "."


def are_numbers(values: Sequence[Any], role: str = "") -> list[float] | None:
    """Return the values as numbers of a property, None where one of them is none."""
    decimal = decimal_mark(values)
    try:
        numbers = [read_number(value, role, decimal=decimal) for value in values]
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
