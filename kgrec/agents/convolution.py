"""Light graph convolution from items over their users to items: the network of `collaborative`.

    E0_i    = gate_i · E_i + Σ_f F_if · K_f
    A       = rownorm(½ · (E0 + D_i^-½ Xᵀ D_u^-1 X D_i^-½ E0))
    S(h, i) = A_h · A_i / τ + Kc_hi · (g0 · gate_i + g1 · (1 − gate_i))
    score   = |H|^-p · Σ_h S(h, i) + gate_i · b_i + (1 − gate_i) · b0

with `X` the user-item edges at hand, `F` the knowledge features, `Kc` their cosine, and
`gate_i = deg_i / (deg_i + κ)`, which hands an item without edges over to what is known of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kgrec.data.dataset import IntArray
from kgrec.training.sparse import aggregate, csr_tensor


@dataclass(frozen=True)
class Edges:
    """User-item edges sorted by user.

    Attributes:
        user, item: int64 [E].
        num_users, num_items: sizes.
    """

    user: IntArray
    item: IntArray
    num_users: int
    num_items: int

    @classmethod
    def of(cls, matrix: sp.csr_matrix) -> Edges:
        user = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
        return cls(user.astype(np.int64), matrix.indices.astype(np.int64), *matrix.shape)

    def where(self, mask: NDArray[np.bool_]) -> Edges:
        return Edges(self.user[mask], self.item[mask], self.num_users, self.num_items)

    def matrix(self) -> sp.csr_matrix:
        """Return the binary matrix, CSR float32 [U, I]."""
        start = np.concatenate([[0], np.cumsum(np.bincount(self.user, minlength=self.num_users))])
        data = np.ones(len(self.user), dtype=np.float32)
        return sp.csr_matrix((data, self.item, start), shape=(self.num_users, self.num_items))


@dataclass(frozen=True)
class Graph:
    """The normalised edges of one step, on the device.

    Attributes:
        to_user: D_u^-1 X D_i^-½, CSR [U, I].
        to_item: D_i^-½ Xᵀ, CSR [I, U].
        gate: float32 [I].
    """

    to_user: Tensor
    to_item: Tensor
    gate: Tensor

    @classmethod
    def of(cls, edges: Edges, kappa: float, device: str = "cpu") -> Graph:
        item_degree = np.bincount(edges.item, minlength=edges.num_items).astype(np.float32)
        user_degree = np.bincount(edges.user, minlength=edges.num_users).astype(np.float32)
        item_scale = np.maximum(item_degree, 1.0) ** -0.5
        into_user = item_scale[edges.item] / np.maximum(user_degree, 1.0)[edges.user]
        order = np.argsort(edges.item, kind="stable")
        size = (edges.num_users, edges.num_items)
        return cls(
            csr_tensor(edges.user, edges.item, torch.from_numpy(into_user), size, device),
            csr_tensor(
                edges.item[order],
                edges.user[order],
                torch.from_numpy(item_scale[edges.item[order]]),
                size[::-1],
                device,
            ),
            torch.from_numpy(item_degree / (item_degree + kappa)).to(device),
        )


class HistoryNetwork(nn.Module):
    """Items as sums of histories and knowledge (He et al. 2020, "LightGCN", without user vectors).

    Args:
        num_items: I.
        features: F, CSR float32 [I, K], or None.
        embedding_dim: D.
        tau: temperature τ of the cosine.
        history_power: p.
        device: where the tensors live.
    """

    def __init__(
        self,
        num_items: int,
        features: sp.csr_matrix | None,
        *,
        embedding_dim: int,
        tau: float,
        history_power: float,
        init_scale: float = 0.1,
        device: str = "cpu",
    ) -> None:
        super().__init__()
        self.tau, self.history_power = tau, history_power
        self.item = nn.Parameter(init_scale * torch.randn(num_items, embedding_dim))
        self.bias = nn.Parameter(torch.zeros(num_items))
        self.cold_bias = nn.Parameter(torch.zeros(()))
        self.feature: nn.Parameter | None = None
        self.cosine_weight: nn.Parameter | None = None
        self._features: Tensor | None = None
        if features is not None:
            size = features.shape
            self.feature = nn.Parameter(init_scale * torch.randn(size[1], embedding_dim))
            self.cosine_weight = nn.Parameter(torch.tensor([0.1, 1.0]))
            entries = Edges.of(features)
            values = torch.from_numpy(features.data)
            self._features = csr_tensor(entries.user, entries.item, values, size, device)
        self.to(device)

    def item_vectors(self, graph: Graph) -> Tensor:
        """Return A, [I, D], rows of length 1."""
        base = graph.gate[:, None] * self.item
        if self.feature is not None and self._features is not None:
            base = base + aggregate(self._features, self.feature)
        histories = aggregate(graph.to_user, base)  # [U, D]
        convolved = aggregate(graph.to_item, histories)  # [I, D]
        return nn.functional.normalize(base + convolved, dim=1, eps=1e-6)

    def prior(self, graph: Graph) -> Tensor:
        """Return what speaks for an item whatever the history, [I]."""
        return graph.gate * self.bias + (1 - graph.gate) * self.cold_bias

    def cosine_scale(self, graph: Graph) -> Tensor | None:
        """Return the factor of each column of Kc, [I]; None without knowledge."""
        if self.cosine_weight is None:
            return None
        warm, cold = self.cosine_weight
        scale: Tensor = warm * graph.gate + cold * (1 - graph.gate)
        return scale

    def forward(self, graph: Graph, histories: Tensor, cosine: Tensor | None) -> Tensor:
        """Score all items for a batch of histories.

        Args:
            graph: the edges to convolve over.
            histories: |H|^-p for each item of a history, CSR [B, I].
            cosine: `histories` times Kc, [B, I]; None without knowledge.

        Returns:
            [B, I].
        """
        vectors = self.item_vectors(graph)
        summed = aggregate(histories, vectors)  # [B, D]
        scores = summed @ vectors.T / self.tau + self.prior(graph)  # [B, I]
        scale = self.cosine_scale(graph)
        if cosine is not None and scale is not None:
            scores = scores + cosine * scale
        return scores
