"""Single values: ids, plain numbers and text, and the words that stand for nothing.

An invalid cell is a `CellError` with a reason.
"""

from __future__ import annotations

import math
import re
from typing import Any

from kgrec.data.cells.languages import one_wrapped
from kgrec.data.records import MAX_ID

MAX_VALUE = 1e15
"""Of an interaction: sums of such values and of their squares fit in single precision."""

NULL_KEYS = frozenset({"", "null", "nan", "none", "\\n", "<na>"})

NULLS = (
    *("n/a", "na", "n.a.", "#n/a", "nan", "none", "null", "nil", "<na>", "\\n", "undefined"),
    *("-", "--", "–", "—", "?", "unknown", "unspecified", "not available", "not applicable"),
    *("none given", "not given", "not specified", "not provided", "no information", "nat", "..."),
    *("no data", "…", "tba", "tbd", "[]", "{}", "()", "[null]", "[none]", "[nan]", '""', "''"),
    *("(null)", "<null>", "(none)", "<none>", "(unknown)", "[unknown]", "<unknown>", "(empty)"),
    *("(blank)", "n / a", "n/d", "??", "???", "***", "tbc", "to be announced", "set()"),
    *("frozenset()", "list()", "dict()", "tuple()", "#value!", "#ref!", "#name?", "#div/0!"),
    *("#num!", "#null!", "0000-00-00", "0000-00-00 00:00:00", "k. a.", "k.a.", "keine angabe"),
    *("unbekannt", "inconnu", "non renseigné", "desconocido", "sin datos", "不明", "未知"),
)
"""Words for nothing, without case: no entity and no property is called so. Of titles they are
names, since films are called Unknown and Nil."""

_ID_KEYS = ("id", "_id", "@id", "uuid")
_REPR = ("b'", 'b"')
_FORMULA = re.compile(r'="((?:[^"]|"")*)"')
_BLANKS = re.compile(r"[-–—_.?*]+")
_ESCAPED = re.compile(r"(?:[^\\]|\\(?:x[0-9a-f]{2}|[ntr\\'\"]))*+")
_ESCAPE = re.compile(rb"\\(x[0-9a-f]{2}|.)")
_LETTERS = {b"n": b"\n", b"t": b"\t", b"r": b"\r"}
_NULL_TEXTS = frozenset({"", "\\N", "NaN"})
NONE_GIVEN = "(no … listed)"
"""How the likes of `(no genres listed)` are counted."""
_NONE_LISTED = re.compile(r"\(no .{1,30} (?:listed|given|available|specified)\)", re.IGNORECASE)
_LONGEST_NULL = 100
_OBJECT_ID = re.compile(r"""ObjectId\(["']?(\w{24})["']?\)""")
UNSEEN = " \t\r\n\u200b\u200e\u200f\u2060\ufeff"
"""What stands unseen around ids that were copied from a page or a spreadsheet."""
_WHOLE_FLOAT = re.compile(r"([+-]?\d+)\.0+")


class CellError(ValueError):
    """Why a cell is invalid."""

    def __init__(self, reason: str, value: object) -> None:
        super().__init__(reason)
        self.reason = reason
        self.value = value


def null_words(given: tuple[str, ...] | None) -> frozenset[str]:
    """Return words for nothing as `is_nothing` compares them; the usual ones for None."""
    return frozenset(word.strip().casefold() for word in (NULLS if given is None else given))


def is_nothing(value: Any, words: frozenset[str]) -> bool:
    """Return whether a cell is not empty and yet holds a word for nothing.

    Args:
        words: from `null_words`; `(no genres listed)` and its like go with the word `n/a`.
    """
    if not isinstance(value, str) or len(value) > _LONGEST_NULL:
        return False
    text = value.strip().strip(UNSEEN).casefold()
    return (
        text in words
        or bool(value.strip() and not text)
        or ("-" in words and bool(_BLANKS.fullmatch(text)))
        or ("n/a" in words and text.startswith("(no ") and bool(_NONE_LISTED.fullmatch(text)))
    )


