"""The closed form: item-to-item weights from a Gram matrix."""

from __future__ import annotations

import numpy as np
import scipy.linalg

from kgrec.data.dataset import FloatArray
from kgrec.errors import ModelError


def closed_form(gram: FloatArray) -> FloatArray:
    """Return B of EASE (Steck 2019), float32 [N, N] with a zero diagonal.

    Args:
        gram: G + Λ, float32 [N, N]; it is overwritten.

    Raises:
        ModelError: the matrix cannot be inverted.
    """
    factor = _cholesky(gram)
    inverse, status = scipy.linalg.lapack.spotri(factor, lower=1, overwrite_c=1)
    if status:
        raise _singular("a zero on the diagonal")
    diagonal = np.diag(inverse).copy()
    weights = inverse + inverse.T  # above the diagonal the factor and its inverse are zero
    weights /= -diagonal
    np.fill_diagonal(weights, 0.0)
    return np.asarray(weights, dtype=np.float32)


def last_columns(gram: FloatArray, count: int) -> FloatArray:
    """Return the last columns of `closed_form`, float32 [N, count], in less time.

    Of the inverse's last columns, forward substitution leaves all but the last rows zero.

    Args:
        gram: G + Λ, float32 [N, N]; it is overwritten.
        count: how many columns.
    """
    factor = _cholesky(gram)
    size = len(gram)
    columns = np.zeros((size, count), dtype=np.float32, order="F")
    corner = factor[size - count :, size - count :]
    ones = np.eye(count, dtype=np.float32)
    columns[size - count :] = scipy.linalg.solve_triangular(corner, ones, lower=True)
    inverse = scipy.linalg.solve_triangular(
        factor, columns, lower=True, trans="T", overwrite_b=True, check_finite=False
    )
    own = np.arange(size - count, size), np.arange(count)
    weights = inverse / -inverse[own]
    weights[own] = 0.0
    return np.asarray(weights, dtype=np.float32)


def _cholesky(gram: FloatArray) -> FloatArray:
    try:
        # A symmetric matrix is its own transpose, and LAPACK works in place on that order.
        factor = scipy.linalg.cholesky(gram.T, lower=True, overwrite_a=True)
    except scipy.linalg.LinAlgError as error:
        raise _singular(str(error)) from None
    return np.asarray(factor)


def _singular(why: str) -> ModelError:
    return ModelError(f"the item matrix cannot be inverted ({why})", remedy="Use a larger ridge.")
