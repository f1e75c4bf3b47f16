"""All-ranking: every item that a user has not had is ranked, for every user of the test part."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import scipy.sparse as sp

from kgrec.data.dataset import FloatArray, IntArray, Interactions
from kgrec.data.histories import Histories, as_histories
from kgrec.errors import ConfigError, ModelError
from kgrec.evaluation.metrics import list_metrics
from kgrec.evaluation.questions import Questions
from kgrec.evaluation.ranking import TopK, mask_others, mask_seen
from kgrec.evaluation.report import RankingReport, metrics_of
from kgrec.progress import SILENT, Progress


class Ranker(Protocol):
    """Anything that scores all items for a batch of histories."""

    def scores(self, histories: Any) -> FloatArray:
        """Return scores, float32 [B, I], for histories as they were given, B rows of them."""


@dataclass(frozen=True)
class Lists:
    """The best items of some users.

    Attributes:
        users: rows, int64 [B].
        items: rows, best first, int64 [B, k]; -1 where fewer are left.
        scores: float32 [B, k].
    """

    users: IntArray
    items: IntArray
    scores: FloatArray


def rank_all(
    ranker: Ranker,
    histories: Histories | sp.csr_matrix,
    seen: sp.csr_matrix,
    users: IntArray,
    k: int,
    *,
    among: IntArray | None = None,
    seed: int = 2024,
    max_cells: int = 8_000_000,
    progress: Progress = SILENT,
) -> Lists:
    """Rank all items for each user, without those the user has had.

    Args:
        ranker: what is measured.
        histories: what the ranker may know, of U users, or CSR [U, I].
        seen: what is left out of the lists, CSR [U, I].
        users: rows of the users to rank for, [B].
        k: length of the lists.
        among: rows of the only items that are ranked, such as cold ones; all when absent.
        seed: orders items of equal score.
        max_cells: at most so many scores are held at a time.

    Raises:
        ModelError: a score is not a number.
    """
    num_items = histories.shape[1]
    top = TopK(num_items, k, seed=seed)
    lists = [(np.empty((0, top.k), np.int64), np.empty((0, top.k), np.float32))]
    with progress.task("rank all items", len(users)) as task:
        for batch in _batches(users, max(1, max_cells // max(num_items, 1))):
            scores = ranker.scores(histories[batch])
            _check(scores)
            mask_seen(scores, seen[batch])
            if among is not None:
                mask_others(scores, among)
            lists.append(top(scores))
            task.advance(len(batch))
    items, scores = (np.concatenate(each) for each in zip(*lists, strict=True))
    return Lists(users, items, scores)


def evaluate_ranking(
    ranker: Ranker,
    histories: Histories | sp.csr_matrix,
    seen: sp.csr_matrix,
    test: Interactions,
    ks: Sequence[int],
    *,
    popularity: IntArray | None = None,
    among: IntArray | None = None,
    max_users: int | None = None,
    seed: int = 2024,
    progress: Progress = SILENT,
) -> tuple[RankingReport, Lists]:
    """Measure a ranker on the test part.

    Args:
        ranker: what is measured.
        histories: what the ranker may know of each of U users, or CSR [U, I].
        seen: items that are not ranked for a user, CSR [U, I]; usually train and valid.
        test: interactions to find. Those a user has already seen cannot be found and are dropped.
        ks: lengths of the lists.
        popularity: users of each item in training, for novelty, [I]; those of `histories`
            when absent.
        among: rows of the only items that are ranked, such as cold ones; all when absent.
        max_users: where more users have something to find, a sample of so many is asked.
        seed: orders items of equal score, draws the sample and the resamples of intervals.

    Returns:
        the report, and the lists of length max(ks).

    Raises:
        ConfigError: a `k` is not positive.
        DataError: no test user has anything to find.
        ModelError: a score is not a number.
    """
    if not ks or min(ks) < 1:
        raise ConfigError("k must be at least 1", value=list(ks))
    asked = Questions.of(seen, test, max_users=max_users, seed=seed)
    begun = time.perf_counter()
    lists = rank_all(
        ranker, histories, seen, asked.users, max(ks), among=among, seed=seed, progress=progress
    )
    seconds = time.perf_counter() - begun
    if popularity is None:
        known = as_histories(histories).item
        popularity = np.bincount(known, minlength=histories.shape[1])
    report = RankingReport(
        users=len(asked),
        eligible=asked.eligible,
        items=histories.shape[1] if among is None else len(among),
        targets=int(asked.truth.nnz),
        repeated=asked.repeated,
        seconds=seconds,
        at={
            k: metrics_of(values, seed=seed) for k, values in asked.values(lists.items, ks).items()
        },
        lists={
            k: dict(list_metrics(lists.items[:, :k], popularity, histories.shape[0], among=among))
            for k in ks
        },
    )
    return report, lists


def _check(scores: FloatArray) -> None:
    wrong = int(np.isnan(scores).any(axis=1).sum())
    if wrong:
        raise ModelError(
            "scores are not numbers, so nothing can be ranked by them",
            value=f"{wrong} of {len(scores)} users",
            remedy="Look for a training that diverged: a lower learning rate, or other settings.",
        )


def _batches(users: IntArray, size: int) -> Iterator[IntArray]:
    for start in range(0, len(users), size):
        yield users[start : start + size]
