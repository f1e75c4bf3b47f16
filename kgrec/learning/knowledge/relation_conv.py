"""Attention along typed edges as a torch-geometric layer, fused over sparse matrices."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from kgrec.learning.knowledge.typed_graph import EdgeTable
from kgrec.training.sparse import (
    Pattern,
    inner_products,
    weighted_sum,
    weighted_sum_back,
)

with warnings.catch_warnings():
    # torch-geometric scripts some of its classes when it is imported, which torch deprecates.
    warnings.simplefilter("ignore")
    from torch_geometric.nn import MessagePassing
    from torch_geometric.utils import softmax


@dataclass(frozen=True)
class TypedEdges:
    """Typed edges as a sparse matrix of rows and ends, on the device.

    An end is a pair of a column's node and a relation: the transform of a node by a relation is
    computed once for each end, not once for each edge.

    Attributes:
        places: positions of the E edges, rows by ends, [R, Q].
        end_node, end_relation: of each end, int64 [Q].
        row, column, relation: of each edge, int64 [E].
        row_degree, column_degree: log of the edges of an edge's row and column, float32 [E].
        confidence: log of the confidence, float32 [E].
    """

    places: Pattern
    end_node: Tensor
    end_relation: Tensor
    row: Tensor
    column: Tensor
    relation: Tensor
    row_degree: Tensor
    column_degree: Tensor
    confidence: Tensor

    @classmethod
    def of(cls, table: EdgeTable, device: str) -> TypedEdges:
        """Copy edges to the device."""
        relations = max(len(table.relations), 1)
        ends, end = np.unique(table.column * relations + table.relation, return_inverse=True)
        columns = (
            ends // relations,
            ends % relations,
            table.row,
            table.column,
            table.relation,
            np.log(table.row_degree[table.row]),
            np.log(table.column_degree[table.column]),
            np.log(table.confidence),
        )
        places = Pattern.of(table.row, end, (table.size[0], len(ends)), device)
        return cls(places, *(torch.from_numpy(column).to(device) for column in columns))


class RelationConv(MessagePassing):  # type: ignore[misc]
    """Relational graph attention (Busbridge et al. 2019, "Relational Graph Attention Networks";
    scaled products by relation as in Hu et al. 2020, "Heterogeneous Graph Transformer").

        x'_t = Σ_{(s, r) ∈ N(t)} a_tsr · (1 + v_r) ⊙ x_s
        a    = softmax over N(t) of Q x_t · ((1 + w_r) ⊙ K x_s) / √d + b_r
                                + c · log deg_s + log conf_e

    As `torch_geometric.nn.HGTConv` with one head and without its output layer, where the matrices
    of a relation are diagonal, so that sixty relations cost no more than one. Further differences:
    the logit has a learned term for the degree of the source, which discounts hubs, and the log
    confidence of the edge; relation parameters have a learning rate of `slow` times that of
    embeddings, since every edge contributes to their gradient. With `fuse` set to False messages
    are computed for each edge, as torch-geometric's explainers need them.

    Args:
        num_relations: R.
        embedding_dim: D.
        attention_dim: size of queries and keys, d.
        slow: see above.
        to_rows: whether messages pass from columns to rows, or from rows to columns.
    """

    def __init__(
        self,
        num_relations: int,
        embedding_dim: int,
        attention_dim: int,
        slow: float,
        *,
        to_rows: bool,
    ) -> None:
        super().__init__(aggr="sum")
        self.slow, self.to_rows = slow, to_rows
        start = embedding_dim**-0.5
        self.query = nn.Parameter(start * torch.randn(embedding_dim, attention_dim))
        self.key = nn.Parameter(start * torch.randn(embedding_dim, attention_dim))
        self.relation_key = nn.Parameter(torch.zeros(num_relations, attention_dim))
        self.relation_value = nn.Parameter(torch.zeros(num_relations, embedding_dim))
        self.relation_bias = nn.Parameter(torch.zeros(num_relations))
        self.hub = nn.Parameter(torch.zeros(()))

    def attention(self, rows: Tensor, columns: Tensor, edges: TypedEdges) -> Tensor:
        """Return a, [E]: it sums to one over the edges into a target."""
        of_row, of_column = self.key, self.query
        target, degree, size = edges.column, edges.row_degree, len(columns)
        if self.to_rows:
            of_row, of_column = of_column, of_row
            target, degree, size = edges.row, edges.column_degree, len(rows)
        ends = _scaled(columns @ of_column, self.slow * self.relation_key, edges)  # [Q, d]
        alike = inner_products(edges.places, rows @ of_row, ends)
        logits = alike * self.query.shape[1] ** -0.5 + edges.confidence
        logits = logits + self.slow * self.relation_bias.index_select(0, edges.relation)
        logits = logits + (self.slow * self.hub - 0.5) * degree
        weights: Tensor = softmax(logits, target, num_nodes=size)
        return weights

    def forward(self, rows: Tensor, columns: Tensor, edges: TypedEdges) -> Tensor:
        """Return the messages to each target, [R, D] or [C, D].

        Args:
            rows: [R, D].
            columns: [C, D].
        """
        weight = self.attention(rows, columns, edges)
        source, target, ends = rows, columns, (edges.row, edges.column)
        if self.to_rows:
            source, target, ends = columns, rows, ends[::-1]
        if not self.fuse:
            given = {"source": (source, target), "weight": weight, "relation": edges.relation}
            out: Tensor = self.propagate(torch.stack(ends), **given)
            return out
        places = edges.places.by_row if self.to_rows else edges.places.by_column
        out = self.propagate(places, source=source, weight=weight, edges=edges)
        if self.to_rows:
            return out
        scale = (1 + self.slow * self.relation_value).index_select(0, edges.end_relation)
        return torch.zeros_like(columns).index_add(0, edges.end_node, out * scale)

    def message(self, source_j: Tensor, weight: Tensor, relation: Tensor) -> Tensor:
        """Return the message of each edge, [E, D]."""
        scale = (1 + self.slow * self.relation_value).index_select(0, relation)
        return weight[:, None] * scale * source_j

    def message_and_aggregate(
        self, edge_index: Tensor, source: Tensor, weight: Tensor, edges: TypedEdges
    ) -> Tensor:
        """Sum messages without a tensor of edges: into rows, [R, D], or into ends, [Q, D]."""
        if self.to_rows:
            values = self.slow * self.relation_value
            return weighted_sum(edges.places, weight, _scaled(source, values, edges))
        return weighted_sum_back(edges.places, weight, source)


def _scaled(columns: Tensor, by_relation: Tensor, edges: TypedEdges) -> Tensor:
    """Return the node of each end, its coordinates scaled by one plus the relation's, [Q, D]."""
    scale = (1 + by_relation).index_select(0, edges.end_relation)
    return scale * columns.index_select(0, edges.end_node)
