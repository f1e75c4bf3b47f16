"""Kernels in fewer bytes: numbers of 16 or 8 bits, and only the strongest of the sparse rows.

    x ≈ code · scale,    scale = max |x| / 127 of each row

for `int8`, symmetric and without zero point (Jacob et al. 2018, "Quantization and Training of
Neural Networks for Efficient Integer-Arithmetic-Only Inference", where a scale belongs to a whole
array and activations are quantised too); `float16` has no scale. Factors stay packed in memory and
are unpacked by the row; sparse rows are unpacked when they are loaded, since SciPy knows neither
type. Priors, the readers of histories, the gate, the ranker and the profile are small, and stay
float32. Scores are computed as ever, in float64, from the unpacked float32 values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from kgrec.data.dataset import FloatArray
from kgrec.errors import ModelError

Precision = Literal["float32", "float16", "int8"]
Codes = NDArray[np.float16] | NDArray[np.int8]
_LEVELS = 127


@dataclass(frozen=True, eq=False)
class PackedRows:
    """A matrix of floats in fewer bytes; indexing gives float32, as the whole does by `asarray`.

    Attributes:
        codes: float16 or int8 [I, D].
        scale: float32 [I]; None of float16.
    """

    codes: Codes
    scale: FloatArray | None = None

    @classmethod
    def of(cls, array: FloatArray, precision: Precision) -> PackedRows:
        """Pack an array [I, D]; raises ModelError where a number does not fit."""
        if precision == "float16":
            return cls(_halved(array))
        scale = _scale(np.abs(array).max(axis=1, initial=0.0))
        return cls(np.rint(array / scale[:, None]).astype(np.int8), scale)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.codes.shape

    @property
    def ndim(self) -> int:
        return self.codes.ndim

    @property
    def nbytes(self) -> int:
        return self.codes.nbytes + (0 if self.scale is None else self.scale.nbytes)

    @property
    def T(self) -> FloatArray:
        return np.asarray(self).T

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, rows: Any) -> FloatArray:
        values: FloatArray = self.codes[rows].astype(np.float32)
        if self.scale is not None:
            values *= self.scale[rows][..., None]
        return values

    def __matmul__(self, other: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(np.asarray(self) @ other)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return self[:].astype(dtype or np.float32, copy=False)

    def product(self, weighted: sp.csr_matrix) -> NDArray[Any]:
        """Return a sparse matrix [B, I] times this one; only the rows that count are unpacked."""
        used, place = np.unique(weighted.indices, return_inverse=True)
        parts = (weighted.data, place, weighted.indptr)
        shape = (weighted.shape[0], len(used))
        return np.asarray(sp.csr_matrix(parts, shape=shape) @ self[used])


class PackedMatrix(sp.csr_matrix):
    """Sparse rows that were unpacked, with what they are stored as; a result of it has neither.

    Attributes:
        codes: float16 or int8 [N], of each entry.
        scale: float32 [I], of each row; None of float16.
    """

    codes: Codes | None = None
    scale: FloatArray | None = None

    @classmethod
    def load(
        cls,
        codes: Codes,
        scale: FloatArray | None,
        indices: NDArray[Any],
        indptr: NDArray[Any],
        shape: tuple[int, int],
    ) -> PackedMatrix:
        """Unpack sparse rows."""
        data = codes.astype(np.float32)
        if scale is not None:
            data *= np.repeat(scale, np.diff(indptr))
        matrix = cls((data, indices, indptr), shape=shape)
        matrix.codes, matrix.scale = codes, scale
        return matrix


def strongest(rows: sp.csr_matrix, most: int) -> sp.csr_matrix:
    """Return sparse rows with at most so many entries each, the largest by size."""
    owner = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
    order = np.lexsort((rows.indices, -np.abs(rows.data), owner))
    rank = np.arange(len(owner)) - np.repeat(rows.indptr[:-1], np.diff(rows.indptr))
    kept = np.sort(order[rank < most])
    counts = np.bincount(owner[kept], minlength=rows.shape[0])
    indptr = np.concatenate([[0], np.cumsum(counts)])
    return sp.csr_matrix((rows.data[kept], rows.indices[kept], indptr), shape=rows.shape)


def pack_rows(rows: sp.csr_matrix, precision: Precision) -> PackedMatrix:
    """Return sparse rows as they are after being stored; weights that are 0 then are left out."""
    if precision == "float16":
        codes = _halved(rows.data)
        return PackedMatrix.load(codes, None, rows.indices, rows.indptr, rows.shape)
    owner = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
    # Not by a method of the matrix: its maximum sorts the positions in place, the weights not.
    largest = np.zeros(rows.shape[0], dtype=np.float32)
    np.maximum.at(largest, owner, np.abs(rows.data))
    scale = _scale(largest)
    code = np.rint(rows.data / scale[owner]).astype(np.int8)
    kept = code != 0
    counts = np.bincount(owner[kept], minlength=rows.shape[0])
    indptr = np.concatenate([[0], np.cumsum(counts)])
    return PackedMatrix.load(code[kept], scale, rows.indices[kept], indptr, rows.shape)


def _scale(largest: NDArray[Any]) -> FloatArray:
    """Return what a code of 1 stands for, by the largest size of a row; 1 where all are zero."""
    return np.where(largest > 0, largest / _LEVELS, 1.0).astype(np.float32)


def _halved(array: FloatArray) -> NDArray[np.float16]:
    with np.errstate(over="ignore"):
        halved = array.astype(np.float16)
    if not np.isfinite(halved).all():
        raise ModelError(
            "a weight is too large for float16",
            value=float(np.abs(array).max()),
            remedy="Choose --precision int8, whose scale is that of each row.",
        )
    return halved
