"""Lengths of time as people write them: 90s, 10m, 1h."""

from __future__ import annotations

import re

from kgrec.errors import ConfigError

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}
_FORM = re.compile(r"(\d+(?:\.\d+)?)\s*([smh]?)")


def seconds_of(text: str) -> float:
    """Return the seconds that a text such as `10m` names; raises ConfigError for any other."""
    found = _FORM.fullmatch(text.strip())
    if found is None or not float(found[1]):
        raise ConfigError("this is no length of time", value=text, remedy="Write 90s, 10m or 1h.")
    return float(found[1]) * _UNITS[found[2]]
