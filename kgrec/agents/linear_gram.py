"""What the linear agent learns from: who took which items, and the features that items share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp

from kgrec.agents.features import degree_features
from kgrec.data.dataset import Dataset, FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Evidence:
    """The two halves of the Gram matrix G = XᵀX + w·FFᵀ, and the shape of its ridge.

    Attributes:
        users: X, CSC float32 [U, I]; an entry is the root of the user's weight.
        features: Fᵀ, CSC float32 [K, I]; K is 0 where no two items share a feature.
        ridge_shape: what the ridge of each item is multiplied by, float32 [I].
    """

    users: sp.csc_matrix
    features: sp.csc_matrix
    ridge_shape: FloatArray

    @classmethod
    def of(cls, train: Dataset, ridge_power: float, user_power: float) -> Evidence:
        """Collect users and features.

        Args:
            ridge_power: the ridge of an item grows with its popularity to this power.
            user_power: a user of n items weighs n^-user_power; the weights are such that the
                trace of XᵀX is the number of interactions whatever the power, so that one ridge
                means the same under all.
        """
        matrix = train.matrix()
        length = np.maximum(np.diff(matrix.indptr), 1).astype(np.float64)
        weight = length**-user_power
        weight *= length.sum() / (weight @ length)
        users = sp.csc_matrix(sp.diags_array(np.sqrt(weight).astype(np.float32)) @ matrix)
        features = degree_features(train)
        if features is None:
            features = sp.csr_matrix((train.num_items, 0), dtype=np.float32)
        taken = np.diff(users.indptr)
        share = np.maximum(taken, 1) / max(taken.mean(), 1e-9)
        shape = (share**ridge_power).astype(np.float32)
        return cls(users, sp.csc_matrix(features.T), shape)

    @property
    def num_items(self) -> int:
        return int(self.users.shape[1])

    @cached_property
    def popularity(self) -> IntArray:
        """Users of each item, int64 [I]."""
        return np.asarray(np.diff(self.users.indptr), dtype=np.int64)

    def diagonal(self, ridge: float, knowledge: float) -> FloatArray:
        """Return the diagonal of G + Λ, float32 [I]."""
        square = _squares(self.users) + knowledge * _squares(self.features)
        return np.asarray(square + ridge * self.ridge_shape, dtype=np.float32)

    def gram(self, items: IntArray, ridge: float, knowledge: float) -> FloatArray:
        """Return G + Λ over some items (rows, [N]), float32 [N, N], exact."""
        gram = _gram(self.users[:, items])
        if knowledge > 0 and self.features.nnz:
            gram += knowledge * _gram(self.features[:, items])
        gram[np.diag_indices_from(gram)] += ridge * self.ridge_shape[items]
        return gram


def _gram(columns: sp.csc_matrix) -> FloatArray:
    return np.asarray((columns.T @ columns).toarray(), dtype=np.float32)


def _squares(columns: sp.csc_matrix) -> FloatArray:
    """Return the squared length of each column, float32."""
    square = columns.copy()
    square.data **= 2
    return np.asarray(square.sum(axis=0), dtype=np.float32).ravel()
