"""Numbers with the unit that a property is in: `1 hr 20 min` of minutes, `320 pages` of pages."""

from __future__ import annotations

import re

_SECONDS = {"seconds": 1.0, "minutes": 60.0, "hours": 3600.0, "days": 86_400.0}
"""Properties that are times, and how many seconds one of them is."""
_N = r"(\d{1,6}(?:[.,]\d{1,4})?)"
_ISO = re.compile(rf"P(?:{_N}D)?T?(?:{_N}H)?(?:{_N}M)?(?:{_N}S)?")
_WRITTEN = re.compile(
    rf"(?:{_N}\s*(?:days?|d|Tage?|jours?|días?)\b\.?)?[\s,]*"
    rf"(?:{_N}\s*(?:hours?|hrs?|h|Stunden?|Std|heures?|horas?)(?![^\W\d])\.?)?(?:[\s,]|and|und|et|y)*"
    rf"(?:{_N}\s*(?:minutes?|mins?|m|Minuten?|minutos?|['′])(?![^\W\d])\.?)?(?:[\s,]|and|und|et|y)*"
    rf"(?:{_N}\s*(?:seconds?|secs?|s|Sekunden?)\b\.?)?",
    re.IGNORECASE,
)
_BARE_MINUTES = re.compile(r"(\d\s*h\s*)(\d{1,2})", re.IGNORECASE)
_PARTS = 86_400.0, 3600.0, 60.0, 1.0
_COUNTED = re.compile(
    r"(?:(?P<before>[^\W\d]{2,12})[\s:]\s*)?(?P<n>[\d.,\s]{1,20}?)[\s-]*(?P<word>[^\W\d]{1,12})?\.?"
)
_WORDS = {
    "calories": "kcal cal kcals cals",
    "servings": "serves serve persons person people portion portions yield makes personen",
    "pages": "p pp s seiten pp",
    "value": "star stars point points",
}
"""Further words for what a property counts."""
_LEAST = 4


_DEGREES = re.compile(
    r"(?P<before>[NSEW])?\s*(?P<d>-?\d{1,3}(?:[.,]\d+)?)\s*°?\s*(?:(?P<m>\d{1,2}(?:[.,]\d+)?)\s*['′’]\s*)?"
    r"(?:(?P<s>\d{1,2}(?:[.,]\d+)?)\s*(?:[\"″”]|'')\s*)?(?P<after>[NSEW])?"
)


def in_unit(text: str, role: str) -> float | str | None:
    """Return the number that a cell holds in the unit of its property, None where there is none.

    `PT1H30M`, `1 hr 30 min` and `1h30` are 90 of `minutes` and 1.5 of `hours`; of `320 pages` the
    text of the number is returned, which the column may write in its own way.

    Args:
        role: name of the property.
    """
    text = text.replace("total ", "").strip()
    if role in ("latitude", "longitude"):
        return _degrees(text)
    if role in _SECONDS:
        return _duration(text, _SECONDS[role])
    found = _COUNTED.fullmatch(text)
    if found is None or bool(found["before"]) == bool(found["word"]):
        return None
    word = (found["before"] or found["word"]).casefold()
    known = word in _WORDS.get(role, "").split() or (
        len(word) >= _LEAST and word[:_LEAST] == role[:_LEAST] and abs(len(word) - len(role)) <= 1
    )
    return found["n"].strip() if known else None


def _degrees(text: str) -> float | None:
    """Return degrees: `48°51'24"N` is 48.8567, `33.9 S` is -33.9."""
    found = _DEGREES.fullmatch(text)
    if found is None or (found["before"] and found["after"]):
        return None
    parts = [float((found[name] or "0").replace(",", ".")) for name in "dms"]
    degrees = parts[0] + parts[1] / 60 + parts[2] / 3600
    return -degrees if (found["before"] or found["after"] or "N") in "SW" else degrees


def _duration(text: str, unit: float) -> float | None:
    found = _ISO.fullmatch(text) or _WRITTEN.fullmatch(_BARE_MINUTES.sub(r"\1\2m", text))
    if found is None or not any(found.groups()):
        return None
    parts = (float((one or "0").replace(",", ".")) for one in found.groups())
    return sum(a * b for a, b in zip(parts, _PARTS, strict=True)) / unit
