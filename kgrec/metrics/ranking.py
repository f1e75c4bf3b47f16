"""Ranking metrics: the table of metrics of each user's list, and metrics over all lists.

The definitions are those of RecBole and of Herlocker et al. (2004): recall divides by the number
of right items, NDCG by the best attainable sum, MRR counts the first hit within `k`. `TopLists`
ranks all items, with ties broken at random.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping
from typing import cast

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from kgrec.data.dataset import FloatArray, IntArray
from kgrec.errors import ConfigError

Values = NDArray[np.float64]


UserMetric = Callable[[NDArray[np.bool_], IntArray, int], Values]
"""A metric of each user's list: (hits, num_right, k) to float64 [B].

`hits` is true where the item at a rank is right, bool [B, >= k]; `num_right` how many items are
right for each user, int64 [B], all at least 1.
"""

METRICS: dict[str, str] = {
    # name: module:function, a `UserMetric`; reports, tables and objectives follow this table
    "recall": "kgrec.metrics.ranking:recall",
    "precision": "kgrec.metrics.ranking:precision",
    "f1": "kgrec.metrics.ranking:f1",
    "ndcg": "kgrec.metrics.ranking:ndcg",
    "mrr": "kgrec.metrics.ranking:reciprocal_rank",
    "hit": "kgrec.metrics.ranking:hit",
}


def metric(name: str) -> UserMetric:
    """Return the metric of this name; raises ConfigError where the table has none."""
    if name not in METRICS:
        raise ConfigError(
            "there is no such metric", value=name, remedy=f"Known: {', '.join(METRICS)}."
        )
    return cast(UserMetric, pkgutil.resolve_name(METRICS[name]))


def user_metrics(hits: NDArray[np.bool_], num_right: IntArray, k: int) -> dict[str, Values]:
    """Compute every metric of the table at `k`: name to float64 [B]; see `UserMetric`."""
    return {name: metric(name)(hits, num_right, k) for name in METRICS}


def recall(hits: NDArray[np.bool_], num_right: IntArray, k: int) -> Values:
    """Return the share of the right items that are in the list."""
    return np.asarray(_count(hits, k) / num_right)


def precision(hits: NDArray[np.bool_], num_right: IntArray, k: int) -> Values:
    """Return the share of the list that is right; `k` divides, however short the list."""
    return _count(hits, k) / float(k)


def f1(hits: NDArray[np.bool_], num_right: IntArray, k: int) -> Values:
    """Return the harmonic mean of precision and recall."""
    found, wanted = precision(hits, num_right, k), recall(hits, num_right, k)
    both = found + wanted
    return np.divide(2 * found * wanted, both, out=np.zeros_like(both), where=both > 0)


def ndcg(hits: NDArray[np.bool_], num_right: IntArray, k: int) -> Values:
    """Return the discounted gain over the best attainable (Järvelin and Kekäläinen 2002)."""
    found = hits[:, :k].astype(np.float64)
    # A list of fewer items than `k` cannot gain beyond its end.
    k = min(k, max(found.shape[1], int(num_right.max(initial=0))))
    discount = 1.0 / np.log2(np.arange(2, k + 2))
    best = np.concatenate([[0.0], np.cumsum(discount)])
    gain = found @ discount[: found.shape[1]]
    return np.asarray(gain / best[np.minimum(num_right, k)])


def reciprocal_rank(hits: NDArray[np.bool_], num_right: IntArray, k: int) -> Values:
    """Return one over the rank of the first right item, 0 where none is within `k`."""
    found = hits[:, :k]
    if not found.shape[1]:
        return np.zeros(len(found))
    first = found.argmax(axis=1)
    return np.where(found.any(axis=1), 1.0 / (first + 1.0), 0.0)


def hit(hits: NDArray[np.bool_], num_right: IntArray, k: int) -> Values:
    """Return 1 where any item of the list is right, else 0."""
    return (_count(hits, k) > 0).astype(np.float64)


def _count(hits: NDArray[np.bool_], k: int) -> Values:
    return np.asarray(hits[:, :k].sum(axis=1), dtype=np.float64)


def list_metrics(
    top: IntArray, popularity: IntArray, num_users: int, *, among: IntArray | None = None
) -> Mapping[str, float]:
    """Measure what the lists of all users cover together.

    Args:
        top: item rows of the lists, int64 [B, k], -1 for none.
        popularity: how many users had each item in training, int64 [I].
        num_users: how many users there are.
        among: rows of the only items that are ranked; all when absent.

    Returns:
        coverage: share of the items that are in any list.
        gini: inequality of how often the items are listed, 0 (all alike) to 1.
        novelty: mean of -log2 of the share of users who had the item, one added to both counts.
        long_tail: share of listed items outside the most popular fifth of the items
            (Abdollahpouri et al. 2019).
    """
    shown = top[top >= 0]
    counts = np.bincount(shown, minlength=len(popularity))
    if among is not None:
        counts = counts[among]
    share = (popularity[shown] + 1.0) / (num_users + 1.0)
    return {
        "coverage": float((counts > 0).mean()) if len(counts) else 0.0,
        "gini": gini(counts),
        "novelty": float(-np.log2(share).mean()) if len(shown) else 0.0,
        "long_tail": float(in_tail(popularity)[shown].mean()) if len(shown) else 0.0,
    }


def in_tail(popularity: IntArray, head: float = 0.2) -> NDArray[np.bool_]:
    """Return which items are not among the most popular, bool [I].

    Items as popular as the last of the head belong to it, since nothing distinguishes them.

    Args:
        popularity: users of each item, int64 [I].
        head: share of the items that are the head.
    """
    size = max(1, int(head * len(popularity) + 1e-9))
    last = np.sort(popularity)[-size] if len(popularity) else 0
    return np.asarray((popularity < last) | (popularity == 0))


def gini(counts: IntArray) -> float:
    """Return the Gini coefficient of counts; 0 where all are equal or there are none."""
    total = counts.sum()
    if not total:
        return 0.0
    ordered = np.sort(counts).astype(np.float64)
    n = len(ordered)
    rank = np.arange(1, n + 1)
    return float(((2 * rank - n - 1) * ordered).sum() / (n * total))


def mask_seen(scores: FloatArray, seen: sp.csr_matrix, value: float = -np.inf) -> None:
    """Set the scores of seen items to minus infinity, in place.

    Args:
        scores: float32 [B, I].
        seen: CSR [B, I], nonzero where a user has had the item.
        value: what to set them to in place of minus infinity.
    """
    rows = np.repeat(np.arange(seen.shape[0]), np.diff(seen.indptr))
    scores[rows, seen.indices] = value


def mask_others(scores: FloatArray, among: IntArray) -> None:
    """Set the scores of all items but these to minus infinity, in place.

    Args:
        scores: float32 [B, I].
        among: item rows.
    """
    others = np.ones(scores.shape[1], dtype=bool)
    others[among] = False
    scores[:, others] = -np.inf


_GROUPS = 16
"""A row is cut into so many slices, whose largest scores side by side bound its k-th best."""
_BLOCK = 1 << 20
"""Scores that are searched together, so that they stay in the cache of a core."""


class TopLists:
    """Picks the `k` best columns of score matrices.

    Equal scores are ordered by a permutation of the items that is sampled once from `seed`, since
    the order of ids often means something (first appearance, age) and would leak it.
    """

    def __init__(self, num_items: int, k: int, *, seed: int = 2024) -> None:
        self.k = min(k, num_items)
        self._order = np.random.default_rng(seed).permutation(num_items)
        self._place = np.argsort(self._order)
        self._width = num_items // _GROUPS

    def __call__(self, scores: FloatArray) -> tuple[IntArray, FloatArray]:
        """Return item rows, int64 [B, k], best first, and their scores, float32 [B, k].

        Items scored minus infinity (seen ones, where fewer than `k` are left) get the row -1.
        """
        if self.k == 0 or self._width < 4 * self.k:
            return self._of_all(scores)
        size = max(1, _BLOCK // scores.shape[1])
        starts = range(0, len(scores), size)
        parts = [self._of_near(scores[start : start + size]) for start in starts]
        if len(parts) == 1:
            return parts[0]
        empty = np.empty((0, self.k), np.int64), np.empty((0, self.k), scores.dtype)
        items, values = zip(empty, *parts, strict=True)
        return np.concatenate(items), np.concatenate(values)

    def _of_near(self, scores: FloatArray) -> tuple[IntArray, FloatArray]:
        """Search among the scores that reach the k-th largest of the maxima of groups.

        That is no more than the k-th best of all, so the best are among them; they are seldom many
        more than `k`. Rows where they are, or where a tie crosses the end of the list, are searched
        as a whole.
        """
        number, width, k = len(scores), self._width, self.k
        groups = scores[:, : _GROUPS * width].reshape(number, _GROUPS, width)
        highest = groups.max(axis=1)
        bound = np.partition(highest, width - k, axis=1)[:, width - k]
        near = np.flatnonzero((scores >= bound[:, None]).reshape(-1))
        row, column = np.divmod(near, scores.shape[1])
        counts = np.bincount(row, minlength=number)
        few = (counts >= k) & (counts <= 4 * k + 64)
        if not few.all():
            kept = few[row]
            row, column, counts = row[kept], column[kept], np.where(few, counts, 0)
        value = scores[row, column]
        best = np.lexsort((self._place[column], -value, row))
        start = (np.cumsum(counts) - counts)[few]
        within = best[start[:, None] + np.arange(k)]  # [B', k]
        items = np.empty((number, k), dtype=np.int64)
        values = np.empty((number, k), dtype=scores.dtype)
        items[few], values[few] = column[within], value[within]
        more = counts[few] > k
        after = value[best[start[more] + k]]
        whole = ~few
        whole[np.flatnonzero(few)[more]] = after == values[few][more, -1]
        if whole.any():
            items[whole], values[whole] = self._of_all(scores[whole])
        return items, values

    def _of_all(self, scores: FloatArray) -> tuple[IntArray, FloatArray]:
        shuffled = np.take(scores, self._order, axis=1)  # several times faster than an index
        if self.k < shuffled.shape[1]:
            near = np.argpartition(-shuffled, self.k - 1, axis=1)[:, : self.k]
        else:
            near = np.broadcast_to(np.arange(self.k), (len(scores), self.k)).copy()
        near.sort(axis=1)
        values = np.take_along_axis(shuffled, near, axis=1)
        best = np.argsort(-values, axis=1, kind="stable")
        values = np.take_along_axis(values, best, axis=1)
        items = self._order[np.take_along_axis(near, best, axis=1)]
        items[np.isneginf(values)] = -1
        return items.astype(np.int64), values


def hits_of(top: IntArray, truth: sp.csr_matrix) -> NDArray[np.bool_]:
    """Return which of the ranked items are right, bool [B, k].

    Args:
        top: item rows, int64 [B, k], -1 for none.
        truth: CSR [B, I], nonzero where the item is right.
    """
    num_items = truth.shape[1]
    rows = np.repeat(np.arange(truth.shape[0], dtype=np.int64), np.diff(truth.indptr))
    keys = rows * num_items + truth.indices
    keyed = np.arange(len(top), dtype=np.int64)[:, None] * num_items + top
    return np.isin(keyed, keys) & (top >= 0)
