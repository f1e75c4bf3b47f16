"""One number to choose settings by: a ranking metric on the validation part."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import scipy.sparse as sp
from pydantic import Field

from kgrec.config import FrozenModel
from kgrec.data.dataset import FloatArray, Interactions
from kgrec.metrics.ranking import TopLists, Values, hits_of, mask_seen, user_metrics
from kgrec.model.histories import Histories, as_histories

ScoreFunction = Callable[[Histories], FloatArray]
"""B histories to scores, float32 [B, I]."""


class Objective(FrozenModel):
    """The metric that choices are made by."""

    metric: Literal["recall", "ndcg", "mrr", "hit", "f1", "precision"] = "ndcg"
    k: int = Field(default=20, ge=1)
    max_users: int = Field(default=4000, ge=1)
    """More users than these are not asked; a sample of them is drawn."""
    max_cells: int = Field(default=64_000_000, ge=1)
    """Nor more users than have so many scores together."""


class Validation:
    """Scores rankers on held-out interactions of known users.

    Args:
        train: histories of all users, U of them over I items, or CSR [U, I].
        held_out: interactions to find again, of the same users and items.
        objective: the metric.
        seed: draws the users where there are too many, and the order of ties.

    Attributes:
        users: rows of those who are asked, [B].
        histories: theirs.
        truth: what they are to be given again, CSR [B, I].
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
        truth = held_out.matrix(*train.shape)
        truth = sp.csr_matrix(truth - truth.multiply(train.matrix != 0))
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
        mask_seen(scores, self.histories.matrix)
        hits = hits_of(self._top(scores)[0], self.truth)
        return user_metrics(hits, self._num_right, self.objective.k)[self.objective.metric]

    def measure(self, score: ScoreFunction) -> float:
        """Return the mean of the metric over the users; 0 where there are none."""
        if not len(self):
            return 0.0
        return float(self.per_user(score(self.histories)).mean())
