"""Alternating least squares of implicit feedback, a batch of rows at a time.

    Σ_{(u,i) seen} (1 − p_u · q_i)²  +  a Σ_{u,i} (p_u · q_i)²  +  Σ_u λ_u |p_u|²  +  Σ_i λ_i |q_i|²

A row of n entries is a system of size n or of size D, whichever is smaller: with the Gram matrix
a QᵀQ of all other rows decomposed once, a row with few entries costs n² D in place of D³.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray

from kgrec.data.dataset import FloatArray
from kgrec.model.redundancy_reader import padded

Tensor: TypeAlias = torch.Tensor

_START = 0.1
"""Length of the item factors that the first sweep starts from."""
_GRADIENT_STEPS = 10
"""Of conjugate gradients; features are scaled by their degrees, so that few are enough."""


@dataclass(frozen=True)
class AlsSetting:
    """What the factors are solved with.

    Attributes:
        factors: D.
        unobserved: a, weight of a pair without interaction beside one with.
        ridge: λ of a user, and of an item of mean popularity.
    """

    factors: int
    unobserved: float
    ridge: float


class AlternatingLeastSquares:
    """Solves for the factors of users and items in turn.

    Args:
        known: interactions, CSR [U, I]; every entry counts alike.
        ridge_power: λ_i is that of mean popularity times the relative popularity to this power.
        device: "cpu" or "cuda".
    """

    def __init__(self, known: sp.csr_matrix, ridge_power: float, seed: int, device: str) -> None:
        self._by_user = sp.csr_matrix(known)
        self._by_item = sp.csr_matrix(self._by_user.T)
        count = np.diff(self._by_item.indptr)
        relative = np.maximum(count, 1) / max(count[count > 0].mean(), 1.0)
        self._shape = relative**ridge_power
        self._seed, self._device = seed, device

    def item_factors(self, setting: AlsSetting, sweeps: int) -> FloatArray:
        """Return Q after some sweeps, float32 [I, D]."""
        size, num_items = setting.factors, len(self._shape)
        start = np.random.default_rng(self._seed).standard_normal((num_items, size))
        item = torch.as_tensor(_START * start / np.sqrt(size), dtype=torch.float32)
        item = item.to(self._device)
        of_user = np.full(self._by_user.shape[0], setting.ridge)
        of_item = setting.ridge * self._shape
        with _one_thread():
            for _ in range(sweeps):
                user = solve_rows(self._by_user, item, setting.unobserved, of_user)
                item = solve_rows(self._by_item, user, setting.unobserved, of_item)
        return np.asarray(item.cpu().numpy())


def scaled_items(item: FloatArray, setting: AlsSetting) -> FloatArray:
    """Return Z with Z Zᵀ = Q (a QᵀQ + λ)⁻¹ Qᵀ, float32 [I, D].

    The score of item i for a user who is solved from a history is then Σ_h w_h z_h · z_i, with the
    weights of `kgrec.model.redundancy_reader`.
    """
    exact = item.astype(np.float64)
    values, vectors = np.linalg.eigh(setting.unobserved * (exact.T @ exact))
    return np.asarray(exact @ (vectors / np.sqrt(np.maximum(values, 0.0) + setting.ridge)), "f4")


def of_features(
    features: sp.csr_matrix, z: FloatArray, known: NDArray[np.bool_], ridge: float
) -> FloatArray:
    """Return K, vectors of features whose sum F K is nearest to the items', float32 [K, D].

    Ridge regression over all dimensions at once, by conjugate gradients.

    Args:
        features: F, CSR [I, K].
        z: vectors of the items, [I, D].
        known: the items that are regressed on, bool [I].
        ridge: weight of |K|².
    """
    own = sp.csr_matrix(features[known], dtype=np.float32)
    across = sp.csr_matrix(own.T)
    rest = across @ z[known]  # the residual at K = 0
    found, step = np.zeros_like(rest), rest.copy()
    size = np.einsum("kd,kd->d", rest, rest)
    for _ in range(_GRADIENT_STEPS):
        image = across @ (own @ step) + ridge * step
        along = np.einsum("kd,kd->d", step, image)
        rate = np.divide(size, along, out=np.zeros_like(size), where=along > 0)
        found += rate * step
        rest -= rate * image
        size, before = np.einsum("kd,kd->d", rest, rest), size
        step = rest + step * np.divide(size, before, out=np.zeros_like(size), where=before > 0)
    return np.asarray(found, dtype=np.float32)


def solve_rows(
    matrix: sp.csr_matrix, other: Tensor, unobserved: float, ridge: FloatArray
) -> Tensor:
    """Return the factors of rows that fit their entries best; zeros for an empty row.

    Args:
        matrix: CSR [N, M], whose values do not matter.
        other: factors of the columns, float32 [M, D].
        unobserved: a.
        ridge: λ of each row, [N].

    Returns:
        float32 [N, D].
    """
    size = other.shape[1]
    values, vectors = torch.linalg.eigh(unobserved * (other.T @ other))
    # In these directions the Gram matrix is diagonal, whatever the ridge.
    turned, values = other @ vectors, values.clamp_min(0.0)
    penalty = torch.as_tensor(ridge, dtype=torch.float32, device=other.device)
    column = torch.as_tensor(matrix.indices, dtype=torch.int64, device=other.device)
    found = other.new_zeros((matrix.shape[0], size))
    for rows, entries, held in padded(matrix.indptr.astype(np.int64), size):
        row = torch.as_tensor(rows, device=other.device)
        scale = (values + penalty[row, None]).rsqrt()  # [b, D]
        kept = torch.as_tensor(held, device=other.device)
        place = torch.as_tensor(entries, device=other.device)
        z = turned[column[place]] * scale[:, None, :] * kept[:, :, None]
        found[row] = _summed(z, kept) * scale
    turned_back: Tensor = found @ vectors.T
    return turned_back


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute by one thread: on systems of some dozens threads do nothing but wait for others."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _summed(z: Tensor, held: Tensor) -> Tensor:
    """Return zᵀ (I + z zᵀ)⁻¹ 1, the solution for each row, [b, L, D] → [b, D]."""
    across = z.transpose(1, 2)
    if z.shape[1] <= z.shape[2]:
        weights = torch.cholesky_solve(held[:, :, None].to(z.dtype), _factor(z @ across))
        return (across @ weights)[:, :, 0]
    solved: Tensor = torch.cholesky_solve(z.sum(dim=1)[:, :, None], _factor(across @ z))
    return solved[:, :, 0]


def _factor(system: Tensor) -> Tensor:
    system.diagonal(dim1=1, dim2=2).add_(1.0)
    factor: Tensor = torch.linalg.cholesky(system)
    return factor
