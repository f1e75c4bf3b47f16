"""Evaluation protocols: splits of interactions into training, validation and test part.

Interactions are held out at random, by time, by item or by user. The validation part is held out in
the same way as the test part, and neither occurs in the training part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from kgrec.config import FrozenModel
from kgrec.data.atomic import SplitDataset
from kgrec.data.dataset import IntArray, Interactions
from kgrec.errors import ConfigError, DataError

Rounding = Literal["cut", "floor"]
"""`cut` cuts a user's n interactions at ⌊n · cumulative ratio⌋; `floor` gives ⌊n · ratio⌋ to every
part but the first, and at least one while the first has more than one, as RecBole does."""


def core(interactions: Interactions, minimum: int) -> Interactions:
    """Keep the k-core: users and items that have at least `minimum` interactions with each other.

    Removing an item may leave a user with too few, so the rule is applied until nothing changes.
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
    """Split each user's interactions by time, the latest into the last part.

    Args:
        ratios: shares of the parts, summing to one.
        rounding: see `Rounding`.

    Raises:
        ConfigError: the ratios do not sum to one.
    """
    order = np.argsort(interactions.at, kind="stable")
    return split_in_order(interactions, ratios, order, rounding=rounding)


def split_in_order(
    interactions: Interactions,
    ratios: Sequence[float],
    order: NDArray[np.int64],
    *,
    rounding: Rounding = "floor",
) -> list[Interactions]:
    """Split each user's interactions, in a given order, in the given ratios.

    Args:
        ratios: shares of the parts, summing to one.
        order: a permutation of the interactions, int64 [E].
        rounding: see `Rounding`.

    Raises:
        ConfigError: the ratios do not sum to one.
    """
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


Protocol = Literal["given", "warm", "temporal", "cold-item", "cold-user"]
Cut = Literal["global", "user"]


class ProtocolConfig(FrozenModel):
    """How interactions are held out.

    Attributes:
        name: `given` keeps the split of the files; `warm` holds out a share of each user's
            interactions at random; `temporal` the latest; `cold-item` all interactions of a
            share of the items; `cold-user` all interactions of a share of the users, whose
            histories hold a part of them at query time.
        share: share of the interactions, items or users in the test part; the validation part
            has as many.
        cut: of `temporal`: `global` cuts at one time for all users, so that no future interaction
            is in the training part; `user` cuts each user's history, which keeps every user.
        shown: of `cold-user`: share of a user's interactions that is in the history (80 % in
            Liang et al. 2018).
    """

    name: Protocol = "given"
    share: float = Field(default=0.1, gt=0, lt=0.5)
    cut: Cut = "global"
    shown: float = Field(default=0.8, gt=0, lt=1)


_READ: dict[Protocol, set[str]] = {
    "given": set(),
    "warm": {"share"},
    "temporal": {"share", "cut"},
    "cold-item": {"share"},
    "cold-user": {"share", "shown"},
}


def settings_of(config: ProtocolConfig) -> dict[str, float | str]:
    """Return the name of the protocol and the settings that it reads."""
    return config.model_dump(include={"name", *_READ[config.name]})


def hold_out(whole: SplitDataset, config: ProtocolConfig, *, seed: int) -> SplitDataset:
    """Split a data set whose interactions are all in `train`; `given` returns it unchanged.

    Of repeated interactions of a user with an item the first is kept: a pair in the training part
    is a seen item and could not be a target.

    Raises:
        DataError: the data lacks what the protocol needs.
    """
    if config.name == "given":
        return whole
    data = replace(whole, train=whole.train.with_interactions(once(whole.train.interactions)))
    if config.name == "warm":
        return _warm(data, config, seed)
    if config.name == "temporal":
        return _temporal(data, config)
    if config.name == "cold-item":
        return _cold_item(data, config, seed)
    return _cold_user(data, config, seed)


def once(interactions: Interactions) -> Interactions:
    """Keep the earliest interaction of each user with each item, in the order of the input.

    One without a time is kept only where no other of the pair has a time.
    """
    order = np.lexsort((interactions.at, interactions.at == 0))
    width = int(interactions.item.max(initial=0)) + 1
    pairs = interactions.user[order] * width + interactions.item[order]
    return interactions.take(np.sort(order[np.unique(pairs, return_index=True)[1]]))


def _warm(data: SplitDataset, config: ProtocolConfig, seed: int) -> SplitDataset:
    ratios = (1 - 2 * config.share, config.share, config.share)
    train, valid, test = split_by_ratio(data.train.interactions, ratios, seed=seed)
    return _not_empty(data, config, train, valid, test)


def _temporal(data: SplitDataset, config: ProtocolConfig) -> SplitDataset:
    interactions, rejects = data.train.interactions, data.rejects
    timed = interactions.at > 0
    if not timed.any():
        raise DataError(
            "the interactions have no times, which the protocol temporal needs",
            value=data.name,
            remedy="Give a column timestamp, or use --protocol warm.",
        )
    if not timed.all():
        rejects = (*rejects, f"{int((~timed).sum())} interactions have no time and are left out")
    data = replace(data, rejects=rejects, in_time=True)
    interactions = interactions.take(timed)
    if config.cut == "user":
        ratios = (1 - 2 * config.share, config.share, config.share)
        train, valid, test = split_by_time(interactions, ratios)
        return _not_empty(data, config, train, valid, test, test_given=valid)
    train, later, latest = _cut_at(interactions, config.share)
    valid_given, valid = _first_half_given(later, before=train)
    known = train.concat(later)
    given, test = _first_half_given(latest, before=known)
    return _not_empty(
        data, config, train, valid, test, valid_given=valid_given, test_given=later.concat(given)
    )


