"""Entries of some rows of a CSR matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from kgrec.data.dataset import IntArray


def entries_of(
    matrix: sp.csr_matrix, rows: IntArray
) -> tuple[IntArray, NDArray[np.integer[Any]], NDArray[np.floating[Any]]]:
    """Return the entries of some rows of a CSR matrix, row after row.

    As fancy indexing, without the checks that make it take longer than what is done with it.

    Returns:
        position in `rows`, column and value of each entry, [N].
    """
    start, end = matrix.indptr[rows], matrix.indptr[rows + 1]
    owner = np.repeat(np.arange(len(rows), dtype=np.int64), end - start)
    if not len(owner):
        return owner, matrix.indices[:0], matrix.data[:0]
    runs = [slice(*each) for each in zip(start.tolist(), end.tolist(), strict=True)]
    column = np.concatenate([matrix.indices[run] for run in runs])
    return owner, column, np.concatenate([matrix.data[run] for run in runs])


def sum_of_rows(
    matrix: sp.csr_matrix, rows: IntArray, weights: NDArray[np.float64], size: int
) -> NDArray[np.float64]:
    """Return the sum of some rows of a CSR matrix, each times its weight, float64 [size].

    Args:
        rows, weights: [R].
        size: number of columns.
    """
    start, end = matrix.indptr[rows], matrix.indptr[rows + 1]
    runs = [slice(*each) for each in zip(start.tolist(), end.tolist(), strict=True)]
    if not runs:
        return np.zeros(size)
    # Both in the types that `bincount` reads, or it would copy them once more.
    column = np.concatenate([matrix.indices[run] for run in runs], dtype=np.intp)
    value = np.concatenate([matrix.data[run] for run in runs], dtype=np.float64)
    value *= np.repeat(weights, end - start)
    return np.asarray(np.bincount(column, value, minlength=size), dtype=np.float64)


def number_of_entries(start: NDArray[np.integer[Any]], rows: IntArray) -> int:
    """Return how many entries some rows of a CSR matrix have."""
    return int((start[rows + 1] - start[rows]).sum())


def add_entries(
    found: NDArray[np.float64], matrix: sp.csr_matrix, rows: IntArray, columns: IntArray
) -> None:
    """Add the entries of a CSR matrix at some rows and columns, [R, C], in place."""
    width = len(columns)
    place = np.full(matrix.shape[1], width, dtype=np.int64)
    place[columns] = np.arange(width)
    if np.any(place[columns] != np.arange(width)):  # one of them stands twice
        found += matrix[rows][:, columns].toarray()
        return
    owner, column, weight = entries_of(matrix, rows)
    # What is not wanted is written to a column beyond the others, which costs less than a mask.
    every = np.zeros((len(rows), width + 1))
    every.reshape(-1)[owner * (width + 1) + place[column]] = weight
    found += every[:, :width]
