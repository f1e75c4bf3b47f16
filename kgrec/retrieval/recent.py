"""What the last requests computed, for the next request that would compute the very same.

A page is viewed again, its second page follows, a list is explained a second after it was shown:
while the history has not changed, the scores are the same. Nothing is kept for a time: an entry is
found by all that the scores depend on, which each request reads from the graph.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from kgrec.data.dataset import IntArray
from kgrec.model.profile import ProfileScorer
from kgrec.model.scorer import Scorer
from kgrec.model.team import Team

MOST_SCORES = 2_000_000
"""Scores that are kept in all, of 33 bytes each: 66 MB, or a thousand users of 2,000 items."""
Key = tuple[str, int, str, tuple[tuple[str, str], ...]]
"""Fingerprint of the history, the hour, fingerprint of what is declared, fields of the context."""
Floats = NDArray[np.float64]
ValueT = TypeVar("ValueT")


@dataclass(eq=False)
class Recent:
    """What was computed for one history; threads may compute it twice, and one result is kept.

    Attributes:
        scorer: the history as the agents read it.
        size: how many scores an entry counts for.
    """

    scorer: Scorer | ProfileScorer
    size: int
    _scored: tuple[IntArray, bool, object] | None = field(default=None, repr=False)
    _shown: tuple[tuple[object, ...], object] | None = field(default=None, repr=False)
    _alpha: Floats | None = field(default=None, repr=False)

    def scored(
        self, candidates: IntArray, with_priors: bool, compute: Callable[[], ValueT]
    ) -> ValueT:
        """Return what was computed for these candidates (rows), or compute it."""
        known = self._scored
        if known is not None and known[1] == with_priors and np.array_equal(known[0], candidates):
            return known[2]  # type: ignore[return-value]  # of this function alone
        found = compute()
        self._scored = candidates, with_priors, found
        return found

    def shown(self, key: tuple[object, ...], compute: Callable[[], ValueT]) -> ValueT:
        """Return what was computed for the last key, or compute it.

        Args:
            key: all that it depends on beside the history; compared by equality.
        """
        known = self._shown
        if known is not None and known[0] == key:
            return known[1]  # type: ignore[return-value]  # of this function alone
        found = compute()
        self._shown = key, found
        return found

    def alpha_without_each(self, compute: Callable[[], Floats]) -> Floats:
        """Return alpha of the agents without each one of the history items, or compute it."""
        if self._alpha is None:
            self._alpha = compute()
        return self._alpha


class RecentHistories:
    """Keeps what was computed for the histories of the last requests to one model.

    Safe to share between threads.

    Args:
        most: scores that are kept in all.
    """

    def __init__(self, most: int = MOST_SCORES) -> None:
        self.most = most
        self._lock = threading.Lock()
        self._team: Team | None = None
        self._kept: OrderedDict[Key, Recent] = OrderedDict()
        self._size = 0

    def of(self, team: Team, key: Key, read: Callable[[], Scorer | ProfileScorer]) -> Recent:
        """Return the entry of a history, or read the history and keep it."""
        with self._lock:
            if self._team is team and key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        found = Recent(read(), len(team.items))
        with self._lock:
            if self._team is not team:  # nothing of a model before this one stays in memory
                self._team, self._size = team, 0
                self._kept.clear()
            before = self._kept.pop(key, None)
            self._size += found.size - (0 if before is None else before.size)
            self._kept[key] = found
            while self._size > self.most and len(self._kept) > 1:
                self._size -= self._kept.popitem(last=False)[1].size
        return found
