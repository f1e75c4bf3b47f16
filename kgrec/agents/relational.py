"""Relation-aware attention over items and entities: the network of `knowledge`.

    h_e   = Z_e + Σ_{(i, r) ∈ N(e)} a_eri · (v_r' ⊙ Z_i)
    h_i   = rownorm(Z_i + Σ_{(e, r) ∈ N(i)} a_ire · (v_r ⊙ h_e))
    a_ire = softmax over N(i) of Q Z_i · (w_r ⊙ K h_e) / √d + b_r + c · log deg_e + log conf_ire

Two such walks: one from what users took, Z_i = gate_i · E_i, and one from what is written,
Z_i = T x_i and Z_e = T x_e, with `x` the sentence vectors of texts and names. An item is both,

    A_i   = [gate_i · h_i ; (g0 · gate_i + g1 · (1 - gate_i)) · h'_i]

with gate_i = deg_i / (deg_i + κ): an item that nobody has had is what is written of it and of the
entities and items about it. Where nothing is written, A_i = h_i. What follows is the cosine softmax
of `convolution`.
"""

from __future__ import annotations

import json
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from kgrec.agents.convolution import INIT_SCALE, Graph, HistoryNetwork
from kgrec.agents.sentence_map import SentenceMap
from kgrec.agents.typed_graph import TypedGraph

with warnings.catch_warnings():
    # torch-geometric scripts some of its classes when it is imported, which torch deprecates.
    warnings.simplefilter("ignore")
    from torch_geometric.nn import MessagePassing
    from torch_geometric.utils import softmax


@dataclass(frozen=True)
class Arrows:
    """Facts in one direction, on the device.

    Attributes:
        edge_index: rows of sources and of targets, int64 [2, F].
        relation: int64 [F].
        degree: log of the facts that the source is in, float32 [F].
        confidence: log of the confidence, float32 [F].
    """

    edge_index: Tensor
    relation: Tensor
    degree: Tensor
    confidence: Tensor

    @classmethod
    def of(cls, graph: TypedGraph, *, into_items: bool, device: str) -> Arrows:
        sides = (graph.entity, graph.item) if into_items else (graph.item, graph.entity)
        degrees = graph.entity_degree if into_items else graph.item_degree
        edges, relation = np.stack(sides), graph.relation
        floats = np.log(degrees[sides[0]]), np.log(graph.confidence)
        columns = (edges, relation, *floats)
        return cls(*(torch.from_numpy(column).to(device) for column in columns))


class RelationAttention(MessagePassing):  # type: ignore[misc]
    """A step of attention along typed edges (Busbridge et al. 2019, "Relational Graph Attention
    Networks"; scaled products by relation as in Hu et al. 2020, "Heterogeneous Graph
    Transformer").

    What differs: a relation scales coordinates where those have matrices, so that sixty relations
    cost no more than one; there is one head; a hub is discounted by its degree, as much as is
    learned; and what belongs to relations moves `slow` times as far in a step as embeddings do,
    since all edges push it at once.

    Args:
        num_relations: R.
        embedding_dim: D.
        attention_dim: size of queries and keys, d.
        slow: see above.
    """

    def __init__(
        self, num_relations: int, embedding_dim: int, attention_dim: int, slow: float
    ) -> None:
        super().__init__(aggr="sum", node_dim=0)
        _tidy(type(self).__name__)
        self.slow = slow
        start = embedding_dim**-0.5
        self.query = nn.Parameter(start * torch.randn(embedding_dim, attention_dim))
        self.key = nn.Parameter(start * torch.randn(embedding_dim, attention_dim))
        self.relation_key = nn.Parameter(torch.zeros(num_relations, attention_dim))
        self.relation_value = nn.Parameter(torch.zeros(num_relations, embedding_dim))
        self.relation_bias = nn.Parameter(torch.zeros(num_relations))
        self.hub = nn.Parameter(torch.zeros(()))

    def attention(self, source: Tensor, target: Tensor, arrows: Arrows) -> Tensor:
        """Return a, [F]: it sums to one over the edges into a target."""
        heads, tails = arrows.edge_index
        scale = (1 + self.slow * self.relation_key)[arrows.relation]  # [F, d]
        alike = ((target @ self.query)[tails] * scale * (source @ self.key)[heads]).sum(dim=1)
        logits = alike * self.query.shape[1] ** -0.5 + arrows.confidence
        logits = logits + self.slow * self.relation_bias[arrows.relation]
        logits = logits + (self.slow * self.hub - 0.5) * arrows.degree
        weights: Tensor = softmax(logits, tails, num_nodes=len(target))
        return weights

    def forward(self, source: Tensor, target: Tensor, arrows: Arrows) -> Tensor:
        """Return what the sources tell each target, [N, D].

        Args:
            source: [M, D].
            target: [N, D].
        """
        weight = self.attention(source, target, arrows)
        size = (len(source), len(target))
        told: Tensor = self.propagate(
            arrows.edge_index, x=source, weight=weight, relation=arrows.relation, size=size
        )
        return told

    def message(self, x_j: Tensor, weight: Tensor, relation: Tensor) -> Tensor:
        """Return a · (v_r ⊙ x), [F, D]."""
        return weight[:, None] * (1 + self.slow * self.relation_value)[relation] * x_j


def _tidy(layer: str) -> None:
    """Remove the file that torch-geometric leaves in the temporary folder for a layer's class."""
    module = sys.modules.get(f"{__name__}_{layer}_propagate")
    if module is not None and module.__file__ is not None:
        Path(module.__file__).unlink(missing_ok=True)


