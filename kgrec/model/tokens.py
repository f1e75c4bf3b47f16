"""What the reader of the sequential agent sees of a history: tokens on logarithmic scales."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from kgrec.config import FrozenModel
from kgrec.data.dataset import FloatArray, IntArray
from kgrec.model.histories import Histories

KNOTS = 24
"""Knots of a logarithmic scale: 22 reach from nothing to 2^42 (as milliseconds, 139 years)."""

UNKNOWN = KNOTS - 1.0
"""The place on a scale of what is not known; nothing known comes near it."""

CYCLES = 8
"""Features of the position of a time within the day and within the week."""

_HOUR_MS = 3_600_000.0


class ReaderSettings(FrozenModel):
    """Sizes of a reader, and the encoding of histories.

    Attributes:
        kinds: number of kinds of interaction, the unknown one among them.
        max_length: L, the last items that are read.
        width: d of the transformer.
        layers: its blocks; with none, a weight depends on the item and the request alone.
        heads: of a block.
        value_mean, value_deviation: of the `squashed` values.
    """

    kinds: int = Field(ge=1)
    max_length: int = Field(ge=1)
    width: int = Field(ge=1)
    layers: int = Field(ge=0)
    heads: int = Field(ge=1)
    value_mean: float
    value_deviation: float = Field(ge=0)


@dataclass(frozen=True, eq=False)
class Tokens:
    """The tokens of the last L items of each history.

    Attributes:
        position: of each token among the entries of the histories, int64 [T].
        row: history that a token belongs to, int64 [T].
        column: tokens of the same history that are newer, int64 [T].
        item, kind: int64 [T].
        age: place of the time from the item to the last one on the scale of `KNOTS`, float32 [T].
        wait: the same of the time from the item to the request.
        gap: the same of the time to the moment before.
        order: the same of the number of moments after the item's.
        cycle: where in day and week, float32 [T, CYCLES]; zeros where the time is unknown.
        value: float32 [T].
        request_gap, request_count: from the last item to the request, length of the history; [B].
        request_cycle: float32 [B, CYCLES].
    """

    position: IntArray
    row: IntArray
    column: IntArray
    item: IntArray
    kind: IntArray
    age: FloatArray
    wait: FloatArray
    gap: FloatArray
    order: FloatArray
    cycle: FloatArray
    value: FloatArray
    request_gap: FloatArray
    request_count: FloatArray
    request_cycle: FloatArray

    @classmethod
    def of(cls, histories: Histories, settings: ReaderSettings) -> Tokens:
        """Read the last L items of each of B histories.

        Interactions of one moment have no order: they get the same place. What has no time lies
        before everything that has one. Times after the request count as the request's.
        """
        count, row = histories.lengths, histories.owner
        order = np.lexsort((histories.at, row))
        column = histories.start[1:][row] - 1 - np.arange(len(row))
        at, row_end = histories.at[order], histories.start[1:] - 1
        last = np.zeros(len(count), dtype=np.int64)
        last[count > 0] = at[row_end[count > 0]]
        now = np.where(histories.now > 0, histories.now, last)
        moment, before = _moments(row, at)
        later = moment[row_end[row]] - moment
        kept = column < settings.max_length
        order, row, at = order[kept], row[kept], at[kept]
        known = at > 0
        everywhere = np.ones(len(count), dtype=np.bool_)
        return cls(
            position=order,
            row=row,
            column=column[kept],
            item=histories.item[order],
            kind=histories.kind[order],
            age=place(last[row] - at, known),
            wait=place(now[row] - at, known),
            gap=place(before[kept], known & (before[kept] >= 0)),
            order=place(later[kept], known),
            cycle=cycles(at),
            value=standardised(histories.value[order], settings),
            request_gap=place(now - last, last > 0),
            request_count=place(count, everywhere),
            request_cycle=cycles(now),
        )


def place(amount: NDArray[np.int64], known: NDArray[np.bool_]) -> FloatArray:
    """Return the place of amounts on a scale of half their binary logarithm, float32 [N].

    Half a knot is a factor of two whatever the unit, so gaps of milliseconds and of years both
    find their place. Negative amounts count as 0.
    """
    half_log = 0.5 * np.log2(1.0 + np.maximum(amount, 0))
    places = np.where(known, np.minimum(half_log, KNOTS - 2.0), UNKNOWN)
    return np.asarray(places, dtype=np.float32)


def cycles(at: IntArray) -> FloatArray:
    """Return sines and cosines of the day, half day, week and half week (UTC), [N, CYCLES]."""
    hours = at.astype(np.float64) / _HOUR_MS
    waves = 2 * np.pi * np.outer(hours, [1 / 24, 1 / 12, 1 / 168, 1 / 84])  # [N, 4]
    both = np.concatenate([np.sin(waves), np.cos(waves)], axis=1)  # [N, CYCLES]
    return np.asarray(np.where((at > 0)[:, None], both, 0.0), dtype=np.float32)


def squashed(value: FloatArray) -> FloatArray:
    """Return the signed logarithm of values, so that play counts and ratings are alike."""
    return np.asarray(np.sign(value) * np.log1p(np.abs(value)), dtype=np.float32)


def standardised(value: FloatArray, settings: ReaderSettings) -> FloatArray:
    """Return squashed values of mean 0 and variance 1 in the training data, cut at 3, [N]."""
    if settings.value_deviation < 1e-6:
        return np.zeros(len(value), dtype=np.float32)
    values = (squashed(value) - settings.value_mean) / settings.value_deviation
    return np.asarray(np.clip(values, -3.0, 3.0), dtype=np.float32)


def _moments(row: IntArray, at: IntArray) -> tuple[IntArray, IntArray]:
    """Return the running number of each moment and the time since the one before it, -1 for none.

    Args:
        row, at: sorted by row, then by time, [N].
    """
    if not len(row):
        return row, row
    fresh = np.ones(len(row), dtype=np.bool_)
    fresh[1:] = (row[1:] != row[:-1]) | (at[1:] != at[:-1])
    moment: IntArray = np.cumsum(fresh)
    begins = np.flatnonzero(fresh)
    since = np.full(len(begins), -1, dtype=np.int64)
    follows = (row[begins[1:]] == row[begins[:-1]]) & (at[begins[:-1]] > 0)
    since[1:] = np.where(follows, at[begins[1:]] - at[begins[:-1]], -1)
    return moment, since[moment - 1]


def interpolated(table: FloatArray, place: FloatArray) -> FloatArray:
    """Return what a table of knots, [KNOTS, …], has at places, [N], linear between knots."""
    low, high, share = between(place)
    below = table[low]
    return np.asarray(
        below + (share if table.ndim == 1 else share[:, None]) * (table[high] - below)
    )


def between(place: FloatArray) -> tuple[IntArray, IntArray, FloatArray]:
    """Return the knots below and above places, and how far they are from the lower, [N] each."""
    low = np.minimum(place.astype(np.int64), KNOTS - 1)
    return low, np.minimum(low + 1, KNOTS - 1), place - low.astype(np.float32)


def looked_up(products: FloatArray, row: IntArray, places: FloatArray) -> FloatArray:
    """Return products with the knots of a table, [B, KNOTS], at places, linear between knots.

    Args:
        row: which of the products each place is of; it broadcasts with `places`.
    """
    low, high, share = between(places)
    below = products[row, low]
    return np.asarray(below + share * (products[row, high] - below))


def request_vectors(
    named: Mapping[str, NDArray[Any]], gap: FloatArray, count: FloatArray, cycle: FloatArray
) -> FloatArray:
    """Return r of B requests, float32 [B, d], by the parameters of a reader.

    Args:
        gap, count, cycle: as `request_gap`, `request_count` and `request_cycle` of `Tokens`.
    """
    known = interpolated(named["request_gap.table"], gap)
    known += interpolated(named["request_count.table"], count)
    return np.asarray(
        known + (cycle @ named["request_cycle.weight"].T + named["request_cycle.bias"])
    )
