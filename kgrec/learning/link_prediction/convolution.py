"""Light graph convolution over the message edges of a step, as a torch-geometric layer.

    x'_i = D_i^-½ Xᵀ D_u^-1 X D_i^-½ x

with `X` the message edges between users and items. These are two layers of LightGCN (He et al.
2020), from items to users and back, where users have no embeddings.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor

from kgrec.data.dataset import FloatArray, IntArray
from kgrec.export.pyg import HeteroData, interacted
from kgrec.training.sparse import Adjacency, aggregate, csr_tensor

with warnings.catch_warnings():
    # torch-geometric scripts some of its classes when it is imported, which torch deprecates.
    warnings.simplefilter("ignore")
    from torch_geometric.nn import MessagePassing


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

    @classmethod
    def of_graph(cls, data: HeteroData) -> Edges:
        """Build from the interactions of a graph; repeated pairs count once."""
        user, item = data[interacted()].edge_index.cpu().numpy()
        shape = data["user"].num_nodes, data["item"].num_nodes
        matrix = sp.csr_matrix((np.ones(len(user), dtype=np.float32), (user, item)), shape=shape)
        matrix.sum_duplicates()
        return cls.of(matrix)

    def __len__(self) -> int:
        return len(self.item)

    def where(self, mask: NDArray[np.bool_]) -> Edges:
        """Return the edges where the mask, bool [E], is true, without sorting again."""
        order = self.by_item[mask[self.by_item]]
        by_item = (np.cumsum(mask) - 1)[order]
        return Edges(self.user[mask], self.item[mask], self.num_users, self.num_items, by_item)

    def item_degree(self) -> IntArray:
        """Return the number of edges of each item, int64 [I]."""
        return np.bincount(self.item, minlength=self.num_items)

    def user_degree(self) -> IntArray:
        """Return the number of edges of each user, int64 [U]."""
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
        item_scale: diagonal of D_i^-½ in messages to users, [I, 1].
        back_scale: the same in messages back to items, [I, 1]; larger where the edges are a sample
            of the item's edges.
        gate: float32 [I].
        items: rows of the graph's items in the catalogue, int64 [I]; None where it holds all.
        convolved: cached convolution over the whole graph, [I, D], where this one is a sample of
            it: it gives the values, and the sample the gradient.
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
        """Build a graph with other scales of its items, float32 [I] each."""
        length = np.maximum(edges.user_degree(), 1).astype(np.float32)
        by_user, forth, back = (
            torch.from_numpy(column[:, None]).to(device)
            for column in (1.0 / length, item_scale, back_scale)
        )
        gates = torch.from_numpy(gate).to(device)
        return cls(edges.adjacency(device), by_user, forth, back, gates)


class HistoryConv(MessagePassing):  # type: ignore[misc]
    """Two layers of light graph convolution, from items over their users to items.

    Equal to two `torch_geometric.nn.LGConv` on the bipartite graph, with these differences: the
    normalisation is part of the graph, since it differs for a sample, and the products are fused
    over sparse matrices that are stored with their transposes, so that no backward pass transposes.

    Args:
        columns: number of columns of a product without gradients, so that no [U, D] is held.
    """

    def __init__(self, columns: int = 32) -> None:
        super().__init__(aggr="sum")
        self.columns = columns

    def forward(self, x: Tensor, graph: Graph) -> Tensor:
        """Return x', [I, D], of item vectors x, [I, D]."""
        if x.requires_grad and torch.is_grad_enabled():
            return self._convolved(x, graph)
        parts = [self._convolved(part, graph) for part in torch.split(x, self.columns, dim=1)]
        return torch.cat(parts, dim=1)

    def _convolved(self, x: Tensor, graph: Graph) -> Tensor:
        forth, back = graph.edges.matrix, graph.edges.transposed
        users: Tensor = self.propagate(forth, x=x * graph.item_scale, transposed=back)
        users = graph.user_scale * users  # [U, D]
        items: Tensor = self.propagate(back, x=users, transposed=forth)
        return graph.back_scale * items

    def message_and_aggregate(self, edge_index: Tensor, x: Tensor, transposed: Tensor) -> Tensor:
        """Sum the vectors of neighbours in one sparse product."""
        return aggregate(Adjacency(edge_index, transposed), x)
