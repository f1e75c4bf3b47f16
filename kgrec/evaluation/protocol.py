"""All-ranking: for every user of the test part, every unseen item is ranked."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import scipy.sparse as sp
from threadpoolctl import threadpool_info, threadpool_limits

from kgrec.data.dataset import FloatArray, IntArray, Interactions
from kgrec.errors import ConfigError, DataError, ModelError
from kgrec.evaluation.report import RankingReport, metrics_of
from kgrec.metrics.ranking import (
    TopLists,
    Values,
    hits_of,
    list_metrics,
    mask_others,
    mask_seen,
    user_metrics,
)
from kgrec.model.histories import Histories, as_histories
from kgrec.model.kernel import Kernel
from kgrec.model.team import Team
from kgrec.progress import SILENT, Progress

_CELLS, _ROWS = 1_000_000, 128
"""A batch is as many users as have so many scores, some megabytes that stay in the cache from the
product to the list, and no fewer than these: products of few rows are slow."""


@dataclass(frozen=True)
class HeldOutTargets:
    """The users of a measurement, and the right items of each.

    Attributes:
        users: rows, int64 [B].
        truth: nonzero where an item is right, CSR [B, I].
        eligible: users who have something to find; more than B where a sample is measured.
        repeated: interactions left out, since the user had had the item before.
    """

    users: IntArray
    truth: sp.csr_matrix
    eligible: int
    repeated: int

    @classmethod
    def of(
        cls,
        seen: sp.csr_matrix,
        test: Interactions,
        *,
        max_users: int | None = None,
        seed: int = 2024,
    ) -> HeldOutTargets:
        """Return the targets among the test interactions: those with unseen items.

        Args:
            seen: items that are not ranked for a user, CSR [U, I].
            test: interactions to find.
            max_users: maximum number of users with targets; beyond it they are sampled.
            seed: seed of the sample.

        Raises:
            DataError: no test user has anything to find.
        """
        truth = test.matrix(*seen.shape)
        repeated = sp.csr_matrix(truth.multiply(seen.astype(np.bool_)))
        truth = sp.csr_matrix(truth - repeated)
        truth.eliminate_zeros()
        users = np.flatnonzero(np.diff(truth.indptr)).astype(np.int64)
        if not len(users):
            raise DataError(
                "no test user has an item to find that is not seen before",
                remedy="Test on interactions that are in no other part.",
            )
        eligible = len(users)
        if max_users is not None and eligible > max_users:
            sampled = np.random.default_rng(seed).choice(users, max_users, replace=False)
            users = np.sort(sampled)
        return cls(users, truth[users], eligible, int(repeated.nnz))

    def __len__(self) -> int:
        return len(self.users)

    @property
    def num_right(self) -> IntArray:
        """How many items are right for each user, int64 [B]."""
        return np.asarray(np.diff(self.truth.indptr), dtype=np.int64)

    def values(self, items: IntArray, ks: Sequence[int]) -> dict[int, dict[str, Values]]:
        """Measure lists of items: `k` to metric to one value a user, float64 [B].

        Args:
            items: item rows of each user's list, best first, int64 [B, >= max(ks)], -1 for none.

        Raises:
            ConfigError: a `k` is not positive.
        """
        if not ks or min(ks) < 1:
            raise ConfigError("k must be at least 1", value=list(ks))
        hits = hits_of(items, self.truth)
        return {k: user_metrics(hits, self.num_right, k) for k in ks}


class BatchScorer(Protocol):
    """Anything that scores all items for a batch of histories."""

    def scores(self, histories: Any) -> FloatArray:
        """Return scores, float32 [B, I], one row a history."""


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
    ranker: BatchScorer,
    histories: Histories | sp.csr_matrix,
    seen: sp.csr_matrix,
    users: IntArray,
    k: int,
    *,
    among: IntArray | None = None,
    seed: int = 2024,
    max_cells: int = 32_000_000,
    threads: int | None = None,
    progress: Progress = SILENT,
) -> Lists:
    """Rank all items for each user, seen ones left out.

    Args:
        ranker: the ranker.
        histories: histories of U users that the ranker may read, or CSR [U, I].
        seen: seen items, which are left out of the lists, CSR [U, I].
        users: rows of the users to rank for, [B].
        k: length of the lists.
        among: rows of the only items that are ranked, such as cold ones; all when absent.
        seed: orders items of equal score.
        max_cells: maximum number of scores in memory.
        threads: batches that are ranked at once; by default as many as BLAS has threads where the
            ranker is a `Team` or a `Kernel`, else one, since another may keep a state.

    Raises:
        ModelError: a score is not a number.
    """
    num_items = histories.shape[1]
    top = TopLists(num_items, k, seed=seed)
    if threads is None:
        threads = blas_threads() if isinstance(ranker, Team | Kernel) else 1
    cells = min(max_cells // threads, max(_CELLS, _ROWS * num_items))
    size = max(1, cells // max(num_items, 1))
    batches = list(_batches(users, size))

    def ranked(batch: IntArray) -> tuple[IntArray, FloatArray]:
        scores = ranker.scores(histories[batch])
        _check(scores)
        mask_seen(scores, seen[batch])
        if among is not None:
            mask_others(scores, among)
        return top(scores)

    lists = [(np.empty((0, top.k), np.int64), np.empty((0, top.k), np.float32))]
    with progress.task("rank all items", len(users)) as task:
        for batch, found in zip(batches, _in_threads(ranked, batches, threads), strict=True):
            lists.append(found)
            task.advance(len(batch))
    items, scores = (np.concatenate(each) for each in zip(*lists, strict=True))
    return Lists(users, items, scores)


def blas_threads() -> int:
    """Return how many threads a product of dense matrices uses."""
    blas = [each for each in threadpool_info() if each["user_api"] == "blas"]
    return max((int(each["num_threads"]) for each in blas), default=1)


def _in_threads(
    ranked: Callable[[IntArray], tuple[IntArray, FloatArray]],
    batches: Sequence[IntArray],
    threads: int,
) -> Iterator[tuple[IntArray, FloatArray]]:
    """Yield what each batch gives, in order, several at once.

    Threads of BLAS inside each of them would fight over the cores, so a batch has one.
    """
    if threads == 1 or len(batches) < 2:
        yield from map(ranked, batches)
        return
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
        # The first alone, since it computes what the kernels keep.
        yield ranked(batches[0])
        yield from pool.map(ranked, batches[1:])


def evaluate_ranking(
    ranker: BatchScorer,
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
        ranker: the ranker to measure.
        histories: histories of U users that the ranker may read, or CSR [U, I].
        seen: items that are not ranked for a user, CSR [U, I]; usually train and valid.
        test: interactions to find. Those a user has already seen cannot be found and are dropped.
        ks: lengths of the lists.
        popularity: users of each item in training, for novelty, [I]; those of `histories`
            when absent.
        among: rows of the only items that are ranked, such as cold ones; all when absent.
        max_users: maximum number of users with targets; beyond it they are sampled.
        seed: seed of the order of ties, of the sample and of the bootstrap.

    Returns:
        the report, and the lists of length max(ks).

    Raises:
        ConfigError: a `k` is not positive.
        DataError: no test user has anything to find.
        ModelError: a score is not a number.
    """
    if not ks or min(ks) < 1:
        raise ConfigError("k must be at least 1", value=list(ks))
    targets = HeldOutTargets.of(seen, test, max_users=max_users, seed=seed)
    begun = time.perf_counter()
    lists = rank_all(
        ranker, histories, seen, targets.users, max(ks), among=among, seed=seed, progress=progress
    )
    seconds = time.perf_counter() - begun
    if popularity is None:
        known = as_histories(histories).item
        popularity = np.bincount(known, minlength=histories.shape[1])
    report = RankingReport(
        users=len(targets),
        eligible=targets.eligible,
        items=histories.shape[1] if among is None else len(among),
        targets=int(targets.truth.nnz),
        repeated=targets.repeated,
        seconds=seconds,
        at={
            k: metrics_of(values, seed=seed)
            for k, values in targets.values(lists.items, ks).items()
        },
        lists={
            k: dict(list_metrics(lists.items[:, :k], popularity, histories.shape[0], among=among))
            for k in ks
        },
    )
    return report, lists


def _check(scores: FloatArray) -> None:
    # The largest of numbers and something else is something else; no mask of all scores is made.
    wrong = int(np.isnan(scores.max(axis=1, initial=-np.inf)).sum())
    if wrong:
        raise ModelError(
            "scores are not numbers, so nothing can be ranked by them",
            value=f"{wrong} of {len(scores)} users",
            remedy="Look for a training that diverged: a lower learning rate, or other settings.",
        )


def _batches(users: IntArray, size: int) -> Iterator[IntArray]:
    for start in range(0, len(users), size):
        yield users[start : start + size]
