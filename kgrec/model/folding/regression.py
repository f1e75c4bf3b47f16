"""The parts of new items in the linear agent: each is regressed on the trained items.

With P = (G + Λ)⁻¹ of the training and g what the features of a new item have in common with those
of the trained ones, the closed form over one item more is, by the inverse of a block matrix,

    b        = P g                                  what trained items add to the new one
    B_new,i  = s b_i / (P_ii + s b_i²)              what the new one adds to trained items
    s        = 1 / (g_new,new + λ_new − g · b)

and P = (I − B) diag(P), so that the kernel and the diagonal of P are all that is needed. Where the
kernel keeps the strongest weights alone, this is close and not equal. Other new items are left out
of the regression; in a training over all of them they would be part of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from kgrec.data.dataset import FloatArray, IntArray
from kgrec.model.folding.inductive import Floats, FoldedRows, Multiply, NewItems

_LEAST_DETERMINANT = 1e-3
"""Below it the truncated weights do not carry a change, and the item keeps its own."""
_BLOCK = 256
"""So many new items are regressed at a time: [I, 256] in float64 are 200 MB of 100,000 items."""


@dataclass(frozen=True, eq=False)
class RegressionFormula:
    """Parts from the knowledge features, by the closed form of the linear agent.

    Attributes:
        diagonal: of P, float32 [I].
        ridge: λ of an item without interactions.
        knowledge: weight of the features in G.
        decay: weight of features over links.
        row_size: number of weights that are kept of each history item and each candidate.
        factors: size of the factors of the low-rank form, whose new items have sparse weights
            alone; 0 of the other forms.
    """

    name: ClassVar[str] = "regression"

    diagonal: FloatArray
    ridge: float
    knowledge: float
    decay: float
    row_size: int
    factors: int = 0

    def fold(self, new: NewItems, multiply: Multiply) -> FoldedRows:
        """Return the parts of new items; see `Inductive.fold`."""
        index = new.index
        trained = index.by_degree(index.features, self.decay)
        own = index.by_degree(new.features, self.decay)
        received, given = [], []
        for begin in range(0, len(new), _BLOCK):
            part = own[begin : begin + _BLOCK]
            common = self.knowledge * (trained @ part.T).toarray().astype(np.float64)  # [I, N]
            square = self.knowledge * np.asarray(part.multiply(part).sum(axis=1)).ravel()
            added, back = self._solved(common, square, multiply)
            received.append(_strongest(added.T, self.row_size))
            given.append(_strongest(back.T, self.row_size))
        count = len(self.diagonal)
        empty = sp.csr_matrix((0, count)).astype(np.float32)
        vectors = np.zeros((len(new), self.factors), dtype=np.float32) if self.factors else None
        return FoldedRows(
            vectors,
            vectors,
            received=sp.csr_matrix(sp.vstack([empty, *received]).T, dtype=np.float32),
            given=sp.csr_matrix(sp.vstack([empty, *given]), dtype=np.float32),
        )

    def revise(
        self, changed: NewItems, trained: FoldedRows, rows: IntArray, multiply: Multiply
    ) -> FoldedRows:
        """Return the parts after a change of rank two in G, by Woodbury's formula.

        With d the change of the row of item t in G (half of it at t itself), p = P e_t and q = P d,

            P' = P − [p q] M [p q]ᵀ,   M⁻¹ = [[p_t, 1 + q_t], [1 + q_t, d · q]]

        so that the change of t's own row and column of B follows. Degrees are those of the
        training, and other items keep their weights among each other.
        """
        if trained.received is None or trained.given is None:
            return trained
        index = changed.index
        features = index.by_degree(index.features, self.decay)
        fresh = index.by_degree(changed.features, self.decay)
        received, given = [], []
        for begin in range(0, len(changed), _BLOCK):
            part = slice(begin, begin + _BLOCK)
            own, old = fresh[part], features[rows[part]]
            more = self.knowledge * (features @ (own - old).T).toarray().astype(np.float64)
            square = (own.multiply(own) - old.multiply(old)).sum(axis=1)
            place = rows[part], np.arange(own.shape[0])
            more[place] = 0.5 * self.knowledge * np.asarray(square).ravel()
            into, out = self._moved(more, place, multiply)
            received.append(
                _strongest(trained.received[:, part].toarray().T + into.T, self.row_size)
            )
            given.append(_strongest(trained.given[part].toarray() + out.T, self.row_size))
        empty = sp.csr_matrix((0, len(self.diagonal))).astype(np.float32)
        return replace(
            trained,
            received=sp.csr_matrix(sp.vstack([empty, *received]).T, dtype=np.float32),
            given=sp.csr_matrix(sp.vstack([empty, *given]), dtype=np.float32),
        )

    def _moved(
        self, more: Floats, place: tuple[IntArray, IntArray], multiply: Multiply
    ) -> tuple[Floats, Floats]:
        """Return how the columns and the rows of items in B change, [I, N], by d, [I, N]."""
        diagonal = self.diagonal.astype(np.float64)[:, None]
        scaled, single = diagonal * more, np.zeros(more.shape)
        single[place] = diagonal[place[0], 0]
        p, q = single - multiply(single), scaled - multiply(scaled)
        own, cross = p[place], 1.0 + q[place]
        corner = np.einsum("in,in->n", more, q)
        determinant = own * corner - cross**2
        # M is its adjugate over the determinant, which is −1 where nothing changes.
        safe = np.where(np.abs(determinant) < _LEAST_DETERMINANT, -1.0, determinant)
        of_p = (corner * own - cross * (cross - 1.0)) / safe
        of_q = (own * (cross - 1.0) - cross * own) / safe
        column = p - p * of_p - q * of_q
        lost = (corner * p**2 - 2.0 * cross * p * q + own * q**2) / safe
        after = np.maximum(diagonal - lost, 1e-3 * diagonal)
        into = p / own - column / column[place]
        out = p / diagonal - column / after
        for moved in (into, out):
            moved[place] = 0.0
            moved[:, (np.abs(determinant) < _LEAST_DETERMINANT) | (column[place] <= 0)] = 0.0
        return into, out

    def _solved(self, common: Floats, square: Floats, multiply: Multiply) -> tuple[Floats, Floats]:
        """Return b and B_new, [I, N] each, from g, [I, N], and g_new,new, [N]."""
        diagonal = self.diagonal.astype(np.float64)[:, None]
        scaled = diagonal * common
        added = scaled - multiply(scaled)
        left = square + self.ridge - np.einsum("in,in->n", common, added)
        # Truncated weights may leave less than there is; the ridge alone is always left.
        strength = 1.0 / np.maximum(left, self.ridge)
        back = strength * added / (diagonal + strength * added**2)
        return added, back

    def settings(self) -> dict[str, Any]:
        """Return what is no array, as plain values."""
        names = ("ridge", "knowledge", "decay", "row_size", "factors")
        return {name: getattr(self, name) for name in names}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays by name."""
        return {"diagonal": self.diagonal}

    @classmethod
    def load(cls, settings: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Read what `settings` and `arrays` returned."""
        return cls(arrays["diagonal"], **settings)


def _strongest(weights: Floats, size: int) -> sp.csr_matrix:
    """Keep the entries of each row that are largest by absolute value, CSR float32."""
    if weights.shape[1] > size:
        place = weights.shape[1] - size
        least = np.partition(np.abs(weights), place, axis=1)[:, place, None]
        weights = np.where(np.abs(weights) >= least, weights, 0.0)
    return sp.csr_matrix(weights.astype(np.float32))
