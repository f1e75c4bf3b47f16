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

from kgrec.data.dataset import IntArray
from kgrec.model.profile import ProfileScorer
from kgrec.model.scorer import Scorer
from kgrec.model.team import Team
from kgrec.retrieval.scored import PackedScores, Scored

KEPT_BYTES = 128 * 2**20
"""What is kept takes about so much memory: of 1,200 users of 2,000 items, or 650 of 10,000."""
_AN_ENTRY = 80_000
"""Bytes of an entry beside its scores and history: most of it is the list with its reasons."""
_AN_EVENT = 150
"""Bytes of an event of a history, as the agents read it."""
_NUMBER = 8
Key = tuple[str, int, str, tuple[tuple[str, str], ...]]
"""Fingerprint of the history, the hour, fingerprint of what is declared, fields of the context."""
ValueT = TypeVar("ValueT")


@dataclass(eq=False)
class Recent:
    """What was computed for one history; threads may compute it twice, and one result is kept.

    Attributes:
        scorer: the history as the agents read it.
        size: bytes of the entry, nearly.
    """

    scorer: Scorer | ProfileScorer
    size: int
    _scored: tuple[bool, PackedScores] | None = field(default=None, repr=False)
    _shown: tuple[tuple[object, ...], object] | None = field(default=None, repr=False)
    _counting: object | None = field(default=None, repr=False)
    _grow: Callable[[Recent, int], None] = field(default=lambda recent, by: None, repr=False)

    def scored(
        self, candidates: IntArray, with_priors: bool, compute: Callable[[], Scored]
    ) -> Scored:
        """Return what was computed for these candidates (rows, rising), or compute it."""
        known = self._scored
        if known is not None and known[0] == with_priors and known[1].is_of(candidates):
            return known[1].scored()
        found = compute()
        packed = PackedScores.of(found, candidates)
        if isinstance(self.scorer, Scorer):
            self.scorer.forget_sums()
        before = 0 if known is None else known[1].size
        self._scored = with_priors, packed
        self._grow(self, packed.size - before)
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

    def counting(self, compute: Callable[[], ValueT], size: Callable[[ValueT], int]) -> ValueT:
        """Return what was computed of the history without each of its items, or compute it.

        Args:
            size: gives how many numbers it holds.
        """
        if self._counting is None:
            found = compute()
            self._counting = found
            self._grow(self, size(found) * _NUMBER)
        return self._counting  # type: ignore[return-value]  # of this function alone


class RecentHistories:
    """Keeps what was computed for the histories of the last requests to one model.

    Safe to share between threads.

    Args:
        most: bytes that what is kept may take.
    """

    def __init__(self, most: int = KEPT_BYTES) -> None:
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
        scorer = read()
        events = len(scorer.history.item) if isinstance(scorer, Scorer) else 0
        found = Recent(scorer, _AN_ENTRY + _AN_EVENT * events, _grow=self._grow)
        with self._lock:
            if self._team is not team:  # nothing of a model before this one stays in memory
                self._team, self._size = team, 0
                self._kept.clear()
            before = self._kept.pop(key, None)
            self._size += found.size - (0 if before is None else before.size)
            self._kept[key] = found
            self._forget()
        return found

    @property
    def share(self) -> float:
        """The share of the memory that is used, from 0 to 1."""
        return self._size / self.most

    def _grow(self, recent: Recent, by: int) -> None:
        with self._lock:
            if any(kept is recent for kept in self._kept.values()):
                recent.size += by
                self._size += by
                self._forget()

    def _forget(self) -> None:
        while self._size > self.most and len(self._kept) > 1:
            self._size -= self._kept.popitem(last=False)[1].size
