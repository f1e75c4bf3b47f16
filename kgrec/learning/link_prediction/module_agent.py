"""An agent made of any torch-geometric module."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from kgrec.export.pyg import HeteroData, interacted
from kgrec.learning.agent import FitContext
from kgrec.learning.link_prediction.convolution import Graph
from kgrec.learning.link_prediction.network import HistoryNetwork
from kgrec.learning.link_prediction.problem import HiddenEdges, HiddenEdgesConfig
from kgrec.model.kernel import Kernel

EdgeType = tuple[str, str, str]


class ModuleConfig(HiddenEdgesConfig):
    """Settings of an agent made of a module: those of the training problem."""


class ModuleAgent(ABC):
    """Trains a module that maps a heterogeneous graph to item vectors by link prediction.

    A subclass has a `name` and a `module`, and is registered by `kgrec.learning.registry.register`.
    The module is called like torch-geometric's heterogeneous models, `module(x_dict,
    edge_index_dict)`, and returns a dictionary with vectors of "item", float32 [I, D]. Input:

    - `x_dict["item"]`, [I, D]: learned embeddings, 0 for an item without message edges in the step;
      `x_dict["user"]` and `x_dict["entity"]` are zeros, [U, D] and [N, D];
    - `edge_index_dict`: the message edges of the step, in both directions (the reverse type has the
      suffix `~`), and all facts and links, in both directions.

    The kernel is the cosine of the vectors, divided by a temperature; scores, explanations and
    publishing need nothing else.
    """

    name: ClassVar[str]
    Config: ClassVar[type[ModuleConfig]] = ModuleConfig

    def __init__(self, config: ModuleConfig | None = None) -> None:
        self.config = config or self.Config()

    @abstractmethod
    def module(self, data: HeteroData, embedding_dim: int) -> nn.Module:
        """Return a new module for a graph; the random generators are seeded by the caller."""

    def fit(self, context: FitContext) -> Kernel:
        """Train the module and return its kernel; see `Agent.fit`."""
        config, data = self.config, context.hetero

        def build(tau: float) -> ModuleNetwork:
            return ModuleNetwork(
                self.module(data, config.embedding_dim),
                data,
                embedding_dim=config.embedding_dim,
                tau=tau,
                history_power=config.history_power,
                device=context.device,
            )

        return HiddenEdges(context, config, name=self.name, build=build).fit()


class ModuleNetwork(HistoryNetwork):
    """Item vectors of a module, from embeddings and edges.

    Args:
        module: see `ModuleAgent`.
        data: the graph.
        embedding_dim, tau, history_power, device: see `HistoryNetwork`.
    """

    subgraphs: ClassVar[bool] = False

    def __init__(
        self,
        module: nn.Module,
        data: HeteroData,
        *,
        embedding_dim: int,
        tau: float,
        history_power: float,
        device: str,
    ) -> None:
        super().__init__(
            data["item"].num_nodes,
            None,
            embedding_dim=embedding_dim,
            tau=tau,
            history_power=history_power,
            device=device,
        )
        self.module = module
        self._sizes = {kind: data[kind].num_nodes for kind in ("user", "entity")}
        self._edges: dict[EdgeType, Tensor] = {}
        for kind in data.edge_types:
            if kind != interacted():
                self._edges |= both_ways(kind, data[kind].edge_index.to(device))
        self.to(device)

    def item_vectors(self, graph: Graph) -> Tensor:
        """Return A, [I, D], rows of length 1."""
        items = self.base(graph)
        x = {kind: items.new_zeros(size, items.shape[1]) for kind, size in self._sizes.items()}
        edges = self._edges | both_ways(interacted(), message_edges(graph))
        vectors: Tensor = self.module(x | {"item": items}, edges)["item"]
        return nn.functional.normalize(vectors, dim=1, eps=1e-6)


def message_edges(graph: Graph) -> Tensor:
    """Return users and items of the edges of a step, int64 [2, E]."""
    matrix = graph.edges.matrix
    start = matrix.crow_indices()
    users = torch.arange(len(start) - 1, device=start.device)
    return torch.stack([users.repeat_interleave(start.diff()), matrix.col_indices()])


def both_ways(kind: EdgeType, edge_index: Tensor) -> dict[EdgeType, Tensor]:
    """Return an edge type and its reverse, named with the suffix `~`."""
    head, relation, tail = kind
    return {kind: edge_index, (tail, f"{relation}~", head): edge_index.flip(0)}
