"""One measurement on the test part: the queries, the ranking, and reports beyond accuracy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np

from kgrec.config import FrozenModel
from kgrec.data.atomic import SplitDataset
from kgrec.data.dataset import Dataset, IntArray, Interactions
from kgrec.errors import ConfigError
from kgrec.evaluation.groups import (
    GroupReport,
    TargetGroup,
    by_history,
    by_popularity,
    group_report,
    groups_of,
)
from kgrec.evaluation.protocol import BatchScorer, HeldOutTargets, Lists, evaluate_ranking
from kgrec.evaluation.report import Metric, RankingReport, metrics_of
from kgrec.metrics.beyond_accuracy import (
    intra_list_diversity,
    item_features,
    kinds_of,
    miscalibration,
)
from kgrec.metrics.ranking import Values
from kgrec.model.histories import Histories
from kgrec.progress import SILENT, Progress

KnownHistory = Literal["train", "train+valid"]
Masked = Literal["train", "train+valid"]


@dataclass(frozen=True)
class HeldOutQueries:
    """The queries of the test part, the same for every ranker.

    Attributes:
        data: the split.
        history: `train+valid` adds the validation part to the histories.
        ks: lengths of the lists.
        max_users: maximum number of measured users; beyond it they are sampled.
        seed: of ties, samples and resamples.
        mask: the parts whose items are not ranked. With `train`, the items of the validation part
            are candidates, as in papers that leave them among the items to rank.

    Raises:
        ConfigError: the histories hold items that are ranked.
    """

    data: SplitDataset
    history: KnownHistory = "train"
    ks: tuple[int, ...] = (10, 20)
    max_users: int | None = None
    seed: int = 2024
    mask: Masked = "train+valid"

    def __post_init__(self) -> None:
        if self.mask == "train" and self.history != "train":
            raise ConfigError(
                "items of the validation part would be in the histories and ranked as well",
                value=f"mask {self.mask}, history {self.history}",
                remedy="Leave them out of the lists (--mask train+valid), or use --history train.",
            )

    @property
    def known(self) -> Interactions:
        """The histories when the test part is queried."""
        known = self.data.train.interactions.concat(self.data.test_given)
        return known.concat(self.data.valid) if self.history == "train+valid" else known

    @property
    def seen(self) -> Interactions:
        """The seen items, which are left out of the lists."""
        data = self.data
        seen = data.train.interactions.concat(data.valid_given, data.test_given)
        return seen if self.mask == "train" else seen.concat(data.valid)

    @cached_property
    def popularity(self) -> IntArray:
        """How many users had each item in training, int64 [I]."""
        train = self.data.train
        return np.bincount(train.matrix().indices, minlength=train.num_items)

    @cached_property
    def targets(self) -> HeldOutTargets:
        """The users, and the items to find for each of them."""
        shape = (self.data.train.num_users, self.data.train.num_items)
        return HeldOutTargets.of(
            self.seen.matrix(*shape), self.data.test, max_users=self.max_users, seed=self.seed
        )


@dataclass(frozen=True)
class Measurement:
    """The measurement of one ranker.

    Attributes:
        ranking: the metrics.
        lists: the best max(ks) items of each user.
        values: `k` to metric to one value a user of `lists`, float64 [B].
        among_cold: the metrics where the cold items alone are ranked, if the split has such.
    """

    ranking: RankingReport
    lists: Lists
    values: dict[int, dict[str, Values]]
    among_cold: RankingReport | None = None


def measure(
    ranker: BatchScorer, queries: HeldOutQueries, progress: Progress = SILENT
) -> Measurement:
    """Rank all items for every test user; cold items also among themselves.

    Raises:
        DataError: no test user has anything to find.
    """
    train = queries.data.train
    shape = (train.num_users, train.num_items)
    histories = Histories.of(queries.known, *shape, now=queries.data.requests(queries.data.test))
    seen = queries.seen.matrix(*shape)

    def rank(cold_only: bool) -> tuple[RankingReport, Lists]:
        return evaluate_ranking(
            ranker,
            histories,
            seen,
            queries.data.test,
            queries.ks,
            popularity=queries.popularity,
            among=queries.data.cold if cold_only else None,
            max_users=queries.max_users,
            seed=queries.seed,
            progress=progress,
        )

    ranking, lists = rank(cold_only=False)
    found = Measurement(ranking, lists, queries.targets.values(lists.items, queries.ks))
    if queries.data.cold is None:
        return found
    return replace(found, among_cold=rank(cold_only=True)[0])


_SHOWN = ("recall", "ndcg", "mrr")
_MAX_CELLS = 4_000_000


class ListReport(FrozenModel):
    """Measures of single lists.

    Attributes:
        features: by what the distance of items is measured for diversity: `facts` or `texts`.
        relation: of which a list should hold each kind as the history does.
        at: `k` to `diversity` and `miscalibration`, where any list has a value.
    """

    features: str | None
    relation: str | None
    at: dict[int, dict[str, Metric]]


class Breakdown(FrozenModel):
    """Accuracy by quarters of the length of the history, and by popularity of the targets."""

    k: int
    history: GroupReport
    popularity: tuple[TargetGroup, ...]


def list_report(
    found: Measurement, queries: HeldOutQueries, relation: str | None = None
) -> ListReport:
    """Measure diversity and calibration of the lists.

    Args:
        relation: see `kgrec.metrics.beyond_accuracy.kinds_of`.
    """
    train = queries.data.train
    features, kinds = item_features(train), kinds_of(train, relation)
    known = queries.known.matrix(train.num_users, train.num_items)[found.lists.users]
    at: dict[int, dict[str, Metric]] = {}
    for k in queries.ks:
        top = found.lists.items[:, :k]
        values: dict[str, Values] = {}
        if features is not None:
            unit = features[1]
            width = top.shape[1] * int(np.diff(unit.indptr).max(initial=1))
            parts = [intra_list_diversity(top[rows], unit) for rows in _blocks(len(top), width)]
            values["diversity"] = np.concatenate(parts)
        if kinds is not None:
            shares = kinds[1]
            parts = [
                miscalibration(top[rows], known[rows], shares)
                for rows in _blocks(len(top), shares.shape[1])
            ]
            values["miscalibration"] = np.concatenate(parts)
        known_of = {name: each for name, each in values.items() if not np.isnan(each).all()}
        at[k] = metrics_of(known_of, seed=queries.seed) if known_of else {}
    return ListReport(features=features and features[0], relation=kinds and kinds[0], at=at)


def _blocks(num_users: int, width: int) -> Iterator[slice]:
    """Yield users in blocks, so that memory for `width` numbers a user is bounded."""
    size = max(1, _MAX_CELLS // max(width, 1))
    for start in range(0, num_users, size):
        yield slice(start, start + size)


def check_relation(train: Dataset, relation: str | None) -> None:
    """Raise ConfigError for a relation that the data lacks, before the work begins."""
    if relation is not None:
        kinds_of(train, relation)


def group_labels(queries: HeldOutQueries, column: str) -> list[str]:
    """Return the group of each user that is measured.

    Raises:
        ConfigError: `NAME.user` has no such column, or it makes no groups.
    """
    columns = queries.data.user_columns
    if column not in columns:
        raise ConfigError(
            "the users have no such column",
            value=column,
            remedy=f"Columns of NAME.user: {', '.join(columns) or 'none, or there is no file'}.",
        )
    return groups_of(column, [columns[column][user] for user in queries.targets.users])


def by_group(
    found: Measurement, queries: HeldOutQueries, column: str, labels: list[str]
) -> GroupReport:
    """Measure groups of users at the longest lists."""
    k = max(queries.ks)
    values = {name: found.values[k][name] for name in _SHOWN}
    return group_report(column, k, labels, values, seed=queries.seed)


def breakdown(found: Measurement, queries: HeldOutQueries) -> Breakdown:
    """Break the accuracy at the longest lists down."""
    k, train = max(queries.ks), queries.data.train
    known = queries.known.matrix(train.num_users, train.num_items)
    lengths = np.diff(known.indptr)[found.lists.users]
    values = {name: found.values[k][name] for name in _SHOWN}
    targets = by_popularity(
        queries.targets, found.lists.items, queries.popularity, k, seed=queries.seed
    )
    history = by_history(lengths, k, values, seed=queries.seed)
    return Breakdown(k=k, history=history, popularity=tuple(targets))
