"""Properties as JSON and back, with their types.

What JSON has a type for stays as it is; anything else is an object with one key, its type. No
property of a graph is an object itself, so that nothing else can be meant.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytz
from neo4j.spatial import CartesianPoint, Point, WGS84Point
from neo4j.time import Date, DateTime, Duration, Time

from kgrec.errors import DataError

_POINTS: dict[int, type[Point]] = {
    4326: WGS84Point,
    4979: WGS84Point,
    7203: CartesianPoint,
    9157: CartesianPoint,
}
_TIME = re.compile(r"\d{4}-\d\d-\d\d(?:T.+)?")
_PARTS = re.compile(
    r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d)(:\d\d)?(?:\.(\d{1,9}))?"
    r"(Z|[+-]\d\d:\d\d(?::\d\d)?)?(?:\[([\w/+-]+)\])?"
)
_UNIVERSAL = frozenset({"UTC", "Z", "Etc/UTC"})


def json_line(record: Mapping[str, Any]) -> bytes:
    """Return a record as one line of JSON; what is equal gives the same bytes."""
    text = json.dumps(
        record, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")
    )
    return text.encode() + b"\n"


def to_json(properties: Mapping[str, Any], vectors: AbstractSet[str]) -> dict[str, Any]:
    """Return properties as the driver reads them in a form that JSON can hold.

    Args:
        vectors: names of those that are vectors, which are kept as float32 where they are.

    Raises:
        DataError: a value is of a type that no dump can hold.
    """
    return {
        name: _vector(value) if name in vectors else _to_json(value)
        for name, value in properties.items()
        if value is not None
    }


def from_json(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return properties as the driver writes them.

    Raises:
        DataError: a value is none that `to_json` makes.
    """
    return {name: _from_json(value) for name, value in properties.items()}


def time_of(text: str) -> dict[str, str] | str:
    """Return a time that an engine wrote as text in the form of a dump; other text as it is."""
    if not _TIME.fullmatch(text):
        return text
    if "T" not in text:
        return {"$date": text}
    found = _PARTS.fullmatch(text)
    if found is None:
        return text
    day, minute, second, fraction, offset, zone = found.groups()
    if zone in _UNIVERSAL or offset in ("+00:00", "-00:00", "Z"):
        offset, zone = "Z", zone if zone not in (None, *_UNIVERSAL) else None
    fraction = (fraction or "").rstrip("0")
    tail = (offset or "") + (f"[{zone}]" if zone else "")
    return {"$datetime": f"{day}T{minute}{second or ':00'}{'.' * bool(fraction)}{fraction}{tail}"}


def moment_of(value: Any) -> str | None:
    """Return the text of a time with an offset in the form of a dump; None for anything else."""
    text = value.get("$datetime") if isinstance(value, dict) else None
    if not isinstance(text, str):
        return None
    found = _PARTS.fullmatch(text)
    return text if found is not None and found[5] else None


def _to_json(value: Any) -> Any:
    kind = type(value)
    if kind in (str, int, bool):
        return value
    if kind is float:
        return value if math.isfinite(value) else {"$float": str(value)}
    if kind is list:
        return [_to_json(one) for one in value]
    if kind in (bytes, bytearray):
        return {"$bytes": base64.b64encode(value).decode()}
    if kind is DateTime:
        return time_of(_written(value))
    if kind is Date:
        return {"$date": value.iso_format()}
    if kind is Time:
        return {"$time": value.iso_format()}
    if kind is Duration:
        parts = (value.months, value.days, value.seconds, value.nanoseconds)
        return {"$duration": list(parts)}
    if isinstance(value, Point):
        return {"$point": {"srid": value.srid, "coordinates": list(value)}}
    raise DataError(
        "the graph holds a value of a type that a dump has no form for",
        value=f"{kind.__name__} {value!r:.80}",
        remedy="Remove the property, or store it as text or numbers.",
    )


