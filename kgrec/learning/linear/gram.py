"""The Gram matrix of interactions and knowledge features, and its closed form."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.linalg
import scipy.sparse as sp
from pydantic import Field

from kgrec.config import FrozenModel
from kgrec.data.dataset import Dataset, FloatArray, IntArray
from kgrec.errors import ModelError
from kgrec.learning.knowledge_features import HOP_DECAY, degree_features


class WeightConfig(FrozenModel):
    """Weights of users, values and popular items.

    Attributes:
        user_power: the weight of a user of n items is n^-power, so that users with very long
            histories do not dominate.
        value_power: the weight of an interaction is its value (rating, play count), relative to
            the mean of its user, to this power.
        ridge_power: exponent of popularity in the ridge: λ_i = λ · (popularity_i / mean)^power.
    """

    user_power: float = Field(default=0.5, ge=0)
    value_power: float = Field(default=0.25, ge=0)
    ridge_power: float = 0.3


@dataclass(frozen=True, eq=False)
class Evidence:
    """The factors of the Gram matrix G = XᵀX + w·FFᵀ, and the shape of its ridge.

    Attributes:
        users: X, CSC float32 [U, I]; the entries hold the weights of users and values.
        features: Fᵀ, CSC float32 [K, I]; K is 0 where no two items share a feature.
        ridge_shape: factor of the ridge of each item, float32 [I].
        cold_shape: that of an item without interactions.
    """

    users: sp.csc_matrix
    features: sp.csc_matrix
    ridge_shape: FloatArray
    cold_shape: float = 1.0

    @classmethod
    def of(cls, train: Dataset, config: WeightConfig, hop_decay: float = HOP_DECAY) -> Evidence:
        """Build from a data set; `hop_decay` as in `item_features`."""
        users = sp.csc_matrix(_weighted(train, config))
        features = degree_features(train, hop_decay)
        if features is None:
            features = sp.csr_matrix(np.zeros((train.num_items, 0), dtype=np.float32))
        count = np.diff(users.indptr)
        mean = max(count.mean(), 1e-9)
        shape = ((np.maximum(count, 1) / mean) ** config.ridge_power).astype(np.float32)
        cold = float((1.0 / mean) ** config.ridge_power)
        return cls(users, sp.csc_matrix(features.T), shape, cold)

    @property
    def num_items(self) -> int:
        return int(self.users.shape[1])

    @cached_property
    def popularity(self) -> IntArray:
        """Number of users of each item, int64 [I]."""
        return np.asarray(np.diff(self.users.indptr), dtype=np.int64)

    def diagonal(self, ridge: float, knowledge: float) -> FloatArray:
        """Return the diagonal of G + Λ, float32 [I]."""
        square = _squares(self.users) + knowledge * _squares(self.features)
        return np.asarray(square + ridge * self.ridge_shape, dtype=np.float32)

    def gram(
        self, items: IntArray, ridge: float, knowledge: float, dropout: float = 0.0
    ) -> FloatArray:
        """Return G + Λ over some items (rows, [N]), float32 [N, N], exact.

        Args:
            dropout: share p of a history that is hidden from the regression (EDLAE, Steck 2020,
                "Autoencoders that don't overfit towards the Identity"): in expectation that adds
                p / (1 - p) times the diagonal of XᵀX.
        """
        gram = _gram(self.users[:, items])
        if dropout:
            own = np.diag_indices_from(gram)
            gram[own] /= 1.0 - dropout
        if knowledge > 0 and self.features.nnz:
            gram += knowledge * _gram(self.features[:, items])
        gram[np.diag_indices_from(gram)] += ridge * self.ridge_shape[items]
        return gram


def _gram(columns: sp.csc_matrix) -> FloatArray:
    return np.asarray((columns.T @ columns).toarray(), dtype=np.float32)


def _weighted(train: Dataset, config: WeightConfig) -> sp.csr_matrix:
    """Return the user-item matrix with its weights, CSR float32 [U, I].

    Weights are normalised so that the trace of XᵀX is the number of entries: a ridge then has the
    same effect under all weights.
    """
    done = train.interactions
    value = np.maximum(done.value, np.finfo(np.float32).tiny)
    shape = train.num_users, train.num_items
    matrix = sp.csr_matrix((value, (done.user, done.item)), shape=shape, dtype=np.float32)
    matrix.data **= config.value_power
    length = np.maximum(np.diff(matrix.indptr), 1)
    mean = np.maximum(np.asarray(matrix.sum(axis=1)).ravel() / length, 1e-12)
    root = length ** (-config.user_power / 2)
    matrix.data *= np.repeat(root / mean, np.diff(matrix.indptr)).astype(np.float32)
    trace = np.square(matrix.data, dtype=np.float64).sum()
    matrix.data *= np.float32(np.sqrt(matrix.nnz / max(trace, 1e-12)))
    return matrix


def _squares(columns: sp.csc_matrix) -> FloatArray:
    """Return the squared length of each column, float32."""
    square = columns.copy()
    square.data **= 2
    return np.asarray(square.sum(axis=0), dtype=np.float32).ravel()


def closed_form(gram: FloatArray) -> FloatArray:
    """Return B of EASE (Steck 2019), float32 [N, N] with a zero diagonal; see `closed_form_of`."""
    return closed_form_of(gram)[0]


def closed_form_of(gram: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return B of EASE and the diagonal of the inverse, float32 [N, N] and [N].

    Args:
        gram: G + Λ, float32 [N, N]; overwritten.

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
    return np.asarray(weights, dtype=np.float32), diagonal.astype(np.float32)


def last_columns(gram: FloatArray, count: int) -> tuple[FloatArray, FloatArray]:
    """Return the last columns of `closed_form_of`, without the whole inverse.

    For the last columns of the identity, forward substitution leaves all but the last rows zero.

    Args:
        gram: G + Λ, float32 [N, N]; overwritten.
        count: how many columns.

    Returns:
        of B float32 [N, count], and of the diagonal float32 [count].
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
    return np.asarray(weights, dtype=np.float32), inverse[own].astype(np.float32)


def _cholesky(gram: FloatArray) -> FloatArray:
    try:
        # LAPACK works in place on column-major order; a symmetric matrix equals its transpose.
        factor = scipy.linalg.cholesky(gram.T, lower=True, overwrite_a=True)
    except scipy.linalg.LinAlgError as error:
        raise _singular(str(error)) from None
    return np.asarray(factor)


def _singular(why: str) -> ModelError:
    return ModelError(f"the item matrix cannot be inverted ({why})", remedy="Use a larger ridge.")
