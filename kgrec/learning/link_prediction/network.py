"""Light graph convolution from items over their users to items: the network of `collaborative`.

    E0_i    = gate_i · E_i + Σ_f F_if · K_f
    A       = rownorm(½ · (E0 + D_i^-½ Xᵀ D_u^-1 X D_i^-½ E0))
    S(h, i) = A_h · A_i / τ + Kc_hi · (g0 · gate_i + g1 · (1 − gate_i))
    score   = |H|^-p · Σ_h S(h, i) + gate_i · b_i + (1 − gate_i) · b0

with `X` the message edges, `F` the knowledge features, `Kc` their cosine, and `gate_i = deg_i /
(deg_i + κ)`: a cold item is represented by its knowledge features alone.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor, nn

from kgrec.data.dataset import FloatArray
from kgrec.learning.link_prediction.convolution import Graph, HistoryConv
from kgrec.training.sparse import Adjacency, aggregate


class SentenceMap(nn.Module):
    """T x, with T the identity plus a learned matrix.

    Every item with a text contributes to the gradient of the map in each step, so its learning rate
    is `slow` times that of embeddings; at theirs it loses the structure of the language model
    within a few steps.

    Args:
        texts, names: x, float32 [I, X] of items and [N, X] of entities; None without names.
        embedding_dim: D.
    """

    texts: Tensor
    name_vectors: Tensor | None
    start: Tensor

    def __init__(
        self,
        texts: FloatArray,
        names: FloatArray | None,
        *,
        embedding_dim: int,
        slow: float,
    ) -> None:
        super().__init__()
        self.slow = slow
        width = texts.shape[1]
        self.change = nn.Parameter(torch.zeros(width, embedding_dim))
        self.register_buffer("start", torch.eye(width, embedding_dim), persistent=False)
        self.register_buffer("texts", torch.from_numpy(texts), persistent=False)
        vectors = None if names is None else torch.from_numpy(names)
        self.register_buffer("name_vectors", vectors, persistent=False)

    @property
    def matrix(self) -> Tensor:
        """T, [X, D]."""
        return self.start + self.slow * self.change

    def forward(self, items: Tensor | None = None) -> Tensor:
        """Return T x of all items, [I, D], or of some of them."""
        return (self.texts if items is None else self.texts[items]) @ self.matrix

    def entities(self) -> Tensor | None:
        """Return T x of the entities, [N, D]; None without names."""
        return None if self.name_vectors is None else self.name_vectors @ self.matrix


INIT_SCALE = 0.1
"""Standard deviation of the initial embeddings."""


class HistoryNetwork(nn.Module):
    """Items as sums of histories and knowledge (He et al. 2020, "LightGCN", without user vectors).

    Another network of the same problem overrides `base`, the item vectors before the convolution,
    or `item_vectors` as a whole, and sets `subgraphs = False` where it cannot compute the vectors
    of a part of the items (`Graph.items`). Where `inputs` is set, text vectors are added.

    Args:
        num_items: I.
        features: F, CSR float32 [I, K], or None.
        embedding_dim: D.
        tau: temperature τ of the cosine.
        history_power: p.
        device: device of the tensors.
        row_wise: whether the gradients of the embeddings are sparse, for large catalogues of which
            a step uses a part.
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
        self.conv = HistoryConv()
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
        """Return E0, the item vectors before the convolution, [I, D]."""
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
        convolved = self.conv(base, graph)
        if graph.convolved is not None:
            convolved = graph.convolved + (convolved - convolved.detach())
        return nn.functional.normalize(base + convolved, dim=1, eps=1e-6)

    def prior(self, graph: Graph) -> Tensor:
        """Return the prior of each item, float32 [I]; it does not depend on the history."""
        bias = self.bias if graph.items is None else self.bias[graph.items]
        return graph.gate * bias + (1 - graph.gate) * self.cold_bias

    def cosine_scale(self, graph: Graph) -> Tensor | None:
        """Return the factor of each column of Kc, float32 [I]; None without knowledge."""
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
            graph: the graph of the items.
            vectors: item vectors, float32 [I, D].
            queries: as `summed` returns them, [B, D].
            cosine: the histories' weights times Kc, [B, C]; None without knowledge.
            columns: the candidates, int64 [C]; None for all items.

        Returns:
            [B, C].
        """
        prior, scale = self.alone(graph, columns)
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
        prior, scale = self.alone(graph, item)
        scores = (queries[row] * vectors[item]).sum(dim=1) + prior
        return scores if cosine is None or scale is None else scores + cosine * scale

    def alone(self, graph: Graph, columns: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return prior and factor of Kc of candidates, [C] each; None stands for all items."""
        prior, scale = self.prior(graph), self.cosine_scale(graph)
        if columns is None:
            return prior, scale
        return prior[columns], None if scale is None else scale[columns]

    def _rows(self, table: nn.Parameter, rows: Tensor | None) -> Tensor:
        if rows is None:
            return table
        return nn.functional.embedding(rows, table, sparse=self._row_wise)
