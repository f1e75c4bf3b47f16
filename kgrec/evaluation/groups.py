"""Metrics by group: of users by a property or by history length, of targets by popularity."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from kgrec.config import FrozenModel
from kgrec.data.cells.values import NULL_KEYS
from kgrec.data.dataset import IntArray
from kgrec.errors import ConfigError
from kgrec.evaluation.protocol import HeldOutTargets
from kgrec.evaluation.report import Metric, metrics_of
from kgrec.metrics.intervals import resampled
from kgrec.metrics.ranking import Values, hits_of

UNKNOWN = "unknown"
NUM_BINS = 4
MIN_USERS = 10
_MOST_GROUPS = 30


class Group(FrozenModel):
    """One group: how many of its users were measured, and the metrics over them."""

    users: int
    metrics: dict[str, Metric]


class Gap(FrozenModel):
    """The best group less the worst, of those with enough users.

    Attributes:
        best, worst: names of the groups.
        difference: of the means.
        low, high: ends of the 95 % interval of the difference between these two groups.
    """

    best: str
    worst: str
    difference: float
    low: float
    high: float


class GroupReport(FrozenModel):
    """A metric by group.

    Attributes:
        column: of `NAME.user`.
        k: length of the lists.
        groups: by name; numbers in their order, else the largest first.
        gaps: by metric, over the groups of at least `min_users` users; those whose value is
            unknown are no group here.
        min_users: with fewer, chance alone makes a gap.
    """

    column: str
    k: int
    groups: dict[str, Group]
    gaps: dict[str, Gap]
    min_users: int = MIN_USERS


def group_report(
    column: str,
    k: int,
    labels: Sequence[str],
    values: Mapping[str, Values],
    *,
    min_users: int = MIN_USERS,
    seed: int = 2024,
) -> GroupReport:
    """Measure each group of users by itself.

    Args:
        labels: the group of each user, [B]; see `groups_of`.
        values: metric to one value a user, float64 [B].
        min_users: the least users of a group that a gap is computed over.
        seed: of the resamples.
    """
    given = np.array(labels, dtype=object)
    member = {name: np.asarray(given == name, dtype=np.bool_) for name in _in_order(labels)}
    groups = {
        name: Group(
            users=int(inside.sum()),
            metrics=metrics_of({m: v[inside] for m, v in values.items()}, seed=seed),
        )
        for name, inside in member.items()
    }
    large = [n for n, g in groups.items() if g.users >= min_users and n != UNKNOWN]
    gaps = {}
    if len(large) > 1:
        for metric, each in values.items():
            gaps[metric] = _gap(metric, each, {n: member[n] for n in large}, groups, seed)
    return GroupReport(column=column, k=k, groups=groups, gaps=gaps, min_users=min_users)


def _gap(
    metric: str,
    values: Values,
    member: Mapping[str, NDArray[np.bool_]],
    groups: Mapping[str, Group],
    seed: int,
) -> Gap:
    ordered = sorted(member, key=lambda name: groups[name].metrics[metric].mean)
    worst, best = ordered[0], ordered[-1]
    sides = [member[best].astype(np.float64), member[worst].astype(np.float64)]

    def difference(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        means = []
        for side in sides:
            total = weights @ side
            summed = weights @ (side * values)
            none = np.full_like(total, np.nan)
            means.append(np.divide(summed, total, out=none, where=total > 0))
        return (means[0] - means[1])[:, None]

    low, high = resampled(difference, len(values), seed=seed)
    found = groups[best].metrics[metric].mean - groups[worst].metrics[metric].mean
    return Gap(best=best, worst=worst, difference=found, low=float(low[0]), high=float(high[0]))


def _in_order(labels: Sequence[str]) -> list[str]:
    counts = Counter(labels)
    known = [name for name in counts if name != UNKNOWN]
    begins = {name: _number(name.split(" to ")[0]) for name in known}
    if None in begins.values():
        return sorted(counts, key=lambda name: (-counts[name], name))
    last = [UNKNOWN] if UNKNOWN in counts else []
    return sorted(known, key=lambda name: begins[name] or 0.0) + last


def groups_of(column: str, values: Sequence[str]) -> list[str]:
    """Return the group of each user; numbers of many values are put into quarters of the users.

    Args:
        column: its name, for the error.
        values: the cell of `NAME.user` for each user, [B]; empty where there is none.

    Raises:
        ConfigError: nothing is known of any user, or there are too many groups.
    """
    values = [_known(value) for value in values]
    distinct = {value for value in values if value}
    if not distinct:
        raise ConfigError(
            "the column has no value for these users",
            value=column,
            remedy="Name another column of NAME.user.",
        )
    numbers = [_number(value) for value in distinct]
    if len(distinct) > NUM_BINS + 1 and all(number is not None for number in numbers):
        return _quarters(values)
    if len(distinct) > _MOST_GROUPS:
        raise ConfigError(
            f"the column has {len(distinct)} values, too many to be groups",
            value=column,
            remedy="Name a column of at most 30 values, or of numbers.",
        )
    return [value or UNKNOWN for value in values]


def _quarters(values: Sequence[str]) -> list[str]:
    number = np.array([np.nan if not value else float(value) for value in values])
    known = number[~np.isnan(number)]
    ends = np.unique(np.quantile(known, np.linspace(0, 1, NUM_BINS + 1), method="higher"))
    place = np.clip(np.searchsorted(ends, number, side="right") - 1, 0, max(len(ends) - 2, 0))
    labels = []
    for value, bin_ in zip(number, place, strict=True):
        if np.isnan(value):
            labels.append(UNKNOWN)
            continue
        low, high = ends[bin_], ends[min(bin_ + 1, len(ends) - 1)]
        last = bin_ >= len(ends) - 2
        labels.append(f"{low:.15g} to {high:.15g}" if last else f"{low:.15g} to under {high:.15g}")
    return labels


def _known(value: str) -> str:
    """Return the value of a cell, an empty string for a null word such as NaN."""
    text = value.strip()
    return "" if text.casefold() in NULL_KEYS else text


def _number(value: str) -> float | None:
    try:
        number = float(value)
    except ValueError:
        return None
    return number if np.isfinite(number) else None


POPULARITY_ENDS = (0, 1, 3, 8, 20, 50)


class TargetGroup(FrozenModel):
    """How often targets are found.

    Attributes:
        count: how many users had these items in training, in words.
        targets: how many there are.
        found: share of them that are in the list of their user.
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
    targets: HeldOutTargets, items: IntArray, popularity: IntArray, k: int, *, seed: int = 2024
) -> list[TargetGroup]:
    """Return how often targets are found, by how many users had them in training.

    Args:
        items: rows of each user's list, best first, int64 [B, >= k].
        popularity: users of each item in training, int64 [I].
    """
    truth = targets.truth
    owner = np.repeat(np.arange(len(targets)), np.diff(truth.indptr))
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
