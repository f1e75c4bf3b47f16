"""Which history items, were they not counted, would keep an item off the list.

The idea of a counterfactual explanation by the user's own deeds is PRINCE's (Ghazimatin et al.
2020). There the score is a random walk; here each part of the history is scored again exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from kgrec.config import FrozenModel
from kgrec.explain.records import Counterfactual, NamedItem
from kgrec.explain.rescoring import Rescoring
from kgrec.retrieval.query import Query


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
    """A set of history items without which a candidate is off the list.

    Attributes:
        positions: of the history items.
        minimal: whether every smaller set was ruled out.
        rank_after, score_after: of the candidate without them, the rank among the candidates.
        passing: the best of the candidates that pass it then, by its place in `Rescoring.rows`;
            empty where none does.
    """

    positions: tuple[int, ...]
    minimal: bool
    rank_after: int
    score_after: float
    passing: tuple[int, ...] = ()


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
    if not size or _margins(rescoring.whole[None, :], k)[0] < 0:
        return None
    singles = _margins(rescoring.without_each, k)
    order = np.argsort(singles, kind="stable")
    if singles[order[0]] < 0:
        return _removal(rescoring, (int(order[0]),), minimal=True)
    found = _first(rescoring, list(combinations(order[: config.pairs].tolist(), 2)), k)
    if found is not None:
        return _removal(rescoring, found, minimal=size <= config.pairs)
    found = _greedy(rescoring, order[: config.greedy].tolist(), k, config.most)
    if found is None:
        return None
    return _removal(rescoring, found, minimal=len(found) == 3 and size <= config.pairs)


def _removal(rescoring: Rescoring, positions: tuple[int, ...], *, minimal: bool) -> Removal:
    before, after = rescoring.whole, rescoring.scores(np.array([positions], dtype=np.int64))[0]
    passing = [n for n in range(1, len(after)) if after[n] > after[0] and before[n] <= before[0]]
    best = max(passing, key=lambda n: after[n], default=None)
    return Removal(
        positions=positions,
        minimal=minimal,
        rank_after=int((after > after[0]).sum()) + 1,
        score_after=float(after[0]),
        passing=() if best is None else (best,),
    )


def _margins(scores: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """Return by how much candidate 0 leads the k-th of the others, [S]; below 0 it is off the list.

    Args:
        scores: of the candidates without each of S sets, [S, C].
    """
    others = scores[:, 1:]
    if others.shape[1] < k:
        return np.full(len(scores), np.inf)
    kth = -np.partition(-others, k - 1, axis=1)[:, k - 1]
    return np.asarray(scores[:, 0] - kth)


def _without(rescoring: Rescoring, sets: Sequence[Sequence[int]], k: int) -> NDArray[np.float64]:
    """Return the margin without each of some sets of history items, as many in each, [S]."""
    return _margins(rescoring.scores(np.array(sets, dtype=np.int64)), k)


def _first(rescoring: Rescoring, sets: list[tuple[int, ...]], k: int) -> tuple[int, ...] | None:
    """Return the set that throws the item furthest off the list, or None."""
    if not sets:
        return None
    margins = _without(rescoring, sets, k)
    best = int(np.argmin(margins))
    return sets[best] if margins[best] < 0 else None


def _greedy(rescoring: Rescoring, among: list[int], k: int, most: int) -> tuple[int, ...] | None:
    removed: list[int] = []
    while len(removed) < min(most, len(among)):
        left = [n for n in among if n not in removed]
        margins = _without(rescoring, [(*removed, n) for n in left], k)
        best = int(np.argmin(margins))
        removed.append(left[best])
        if margins[best] < 0:
            return _pruned(rescoring, removed, k)
    return None


def _pruned(rescoring: Rescoring, removed: list[int], k: int) -> tuple[int, ...]:
    for position in list(removed):
        fewer = [n for n in removed if n != position]
        if fewer and _without(rescoring, [fewer], k)[0] < 0:
            removed = fewer
    return tuple(removed)


def as_record(
    query: Query, removal: Removal | None, passing: list[int], titles: dict[int, str]
) -> Counterfactual | None:
    """Return a removal as it leaves kgrec; None where there is none.

    Args:
        passing: positions in the order of scores of the items that pass the item then.
        titles: by position.
    """
    if removal is None:
        return None
    removed = [query.history.events[n] for n in removal.positions]
    by = [NamedItem(item_id=query.ids([n])[0], title=titles[n]) for n in passing]
    return Counterfactual(
        removed=tuple(NamedItem(item_id=e.item_id, title=e.title) for e in removed),
        k=query.knobs.offset + query.knobs.k,
        rank_after=removal.rank_after,
        score_after=removal.score_after,
        replaced_by=by[0] if by else None,
        minimal=removal.minimal,
    )
