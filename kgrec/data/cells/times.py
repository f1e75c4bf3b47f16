"""Times: counts since 1970, ISO 8601, dates as people write them, and a form that is given."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

from kgrec.data.cells.values import CellError, unwrapped

MAX_AHEAD_MS = 300_000
"""How far a time may lie ahead: clocks differ, and what lies further would outlive later events."""

DIGITS = "digits"
"""The form of a column whose numbers are dates: 1993, 1993112 (a day of the year), 19930422,
19930422153000."""
DAY_FIRST, MONTH_FIRST = "dmy", "mdy"
DAYS = "days"
"""The form of a column whose numbers are dates of a spreadsheet: days since 30 December 1899."""
FORMS = (DIGITS, DAY_FIRST, MONTH_FIRST, DAYS)

# Largest count of each unit that is still a time before the year 5138, coarsest first.
_UNITS = ((1e11, 1000.0), (1e14, 1.0), (1e17, 1e-3), (1e20, 1e-6))
_YEARS = re.compile(r"(?<![\d.])[12]\d{3}(?![\d.])")
_SPAN = re.compile(r"\(?([12]\d{3})\s?[-–—]\s?(?:[12]\d{3}|\d\d|present)?\s?\)?")
"""Of something that went on for years: `2011–2019`, `(2011– )`."""
_LONGEST = 64
_1980 = 315_532_800_000
_1899 = datetime(1899, 12, 30, tzinfo=UTC)
_DAYS = 32_874.0, 73_050.0
"""From 1990 to 2099, as days of a spreadsheet; no clock counted so few seconds since 1970."""
_MONTHS = (
    "january jan januar janvier enero gennaio gen janeiro januari ocak января янв stycznia "
    "tammikuuta",
    "february feb februar février fév febrero febbraio fevereiro fev februari şubat февраля фев "
    "lutego helmikuuta",
    "march mar märz mär mars marzo março maart mrt marts mart марта мар marca maaliskuuta",
    "april apr avril avr abril abr aprile nisan апреля апр kwietnia huhtikuuta",
    "may mai mayo maggio mag maio mei maj mayıs мая май maja toukokuuta",
    "june jun juni juin junio giugno giu junho haziran июня июн czerwca kesäkuuta",
    "july jul juli juillet juil julio luglio lug julho temmuz июля июл lipca heinäkuuta",
    "august aug août aou agosto ago augustus augusti ağustos августа авг sierpnia elokuuta",
    "september sep sept septembre septiembre settembre set setembro eylül сентября сен сент "
    "września syyskuuta",
    "october oct oktober okt octobre octubre ottobre ott outubro out ekim октября окт października "
    "lokakuuta",
    "november nov novembre noviembre novembro kasım ноября ноя listopada marraskuuta",
    "december dec dezember dez décembre déc diciembre dic dicembre dezembro desember aralık "
    "декабря дек grudnia joulukuuta",
)
_MONTH = {word: n for n, words in enumerate(_MONTHS, 1) for word in words.split()}
_HOURS = {"EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7}
_HOURS |= {"CET": 1, "CEST": 2, "WET": 0, "WEST": 1, "EET": 2, "EEST": 3, "MSK": 3, "JST": 9}
"""Hours before UTC of zones as RFC 822 and most programs name them; IST and BST are several."""
_ZONE = rf"Z|UTC|GMT|(?:UTC|GMT)?[+-]\d{{2}}:?\d{{2}}|{'|'.join(_HOURS)}"
_IN_BRACKETS = re.compile(r"(?<=\d)\s*(?:\[[\w+/-]+\]|\([\w +/-]+\))$|(?<=[+-]\d{4}) [A-Z]{3,4}$")
"""The name of a zone behind its hours: `+01:00[Europe/Berlin]`, `+0100 (CET)`, `+0100 CET`."""
_CLOCK = (
    r"(?:(?:,?\s+(?:at\s+)?|T)(?P<hour>\d{1,2})[:.](?P<minute>\d{2})"
    r"(?:[:.](?P<second>\d{2})(?:[.,](?P<part>\d+))?)?\s*(?P<half>[AaPp])?(?(half)\.?[Mm]\.?)"
    rf"\s*(?P<zone>{_ZONE})?)?"
)
_WEEKDAY = r"(?:[^\W\d]{2,10}\.?,?\s+)?"
_WRITTEN = tuple(
    re.compile(pattern + _CLOCK)
    for pattern in (
        r"(?P<a>\d{1,4})(?P<mark>[-/._ ])(?P<b>\d{1,2})(?:(?P=mark)|,\s?)(?P<c>\d{2,4})\.?",
        _WEEKDAY + r"(?P<day>\d{1,2})(?:st|nd|rd|th|er|º|\.)?[\s/-]*(?:of |de )?"
        r"(?P<month>[^\W\d]{3,})\.?,?[\s/-]*(?:de )?(?P<year>\d{4}|\d{2})(?: ?г\.?)?",
        _WEEKDAY + r"(?P<month>[^\W\d]{3,})\.?[\s/-]*(?P<day>\d{1,2})(?:st|nd|rd|th)?"
        r"(?:,\s?|[\s/-]+)(?P<year>\d{4})",
        r"(?P<month>[^\W\d]{3,})\.?,?[\s/-]+(?P<year>\d{4})",
        r"(?P<year>\d{4})[-/.](?:(?P<month>\d{1,2})|(?P<ordinal>\d{3}))",
        r"(?P<year>\d{4})[年년]\s?(?P<month>\d{1,2})[月월]\s?(?P<day>\d{1,2})[日일]",
    )
)
_DOTNET = re.compile(r"\\?/Date\((-?\d+)(?:[+-]\d{4})?\)\\?/")
_CTIME = re.compile(
    r"\w{3} (?P<month>\w{3}) +(?P<day>\d{1,2}) (?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
    r"(?: (?P<zone>[+-]\d{4}|[A-Z]{3}))? (?P<year>\d{4})"
)
_LOGGED = re.compile(
    r"\[?(?P<day>\d\d)/(?P<month>\w{3})/(?P<year>\d{4}):(?P<hour>\d\d):(?P<minute>\d\d):"
    r"(?P<second>\d\d) (?P<zone>[+-]\d{4})\]?"
)
"""As web servers write it: `[31/Dec/2015:23:59:58 +0000]`."""
_KNOWN = (
    "ISO 8601, a date with or without a time of day, or seconds since 1970; else give at_format"
)


def parse_time(value: Any, role: str, form: str | None = None) -> int:
    """Return `parse_moment` of a time that must not lie in the future."""
    at = parse_moment(value, role, form)
    if at > time.time() * 1000 + MAX_AHEAD_MS:
        raise CellError(f"{role} lies in the future (without a zone it is read as UTC)", value)
    return at


def parse_moment(value: Any, role: str, form: str | None = None) -> int:
    """Return milliseconds since 1970 in UTC, 0 for an empty cell or 0: unknown.

    Numbers count seconds, or milliseconds, microseconds or nanoseconds when they are that large.
    Other text is read as ISO 8601, then as a date in one of the usual writings; without a zone it
    is UTC.

    Args:
        form: a pattern of `strptime`, or one of `FORMS`, which a column as a whole has: whether
            numbers are dates or days of a spreadsheet, and which of day and month comes first in
            `5/6/2019`, by default the month, and the day in `5.6.2019`.
    """
    value = unwrapped(value)
    if value is None or value == 0:
        return 0
    if isinstance(value, date):
        at = value if isinstance(value, datetime) else datetime(value.year, value.month, value.day)
        return _checked(_milliseconds(at), value, role)
    text = str(value).strip().strip("'\"")
    if (count := _DOTNET.fullmatch(text)) is not None:
        text = count[1]
    if text in {"", "0"}:
        return 0
    if form is not None and "%" in form:
        return _checked(_by_pattern(text, role, form), value, role)
    try:
        number = float(text if "_" not in text else "date")  # 2015_12_31 is no number
    except ValueError:
        return _checked(_from_text(text, role, form), value, role)
    if not math.isfinite(number):
        raise CellError(f"{role} is not a time", value)
    if form == DIGITS and (found := _from_digits(text)) is not None:
        return _checked(_milliseconds(found), value, role)
    if form == DAYS and _DAYS[0] <= number < _DAYS[1]:
        return _checked(_milliseconds(_1899 + timedelta(days=number)), value, role)
    for limit, factor in _UNITS:
        if abs(number) < limit:
            return _checked(round(number * factor), value, role)
    raise CellError(f"{role} is not a time of this world", value)


def year_of(cell: Any) -> Any:
    """Return the year of a date that stands where a year is wanted; other cells as they are."""
    if isinstance(cell, date):
        return cell.year
    text = str(cell).strip() if isinstance(cell, str | int) else ""
    if len(text) == 8 and (at := _from_digits(text)) is not None:  # 19931231
        return at.year
    if span := _SPAN.fullmatch(text):
        return span[1]
    found = _YEARS.findall(cell) if isinstance(cell, str) and not cell.strip().isdigit() else []
    return found[0] if len(found) == 1 else cell


def time_form(values: Sequence[Any]) -> str | None:
    """Return the form of a column by most of its values, None where each explains itself."""
    texts = [str(value).strip() for value in values if value not in (None, "", 0)]
    texts = [text for text in texts if text]
    if not texts:
        return None
    if sum(_from_digits(text) is not None for text in texts) * 10 >= 9 * len(texts):
        return DIGITS
    if sum(_are_days(text) for text in texts) * 10 >= 9 * len(texts):
        return DAYS
    first = second = 0
    for text in texts:
        found = _WRITTEN[0].fullmatch(text)
        if found and len(found["a"]) <= 2:
            first += int(found["a"]) > 12 and found["mark"] != "."
            second += int(found["b"]) > 12
    if first or second:
        return DAY_FIRST if first > second else MONTH_FIRST
    return None


def is_ambiguous(values: Sequence[Any]) -> bool:
    """Return whether nothing in a column of dates with `/` or `-` shows which part is the day."""
    texts = [str(value).strip() for value in values if value]
    dates = [found for text in texts if (found := _WRITTEN[0].fullmatch(text))]
    slashed = any(len(one["a"]) <= 2 and one["mark"] in "/- " for one in dates)
    return slashed and time_form(values) is None


def mostly_early(values: Sequence[Any], form: str | None) -> bool:
    """Return whether most values that are times lie before 1980, as counts of another unit do."""
    times = []
    for value in values:
        try:
            at = parse_moment(value, "", form)
        except CellError:
            continue
        if at:
            times.append(at)
    return sum(at < _1980 for at in times) * 2 > len(times)


def _from_digits(text: str) -> datetime | None:
    """Return the date that digits are: a year, with a day of it, or month, day and time."""
    digits = text[:-2] if text.endswith(".0") else text
    pattern = {4: "%Y", 7: "%Y", 8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}.get(len(digits))
    if pattern is None or not digits.isdecimal() or not "1900" <= digits[:4] <= "2100":
        return None
    try:
        if len(digits) == 7:
            return _of_year(int(digits[:4]), int(digits[4:]))
        return datetime.strptime(digits, pattern)
    except ValueError:
        return None


def _are_days(text: str) -> bool:
    try:
        return _DAYS[0] <= float(text) < _DAYS[1] and text[:1].isdecimal()
    except ValueError:
        return False


def _of_year(year: int, day: int) -> datetime:
    """Return a day of a year, from 1; raises ValueError where the year is over before."""
    found = datetime(year, 1, 1) + timedelta(days=day - 1)
    if found.year != year:
        raise ValueError
    return found


def _by_pattern(text: str, role: str, form: str) -> int:
    try:
        return _milliseconds(datetime.strptime(text, form))
    except (ValueError, OverflowError):
        raise CellError(f"{role} is not a time of the form {form}", text) from None


def _from_text(text: str, role: str, form: str | None) -> int:
    try:
        return _milliseconds(datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        pass
    try:
        return _milliseconds(_written(text[: _LONGEST + 1], form))
    except (ValueError, OverflowError):
        raise CellError(f"{role} is not a time: {_KNOWN}", text) from None


def _written(text: str, form: str | None) -> datetime:
    """Return a date as people write it; raises ValueError for what is none."""
    if len(text) > _LONGEST:
        raise ValueError
    text = _IN_BRACKETS.sub("", text)
    found = _CTIME.fullmatch(text) or next(
        (one for pattern in (*_WRITTEN, _LOGGED) if (one := pattern.fullmatch(text))), None
    )
    if found is None:
        raise ValueError
    parts = found.groupdict()
    if parts.get("a"):
        year, month, day = _ordered(parts["a"], parts["b"], parts["c"], parts["mark"], form)
    else:
        word = (parts["month"] or "1").casefold()
        year, day = _year(parts["year"]), int(parts.get("day") or 1)
        month = int(word) if word.isdecimal() else _MONTH.get(word, 0)
    if ordinal := parts.get("ordinal"):
        at = _of_year(year, int(ordinal))
        month, day = at.month, at.day
    hour = int(parts["hour"] or 0)
    if half := parts.get("half"):
        hour = hour % 12 + (12 if half in "pP" else 0)
    part = (parts.get("part") or "0")[:6].ljust(6, "0")
    clock = hour, int(parts["minute"] or 0), int(parts["second"] or 0), int(part)
    return datetime(year, month, day, *clock, tzinfo=_zone(parts.get("zone")))


def _ordered(a: str, b: str, c: str, mark: str, form: str | None) -> tuple[int, int, int]:
    """Return year, month and day of three numbers."""
    if len(a) == 4:
        return int(a), int(b), int(c)
    one, two = int(a), int(b)
    day_first = form == DAY_FIRST or (form != MONTH_FIRST and mark == ".")
    if one > 12 or (day_first and two <= 12):
        return _year(c), two, one
    return _year(c), one, two


def _year(digits: str) -> int:
    year = int(digits)
    return year if len(digits) > 2 else year + (2000 if year < 69 else 1900)


def _zone(text: str | None) -> timezone:
    if text in _HOURS:
        return timezone(timedelta(hours=_HOURS[text]))
    digits = re.sub(r"[A-Z:]", "", text or "")
    if not digits:
        return UTC
    shift = timedelta(hours=int(digits[1:3]), minutes=int(digits[3:]))
    return timezone(-shift if digits[0] == "-" else shift)


def _milliseconds(moment: datetime) -> int:
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return round(aware.timestamp() * 1000)


def _checked(at: int, value: object, role: str) -> int:
    if at < 0:
        raise CellError(f"{role} lies before 1970", value)
    return at
