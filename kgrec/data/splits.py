"""Splits of interactions into parts to learn from, to choose on, and to test on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kgrec.data.dataset import Interactions
from kgrec.errors import ConfigError

Rounding = Literal["cut", "floor"]
"""`cut` cuts a user's n interactions at ⌊n · cumulative ratio⌋; `floor` gives ⌊n · ratio⌋ to every
part but the first, one at least while the first has more than one, as RecBole does."""


def core(interactions: Interactions, minimum: int) -> Interactions:
    """Keep the k-core: users and items that have at least `minimum` interactions with each other.

    Dropping an item may leave a user with too few, so the rule is applied until nothing changes.
    """
    while len(interactions):
        users = np.bincount(interactions.user)[interactions.user]
        items = np.bincount(interactions.item)[interactions.item]
        kept = (users >= minimum) & (items >= minimum)
        if kept.all():
            break
        interactions = interactions.take(kept)
    return interactions


def split_by_ratio(
    interactions: Interactions, ratios: Sequence[float], *, seed: int, rounding: Rounding = "floor"
) -> list[Interactions]:
    """Split each user's interactions at random in the given ratios.

    Args:
        ratios: shares of the parts, summing to one.
        rounding: see `Rounding`.

    Raises:
        ConfigError: the ratios do not sum to one.
    """
    order = np.random.default_rng(seed).permutation(len(interactions))
    return split_in_order(interactions, ratios, order, rounding=rounding)


def split_by_time(
    interactions: Interactions, ratios: Sequence[float], *, rounding: Rounding = "floor"
) -> list[Interactions]:
    """Split each user's interactions by time, the latest into the last part; see above."""
    order = np.argsort(interactions.at, kind="stable")
    return split_in_order(interactions, ratios, order, rounding=rounding)


def split_in_order(
    interactions: Interactions,
    ratios: Sequence[float],
    order: NDArray[np.int64],
    *,
    rounding: Rounding = "floor",
) -> list[Interactions]:
    """Split each user's interactions, taken in `order`, in the given ratios."""
    if abs(sum(ratios) - 1.0) > 1e-6 or min(ratios) < 0:
        raise ConfigError("the ratios of a split must sum to one", value=tuple(ratios))
    order = order[np.argsort(interactions.user[order], kind="stable")]
    user = interactions.user[order]
    _, start, count = np.unique(user, return_index=True, return_counts=True)
    within = np.arange(len(user)) - np.repeat(start, count)
    part = np.zeros(len(user), dtype=np.int64)
    for size in np.unique(count):
        ends = np.cumsum(part_sizes(int(size), ratios, rounding))
        same = np.repeat(count, count) == size
        part[same] = np.searchsorted(ends, within[same], side="right")
    return [interactions.take(np.sort(order[part == index])) for index in range(len(ratios))]


def part_sizes(total: int, ratios: Sequence[float], rounding: Rounding = "floor") -> list[int]:
    """Return how many of a user's `total` interactions go to each part."""
    # Shares such as .1 are not exact in binary: .1 * 30 must give 3.
    if rounding == "cut":
        cuts = [int(share * total + 1e-9) for share in np.cumsum(ratios)]
        return [
            end - start for start, end in zip([0, *cuts[:-1]], [*cuts[:-1], total], strict=True)
        ]
    sizes = [int(ratio * total + 1e-9) for ratio in ratios]
    sizes[0] = total - sum(sizes[1:])
    for index in range(len(ratios) - 1, 0, -1):
        if sizes[0] <= 1:
            break
        if sizes[index] == 0 and ratios[index] > 0:
            sizes[index], sizes[0] = 1, sizes[0] - 1
    return sizes
