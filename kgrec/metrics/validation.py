"""One number to choose settings by: a ranking metric on the validation part."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Annotated

import numpy as np
import scipy.sparse as sp
from pydantic import AfterValidator, Field

from kgrec.config import FrozenModel
from kgrec.data.dataset import FloatArray, IntArray, Interactions
from kgrec.metrics.ranking import METRICS, TopLists, Values, hits_of, mask_seen, metric
from kgrec.model.histories import Histories, as_histories

ScoreFunction = Callable[[Histories], FloatArray]
"""B histories to scores, float32 [B, I]."""

_BATCH_CELLS = 16_000_000
"""Scores that are computed at once."""


def _known(name: str) -> str:
    if name not in METRICS:
        raise ValueError(f"no such metric; known: {', '.join(METRICS)}")
    return name


class Objective(FrozenModel):
    """The metric that choices are made by, a name of `kgrec.metrics.ranking.METRICS`."""

    metric: Annotated[str, AfterValidator(_known)] = "ndcg"
    k: int = Field(default=20, ge=1)
    max_users: int = Field(default=10_000, ge=1)
    """Maximum number of measured users; beyond it they are sampled."""
    max_cells: int = Field(default=400_000_000, ge=1)
    """Maximum number of scores of all measured users together, which are computed in batches."""
    kept_cells: int = Field(default=64_000_000, ge=1)
    """Maximum number of scores that a choice which reads them again and again keeps in memory."""


class Validation:
    """Measures rankers on held-out interactions of known users.

    Args:
        train: histories of all users, U of them over I items, or CSR [U, I].
        held_out: interactions to find, of the same users and items.
        objective: the metric.
        seed: seed of the sample of users, and of the order of ties.

    Attributes:
        num_users: U.
        users: rows of the users that are measured, [B].
        histories: theirs.
        truth: their held-out items, CSR [B, I].
    """

    def __init__(
        self,
        train: Histories | sp.csr_matrix,
        held_out: Interactions,
        objective: Objective | None = None,
        *,
        seed: int = 2024,
    ) -> None:
        self.objective = objective or Objective()
        train = as_histories(train)
        self.num_users = len(train)
        truth = held_out.matrix(*train.shape)
        truth = sp.csr_matrix(truth - truth.multiply(train.seen.astype(np.bool_)))
        truth.eliminate_zeros()
        users = np.flatnonzero(np.diff(truth.indptr))
        most = min(self.objective.max_users, max(1, self.objective.max_cells // train.shape[1]))
        if len(users) > most:
            users = np.sort(np.random.default_rng(seed).choice(users, most, replace=False))
        self.users = users
        self.histories = train[users]
        self.truth = truth[users]
        self._num_right = np.diff(self.truth.indptr).astype(np.int64)
        self._top = TopLists(train.shape[1], self.objective.k, seed=seed)

    def __len__(self) -> int:
        return len(self.users)

    def per_user(self, scores: FloatArray) -> Values:
        """Return the metric of each user, float64 [B]; masks the seen items of `scores` in place.

        Args:
            scores: of `self.users`, float32 [B, I].
        """
        return self._measured(self.top(scores))

    def top(self, scores: FloatArray) -> IntArray:
        """Return the best unseen items of each user, int64 [B, k]; masks `scores` as `per_user`."""
        mask_seen(scores, self.histories.seen)
        return self._top(scores)[0]

    def sample(self, most: int, seed: int) -> Validation:
        """Return the same over no more than so many of the users."""
        if len(self) <= most:
            return self
        rows = np.sort(np.random.default_rng(seed).choice(len(self), most, replace=False))
        few = copy.copy(self)
        few.users, few.histories = self.users[rows], self.histories[rows]
        few.truth, few._num_right = self.truth[rows], self._num_right[rows]
        return few

    def kept(self, seed: int) -> Validation:
        """Return the same over no more users than whose scores may be kept in memory."""
        most = self.objective.kept_cells // max(self.histories.shape[1], 1)
        return self.sample(max(1, most), seed)

    def batches(self) -> Iterator[slice]:
        """Yield ranges of the users, each with scores that fit in memory."""
        size = max(1, _BATCH_CELLS // max(self.histories.shape[1], 1))
        for start in range(0, len(self), size):
            yield slice(start, min(start + size, len(self)))

    def values(self, score: ScoreFunction) -> Values:
        """Return the metric of each user, float64 [B]; scores are computed batch by batch."""
        return self.values_by(lambda users: score(self.histories[users]))

    def values_by(self, scores_of: Callable[[slice], FloatArray]) -> Values:
        """Return the metric of each user, float64 [B].

        Args:
            scores_of: a range of `self.users`, b of them, to their scores, float32 [b, I].
        """
        lists = [np.empty((0, self._top.k), dtype=np.int64)]
        for users in self.batches():
            scores = scores_of(users)
            mask_seen(scores, self.histories[users].seen)
            lists.append(self._top(scores)[0])
        return self._measured(np.concatenate(lists))

    def measure(self, score: ScoreFunction) -> float:
        """Return the mean of the metric over the users; 0 where there are none."""
        return float(self.values(score).mean()) if len(self) else 0.0

    def _measured(self, top: IntArray) -> Values:
        hits = hits_of(top, self.truth)
        return metric(self.objective.metric)(hits, self._num_right, self.objective.k)