def unwrapped(value: Any) -> Any:
    """Return what an object of MongoDB stands for: `{"$oid": "5f1"}`, `{"$numberLong": "7"}`."""
    while isinstance(value, dict) and len(value) == 1:
        [(name, held)] = value.items()
        if not (isinstance(name, str) and name.startswith("$")):
            return value
        value = held
    return value


def parse_id(value: Any, role: str, *, whole: bool = False) -> str:
    """Return an id as a string; raises CellError when there is none.

    Args:
        whole: whether `12.0` is `12`, as in a column whose numbers became floats.
    """
    value = one_wrapped(unwrapped(value))
    if isinstance(value, dict):  # {"id": "L1", "name": "Ann"}
        value = next((value[key] for key in _ID_KEYS if key in value), value)
    if isinstance(value, bool | dict | list | tuple):
        raise CellError(f"{role} is not one name or number", value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = "" if value is None else str(decoded(value, role)).strip(UNSEEN)
    if text.startswith("ObjectId(") and (found := _OBJECT_ID.fullmatch(text)):
        text = found[1]
    if whole and (found := _WHOLE_FLOAT.fullmatch(text)):
        text = found[1]
    if text.casefold() in NULL_KEYS:
        raise CellError(f"{role} is missing", value)
    if len(text) > MAX_ID:
        raise CellError(f"{role} is longer than {MAX_ID} characters", text[:80])
    if not text.isprintable():
        raise CellError(f"{role} has characters that cannot be printed", value)
    return text


def parse_number(value: Any, role: str) -> float | None:
    """Return a finite number, None for an empty cell."""
    value = unwrapped(value)
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, bool):
        return float(value)
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise CellError(f"{role} is not a number", value) from None
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise CellError(f"{role} is not a finite number", value)
    return number


def parse_value(value: Any, role: str) -> float | None:
    """Return the value of an interaction; its square must be finite in single precision."""
    return checked_value(parse_number(value, role), value, role)


def checked_value(number: float | None, value: Any, role: str) -> float | None:
    """Return a number that is small enough for the value of an interaction."""
    if number is not None and abs(number) > MAX_VALUE:
        raise CellError(f"{role} is too large a number", value)
    return number


def parse_text(value: Any, role: str) -> str | None:
    """Return text without spaces at its ends, None for an empty cell."""
    value = unwrapped(value)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, dict | list | tuple):
        raise CellError(f"{role} is a list or an object, not one value", value)
    text = str(decoded(value, role)).strip()
    if not text.isascii() or "\0" in text:
        _check_characters(text, role)
    return None if text in _NULL_TEXTS else text


def decoded(value: Any, role: str) -> Any:
    """Return bytes as the text that they hold, and other values as they are.

    `b'Heat'` is what Python writes of bytes, and is read as them; `="0441"` is how a table keeps a
    spreadsheet from reading a number.
    """
    if isinstance(value, str) and value[:2] == '="' and (found := _FORMULA.fullmatch(value)):
        return found[1].replace('""', '"')
    if isinstance(value, str) and value[:2] in _REPR and value[-1:] == value[1] and len(value) > 2:
        value = _of_repr(value)
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise CellError(f"{role} holds bytes that are not UTF-8", value) from None


def _of_repr(text: str) -> str | bytes:
    held = text[2:-1]
    if not held.isascii() or not _ESCAPED.fullmatch(held):
        return text
    return _ESCAPE.sub(lambda found: _byte(found[1]), held.encode())


def _byte(code: bytes) -> bytes:
    return bytes([int(code[1:], 16)]) if len(code) == 3 else _LETTERS.get(code, code)


def _check_characters(text: str, role: str) -> None:
    if "\0" in text:
        raise CellError(f"{role} holds a NUL byte", text)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise CellError(f"{role} holds half a character", text) from None
