"""The values that a setting of an agent may take in a search, and settings by dotted names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Number = float | int


@dataclass(frozen=True)
class Choices:
    """One of some values."""

    values: Sequence[Number]


@dataclass(frozen=True)
class Range:
    """Any number from `low` to `high`, drawn by its logarithm where `log`."""

    low: float
    high: float
    log: bool = False


Space = Choices | Range


def setting_of(config: Mapping[str, Any], name: str) -> Any:
    """Return a setting by its name, in which dots lead into parts; None where there is none."""
    value: Any = config
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def with_settings(config: Mapping[str, Any], changed: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration with some settings changed, by names as of `setting_of`."""
    whole = dict(config)
    for name, value in changed.items():
        first, _, rest = name.partition(".")
        whole[first] = with_settings(whole[first], {rest: value}) if rest else value
    return whole
