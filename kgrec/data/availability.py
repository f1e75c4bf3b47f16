"""When an item may be recommended: the properties of every item that hide it, and their cells."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from kgrec.data.cells.times import parse_moment
from kgrec.data.cells.values import CellError

AVAILABILITY = {"available": "boolean", "available_from": "datetime", "expires_at": "datetime"}
"""Properties of items, with their types in `core.toml`. An item is available where `available` is
not false, from the first moment on and before the other."""

LAST_TIME = 253_402_300_799_000
"""The last second that a `datetime` holds, in milliseconds since 1970."""

_WORDS = {
    **dict.fromkeys(("true", "yes", "1", "1.0", "t", "y"), True),
    **dict.fromkeys(("false", "no", "0", "0.0", "f", "n"), False),
}


def parse_availability(value: Any, name: str, form: str | None = None) -> bool | datetime | None:
    """Return a property of `AVAILABILITY`; None for an empty cell.

    Args:
        value: true or false, or a time as `parse_moment` reads it.
        form: of times, as of `parse_moment`.

    Raises:
        CellError: the cell holds something else.
    """
    if name == "available":
        return _parse_boolean(value, name)
    at = parse_moment(value, name, form)
    if at > LAST_TIME:
        raise CellError(f"{name} lies after the year 9999", value)
    return datetime.fromtimestamp(at / 1000, UTC) if at else None


def is_available(
    available: bool | None,
    available_from: datetime | None,
    expires_at: datetime | None,
    *,
    at: datetime | None = None,
) -> bool:
    """Return whether an item of these properties may be recommended at a moment, by default now."""
    moment = at or datetime.now(UTC)
    return (
        available is not False
        and (available_from is None or available_from <= moment)
        and (expires_at is None or expires_at > moment)
    )


def _parse_boolean(value: Any, name: str) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    text = str(value).strip().casefold()
    if text in {"", "null", "nan"}:
        return None
    if text not in _WORDS:
        raise CellError(f"{name} is neither true nor false", value)
    return _WORDS[text]
