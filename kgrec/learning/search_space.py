"""What may be searched: the values that a setting of an agent may take, and how to step there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Number = float | int


@dataclass(frozen=True)
class Choices:
    """Values in their natural order; a step goes to the next one."""

    values: Sequence[Number]

    def moved(self, value: Number, direction: int, scale: float) -> Number | None:
        """Return the neighbour of a value, or None where there is none.

        Args:
            value: where the step begins; one that is not among the values counts as the nearest.
            direction: -1 or 1.
            scale: of the step; what is smaller than a whole one leads nowhere.
        """
        if scale < 1:
            return None
        place = min(range(len(self.values)), key=lambda n: abs(self.values[n] - value))
        place += direction
        return self.values[place] if 0 <= place < len(self.values) else None


@dataclass(frozen=True)
class Range:
    """All numbers from `low` to `high`.

    Attributes:
        step: is added, or multiplied by where `log`.
    """

    low: float
    high: float
    step: float
    log: bool = False

    def moved(self, value: Number, direction: int, scale: float) -> Number | None:
        """Return the neighbour of a value, or None at the end; see `Choices.moved`."""
        way = direction * scale
        found = value * self.step**way if self.log else value + way * self.step
        found = float(f"{min(max(found, self.low), self.high):.4g}")
        return None if abs(found - value) < 1e-3 * abs(value or self.step) else found


Space = Choices | Range


def setting_of(config: Mapping[str, Any], name: str) -> Any:
    """Return a setting by its name, which leads into parts by dots; None where there is none."""
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