class KnowledgeNetwork(HistoryNetwork):
    """Items as what is known of them, through the entities they share.

    Args:
        graph: the facts; `most_facts` of them are drawn in each step where there are more.
        gate: of the items by all their interactions, for steps that see some of them, [I].
        inputs: T x, of X dimensions; None without language.
        embedding_dim: D.
        tau: temperature of the cosine.
        history_power: p.
        entity_kappa: facts at which an entity is half known by its items; None learns nothing
            of single entities.
        attention_dim: d.
        slow: how much slower than embeddings what belongs to relations is learned.
        device: where the tensors live.
    """

    gate: Tensor
    entity_gate: Tensor

    def __init__(
        self,
        graph: TypedGraph,
        gate: Tensor,
        inputs: SentenceMap | None,
        *,
        embedding_dim: int,
        tau: float,
        history_power: float,
        entity_kappa: float | None,
        attention_dim: int,
        slow: float,
        most_facts: int,
        device: str,
    ) -> None:
        super().__init__(
            graph.num_items,
            None,
            embedding_dim=embedding_dim,
            tau=tau,
            history_power=history_power,
            device=device,
        )
        self.graph, self.most_facts = graph, most_facts
        self._rng = np.random.default_rng(int(torch.randint(2**31, (1,))))
        relations = len(graph.relations)
        self.to_entity = RelationAttention(relations, embedding_dim, attention_dim, slow)
        self.to_item = RelationAttention(relations, embedding_dim, attention_dim, slow)
        self._keep("gate", gate)
        self.entity: nn.Parameter | None = None
        if entity_kappa is not None:
            self.entity = nn.Parameter(INIT_SCALE * torch.randn(graph.num_entities, embedding_dim))
            degree = torch.from_numpy(graph.entity_degree)
            self._keep("entity_gate", (degree / (degree + entity_kappa))[:, None])
        self.inputs = inputs
        if inputs is not None:
            size = inputs.matrix.shape[1]
            self.said_of_entity = RelationAttention(relations, size, attention_dim, slow)
            self.said_of_item = RelationAttention(relations, size, attention_dim, slow)
            # An item that nobody has had stands on its text alone, so that speaks up.
            self.voice = nn.Parameter(torch.tensor([0.7, 1.4]))
        self._whole = self._arrows(graph)
        self.to(device)

    def _keep(self, name: str, value: Tensor | None) -> None:
        self.register_buffer(name, value, persistent=False)

    def _arrows(self, graph: TypedGraph) -> tuple[Arrows, Arrows]:
        return (
            Arrows.of(graph, into_items=False, device=self.device),
            Arrows.of(graph, into_items=True, device=self.device),
        )

    def _drawn(self) -> tuple[Arrows, Arrows]:
        """Return the facts of a step, or all of them when no step is being learned."""
        if len(self.graph) <= self.most_facts or not torch.is_grad_enabled():
            return self._whole
        return self._arrows(self.graph.sample(self.most_facts, self._rng))

    def get_extra_state(self) -> Tensor:
        """Return where the draws of facts are, for a training that goes on; bytes."""
        state = json.dumps(self._rng.bit_generator.state).encode()
        return torch.frombuffer(bytearray(state), dtype=torch.uint8)

    def set_extra_state(self, state: Tensor) -> None:
        """Go on with the draws of facts where `get_extra_state` was asked."""
        self._rng.bit_generator.state = json.loads(bytes(state.tolist()))

    def base(self, graph: Graph) -> Tensor:
        """Return Z of the first walk, [I, D]."""
        items = self.nodes(graph)[0]
        return items if graph.items is None else items[graph.items]

    def nodes(self, graph: Graph) -> tuple[Tensor, Tensor]:
        """Return Z of the first walk, of all items, [I, D], and of the entities, [N, D]."""
        gate = graph.gate
        if graph.items is not None:
            gate = self.gate.index_copy(0, graph.items, gate)
        items = gate[:, None] * self.item
        entities = items.new_zeros(self.graph.num_entities, items.shape[1])
        if self.entity is not None:
            entities = entities + self.entity_gate * self.entity
        return items, entities

    def item_vectors(self, graph: Graph) -> Tensor:
        """Return A, [I, D + X]; [I, D] where nothing is written."""
        arrows = self._drawn()
        taken = _walked(*self.nodes(graph), arrows, self.to_entity, self.to_item, graph.items)
        if self.inputs is None:
            return taken
        texts, names = self.inputs(), self.inputs.entities()
        if names is None:
            names = texts.new_zeros(self.graph.num_entities, texts.shape[1])
        said = _walked(texts, names, arrows, self.said_of_entity, self.said_of_item, graph.items)
        gate, (warm, cold) = graph.gate[:, None], self.voice
        return torch.cat([gate * taken, (warm * gate + cold * (1 - gate)) * said], dim=1)

    @torch.no_grad()
    def relation_shares(self, graph: Graph) -> dict[str, float]:
        """Return how much of the attention of items each relation gets; the shares sum to one."""
        items, entities = self.nodes(graph)
        up, down = self._whole
        entities = entities + self.to_entity(items, entities, up)
        weights = self.to_item.attention(entities, items, down).double()
        summed = weights.new_zeros(len(self.graph.relations)).index_add(0, down.relation, weights)
        shares = (summed / summed.sum().clamp_min(1e-12)).tolist()
        return dict(zip(self.graph.relations, shares, strict=True))


def _walked(
    items: Tensor,
    entities: Tensor,
    arrows: tuple[Arrows, Arrows],
    up: RelationAttention,
    down: RelationAttention,
    rows: Tensor | None,
) -> Tensor:
    """Return items after a walk to their entities and back, rows of length 1, [I, D]."""
    entities = entities + up(items, entities, arrows[0])
    items = items + down(entities, items, arrows[1])
    return nn.functional.normalize(items if rows is None else items[rows], dim=1, eps=1e-6)
