"""Availability: which items may be recommended at the moment of a query.

An item is hidden by `available = false`, before `available_from` and from `expires_at` on. It may
be a history item all the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kgrec.data.availability import LAST_TIME
from kgrec.data.dataset import IntArray
from kgrec.data.vocabulary import Vocabulary
from kgrec.graph.store import GraphStore

NEVER = 2**62
"""Milliseconds; after every time there is."""


@dataclass(frozen=True, eq=False)
class Windows:
    """When items may be shown.

    Attributes:
        opens: the first moment, milliseconds since 1970, int64 [N]; `NEVER` for a hidden item.
        closes: the first moment at which an item is not shown any more, int64 [N].
    """

    opens: IntArray
    closes: IntArray

    def open_at(self, moments: Sequence[int]) -> NDArray[np.bool_]:
        """Return which items may be shown at all of some moments, bool [N]."""
        return np.asarray((self.opens <= min(moments)) & (self.closes > max(moments)))

    @property
    def digest(self) -> bytes:
        """A hash of both columns."""
        return hashlib.sha256(self.opens.tobytes() + self.closes.tobytes()).digest()


@dataclass(frozen=True, eq=False)
class Restrictions:
    """The items of a graph that are not shown at all times; the others have no limits.

    Attributes:
        ids: of the items, [N].
        windows: of the items.
    """

    ids: Sequence[str]
    windows: Windows
    _of: dict[str, Windows] = field(default_factory=dict)

    def of_items(self, items: Vocabulary) -> Windows | None:
        """Return the windows of the items of a model, [I]; None where no item has a limit."""
        if not self.ids:
            return None
        kept = self._of.get(items.hash)
        if kept is None:
            rows = items.rows(self.ids)
            known = rows >= 0
            opens = np.zeros(len(items), dtype=np.int64)
            closes = np.full(len(items), NEVER, dtype=np.int64)
            opens[rows[known]] = self.windows.opens[known]
            closes[rows[known]] = self.windows.closes[known]
            kept = self._of[items.hash] = Windows(opens, closes)
        return kept


NONE = Restrictions((), Windows(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)))
"""Of a graph whose items are all available."""


def read_restrictions(store: GraphStore) -> Restrictions:
    """Read which items of a graph are not shown at all times."""
    [row] = store.read("recommend/restrictions")
    if not row["items"]:
        return NONE
    opens = np.array(row["opens"], dtype=np.int64)
    closes = np.array(row["closes"], dtype=np.int64)
    shown = np.array(row["shown"], dtype=np.bool_)
    windows = Windows(np.where(shown, opens, NEVER), np.where(closes == 0, NEVER, closes))
    return Restrictions(row["items"], windows)


def span(moments: Sequence[int]) -> dict[str, Any]:
    """Return the parameters `first` and `last` of a statement that leaves hidden items out.

    Args:
        moments: milliseconds since 1970.
    """
    first, last = min(moments), min(max(moments), LAST_TIME)
    ends = {"first": min(first, LAST_TIME), "last": last}
    return {name: datetime.fromtimestamp(at / 1000, UTC) for name, at in ends.items()}
