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
from kgrec.errors import ConfigError, DataError
from kgrec.evaluation.metrics import list_metrics, user_metrics
from kgrec.evaluation.ranking import TopK, hits_of, mask_seen
from kgrec.evaluation.report import Metric, RankingReport
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
        seed: orders items of equal score.
        max_cells: at most so many scores are held at a time.
    """
    num_items = histories.shape[1]
    top = TopK(num_items, k, seed=seed)
    lists = [(np.empty((0, top.k), np.int64), np.empty((0, top.k), np.float32))]
    with progress.task("rank all items", len(users)) as task:
        for batch in _batches(users, max(1, max_cells // max(num_items, 1))):
            scores = ranker.scores(histories[batch])
            mask_seen(scores, seen[batch])
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
        seed: orders items of equal score.

    Returns:
        the report, and the lists of length max(ks).

    Raises:
        ConfigError: a `k` is not positive.
        DataError: no test user has anything to find.
    """
    if not ks or min(ks) < 1:
        raise ConfigError("k must be at least 1", value=list(ks))
    truth = test.matrix(*histories.shape)
    repeated = sp.csr_matrix(truth.multiply(seen))
    truth = sp.csr_matrix(truth - repeated)
    truth.eliminate_zeros()
    users = np.flatnonzero(np.diff(truth.indptr)).astype(np.int64)
    if not len(users):
        raise DataError("no test user has an item to find that is not seen before")
    begun = time.perf_counter()
    lists = rank_all(ranker, histories, seen, users, max(ks), seed=seed, progress=progress)
    seconds = time.perf_counter() - begun
    if popularity is None:
        known = as_histories(histories).item
        popularity = np.bincount(known, minlength=histories.shape[1])
    hits = hits_of(lists.items, truth[users])
    num_right = np.diff(truth[users].indptr).astype(np.int64)
    report = RankingReport(
        users=len(users),
        items=histories.shape[1],
        targets=int(truth.nnz),
        repeated=int(repeated.nnz),
        seconds=seconds,
        at={
            k: {
                name: Metric.of(values) for name, values in user_metrics(hits, num_right, k).items()
            }
            for k in ks
        },
        lists={
            k: dict(list_metrics(lists.items[:, :k], popularity, histories.shape[0])) for k in ks
        },
    )
    return report, lists


def _batches(users: IntArray, size: int) -> Iterator[IntArray]:
    for start in range(0, len(users), size):
        yield users[start : start + size]
