"""For whom a ranker works, and for what: by length of history, by how known the target is."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from kgrec.config import FrozenModel
from kgrec.data.dataset import IntArray
from kgrec.evaluation.bootstrap import resampled
from kgrec.evaluation.groups import GroupReport, group_report, groups_of
from kgrec.evaluation.metrics import Values
from kgrec.evaluation.questions import Questions
from kgrec.evaluation.ranking import hits_of

POPULARITY_ENDS = (0, 1, 3, 8, 20, 50)


class TargetGroup(FrozenModel):
    """How often targets are found.

    Attributes:
        count: how many users had these items in training, in words.
        targets: how many there are.
        found: share of them that stand in the list of their user.
        low, high: ends of its 95 % interval, by the bootstrap over users.
    """

    count: str
    targets: int
    found: float
    low: float
    high: float


def by_history(
    lengths: IntArray, k: int, values: Mapping[str, Values], *, seed: int = 2024
) -> GroupReport:
    """Measure users by quarters of the length of their histories.

    Args:
        lengths: how many items each user has had, int64 [B].
        values: metric to one value a user, float64 [B].
    """
    labels = groups_of("history", [str(length) for length in lengths])
    return group_report("history", k, labels, values, seed=seed)


def by_popularity(
    asked: Questions, items: IntArray, popularity: IntArray, k: int, *, seed: int = 2024
) -> list[TargetGroup]:
    """Return how often targets are found, by how many users had them in training.

    Args:
        items: rows of each user's list, best first, int64 [B, >= k].
        popularity: users of each item in training, int64 [I].
    """
    truth = asked.truth
    owner = np.repeat(np.arange(len(asked)), np.diff(truth.indptr))
    top = items[:, :k]
    hit_row, hit_rank = np.nonzero(hits_of(top, truth))
    width = truth.shape[1]
    found = np.isin(owner * width + truth.indices, hit_row * width + top[hit_row, hit_rank])
    part = np.searchsorted(POPULARITY_ENDS, popularity[truth.indices])
    groups = []
    for number in np.unique(part):
        inside = part == number
        groups.append(_target_group(_words(int(number)), owner[inside], found[inside], seed))
    return groups


def _target_group(count: str, owner: IntArray, found: NDArray[np.bool_], seed: int) -> TargetGroup:
    users, place = np.unique(owner, return_inverse=True)
    targets = np.bincount(place).astype(np.float64)
    hits = np.bincount(place, weights=found)

    def rate(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray((weights @ hits) / (weights @ targets))[:, None]

    low, high = resampled(rate, len(users), seed=seed)
    return TargetGroup(
        count=count,
        targets=len(owner),
        found=float(found.mean()),
        low=float(low[0]),
        high=float(high[0]),
    )


def _words(part: int) -> str:
    if part == len(POPULARITY_ENDS):
        return f"over {POPULARITY_ENDS[-1]}"
    last = POPULARITY_ENDS[part]
    first = POPULARITY_ENDS[part - 1] + 1 if part else last
    return str(last) if first == last else f"{first} to {last}"
