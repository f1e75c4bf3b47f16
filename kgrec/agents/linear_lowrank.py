"""The low-rank form of the linear agent: the closed form over the leading eigenvectors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from kgrec.agents.linear_gram import Evidence
from kgrec.data.dataset import FloatArray


def leading_eigenvectors(
    multiply: Callable[[FloatArray], FloatArray],
    size: int,
    count: int,
    seed: int,
    *,
    rounds: int = 6,
) -> FloatArray:
    """Return eigenvectors of a symmetric matrix, strongest last, float32 [N, count].

    Randomised subspace iteration (Halko, Martinsson and Tropp 2011).

    Args:
        multiply: multiplies the matrix with float32 [N, M].
        size: N.
        rounds: multiplications; more of them tell close eigenvalues apart.
    """
    return _leading(multiply, size, count, seed, rounds)[0]


def _leading(
    multiply: Callable[[FloatArray], FloatArray], size: int, count: int, seed: int, rounds: int
) -> tuple[FloatArray, FloatArray]:
    count = min(count, size)
    width = min(count + 16, size)
    basis = np.random.default_rng(seed).standard_normal((size, width), dtype=np.float32)
    basis, _ = np.linalg.qr(basis)
    for _ in range(rounds):
        basis, _ = np.linalg.qr(multiply(basis))
    values, vectors = np.linalg.eigh(basis.T @ multiply(basis))
    return np.asarray(basis @ vectors[:, -count:], dtype=np.float32), values[-count:]


@dataclass(frozen=True, eq=False)
class LowRank:
    """S^-½ G S^-½ ≈ V diag(q) Vᵀ with S the shape of the ridge, so that any ridge follows at once.

    With Λ = r·S and w = q / (q + r), the inverse is Λ^-½ (I - V diag(w) Vᵀ) Λ^-½, and

        B_hj = √(S_j / S_h) · V_h diag(w) V_jᵀ / (1 - V_j diag(w) V_jᵀ)   for h ≠ j.

    Attributes:
        vectors: V, float32 [I, D].
        values: q, float32 [D].
        root: √S, float32 [I].
    """

    vectors: FloatArray
    values: FloatArray
    root: FloatArray

    @classmethod
    def of(
        cls, evidence: Evidence, knowledge: float, rank: int, seed: int, *, rounds: int = 4
    ) -> LowRank:
        """Decompose the Gram matrix through products with its factors; it is never formed."""
        root = np.sqrt(evidence.ridge_shape)
        scale = sp.diags_array(1.0 / root)
        halves = [sp.csr_matrix(evidence.users @ scale)]
        if knowledge > 0 and evidence.features.nnz:
            halves.append(sp.csr_matrix(knowledge**0.5 * (evidence.features @ scale)))

        def multiply(basis: FloatArray) -> FloatArray:
            return np.asarray(sum(_gram_times(half, basis) for half in halves), dtype=np.float32)

        vectors, values = _leading(multiply, evidence.num_items, rank, seed, rounds)
        return cls(vectors, np.maximum(values, 0.0), root)

    def factors(self, ridge: float) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return history factors and item factors, float32 [I, D], and their own products [I].

        B is the product of the factors less its diagonal.
        """
        weight = np.sqrt(self.values / (self.values + ridge))
        weighted = self.vectors * weight  # [I, D]
        own = np.minimum(np.square(weighted).sum(axis=1), 1.0 - 1e-4)
        history = weighted / self.root[:, None]
        item = weighted * (self.root / (1.0 - own))[:, None]
        return history, item, own / (1.0 - own)


def _gram_times(rows: sp.csr_matrix, basis: FloatArray, block: int = 65_536) -> FloatArray:
    """Return AᵀA·basis, [N, M], holding only so many rows of A·basis at a time."""
    product = np.zeros_like(basis)
    for start in range(0, rows.shape[0], block):
        part = rows[start : start + block]
        product += part.T @ (part @ basis)
    return product
