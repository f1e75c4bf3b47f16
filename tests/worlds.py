"""Small worlds in which order, recency or the hour decides what comes next."""

from __future__ import annotations

import numpy as np

from kgrec.data.dataset import Dataset, Interactions
from kgrec.data.vocabulary import Vocabulary
from kgrec.model.histories import Histories

HOUR = 3_600_000
DAY = 24 * HOUR
BEGIN = 1_600_000_000_000 // DAY * DAY
GROUPS = 3


def group_of(items: np.ndarray, num_items: int) -> np.ndarray:
    """Return the group of items: there are three of like size."""
    return items * GROUPS // num_items


def cycles(users: int = 150, items: int = 60, each: int = 12, seed: int = 0) -> Dataset:
    """Everybody goes from group to group, A, B, C and again: all histories hold alike of each."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(users):
        begin, size = rng.integers(GROUPS), items // GROUPS
        orders = [rng.permutation(size) + group * size for group in range(GROUPS)]
        at = BEGIN + int(rng.integers(DAY))
        for step in range(each):
            item = orders[(begin + step) % GROUPS][step // GROUPS]
            at += int(rng.integers(1, HOUR))
            rows.append((user, int(item), at))
    return _dataset(rows, users, items)


def hours(users: int = 150, items: int = 60, each: int = 12, seed: int = 0) -> Dataset:
    """At eight everybody takes of one group of theirs, at twenty of another, in random order."""
    rng = np.random.default_rng(seed)
    size = items // GROUPS
    rows = []
    for user in range(users):
        early, late = rng.permutation(GROUPS)[:2]
        orders = [rng.permutation(size) + group * size for group in range(GROUPS)]
        for step in range(each):
            morning = rng.random() < 0.5
            group = early if morning else late
            at = BEGIN + step * DAY + (8 if morning else 20) * HOUR + int(rng.integers(HOUR))
            rows.append((user, int(orders[group][step]), at))
    return _dataset(rows, users, items)


def walks(users: int = 150, items: int = 60, each: int = 12, seed: int = 0) -> Dataset:
    """After an item of a group comes one of the same group or of the next, never of the third."""
    rng = np.random.default_rng(seed)
    size = items // GROUPS
    rows = []
    for user in range(users):
        orders = [rng.permutation(size) + group * size for group in range(GROUPS)]
        groups = (rng.integers(GROUPS) + rng.integers(2, size=each).cumsum()) % GROUPS
        for step, group in enumerate(groups):
            rows.append((user, int(orders[group][step]), BEGIN + step * DAY))
    return _dataset(rows, users, items)


def split_last(dataset: Dataset) -> tuple[Dataset, Histories, np.ndarray]:
    """Take the last interaction of every user out.

    Returns:
        the rest, its histories asked at the time of what was taken out, and those items, [U].
    """
    every = dataset.interactions
    order = np.lexsort((every.at, every.user))
    last = np.append(every.user[order][1:] != every.user[order][:-1], True)
    rest, taken = every.take(order[~last]), every.take(order[last])
    left = dataset.with_interactions(rest)
    histories = Histories.of(rest, dataset.num_users, dataset.num_items, now=taken.at)
    return left, histories, taken.item


def _dataset(rows: list[tuple[int, int, int]], users: int, items: int) -> Dataset:
    user, item, at = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
    taken = Interactions(user, item, np.ones(len(rows), dtype=np.float32), at)
    names = Vocabulary(f"u{n}" for n in range(users)), Vocabulary(f"i{n}" for n in range(items))
    return Dataset(*names, taken)
