"""What an evaluation says of the lists and of those who get them, beyond accuracy."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kgrec.config import FrozenModel
from kgrec.data.dataset import Dataset
from kgrec.errors import ConfigError
from kgrec.evaluation.breakdown import TargetGroup, by_history, by_popularity
from kgrec.evaluation.calibration import kinds_of, miscalibration
from kgrec.evaluation.diversity import intra_list_diversity, item_features
from kgrec.evaluation.groups import GroupReport, group_report, groups_of
from kgrec.evaluation.metrics import Values
from kgrec.evaluation.report import Metric, metrics_of
from kgrec.stages.measure import Asked, Measurement

_SHOWN = ("recall", "ndcg", "mrr")
_MAX_CELLS = 4_000_000


class ListReport(FrozenModel):
    """Measures of single lists.

    Attributes:
        features: by what items are told apart for diversity: `facts` or `texts`.
        relation: of which a list should hold each kind as the history does.
        at: `k` to `diversity` and `miscalibration`, where they can be told of any list.
    """

    features: str | None
    relation: str | None
    at: dict[int, dict[str, Metric]]


class Breakdown(FrozenModel):
    """Accuracy by quarters of the length of the history, and by how known the targets are."""

    k: int
    history: GroupReport
    popularity: tuple[TargetGroup, ...]


def list_report(found: Measurement, asked: Asked, relation: str | None = None) -> ListReport:
    """Measure diversity and calibration of the lists.

    Args:
        relation: see `kgrec.evaluation.calibration.kinds_of`.
    """
    train = asked.data.train
    features, kinds = item_features(train), kinds_of(train, relation)
    known = asked.known.matrix(train.num_users, train.num_items)[found.lists.users]
    at: dict[int, dict[str, Metric]] = {}
    for k in asked.ks:
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
        told = {name: each for name, each in values.items() if not np.isnan(each).all()}
        at[k] = metrics_of(told, seed=asked.seed) if told else {}
    return ListReport(features=features and features[0], relation=kinds and kinds[0], at=at)


def _blocks(num_users: int, width: int) -> Iterator[slice]:
    """Yield users in blocks, so that what `width` numbers a user take is bounded."""
    size = max(1, _MAX_CELLS // max(width, 1))
    for start in range(0, num_users, size):
        yield slice(start, start + size)


def check_relation(train: Dataset, relation: str | None) -> None:
    """Raise ConfigError for a relation that the data lacks, before the work begins."""
    if relation is not None:
        kinds_of(train, relation)


def group_labels(asked: Asked, column: str) -> list[str]:
    """Return the group of each user that is asked for.

    Raises:
        ConfigError: `NAME.user` has no such column, or it makes no groups.
    """
    columns = asked.data.user_columns
    if column not in columns:
        raise ConfigError(
            "nothing is known of the users by that name",
            value=column,
            remedy=f"Columns of NAME.user: {', '.join(columns) or 'none, or there is no file'}.",
        )
    return groups_of(column, [columns[column][user] for user in asked.questions.users])


def by_group(found: Measurement, asked: Asked, column: str, labels: list[str]) -> GroupReport:
    """Measure groups of users at the longest lists."""
    k = max(asked.ks)
    values = {name: found.values[k][name] for name in _SHOWN}
    return group_report(column, k, labels, values, seed=asked.seed)


def breakdown(found: Measurement, asked: Asked) -> Breakdown:
    """Break the accuracy at the longest lists down."""
    k, train = max(asked.ks), asked.data.train
    known = asked.known.matrix(train.num_users, train.num_items)
    lengths = np.diff(known.indptr)[found.lists.users]
    values = {name: found.values[k][name] for name in _SHOWN}
    targets = by_popularity(
        asked.questions, found.lists.items, asked.popularity, k, seed=asked.seed
    )
    history = by_history(lengths, k, values, seed=asked.seed)
    return Breakdown(k=k, history=history, popularity=tuple(targets))
