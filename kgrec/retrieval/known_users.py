"""What the last requests read of users, so that a history that has not changed is not built anew.

The graph is read for each request. What it answers is compared with what it answered last, value by
value, which takes a hundredth of what it takes to make events and rows of it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import ref

from kgrec.retrieval.history import UserInteractions, interactions_of
from kgrec.retrieval.snapshot import Snapshot

KEPT_EVENTS = 200_000
"""UserInteractions that are kept in all; one takes some 250 bytes."""
_COLUMNS = ("items", "kinds", "values", "times")


@dataclass(frozen=True, eq=False)
class _Known:
    """What was read of one user, with the titles of one catalogue."""

    columns: tuple[Sequence[Any], ...]
    titles_of: ref[Snapshot]
    interactions: UserInteractions


class KnownUsers:
    """Keeps the interactions of the users of the last requests; safe to share between threads.

    Args:
        most: interactions that are kept.
    """

    def __init__(self, most: int = KEPT_EVENTS) -> None:
        self.most = most
        self._lock = threading.Lock()
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._size = 0

    def forget(self, user_id: str) -> None:
        """Forget a user who is not in the graph."""
        with self._lock:
            known = self._known.pop(user_id, None)
            self._size -= 0 if known is None else len(known.interactions)

    def interactions(
        self, user_id: str, row: Mapping[str, Any], snapshot: Snapshot
    ) -> UserInteractions:
        """Return the interactions of a user, newest first: the same object while they are the same.

        Args:
            row: what `recommend/state` answered.
            snapshot: has the titles.
        """
        columns = tuple(row[name] for name in _COLUMNS)
        with self._lock:
            known = self._known.get(user_id)
            if known is not None:
                self._known.move_to_end(user_id)
        if known is not None and known.titles_of() is snapshot and known.columns == columns:
            return known.interactions
        titles = snapshot.titles(row["items"])
        named = [titles.get(item, item) for item in row["items"]]
        found = interactions_of({**row, "titles": named})
        with self._lock:
            before = self._known.pop(user_id, None)
            self._size += len(found) - (0 if before is None else len(before.interactions))
            self._known[user_id] = _Known(columns, ref(snapshot), found)
            while self._size > self.most and len(self._known) > 1:
                self._size -= len(self._known.popitem(last=False)[1].interactions)
        return found
