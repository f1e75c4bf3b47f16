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
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from kgrec.data.dataset import FloatArray
from kgrec.model.folding.inductive import Floats, FoldedRows, Multiply, NewItems

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
