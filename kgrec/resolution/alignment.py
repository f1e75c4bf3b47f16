"""Which column of one source holds what a column of the other does, by the values of likely pairs.

Headers may differ in language and form, so they decide only between columns that are equally like.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import fuzz
from scipy.optimize import linear_sum_assignment

from kgrec.resolution.reading import RecordTable
from kgrec.resolution.words import grams_of, plain, weighted

_NUMERIC = 0.8
_LEAST_LIFT = 0.03
_HEADER = 0.1
_SHORT = 100
_SAMPLE = 2_000
_NUMBER = re.compile(r"[-+]?\d[\d ,.]*")
_DATE = re.compile(r"(\d{4})-(\d\d)(?:-(\d\d))?")


@dataclass(frozen=True)
class Aligned:
    """Two columns that hold the same.

    Attributes:
        values: plain texts of the left records and of the right ones, empty where one is missing.
        numbers: float64 [N + M] where both hold numbers or dates, NaN for missing ones.
        identifying: how well the column parts records, in [0, 1]; 0 for numbers.
    """

    names: tuple[str, str]
    values: list[str]
    numbers: NDArray[np.float64] | None
    identifying: float


def align(
    left: RecordTable, right: RecordTable, pairs: NDArray[np.int64], seed: int = 0
) -> list[Aligned]:
    """Return pairs of columns, each column in one at most, the most identifying first.

    Args:
        pairs: likely pairs, [P, 2]; two columns hold the same where their values are more alike in
            these than in pairs by chance.
    """
    rng = np.random.default_rng(seed)
    if len(pairs) > _SAMPLE:
        pairs = pairs[rng.choice(len(pairs), _SAMPLE, replace=False)]
    columns = [_Column(name, cells) for name, cells in left.columns.items()]
    others = [_Column(name, cells) for name, cells in right.columns.items()]
    if not columns or not others or not len(pairs):
        return []
    lift = np.zeros((len(columns), len(others)))
    mixed = np.stack([pairs[:, 0], rng.permutation(pairs[:, 1])], axis=1)
    for i, one in enumerate(columns):
        for j, other in enumerate(others):
            gain = _likeness(one, other, pairs) - _likeness(one, other, mixed)
            header = fuzz.token_set_ratio(_title(one.name), _title(other.name)) / 100
            lift[i, j] = gain * (1 + _HEADER * header) if gain > _LEAST_LIFT else 0.0
    chosen = zip(*linear_sum_assignment(-lift), strict=True)
    found = [_aligned(columns[i], others[j]) for i, j in chosen if lift[i, j] > 0]
    return sorted(found, key=lambda one: -one.identifying)


def names_of(source: RecordTable, columns: Sequence[Sequence[str]]) -> list[str]:
    """Return the name of each record: its first value among the most identifying columns.

    Args:
        columns: aligned columns of the source, the most identifying first; without one, its own
            columns are weighed.
    """
    ranked: list[Sequence[str]] = list(columns)
    if not ranked:
        own = sorted((_Column(*one) for one in source.columns.items()), key=lambda c: -c.identity)
        ranked += [one.plain for one in own if one.identity > 0][:2]
    if not ranked:
        return [""] * len(source)
    return [next(filter(None, row), "") for row in zip(*ranked, strict=True)]


class _Column:
    def __init__(self, name: str, cells: list[str]) -> None:
        self.name = name
        self.plain = [plain(cell) for cell in cells]
        held = [cell for cell in self.plain if cell]
        values = np.array([number_of(cell) for cell in self.plain])
        self.numbers = values
        self.numeric = bool(held) and np.isfinite(values).sum() >= _NUMERIC * len(held)
        lettered = np.mean([any(map(str.isalpha, cell)) for cell in held]) if held else 0.0
        length = float(np.mean([len(cell) for cell in held])) if held else 0.0
        self.identity = (
            len(held) / len(cells) * (len(set(held)) / len(held)) * lettered
            * min(1.0, _SHORT / max(length, 1.0))
            if held
            else 0.0
        )  # fmt: skip


def number_of(cell: str) -> float:
    """Return the number or the date (in years) that a cell is, NaN where it is neither."""
    date = _DATE.match(cell)
    if date is not None:
        year, month, day = (int(part or 1) for part in date.groups())
        return year + (month - 1) / 12 + (day - 1) / 366
    bare = cell.strip("$€£¥% ")
    if _NUMBER.fullmatch(bare) is None:
        return np.nan
    try:
        return float(bare.replace(",", "").replace(" ", ""))
    except ValueError:
        return np.nan


def closeness(
    values: NDArray[np.float64], pairs: NDArray[np.int64], seed: int = 0
) -> NDArray[np.float64]:
    """Return how much closer the numbers of each pair are than those of pairs by chance.

    Returns:
        float64 [P] in [0, 1], 1 for equal ones and about one half by chance; NaN for missing ones.
    """
    rng = np.random.default_rng(seed)
    held = values[np.isfinite(values)]
    if not len(held):
        return np.full(len(pairs), np.nan)
    chance = np.sort(np.abs(rng.choice(held, 4_000) - rng.choice(held, 4_000)))
    apart = np.abs(values[pairs[:, 0]] - values[pairs[:, 1]])
    below = np.searchsorted(chance, apart, "left") / len(chance)
    return np.where(np.isfinite(apart), 1 - below, np.nan)


def _likeness(one: _Column, other: _Column, pairs: NDArray[np.int64]) -> float:
    """Return the mean likeness of the values of pairs, times the share of pairs that have both."""
    if one.numeric and other.numeric:
        both = np.concatenate([one.numbers, other.numbers])
        close = closeness(both, np.add(pairs, np.array([0, len(one.numbers)])))
        return float(np.nan_to_num(close).mean())
    texts = [one.plain[i] for i in pairs[:, 0]] + [other.plain[j] for j in pairs[:, 1]]
    rows = weighted(texts, grams_of).rows
    return float(rows[: len(pairs)].multiply(rows[len(pairs) :]).sum(axis=1).mean())


def _aligned(one: _Column, other: _Column) -> Aligned:
    numeric = one.numeric and other.numeric
    numbers = np.concatenate([one.numbers, other.numbers]) if numeric else None
    identity = 0.0 if numeric else float(one.identity * other.identity)
    return Aligned((one.name, other.name), [*one.plain, *other.plain], numbers, identity)


def _title(header: str) -> str:
    return " ".join(re.findall(r"[a-z]+|\d+", re.split(r"[/#]", header)[-1].lower()))
