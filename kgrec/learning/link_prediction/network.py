"""Light graph convolution from items over their users to items: the network of `collaborative`.

    E0_i    = gate_i · E_i + Σ_f F_if · K_f
    A       = rownorm(½ · (E0 + D_i^-½ Xᵀ D_u^-1 X D_i^-½ E0))
    S(h, i) = A_h · A_i / τ + Kc_hi · (g0 · gate_i + g1 · (1 − gate_i))
    score   = |H|^-p · Σ_h S(h, i) + gate_i · b_i + (1 − gate_i) · b0

with `X` the user-item edges at hand, `F` the knowledge features, `Kc` their cosine, and
`gate_i = deg_i / (deg_i + κ)`, which hands an item without edges over to what is known of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kgrec.data.dataset import FloatArray, IntArray
from kgrec.learning.link_prediction.sentence_map import SentenceMap
from kgrec.training.sparse import Adjacency, aggregate, csr_tensor

INIT_SCALE = 0.1
"""Standard deviation of embeddings before they are learned."""


@dataclass(frozen=True)
class Edges:
    """User-item edges sorted by user.

    Attributes:
        user, item: int64 [E].
        num_users, num_items: sizes.
        by_item: positions of the edges in the order of their items, int64 [E].
    """

    user: IntArray
    item: IntArray
    num_users: int
    num_items: int
    by_item: IntArray = field(repr=False, default_factory=lambda: np.empty(0, dtype=np.int64))

    def __post_init__(self) -> None:
        if len(self.by_item) != len(self.item):
            object.__setattr__(self, "by_item", np.argsort(self.item, kind="stable"))

    @classmethod
    def of(cls, matrix: sp.csr_matrix) -> Edges:
        user = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
        return cls(user.astype(np.int64), matrix.indices.astype(np.int64), *matrix.shape)

    def __len__(self) -> int:
        return len(self.item)

    def where(self, mask: NDArray[np.bool_]) -> Edges:
        """Return the edges where the mask, bool [E], is true; nothing is sorted anew."""
        order = self.by_item[mask[self.by_item]]
        by_item = (np.cumsum(mask) - 1)[order]
        return Edges(self.user[mask], self.item[mask], self.num_users, self.num_items, by_item)

    def item_degree(self) -> IntArray:
        """Return the edges of each item, int64 [I]."""
        return np.bincount(self.item, minlength=self.num_items)

    def user_degree(self) -> IntArray:
        """Return the edges of each user, int64 [U]."""
        return np.bincount(self.user, minlength=self.num_users)

    def matrix(self) -> sp.csr_matrix:
        """Return the binary matrix, CSR float32 [U, I]."""
        start = np.concatenate([[0], np.cumsum(self.user_degree())])
        data = np.ones(len(self.user), dtype=np.float32)
        return sp.csr_matrix((data, self.item, start), shape=(self.num_users, self.num_items))

    def adjacency(self, device: str) -> Adjacency:
        """Return the binary matrix and its transpose on the device."""
        ones = torch.ones(len(self), dtype=torch.float32)
        size, order = (self.num_users, self.num_items), self.by_item
        return Adjacency(
            csr_tensor(self.user, self.item, ones, size, device),
            csr_tensor(self.item[order], self.user[order], ones, size[::-1], device),
        )


@dataclass(frozen=True)
class Graph:
    """The normalised edges of one step, on the device.

    Attributes:
        edges: X, CSR [U, I].
        user_scale: diagonal of D_u^-1, [U, 1].
        item_scale: diagonal of D_i^-½, [I, 1], on the way to the users.
        back_scale: the same on the way back to the items, [I, 1]; larger where the edges are a
            sample of the item's.
        gate: float32 [I].
        items: rows of the catalogue that are the items of this graph, int64 [I]; None where the
            graph holds all of them.
        convolved: what the convolution over a larger graph gave, of which this one is a sample,
            [I, D]: the values are taken from there, the gradient from the sample.
    """

    edges: Adjacency
    user_scale: Tensor
    item_scale: Tensor
    back_scale: Tensor
    gate: Tensor
    items: Tensor | None = None
    convolved: Tensor | None = None

    @classmethod
    def of(cls, edges: Edges, kappa: float, device: str = "cpu") -> Graph:
        degree = edges.item_degree().astype(np.float32)
        scale: FloatArray = (np.maximum(degree, 1.0) ** -0.5).astype(np.float32)
        return cls.weighted(edges, scale, scale, degree / (degree + kappa), device)

    @classmethod
    def weighted(
        cls,
        edges: Edges,
        item_scale: FloatArray,
        back_scale: FloatArray,
        gate: FloatArray,
        device: str,
    ) -> Graph:
        """Make a graph whose items are scaled otherwise, float32 [I] each."""
        length = np.maximum(edges.user_degree(), 1).astype(np.float32)
        by_user, forth, back = (
            torch.from_numpy(column[:, None]).to(device)
            for column in (1.0 / length, item_scale, back_scale)
        )
        gates = torch.from_numpy(gate).to(device)
        return cls(edges.adjacency(device), by_user, forth, back, gates)


class HistoryNetwork(nn.Module):
    """Items as sums of histories and knowledge (He et al. 2020, "LightGCN", without user vectors).

    Another network of the same problem overrides `base`, what an item is before its users speak,
    or `item_vectors` as a whole; one that cannot make the vectors of some of the items alone
    (`Graph.items`) says so by `subgraphs = False`. Where `inputs` is set, items begin with what is
    written about them as well.

    Args:
        num_items: I.
        features: F, CSR float32 [I, K], or None.
        embedding_dim: D.
        tau: temperature τ of the cosine.
        history_power: p.
        device: where the tensors live.
        row_wise: whether the gradients of the embeddings are sparse, for large catalogues of
            which a step sees a part.
    """

    subgraphs: ClassVar[bool] = True

    def __init__(
        self,
        num_items: int,
        features: sp.csr_matrix | None,
        *,
        embedding_dim: int,
        tau: float,
        history_power: float,
        device: str = "cpu",
        row_wise: bool = False,
    ) -> None:
        super().__init__()
        self.tau, self.history_power, self.device = tau, history_power, device
        self._row_wise = row_wise
        self.item = nn.Parameter(INIT_SCALE * torch.randn(num_items, embedding_dim))
        self.bias = nn.Parameter(torch.zeros(num_items))
        self.cold_bias = nn.Parameter(torch.zeros(()))
        self.feature: nn.Parameter | None = None
        self.cosine_weight: nn.Parameter | None = None
        self.inputs: SentenceMap | None = None
        self._features = features
        self._all_features: Adjacency | None = None
        if features is not None:
            self.feature = nn.Parameter(INIT_SCALE * torch.randn(features.shape[1], embedding_dim))
            self.cosine_weight = nn.Parameter(torch.tensor([0.1, 1.0]))
            self._all_features = Adjacency.of(features, device)
        self.to(device)

    def row_wise_parameters(self) -> list[nn.Parameter]:
        """Return the parameters whose gradients are sparse."""
        if not self._row_wise:
            return []
        return [self.item] + ([] if self.feature is None else [self.feature])

    def base(self, graph: Graph) -> Tensor:
        """Return E0, what the items are before their users speak, [I, D]."""
        base = graph.gate[:, None] * self._rows(self.item, graph.items)
        if self.inputs is not None:
            base = base + self.inputs(graph.items)
        if self.feature is None or self._features is None or self._all_features is None:
            return base
        if graph.items is None:
            return base + aggregate(self._all_features, self.feature)
        features = self._features[graph.items.cpu().numpy()]
        used, column = np.unique(features.indices, return_inverse=True)
        few = sp.csr_matrix(
            (features.data, column, features.indptr), shape=(features.shape[0], len(used))
        )
        vectors = self._rows(self.feature, torch.from_numpy(used.astype(np.int64)).to(self.device))
        return base + aggregate(Adjacency.of(few, self.device), vectors)

    def item_vectors(self, graph: Graph) -> Tensor:
        """Return A, [I, D], rows of length 1."""
        base = self.base(graph)
        convolved = convolve(graph, base)
        if graph.convolved is not None:
            convolved = graph.convolved + (convolved - convolved.detach())
        return nn.functional.normalize(base + convolved, dim=1, eps=1e-6)

    def prior(self, graph: Graph) -> Tensor:
        """Return what speaks for an item whatever the history, [I]."""
        bias = self.bias if graph.items is None else self.bias[graph.items]
        return graph.gate * bias + (1 - graph.gate) * self.cold_bias

    def cosine_scale(self, graph: Graph) -> Tensor | None:
        """Return the factor of each column of Kc, [I]; None without knowledge."""
        if self.cosine_weight is None:
            return None
        warm, cold = self.cosine_weight
        scale: Tensor = warm * graph.gate + cold * (1 - graph.gate)
        return scale

    def summed(self, vectors: Tensor, histories: Adjacency) -> Tensor:
        """Return each history's query, [B, D].

        Args:
            vectors: [I, D].
            histories: |H|^-p for each item of a history, CSR [B, I].
        """
        return aggregate(histories, vectors) / self.tau

    def scores(
        self,
        graph: Graph,
        vectors: Tensor,
        queries: Tensor,
        cosine: Tensor | None,
        columns: Tensor | None = None,
    ) -> Tensor:
        """Score candidates for a batch of histories.

        Args:
            graph: whose items they are.
            vectors: of the items, [I, D].
            queries: as `summed` returns them, [B, D].
            cosine: the histories' weights times Kc, [B, C]; None without knowledge.
            columns: the candidates, int64 [C]; None takes all items.

        Returns:
            [B, C].
        """
        prior, scale = self._alone(graph, columns)
        candidates = vectors if columns is None else vectors[columns]
        scores = torch.addmm(prior, queries, candidates.T)  # [B, C]
        if cosine is not None and scale is not None:
            scores = torch.addcmul(scores.float(), cosine, scale)
        return scores

    def pairs(
        self,
        graph: Graph,
        vectors: Tensor,
        queries: Tensor,
        cosine: Tensor | None,
        row: Tensor,
        item: Tensor,
    ) -> Tensor:
        """Score pairs of a history and an item.

        Args:
            graph, vectors, queries: as in `scores`.
            cosine: of the pairs, [T]; None without knowledge.
            row, item: int64 [T].

        Returns:
            [T].
        """
        prior, scale = self._alone(graph, item)
        scores = (queries[row] * vectors[item]).sum(dim=1) + prior
        return scores if cosine is None or scale is None else scores + cosine * scale

    def _alone(self, graph: Graph, columns: Tensor | None) -> tuple[Tensor, Tensor | None]:
        prior, scale = self.prior(graph), self.cosine_scale(graph)
        if columns is None:
            return prior, scale
        return prior[columns], None if scale is None else scale[columns]

    def _rows(self, table: nn.Parameter, rows: Tensor | None) -> Tensor:
        if rows is None:
            return table
        return nn.functional.embedding(rows, table, sparse=self._row_wise)


def convolve(graph: Graph, base: Tensor, *, columns: int = 32) -> Tensor:
    """Return D_i^-½ Xᵀ D_u^-1 X D_i^-½ times `base`, [I, D].

    Args:
        base: [I, D].
        columns: without gradients the product is made so many columns at a time, so that no
            [U, D] is held.
    """
    if base.requires_grad and torch.is_grad_enabled():
        return _convolve(graph, base)
    return torch.cat([_convolve(graph, part) for part in torch.split(base, columns, dim=1)], dim=1)


def _convolve(graph: Graph, base: Tensor) -> Tensor:
    histories = graph.user_scale * aggregate(graph.edges, base * graph.item_scale)  # [U, D]
    backward = Adjacency(graph.edges.transposed, graph.edges.matrix)
    return graph.back_scale * aggregate(backward, histories)
