"""Durations, dates, counts, sizes and prices that a text states of its item, as its properties.

Which properties, by which phrases, stands in the domain file. A phrase that gives two different
values in one text states none.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from kgrec.schema import Domain, Quantity
from kgrec.schema.quantities import MONTHS, NUMBER_WORDS, UNITS, compiled, spellings
from kgrec.text.pipeline import ItemText, TextValue
from kgrec.text.sources.fusion import TextFinding

_VERSION = "1"
_NEAR = 1e-9
_PART = re.compile(
    r"(?P<number>[\d.,\u202f]*\d|[a-z]+(?=[\s-]))[\s-]?(?P<unit>[a-z]+)(?P<half> and a half)?"
)

StatedNumber = int | float | str


class StatedQuantities:
    """Finds the properties of items that `[quantities]` of a domain has phrases for."""

    name = "quantities"

    def __init__(self, domain: Domain) -> None:
        self._known = domain.quantities
        self._types = domain.item_properties
        content = "\0".join(
            f"{name}\0{self._types[name]}\0{one.model_dump_json()}"
            for name, one in sorted(self._known.items())
        )
        digest = hashlib.blake2b(f"{_VERSION}\0{content}".encode(), digest_size=6)
        self.version = digest.hexdigest()

    def find(self, items: Sequence[ItemText]) -> list[TextFinding]:
        """Return the properties that each text states; it states no facts."""
        return [TextFinding([], values=tuple(self._values(item))) for item in items]

    def _values(self, item: ItemText) -> list[TextValue]:
        found = (self._value(item, name, one) for name, one in self._known.items())
        return [value for value in found if value is not None]

    def _value(self, item: ItemText, name: str, quantity: Quantity) -> TextValue | None:
        for pattern in quantity.patterns:
            read: dict[StatedNumber, re.Match[str]] = {}
            for match in compiled(pattern, quantity.unit).finditer(item.text):
                value = value_of(match, quantity, self._types[name])
                if value is not None:
                    read.setdefault(value, match)
            if len(read) > 1:
                return None
            for value, match in read.items():
                by = f"{self.name}@{self.version}"
                return TextValue(item.item_id, name, value, by, match[0], *match.span())
        return None


def value_of(match: re.Match[str], quantity: Quantity, kind: str) -> StatedNumber | None:
    """Return what a phrase states, as a property of a type; None where it does not fit.

    Args:
        kind: `integer`, `float` or `string`.
    """
    place = str(match.lastgroup)
    text = match[place]
    if kind == "string":
        return _date(text) if place == "date" else _plain(text, place)
    number = _number_in(text, place, quantity)
    if number is None or not _within(number, quantity):
        return None
    if kind == "float":
        return number
    whole = round(number)
    return whole if place == "measure" or abs(number - whole) < _NEAR else None


def _number_in(text: str, place: str, quantity: Quantity) -> float | None:
    if place == "number":
        return number_of(text)
    if place == "date":
        return float(_date(text)[:4])
    if place == "money":
        digits = re.search(r"\d(?:[\d.,\u202f]*\d)?", text)
        return number_of(digits[0]) if digits else None
    if place == "measure":
        return _measured(text, quantity.unit)
    return None


def number_of(text: str) -> float:
    """Return a number in digits or an English word; `1,234` and `1.234` are whole thousands."""
    word = text.strip().lower()
    if word in NUMBER_WORDS:
        return float(NUMBER_WORDS[word])
    if word in ("a", "an"):
        return 1.0
    parts = re.split(r"[.,\u202f]", word)
    thousands = len(parts) > 1 and 0 < len(parts[0]) <= 3 and parts[0] != "0"
    if len(parts) > 1 and not (thousands and len(parts[-1]) == 3):
        return float(f"{''.join(parts[:-1])}.{parts[-1]}")
    return float("".join(parts))


def _measured(text: str, unit: str) -> float | None:
    """Return numbers with units as one number of a unit: `2 hours 7 minutes` as 127 minutes."""
    dimension, own, _ = UNITS[unit]
    sizes = spellings(dimension)
    total = 0.0
    for part in _PART.finditer(" ".join(text.lower().split())):
        if part["unit"] not in sizes:
            continue
        number = number_of(part["number"]) if _is_number(part["number"]) else 1.0
        total += (number + (0.5 if part["half"] else 0)) * sizes[part["unit"]]
    return total / own if total else None


def _is_number(text: str) -> bool:
    return text[-1].isdigit() or text in NUMBER_WORDS


def _within(number: float, quantity: Quantity) -> bool:
    low = quantity.least is None or number >= quantity.least
    return low and (quantity.most is None or number <= quantity.most)


def _date(text: str) -> str:
    """Return a date as ISO 8601, as far as it is given: a year, a month or a day."""
    if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        return text
    year = re.findall(r"\d{4}", text)[-1]
    rest = text.replace(year, "").lower()
    month = next((n for n, name in enumerate(MONTHS, 1) if name[:3] in rest), None)
    day = re.search(r"\d{1,2}", rest)
    if month is None:
        return str(year)
    return f"{year}-{month:02}-{int(day[0]):02}" if day else f"{year}-{month:02}"


def _plain(text: str, place: str) -> str:
    """Return a phrase with single spaces, and a range as `8-12` or `8+`."""
    words = " ".join(text.split())
    if place != "range":
        return words
    ends = [
        f"{number_of(each):g}"
        for each in re.findall(r"[\d.,]*\d|[a-z]{3,}", words.lower())
        if _is_number(each)
    ]
    return "-".join(ends) if len(ends) > 1 else f"{ends[0]}+"
