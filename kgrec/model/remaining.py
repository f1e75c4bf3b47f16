"""One history without each of several sets of its items, as far as it need not be written out.

An explanation scores hundreds of parts of one history, which differ in a few items. What the parts
share is computed once, for the whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from kgrec.data.dataset import FloatArray, IntArray
from kgrec.model.histories import LATEST, Histories, one_history


@dataclass(frozen=True, eq=False)
class Remaining:
    """What is left of one history of H items without each of S sets.

    Attributes:
        history: the whole.
        removed: positions among its items, distinct in each row, int64 [S, N].
    """

    history: Histories
    removed: IntArray

    def __post_init__(self) -> None:
        one_history(self.history)

    def __len__(self) -> int:
        return len(self.removed)

    @cached_property
    def kept(self) -> NDArray[np.bool_]:
        """Which items are left, bool [S, H]."""
        kept = np.ones((len(self.removed), len(self.history.item)), dtype=np.bool_)
        kept[np.arange(len(self.removed))[:, None], self.removed] = False
        return kept

    @property
    def lengths(self) -> IntArray:
        """How many items are left of each, int64 [S]."""
        left = len(self.history.item) - self.removed.shape[1]
        return np.full(len(self), left, dtype=np.int64)

    @property
    def now(self) -> IntArray:
        """The time of the query, int64 [S]."""
        return np.repeat(self.history.now, len(self))

    @property
    def times(self) -> tuple[IntArray, IntArray]:
        """The first and the last known time of each, int64 [S]; see `Histories.times`."""
        at = np.where(self.kept, self.history.at, 0)
        first = np.where(at > 0, at, LATEST).min(axis=1, initial=LATEST)
        return first, at.max(axis=1, initial=0)

    @cached_property
    def histories(self) -> Histories:
        """The S histories written out, for what reads each by itself."""
        return self.history.without(self.removed)

    def spread_out(self, weights: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return weights of what is left, [S · (H - N)], with 0 at what is removed, [S, H]."""
        counts = np.zeros(self.kept.shape)
        counts[self.kept] = weights
        return counts


@runtime_checkable
class ReadsParts(Protocol):
    """A reader of histories that reads the parts of one together."""

    def weights_without(self, remaining: Remaining) -> FloatArray:
        """Return w_h of each part, float32 [S, H]; 0 where an item is removed."""
