"""What agents give the validation users: all scores where they fit in memory, else the best."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from kgrec.data.dataset import FloatArray, IntArray
from kgrec.metrics.ranking import TopLists, Values, hits_of, mask_seen, metric
from kgrec.metrics.validation import Objective, Validation
from kgrec.model.coordinator import standardised
from kgrec.model.kernel import Kernel
from kgrec.progress import SILENT, Progress

MASKED = -1e30
"""Score of what is not ranked; a number, so that no share of 0 makes it none."""


@dataclass(frozen=True)
class AgentScores:
    """Standardised scores of the same candidates by every agent, seen items at `MASKED`.

    Attributes:
        scores: of each agent, float32 [B, C] each. C is the catalogue, or as many candidates of
            each user as the agents' lists together.
        truth: the right ones among the candidates, CSR [B, C].
        per_user: scores, float32 [B, C], to the metric of each user, float64 [B].
    """

    scores: list[FloatArray]
    truth: sp.csr_matrix
    per_user: Callable[[FloatArray], Values]

    @classmethod
    def of(
        cls,
        kernels: Sequence[Kernel],
        validation: Validation,
        *,
        best: int = 200,
        seed: int = 2024,
        progress: Progress = SILENT,
    ) -> AgentScores:
        """Score the catalogue; beyond the objective's `kept_cells` keep each agent's best items.

        A mixture ranks at the top what some agent ranks high, so lists of its `k` best items are
        the same but where an item is in no agent's `best`.

        Args:
            best: number of items of each agent that are candidates, at least the objective's `k`.
            seed: seed of the order of ties.
        """
        if validation.histories.shape[1] * len(validation) <= validation.objective.kept_cells:
            scores = [standardised(kernel, validation.histories) for kernel in kernels]
            for each in scores:
                mask_seen(each, validation.histories.seen, MASKED)
            return cls(scores, validation.truth, validation.per_user)
        parts = []
        with progress.task("best items of the agents", len(validation)) as task:
            for users in validation.batches():
                parts.append(_best_of(kernels, validation, users, best, seed))
                task.advance(users.stop - users.start)
        scores = [np.concatenate([part[0][k] for part in parts]) for k in range(len(kernels))]
        truth = sp.csr_matrix(sp.vstack([part[1] for part in parts]))
        right = np.diff(validation.truth.indptr).astype(np.int64)
        top = TopLists(truth.shape[1], validation.objective.k, seed=seed)
        return cls(scores, truth, _Measure(validation.objective, top, truth, right))


@dataclass(frozen=True)
class _Measure:
    """The metric over candidates; `right` counts the right items, candidates or not."""

    objective: Objective
    top: TopLists
    truth: sp.csr_matrix
    right: IntArray

    def __call__(self, scores: FloatArray) -> Values:
        hits = hits_of(self.top(scores)[0], self.truth)
        return metric(self.objective.metric)(hits, self.right, self.objective.k)


def _best_of(
    kernels: Sequence[Kernel], validation: Validation, users: slice, best: int, seed: int
) -> tuple[list[FloatArray], sp.csr_matrix]:
    """Return the agents' scores of the union of their best items, and which of these are right."""
    histories = validation.histories[users]
    top = TopLists(histories.shape[1], max(best, validation.objective.k), seed=seed)
    every: list[FloatArray] = []
    lists = []
    for kernel in kernels:
        scores = standardised(kernel, histories)
        mask_seen(scores, histories.seen)
        lists.append(top(scores)[0])
        every.append(scores)
    items = np.sort(np.hstack(lists), axis=1)  # [b, C]
    twice = np.zeros(items.shape, dtype=np.bool_)
    twice[:, 1:] = items[:, 1:] == items[:, :-1]
    dropped = twice | (items < 0)
    items = np.maximum(items, 0)
    found = [np.take_along_axis(scores, items, axis=1) for scores in every]
    for scores in found:
        scores[dropped] = MASKED
    right = np.asarray(validation.truth[users].toarray())
    hit = (np.take_along_axis(right, items, axis=1) > 0) & ~dropped
    return found, sp.csr_matrix(hit, dtype=np.float32)
