"""Which history items, were they not counted, would keep an item off the list.

The idea of a counterfactual explanation by the user's own deeds is PRINCE's (Ghazimatin et al.
2020). There the score is a random walk; here each part of the history is scored again exactly.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from kgrec.config import FrozenModel
from kgrec.explain.attribution import Rescoring


class CounterfactualConfig(FrozenModel):
    """Bounds of the search.

    Attributes:
        others: so many of the best other candidates may pass the item.
        pairs: every pair is tried among so many history items, those whose removal hurts most.
        greedy: larger sets are looked for among so many.
        most: larger sets than this are not looked for.
    """

    others: int = Field(default=100, ge=1)
    pairs: int = Field(default=24, ge=0)
    greedy: int = Field(default=60, ge=1)
    most: int = Field(default=20, ge=1)


class Removal(FrozenModel):
    """A set of history items, by position, and whether a smaller one was ruled out."""

    positions: tuple[int, ...]
    minimal: bool


def smallest_removal(
    rescoring: Rescoring, *, k: int, config: CounterfactualConfig | None = None
) -> Removal | None:
    """Find a smallest set of history items without which candidate 0 is not among the first `k`.

    Single items are all tried, then pairs; beyond that items are removed greedily and those that
    turn out not to be needed are put back. The set is minimal where every smaller one was tried:
    always for one item, for two or three when the history has at most `pairs` items.

    Args:
        rescoring: of the item, which is candidate 0, and the others.
        k: how many are recommended.

    Returns:
        None when the item is not among the first `k`, or no set within the bounds does it.
    """
    config = config or CounterfactualConfig()
    size = len(rescoring)
    if not size or _margins(rescoring, [()], k)[0] < 0:
        return None
    order = np.argsort(_margins(rescoring, [(n,) for n in range(size)], k), kind="stable")
    chosen = order[: config.pairs].tolist()
    sets: list[Iterator[tuple[int, ...]] | list[tuple[int, ...]]] = [
        [(int(n),) for n in order],
        combinations(chosen, 2),
    ]
    for number, tried in enumerate(sets, start=1):
        found = _first(rescoring, list(tried), k)
        if found is not None:
            return Removal(positions=found, minimal=number == 1 or size <= config.pairs)
    found = _greedy(rescoring, order[: config.greedy].tolist(), k, config.most)
    if found is None:
        return None
    return Removal(positions=found, minimal=len(found) == 3 and size <= config.pairs)


def _margins(rescoring: Rescoring, removed: Sequence[Sequence[int]], k: int) -> NDArray[np.float64]:
    """Return by how much the item leads the k-th of the others, [S]; below 0 it is off the list.

    Args:
        removed: positions in the history that are not counted, as many in each of the S sets.
    """
    scores = rescoring.scores(np.array(removed, dtype=np.int64).reshape(len(removed), -1))
    others = scores[:, 1:]
    if others.shape[1] < k:
        return np.full(len(removed), np.inf)
    kth = -np.partition(-others, k - 1, axis=1)[:, k - 1]
    return np.asarray(scores[:, 0] - kth)


def _first(rescoring: Rescoring, sets: list[tuple[int, ...]], k: int) -> tuple[int, ...] | None:
    """Return the set that throws the item furthest off the list, or None."""
    if not sets:
        return None
    margins = _margins(rescoring, sets, k)
    best = int(np.argmin(margins))
    return sets[best] if margins[best] < 0 else None


def _greedy(rescoring: Rescoring, among: list[int], k: int, most: int) -> tuple[int, ...] | None:
    removed: list[int] = []
    while len(removed) < min(most, len(among)):
        left = [n for n in among if n not in removed]
        margins = _margins(rescoring, [(*removed, n) for n in left], k)
        best = int(np.argmin(margins))
        removed.append(left[best])
        if margins[best] < 0:
            return _pruned(rescoring, removed, k)
    return None


def _pruned(rescoring: Rescoring, removed: list[int], k: int) -> tuple[int, ...]:
    for position in list(removed):
        fewer = [n for n in removed if n != position]
        if fewer and _margins(rescoring, [fewer], k)[0] < 0:
            removed = fewer
    return tuple(removed)