def _cut_at(interactions: Interactions, share: float) -> tuple[Interactions, ...]:
    """Cut at two times for all users; interactions of equal time are in the same part."""
    times = np.sort(interactions.at)
    first, second = (
        times[min(int(part * len(times) + 1e-9), len(times) - 1)]
        for part in (1 - 2 * share, 1 - share)
    )
    at = interactions.at
    parts = (at < first, (at >= first) & (at < second), at >= second)
    return tuple(interactions.take(part) for part in parts)


def _first_half_given(
    period: Interactions, *, before: Interactions
) -> tuple[Interactions, Interactions]:
    """Split each user's interactions of a period: the earlier half is history, the later targets.

    Most users of a period are new in it and would have no history otherwise. A single interaction
    is a target where the user has earlier ones, else it is history.
    """
    order = np.lexsort((period.at, period.user))
    user = period.user[order]
    _, start, count = np.unique(user, return_index=True, return_counts=True)
    within = np.arange(len(user)) - np.repeat(start, count)
    size = np.repeat(count, count)
    known = np.isin(user, before.user)
    given = np.where((size == 1) & ~known, within < 1, within < size // 2)
    return period.take(np.sort(order[given])), period.take(np.sort(order[~given]))


def _cold_item(data: SplitDataset, config: ProtocolConfig, seed: int) -> SplitDataset:
    if not len(data.train.facts) and not any(data.train.item_texts):
        raise DataError(
            "the items have neither facts nor texts, so nothing is known of a cold one",
            value=data.name,
            remedy="Give NAME.item, or NAME.kg and NAME.link, or use --protocol warm.",
        )
    interactions = data.train.interactions
    test, valid = _sampled_shares(interactions.item, config.share, seed, "items", data.name)
    in_test, in_valid = np.isin(interactions.item, test), np.isin(interactions.item, valid)
    train = interactions.take(~in_test & ~in_valid)
    parts = train, interactions.take(in_valid), interactions.take(in_test)
    return replace(_not_empty(data, config, *parts), cold=test)


def _cold_user(data: SplitDataset, config: ProtocolConfig, seed: int) -> SplitDataset:
    interactions = data.train.interactions
    count = np.bincount(interactions.user)
    enough = interactions.user[count[interactions.user] > 1]
    test, valid = _sampled_shares(
        enough, config.share, seed, "users with two interactions", data.name
    )
    in_test, in_valid = np.isin(interactions.user, test), np.isin(interactions.user, valid)
    train = interactions.take(~in_test & ~in_valid)
    valid_given, valid_targets = _shown(interactions.take(in_valid), config.shown, seed)
    test_given, test_targets = _shown(interactions.take(in_test), config.shown, seed)
    return _not_empty(
        data,
        config,
        train,
        valid_targets,
        test_targets,
        valid_given=valid_given,
        test_given=test_given,
    )


def _shown(part: Interactions, share: float, seed: int) -> list[Interactions]:
    """Split each user's interactions into history, the earliest share, and targets."""
    shuffled = np.random.default_rng(seed).permutation(len(part))
    order = shuffled[np.argsort(part.at[shuffled], kind="stable")]
    shown, targets = split_in_order(part, (share, 1 - share), order)
    return [shown, targets]


def _sampled_shares(
    rows: IntArray, share: float, seed: int, what: str, name: str
) -> tuple[IntArray, NDArray[np.int64]]:
    """Sample two disjoint shares of the distinct rows."""
    distinct = np.unique(rows)
    size = max(1, round(share * len(distinct)))
    if len(distinct) <= 2 * size:
        raise DataError(
            f"too few {what} to hold some of them out",
            value=f"{name}: {len(distinct)}",
            remedy="Give more interactions, or use --protocol warm.",
        )
    shuffled = np.random.default_rng(seed).permutation(distinct)
    return np.sort(shuffled[:size]), np.sort(shuffled[size : 2 * size])


def _not_empty(
    data: SplitDataset,
    config: ProtocolConfig,
    train: Interactions,
    valid: Interactions,
    test: Interactions,
    *,
    valid_given: Interactions | None = None,
    test_given: Interactions | None = None,
) -> SplitDataset:
    for part, what in ((train, "to learn from"), (valid, "to choose on"), (test, "to test on")):
        if not len(part):
            raise DataError(
                f"the protocol {config.name} leaves nothing {what}",
                value=data.name,
                remedy="Give more interactions, or another --share.",
            )
    return replace(
        data,
        train=data.train.with_interactions(train),
        valid=valid,
        test=test,
        valid_given=valid_given or Interactions.empty(),
        test_given=test_given or Interactions.empty(),
    )