def _vector(value: Any) -> Any:
    """Return a vector as little-endian float32 where it is exactly that, else as it is."""
    if not isinstance(value, list) or not all(type(one) is float for one in value):
        return _to_json(value)
    wide = np.array(value, dtype=np.float64)
    narrow = wide.astype("<f4")
    if not np.array_equal(wide, narrow.astype(np.float64)):
        return _to_json(value)
    return {"$float32": base64.b64encode(narrow.tobytes()).decode()}


def _written(value: DateTime) -> str:
    offset = value.utc_offset()
    text = value.replace(tzinfo=None).iso_format()
    if offset is None:
        return text
    zone = getattr(value.tzinfo, "zone", None)
    sign = "-" if offset < timedelta() else "+"
    return text + sign + _clock(abs(offset)) + (f"[{zone}]" if zone else "")


def _clock(size: timedelta) -> str:
    hours, rest = divmod(int(size.total_seconds()), 3600)
    minutes, seconds = divmod(rest, 60)
    return f"{hours:02d}:{minutes:02d}" + (f":{seconds:02d}" if seconds else "")


def _from_json(value: Any) -> Any:
    if isinstance(value, list):
        if value and isinstance(value[0], dict):
            return [_from_json(one) for one in value]
        if any(isinstance(one, dict) for one in value):  # one that is not finite among floats
            return [_from_json(one) for one in value]
        return value
    if not isinstance(value, dict):
        if value is None:
            raise DataError("a property is null", remedy="Leave it out.")
        return value
    [(tag, content)] = value.items() if len(value) == 1 else [("", None)]
    try:
        return _READERS[tag](content)
    except (KeyError, ValueError, TypeError, AttributeError, pytz.UnknownTimeZoneError):
        raise DataError(
            "no form of a value in a dump", value=json.dumps(value, ensure_ascii=False)[:80]
        ) from None


def _floats(text: str) -> list[float]:
    numbers: list[float] = np.frombuffer(base64.b64decode(text, validate=True), "<f4").tolist()
    return numbers


def _float(text: str) -> float:
    return {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}[text]


def _point(parts: Mapping[str, Any]) -> Point:
    return _POINTS[parts["srid"]](parts["coordinates"])


def _duration(parts: list[int]) -> Duration:
    months, days, seconds, nanoseconds = parts
    return Duration(months=months, days=days, seconds=seconds, nanoseconds=nanoseconds)


def _datetime(text: str) -> DateTime:
    found = _PARTS.fullmatch(text)
    if found is None:
        raise ValueError(text)
    day, minute, second, fraction, offset, zone = found.groups()
    local = datetime.fromisoformat(f"{day}T{minute}{second or ':00'}")
    shift = _offset(offset) if offset else None
    if shift is not None:
        # Zones of `zoneinfo` read memory that is not theirs when the driver calls them.
        known = pytz.timezone(zone) if zone else None
        moment = pytz.utc.localize(local - shift)
        local = moment.astimezone(known or pytz.FixedOffset(int(shift.total_seconds() // 60)))
        if not shift and not zone:
            local = moment
    nanoseconds = int((fraction or "").ljust(9, "0"))
    date, clock = (local.year, local.month, local.day), (local.hour, local.minute, local.second)
    return DateTime(*date, *clock, nanoseconds, tzinfo=local.tzinfo)


def _offset(text: str) -> timedelta:
    if text == "Z":
        return timedelta()
    hours, minutes, seconds = [*map(int, text[1:].split(":")), 0][:3]
    size = timedelta(hours=hours, minutes=minutes, seconds=seconds)
    return -size if text[0] == "-" else size


_READERS: dict[str, Callable[[Any], Any]] = {
    "$float": _float,
    "$float32": _floats,
    "$bytes": lambda text: base64.b64decode(text, validate=True),
    "$date": Date.from_iso_format,
    "$time": Time.from_iso_format,
    "$datetime": _datetime,
    "$duration": _duration,
    "$point": _point,
}
