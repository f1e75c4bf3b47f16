"""What the ranker learns from, a user at a time, and what it learns."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kgrec.agents.ranker import Floats, Ratings
from kgrec.data.dataset import FloatArray, IntArray, Interactions
from kgrec.data.histories import Histories

_SCALE = range(2, 21)
"""Values are ratings when so many different ones occur; counts of plays are not."""


@dataclass(frozen=True, eq=False)
class Block:
    """One user with the candidates that are reordered, the best first.

    Attributes:
        history: of the user, H items.
        items: rows of the candidates, int64 [C].
        scores: the team's, float32 [C].
        target: whether the user took the candidate, bool [C].
        value: that it was given, float64 [C]; NaN where it is no target or was given none.
        said: S_k(h, i) of each agent, float32 [A, H, C].
    """

    history: Histories
    items: IntArray
    scores: FloatArray
    target: NDArray[np.bool_]
    value: Floats
    said: FloatArray

    def first(self, number: int) -> Block:
        """Return the block of the first candidates."""
        return replace(
            self,
            items=self.items[:number],
            scores=self.scores[:number],
            target=self.target[:number],
            value=self.value[:number],
            said=self.said[:, :, :number],
        )


@dataclass(frozen=True)
class Learned:
    """The numbers of a ranker, named as there.

    Attributes:
        prior: of p and of p², float64 [2].
        trust: of `Ratings`, unread unless `rated`.
    """

    attend: Floats
    say: Floats
    alike: Floats
    prior: Floats
    recency: float
    liking: float
    trust: float
    rated: bool


def popularity(known: Interactions, num_items: int) -> FloatArray:
    """Return the logarithm of 1 + each item's users, of mean 0 and variance 1, float32 [I].

    An item that nobody has had yet gets 0: nothing is known of how popular it will be.
    """
    users = known.matrix(int(known.user.max(initial=0)) + 1, num_items).getnnz(axis=0)
    popular = np.zeros(num_items, dtype=np.float32)
    met = users > 0
    if met.any():
        logs = np.log1p(users[met].astype(np.float64))
        popular[met] = (logs - logs.mean()) / max(float(logs.std()), 1e-9)
    return popular


def ratings_of(known: Interactions, num_items: int, *, damping: float = 10.0) -> Ratings | None:
    """Return what values items usually get, or None where interactions give no marks.

    The kind that is most frequent is looked at. Its values are marks where they lie on a scale of
    a few steps; one value for all is none, and counts are none either. The mean of each item is
    drawn to the mean of all by `damping` values.
    """
    if not len(known):
        return None
    kind = int(np.bincount(known.kind).argmax())
    given = known.take(known.kind == kind)
    if len(np.unique(given.value)) not in _SCALE:
        return None
    mean = float(given.value.mean(dtype=np.float64))
    total = np.bincount(given.item, weights=given.value, minlength=num_items)
    count = np.bincount(given.item, minlength=num_items)
    usual = ((total + damping * mean) / (count + damping)).astype(np.float32)
    return Ratings(usual, kind, trust=1.0)
