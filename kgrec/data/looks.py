"""What the values of a column look like: times, numbers, ratings, flags, lists and their separator.

Values are those of rows from all over a file (`Table.surveyed`), so most of them decide.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kgrec.data.cells.lists import LEVELS, cut, looks_written, may_be_written
from kgrec.data.cells.markup import one_line
from kgrec.data.cells.numbers import are_numbers, decimal_mark
from kgrec.data.cells.times import DAYS, parse_moment, parse_time, time_form, year_of
from kgrec.data.cells.values import NULL_KEYS, CellError, is_nothing, null_words

_SEPARATORS = (*LEVELS, "|", ";", "\n", "~", "^", ",", " / ", " · ")
_LOOSE = (",", " / ", " · ", " & ", " and ")
"""Marks that stand within names as well: they separate where their parts change places."""
_LONGEST = 10**15
_CODE = re.compile(r"0\d|[+-]?\d{16,}$")
_FLOAT_ID = re.compile(r"\d+\.0+")
_WHOLE_ID = re.compile(r"\d+(?:\.0+)?")
_SENTENCE_END = re.compile(r"\w{2}[.!?…]['\")»”]*(?:\s|$)")
_LONG_TEXT = 80
_LONG_NAME = 40
_SECONDS = (1e8, 4e9)
_FLAGS = frozenset({"0", "1", "0.0", "1.0", "true", "false"})
_MARKS = _FLAGS | {"yes", "no", "y", "n", "t", "f", "x", "✓", "✔"}
_MOST_RATINGS = 21
_LEAST_TO_DOUBT = 20
_MOST_KINDS = 50
_NOTHING = null_words(None)


def filled(values: Sequence[Any]) -> list[Any]:
    """Return the values that are neither empty nor a word for nothing."""
    return [
        value
        for value in values
        if value is not None
        and value == value  # not NaN
        and not (isinstance(value, str) and (not value.strip() or is_nothing(value, _NOTHING)))
    ]


def is_time(values: Sequence[Any]) -> bool:
    """Return whether all values are times between 1973 and 2096, in one of the usual writings."""
    values = filled(values)
    form = time_form(values)
    if form == DAYS:  # so are salaries and postal codes
        return False
    try:
        times = [parse_time(value, "", form) for value in values]
    except CellError:
        return False
    return bool(times) and all(_SECONDS[0] <= at / 1000 <= _SECONDS[1] for at in times)


def is_long_text(values: Sequence[Any]) -> bool:
    """Return whether values are texts of some length, and no lists."""
    texts = [value for value in values if isinstance(value, str) and value.strip()]
    long = bool(texts) and sum(map(len, texts)) / len(texts) >= _LONG_TEXT
    return long and not is_list(texts) and not is_url(texts) and not _are_terms(texts)


def _are_terms(texts: Sequence[str]) -> bool:
    """Return whether long cells are short words with marks between them, and no sentences."""
    return _ending_sentences(texts) * 5 < len(texts) and separator(texts) is not None


def _ending_sentences(texts: Sequence[str]) -> int:
    return sum(bool(_SENTENCE_END.search(text)) for text in texts)


def is_url(values: Sequence[Any]) -> bool:
    """Return whether most values are addresses of pages or pictures."""
    texts = [value for value in values if isinstance(value, str) and value.strip()]
    return sum(text.startswith(("http://", "https://")) for text in texts) * 2 > len(texts)


def is_list(values: Sequence[Any]) -> bool:
    """Return whether most values are lists or objects, or stand in brackets as these do."""
    values = filled(values)
    found = 0
    for value in values:
        if isinstance(value, str):
            cut_off = len(value) >= 4_000 and value[:1] in "[{"
            found += looks_written(value) or may_be_written(value) or cut_off
        else:
            found += isinstance(value, list | tuple | dict)
    # Brackets around one word alone are no list: [REC].
    certain = any(
        not isinstance(value, str) or looks_written(value) or "," in value or "><" in value
        for value in values
    )
    return found * 2 > len(values) and certain


def are_flags(values: Sequence[Any]) -> bool:
    """Return whether values only say whether something applies: 0 and 1, true and false."""
    texts = {str(value).strip().lower() for value in filled(values)}
    return bool(texts) and texts <= _FLAGS


def are_marks(values: Sequence[Any]) -> bool:
    """Return whether values are flags, or words and signs that say the same: yes and no, x, ✓."""
    texts = {str(value).strip().lower() for value in filled(values)}
    return bool(texts) and texts <= _MARKS


def rating_scale(values: Sequence[Any]) -> tuple[float, float] | None:
    """Return least and largest value where values look like ratings: few steps between 0 and 10."""
    values = filled(values)
    numbers = are_numbers(values)
    if not numbers or are_flags(values):
        return None
    steps = set(numbers)
    fits = 1 < len(steps) <= _MOST_RATINGS and min(steps) >= 0 and 3 <= max(steps) <= 10
    return (min(steps), max(steps)) if fits and all(n * 2 % 1 == 0 for n in steps) else None


def were_whole(values: Sequence[Any]) -> bool:
    """Return whether ids are whole numbers that became floats: `12.0` and no others."""
    texts = [value.strip() for value in values if isinstance(value, str)]
    texts = [text for text in texts if text.casefold() not in NULL_KEYS]
    whole = sum(bool(_WHOLE_ID.fullmatch(text)) for text in texts)
    return whole * 1000 >= 999 * len(texts) and any(map(_FLOAT_ID.fullmatch, texts))


def value_type(values: Sequence[Any]) -> str:
    """Return the type of a property by its values: integer, float, strings or string."""
    values = filled(values)
    if is_list(values):
        return "strings"
    if not values or any(_is_code(value) for value in values):
        return "string"
    numbers = are_numbers(values)
    if numbers is None:
        return "string"
    whole = all(n.is_integer() and abs(n) < _LONGEST for n in numbers)
    return "integer" if whole else "float"


def separator(values: Sequence[Any], *, names: bool = False) -> str | None:
    """Return what stands between the values of cells, None where each holds one or a list.

    It is the mark that most cells hold. A comma separates where its parts stand alone in other
    cells or change places, where cells have three parts and more, or where parts are full names; so
    `Last, First` and `City, Country` stay whole. Escapes (`&amp;`) hold no separator.

    Args:
        names: whether the values are names of people.
    """
    texts = [one_line_or_more(value) for value in filled(values) if isinstance(value, str)]
    texts = [text for text in texts if not looks_written(text)]
    prose = sum(map(len, texts)) >= _LONG_TEXT * len(texts)
    prose = prose and _ending_sentences(texts) * 2 > len(texts)
    marks = (*_SEPARATORS, "/", " & ", " and ") if names else _SEPARATORS
    counts = {mark: sum(mark in text for text in texts) for mark in marks}
    counts["^"] = sum("^" in text and "^^" not in text for text in texts)  # "War"^^xsd:string
    for mark in sorted(marks, key=lambda one: -counts[one]):
        holding = [text for text in texts if len(cut(text, mark)) > 1]
        parts = [part.strip() for text in holding for part in cut(text, mark)]
        if not holding or sum(map(len, parts)) / len(parts) > _LONG_NAME:
            continue
        often = len(holding) * 10 >= len(texts)
        if mark in _LOOSE and (prose or not _lists_by(mark, texts, holding, parts, names=names)):
            continue
        if mark == "," and _stands_within_names(texts, counts):
            continue
        if mark not in LEVELS and any(counts[one] * 2 > len(texts) for one in LEVELS):
            continue
        if mark == "/" and sum(" " in part for part in parts) * 2 <= len(parts):
            continue
        if often or mark == "|" or _known_share(texts, parts) >= 0.5:
            return mark
    return None


def one_line_or_more(text: str) -> str:
    """Return a cell without escapes, with its line breaks."""
    return one_line(text) if "&" in text or "<" in text else text.strip()


def unsplit(values: Sequence[Any], mark: str | None) -> Counter[str]:
    """Return how many cells hold a separator that does not cut them."""
    counts: Counter[str] = Counter()
    for value in filled(values):
        if isinstance(value, str) and not looks_written(value):
            text = one_line_or_more(value)
            counts.update(one for one in _SEPARATORS if one != mark and one in text)
    return counts


def doubt(role: str, kind: str | None, values: Sequence[Any]) -> str:
    """Return why most values cannot be what the name of their column makes of them, else nothing.

    Args:
        role: a role or a property; `kind` is the type of a property.
    """
    values = filled(values)
    if len(values) < _LEAST_TO_DOUBT:
        return ""
    if role == "at":
        return "" if _share(values, _may_be_time) > 0.5 else "is no time in most rows"
    if role == "value" or kind in ("integer", "float"):
        cells = [year_of(value) for value in values] if role == "year" else values
        return (
            ""
            if _share(cells, lambda cell: _may_be_number(cell, role)) > 0.5
            else "is no number in most rows"
        )
    if role == "kind":
        if len({str(value).casefold() for value in values}) > _MOST_KINDS:
            return f"holds more than {_MOST_KINDS} different values, which are no kinds"
        if len(set(map(str, values))) == 1 and are_numbers(values):
            return f"holds nothing but {values[0]}, which stands for no kind"
    return ""


def _share(values: Sequence[Any], test: Callable[[Any], bool]) -> float:
    return sum(map(test, values)) / len(values)


def _may_be_time(value: Any) -> bool:
    try:
        return parse_moment(value, "") >= 0
    except CellError:
        return False


def _may_be_number(value: Any, role: str) -> bool:
    return not isinstance(value, list | dict | tuple) and are_numbers([value], role) is not None


def number_form(values: Sequence[Any]) -> str:
    """Return what stands before the decimals of a column of numbers."""
    return decimal_mark(filled(values))


def _known_share(texts: Sequence[str], parts: Sequence[str]) -> float:
    """Return which share of parts stand alone in other cells."""
    alone = set(texts)
    return sum(part in alone for part in parts) / len(parts) if parts else 0.0


def _stands_within_names(texts: Sequence[str], counts: Mapping[str, int]) -> bool:
    """Return whether another mark separates names with a comma each: `Mann, M.; Scott, R.`."""
    for mark in ("|", ";", "\n"):
        if counts[mark] * 10 < len(texts):
            continue
        parts = [part for text in texts for part in cut(text, mark) if part.strip()]
        once = sum(part.count(",") == 1 for part in parts)
        if once * 2 > len(parts) and sum(part.count(",") > 1 for part in parts) * 10 < len(parts):
            return True
    return False


def _lists_by(
    mark: str, texts: Sequence[str], holding: Sequence[str], parts: Sequence[str], *, names: bool
) -> bool:
    if _known_share(texts, parts) >= 0.5:
        return True
    pairs = [[part.strip() for part in cut(text, mark)] for text in holding]
    several = [pair for pair in pairs if len(pair) > 2]
    if names:
        full = sum(len(pair) > 2 or all(" " in part for part in pair) for pair in pairs)
        return full * 2 > len(pairs)
    first = {pair[0] for pair in pairs}
    others = {part for pair in pairs for part in pair[1:]}
    if several or first & others or len(pairs) < 3:
        return True
    # Cells of two parts each, whose first and second parts differ: cities and their countries.
    return len(holding) * 10 < 9 * len(texts)


def _is_code(value: Any) -> bool:
    """Return whether digits are no number: a leading zero, or more than a number would have."""
    if isinstance(value, bool):
        return True
    if isinstance(value, int):
        return abs(value) >= _LONGEST
    return isinstance(value, str) and bool(_CODE.match(value.strip()))
