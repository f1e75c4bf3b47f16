"""Candidates: the union of nearest neighbours by words, by letters and by sentence vectors.

No pair of two large sources is compared but with its nearest: rows are multiplied in blocks of
bounded size, and the terms that the most records share are left out where they would cost more
than a budget.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from kgrec.progress import SILENT, Progress

_BLOCK = 2_000_000
"""Products of one block, which bounds its memory to some ten MB; more is slower too."""
_BUDGET = 4_000_000_000
"""Products in all."""
_CELLS = 8_000_000

Pairs = NDArray[np.int64]
"""[P, 2]: rows of the left and of the right source."""


def nearest(
    left: sparse.csr_array,
    right: sparse.csr_array,
    neighbours: int,
    *,
    within: bool = False,
    progress: Progress = SILENT,
) -> Pairs:
    """Return the nearest right rows of each left row and the nearest left rows of each right row.

    Args:
        left, right: rows over one vocabulary, float32 [N, V] and [M, V].
        neighbours: how many of each at most; those without a common term are none.
        within: whether both are one source, in which no record is its own neighbour.
    """
    left, right = _affordable(left, right)
    found = [_top(left, right, neighbours, within=within, progress=progress)]
    if not within:
        found.append(_top(right, left, neighbours, within=False, progress=progress)[:, ::-1])
    return union(found)


def nearest_vectors(
    left: NDArray[np.float32], right: NDArray[np.float32], neighbours: int, *, within: bool = False
) -> Pairs:
    """Return what `nearest` does, by unit vectors, float32 [N, D] and [M, D]."""
    found = [_top_dense(left, right, neighbours, within=within)]
    if not within:
        found.append(_top_dense(right, left, neighbours, within=False)[:, ::-1])
    return union(found)


def union(parts: list[Pairs]) -> Pairs:
    """Return the pairs of all parts in order, each once."""
    return np.unique(np.concatenate([np.empty((0, 2), np.int64), *parts]), axis=0)


def _affordable(
    left: sparse.csr_array, right: sparse.csr_array
) -> tuple[sparse.csr_array, sparse.csr_array]:
    """Leave out the most frequent terms where the products of the others fill the budget."""
    width = left.shape[1]
    cost = np.bincount(left.indices, minlength=width).astype(np.int64)
    cost *= np.bincount(right.indices, minlength=width)
    order = np.argsort(cost, kind="stable")
    kept = np.zeros(width, np.float32)
    kept[order[np.cumsum(cost[order]) <= _BUDGET]] = 1
    if kept.all():
        return left, right
    thin = sparse.diags_array(kept, format="csr")
    one, other = (left @ thin).tocsr(), (right @ thin).tocsr()
    one.eliminate_zeros()
    other.eliminate_zeros()
    return one, other


def _top(
    left: sparse.csr_array,
    right: sparse.csr_array,
    neighbours: int,
    *,
    within: bool,
    progress: Progress,
) -> Pairs:
    width = left.shape[1]
    turned = right.T.tocsr()
    lengths = np.bincount(right.indices, minlength=width)
    sums = np.concatenate([[0], np.cumsum(lengths[left.indices])])
    done = sums[left.indptr]
    found: list[Pairs] = []
    with progress.task("nearest neighbours", total=left.shape[0]) as task:
        begin = 0
        while begin < left.shape[0]:
            end = int(np.searchsorted(done, done[begin] + _BLOCK, "right")) - 1
            end = min(max(end, begin + 1), left.shape[0])
            block = (left[begin:end] @ turned).tocsr()
            found.append(_top_of(block, begin, neighbours, within=within))
            task.advance(end - begin)
            begin = end
    return np.concatenate([np.empty((0, 2), np.int64), *found])


def _top_of(block: sparse.csr_array, begin: int, neighbours: int, *, within: bool) -> Pairs:
    rows = np.repeat(np.arange(block.shape[0]), np.diff(block.indptr))
    columns, values = block.indices, block.data
    if within:
        other = rows + begin != columns
        rows, columns, values = rows[other], columns[other], values[other]
    order = np.lexsort((columns, -values, rows))
    rows, columns = rows[order], columns[order]
    starts = np.searchsorted(rows, np.arange(block.shape[0]))
    kept = np.arange(len(rows)) - starts[rows] < neighbours
    return np.stack([rows[kept] + begin, columns[kept]], axis=1).astype(np.int64)


def _top_dense(
    left: NDArray[np.float32], right: NDArray[np.float32], neighbours: int, *, within: bool
) -> Pairs:
    count = min(neighbours, len(right) - within)
    if count <= 0 or not len(left):
        return np.empty((0, 2), np.int64)
    step = max(1, _CELLS // len(right))
    found: list[Pairs] = []
    for begin in range(0, len(left), step):
        close = left[begin : begin + step] @ right.T
        if within:
            np.fill_diagonal(close[:, begin:], -2)
        top = np.argpartition(-close, count - 1, axis=1)[:, :count]
        rows = np.repeat(np.arange(begin, begin + len(close)), count)
        found.append(np.stack([rows, top.ravel()], axis=1).astype(np.int64))
    return np.concatenate(found)
