"""The weights that a sequence reader without layers gives each part of one history.

A removed item changes the length of the history and, at most, the time of its last interaction, the
gap after a moment that is gone, and the number of moments after the earlier ones. All else that the
reader sees of an item is the same in every part, so it is computed once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kgrec.data.dataset import FloatArray, IntArray
from kgrec.model.remaining import Remaining
from kgrec.model.tokens import (
    UNKNOWN,
    ReaderSettings,
    cycles,
    interpolated,
    looked_up,
    place,
    request_vectors,
    standardised,
)

LARGEST_LOGIT = 6.0
"""Logits are squashed into ± this, so that no history item outweighs another without bound."""


class PartsReader:
    """Reads what is left of one history without each of several sets of items.

    Args:
        settings, content, parameters: of the reader; see `SequenceReader`.
        remaining: the parts, S of them.
    """

    def __init__(
        self,
        settings: ReaderSettings,
        content: FloatArray,
        parameters: Mapping[str, NDArray[Any]],
        remaining: Remaining,
    ) -> None:
        self._settings, self._content, self._named = settings, content, parameters
        history = remaining.history
        self._order = np.argsort(history.at, kind="stable")
        self._history, self._at = history, history.at[self._order]
        self._kept = remaining.kept[:, self._order]  # [S, H]
        fresh = np.append(True, self._at[1:] != self._at[:-1])
        begins = np.flatnonzero(fresh)
        self._moment, self._time = np.cumsum(fresh) - 1, self._at[begins]  # [H], [M]
        self._present = np.logical_or.reduceat(self._kept, begins, axis=1)  # [S, M]
        newest = len(begins) - 1 - self._present[:, ::-1].argmax(axis=1)
        last = np.where(self._present.any(axis=1), self._time[newest], 0)
        self._last, self._which = np.unique(last, return_inverse=True)  # [U], [S]
        self._count = int(remaining.lengths[0]) if len(remaining) else 0

    def weights(self) -> FloatArray:
        """Return w_h of each part, float32 [S, H]; 0 where an item is removed, or too old."""
        named = self._named
        folded, logit = self._shared()
        logit = logit[self._which] + self._of_moments(folded)[:, self._moment]  # [S, H]
        logit = LARGEST_LOGIT * np.tanh(logit / LARGEST_LOGIT)
        counted = self._kept
        if self._count > self._settings.max_length:
            newer = counted[:, ::-1].cumsum(axis=1)[:, ::-1] - counted
            counted = counted & (newer < self._settings.max_length)
        strength = np.exp(logit) * counted
        smoothing = 1.0 / (1.0 + np.exp(-named["smoothing"]))
        total = np.maximum(strength.sum(axis=1, dtype=np.float64), 1e-30)
        scale = np.exp(named["scale"] - smoothing * np.log(total))
        weights = np.empty(strength.shape, dtype=np.float32)
        weights[:, self._order] = strength * scale[:, None]
        return weights

    def _shared(self) -> tuple[FloatArray, FloatArray]:
        """Return, for each last time, the key-side query [U, d] and the logits that it fixes.

        The logits, float32 [U, H], lack what depends on which moments are left.
        """
        named, history, order = self._named, self._history, self._order
        now = np.where(history.now > 0, history.now, self._last)  # [U]
        count = np.full(len(now), self._count)
        request = request_vectors(
            named,
            place(now - self._last, self._last > 0),
            place(count, count >= 0),
            cycles(now),
        )
        query = request @ named["query.weight"].T + named["query.bias"]
        folded = query @ named["key.weight"]
        kind = history.kind[order]
        kind = np.where(kind < self._settings.kinds, kind, 0)
        value = standardised(history.value[order], self._settings)
        logit = folded @ self._content[history.item[order]].T
        logit += (query @ named["key.bias"])[:, None]
        logit += (folded @ named["kind.weight"].T)[:, kind]
        logit += (folded @ named["value.weight"]) * value
        logit += (folded @ named["cycle.weight"]) @ cycles(self._at).T
        known, row = self._at > 0, np.arange(len(now))[:, None]
        places = {
            "age": place(self._last[:, None] - self._at, known),
            "wait": place(now[:, None] - self._at, known),
        }
        for name, each in places.items():
            logit += looked_up(folded @ named[f"{name}.table"].T, row, each)
        logit *= np.float32(self._settings.width**-0.5)
        for scale, each in enumerate(places.values()):
            logit += interpolated(named[f"recency.{scale}.table"][:, 0], each)
        return folded, logit

    def _of_moments(self, folded: FloatArray) -> FloatArray:
        """Return what gap and order add to the logits of the items of each moment, [S, M]."""
        named, number = self._named, len(self._time)
        scale = np.float32(self._settings.width**-0.5)
        numbers = np.append(place(np.arange(number), np.ones(number, np.bool_)), UNKNOWN)
        row = np.arange(len(folded))[:, None]
        by_number = scale * looked_up(folded @ named["order.table"].T, row, numbers)
        by_number += interpolated(named["recency.2.table"][:, 0], numbers)  # [U, M + 1]
        later = self._present[:, ::-1].cumsum(axis=1)[:, ::-1] - self._present
        later = np.where(self._time > 0, later, number)
        found = by_number[self._which[:, None], later]  # [S, M]
        gaps = folded @ named["gap.table"].T
        every = np.arange(number)
        usual = looked_up(gaps, row, self._gap(every, every - 1))  # [U, M]
        found += scale * usual[self._which]
        before = np.maximum.accumulate(np.where(self._present, every, -1), axis=1)
        before = np.concatenate([np.full((len(before), 1), -1), before[:, :-1]], axis=1)
        part, moment = np.nonzero(self._present & (before != every - 1))
        changed = looked_up(gaps, self._which[part], self._gap(moment, before[part, moment]))
        found[part, moment] += scale * (changed - usual[self._which[part], moment])
        return np.asarray(found)

    def _gap(self, moment: IntArray, before: IntArray) -> FloatArray:
        """Return the places of the times since the moments before, -1 for none, [N]."""
        since = self._time[moment] - self._time[before]
        return place(since, (before >= 0) & (self._time[before] > 0))
