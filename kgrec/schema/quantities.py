"""Phrase patterns of quantities: what their places match, and the units that are known.

A pattern is a regular expression with a place: `{number}`, `{measure}` (numbers with units),
`{date}` (a year or a day), `{money}` or `{range}`. A space stands for any white space.
"""

from __future__ import annotations

import re
from functools import lru_cache

UNITS: dict[str, tuple[str, float, tuple[str, ...]]] = {
    # unit: (dimension, how much it is, further spellings)
    "second": ("time", 1, ("seconds", "sec", "secs", "s")),
    "minute": ("time", 60, ("minutes", "min", "mins", "m", "minuten", "minutos")),
    "hour": ("time", 3600, ("hours", "hr", "hrs", "h", "stunde", "stunden", "heure", "heures")),
    "day": ("time", 86_400, ("days",)),
    "week": ("time", 604_800, ("weeks",)),
    "mg": ("mass", 0.001, ("milligram", "milligrams")),
    "g": ("mass", 1, ("gram", "grams", "gr", "gramm")),
    "kg": ("mass", 1000, ("kilogram", "kilograms", "kilo", "kilos")),
    "ounce": ("mass", 28.349523125, ("ounces", "oz")),
    "pound": ("mass", 453.59237, ("pounds", "lb", "lbs")),
    "mm": ("length", 0.001, ("millimetre", "millimetres", "millimeter", "millimeters")),
    "cm": ("length", 0.01, ("centimetre", "centimetres", "centimeter", "centimeters")),
    "metre": ("length", 1, ("m", "metres", "meter", "meters")),
    "km": ("length", 1000, ("kilometre", "kilometres", "kilometer", "kilometers")),
    "inch": ("length", 0.0254, ("inches", "in")),
    "foot": ("length", 0.3048, ("feet", "ft")),
    "mile": ("length", 1609.344, ("miles",)),
    "ml": ("volume", 0.001, ("millilitre", "millilitres", "milliliter", "milliliters")),
    "litre": ("volume", 1, ("l", "litres", "liter", "liters")),
    "kcal": ("energy", 1, ("calories", "calorie", "cal", "kilocalories")),
    "kJ": ("energy", 1 / 4.184, ("kilojoule", "kilojoules")),
    "MB": ("data", 1, ("megabyte", "megabytes")),
    "GB": ("data", 1000, ("gigabyte", "gigabytes")),
}
"""Units by name; `m` is a minute beside durations and a metre beside lengths."""

CURRENCIES: dict[str, tuple[str, ...]] = {
    "USD": ("$", "US$", "dollars", "dollar"),
    "EUR": ("€", "euros", "euro"),
    "GBP": ("£", "pounds sterling"),
    "JPY": ("¥", "yen"),
    "CHF": ("francs", "Fr."),
}

_WORDS = """one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
sixteen seventeen eighteen nineteen twenty"""
NUMBER_WORDS = {word: number for number, word in enumerate(_WORDS.split(), start=1)}
_MONTHS = """january february march april may june july august september october november
december"""
MONTHS = tuple(_MONTHS.split())

_DIGITS = r"\d{1,3}(?:[,.\u202f]\d{3})+(?!\d)(?:[.,]\d{1,2}(?!\d))?|\d+(?:[.,]\d+)?"
_NUMBER = rf"(?:{_DIGITS}|{'|'.join(sorted(NUMBER_WORDS, key=len, reverse=True))})"
_YEAR = r"(?:1[4-9]|20)\d\d(?!\d|,\d)"
_MONTH = "|".join(f"{month}|{month[:3]}\\.?" for month in MONTHS)
_DATE = (
    rf"(?:(?:1[4-9]|20)\d\d-[01]\d-[0-3]\d|\d{{1,2}}(?:st|nd|rd|th)? (?:{_MONTH}),? {_YEAR}|"
    rf"(?:{_MONTH}) \d{{1,2}}(?:st|nd|rd|th)?,? {_YEAR}|(?:{_MONTH}) {_YEAR}|{_YEAR})"
)
PLACES = ("number", "measure", "date", "money", "range")


def spellings(dimension: str) -> dict[str, float]:
    """Return how much each spelling of a unit of a dimension is, in lower case."""
    return {
        spelling.lower(): size
        for name, (kind, size, further) in UNITS.items()
        if kind == dimension
        for spelling in (name, *further)
    }


@lru_cache(maxsize=256)
def compiled(pattern: str, unit: str) -> re.Pattern[str]:
    """Return a phrase pattern as a regular expression with one group, named after its place.

    Raises:
        ValueError: the pattern has no place or several, or its unit is not known.
        re.error: it is no regular expression.
    """
    found = [place for place in PLACES for _ in range(pattern.count(f"{{{place}}}"))]
    if len(found) != 1:
        raise ValueError(f"it needs exactly one place of {', '.join(f'{{{p}}}' for p in PLACES)}")
    [place] = found
    inner = _inner(place, unit)
    text = pattern.replace(f"{{{place}}}", f"(?P<{place}>{inner})")
    spaced = text.replace(" ", r"\s+")
    return re.compile(rf"(?<![\w.,]){spaced}", re.IGNORECASE)


def _inner(place: str, unit: str) -> str:
    if place == "number":
        return rf"{_NUMBER}(?![.,]?\d|\s?[-–]\s?\d)"
    if place == "date":
        return _DATE
    if place == "range":
        return rf"{_NUMBER}(?:\s?(?:-|–|to|bis|à)\s?{_NUMBER}|\s?\+| and (?:up|over|older))"
    if place == "money":
        if unit and unit not in CURRENCIES:
            raise ValueError(f"the currency {unit!r} is not one of {', '.join(CURRENCIES)}")
        chosen = [unit] if unit else list(CURRENCIES)
        signs = "|".join(
            re.escape(each)
            for name in chosen
            for each in sorted((name, *CURRENCIES[name]), key=len, reverse=True)
        )
        return rf"(?:(?:{signs})\s?(?:{_DIGITS})|(?:{_DIGITS})\s?(?:{signs})(?!\w))"
    if unit not in UNITS:
        raise ValueError(f"the unit {unit!r} is not one of {', '.join(UNITS)}")
    names = "|".join(sorted(map(re.escape, spellings(UNITS[unit][0])), key=len, reverse=True))
    one = rf"(?:{_NUMBER}|an?)[\s-]?(?:{names})(?!\w)(?:\sand\sa\shalf)?"
    return rf"{one}(?:(?:,|\sand)?\s?{one})*"
