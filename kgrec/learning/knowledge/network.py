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
import warnings
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from kgrec.learning.knowledge.typed_graph import TypedGraph
from kgrec.learning.link_prediction.network import INIT_SCALE, Graph, HistoryNetwork
from kgrec.learning.link_prediction.sentence_map import SentenceMap
from kgrec.training.sparse import (
    Pattern,
    inner_products,
    weighted_sum,
    weighted_sum_back,
)

with warnings.catch_warnings():
    # torch-geometric scripts some of its classes when it is imported, which torch deprecates.
    warnings.simplefilter("ignore")
    from torch_geometric.utils import softmax


@dataclass(frozen=True)
class TypedEdges:
    """Facts as a sparse matrix of items and ends, on the device.

    An end is an entity in a relation: what a relation does to an entity is reckoned once for each
    end, not once for each fact.

    Attributes:
        facts: places of the F facts, items by ends, [I, Q].
        end_entity, end_relation: of each end, int64 [Q].
        item, entity, relation: of each fact, int64 [F].
        item_degree, entity_degree: log of the facts that a fact's item and entity are in,
            float32 [F].
        confidence: log of the confidence, float32 [F].
    """

    facts: Pattern
    end_entity: Tensor
    end_relation: Tensor
    item: Tensor
    entity: Tensor
    relation: Tensor
    item_degree: Tensor
    entity_degree: Tensor
    confidence: Tensor

    @classmethod
    def of(cls, graph: TypedGraph, device: str) -> TypedEdges:
        relations = max(len(graph.relations), 1)
        ends, end = np.unique(graph.entity * relations + graph.relation, return_inverse=True)
        columns = (
            ends // relations,
            ends % relations,
            graph.item,
            graph.entity,
            graph.relation,
            np.log(graph.item_degree[graph.item]),
            np.log(graph.entity_degree[graph.entity]),
            np.log(graph.confidence),
        )
        facts = Pattern.of(graph.item, end, (graph.num_items, len(ends)), device)
        return cls(facts, *(torch.from_numpy(column).to(device) for column in columns))


class RelationAttention(nn.Module):
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
        into_items: whether entities speak to items, or items to entities.
    """

    def __init__(
        self,
        num_relations: int,
        embedding_dim: int,
        attention_dim: int,
        slow: float,
        *,
        into_items: bool,
    ) -> None:
        super().__init__()
        self.slow, self.into_items = slow, into_items
        start = embedding_dim**-0.5
        self.query = nn.Parameter(start * torch.randn(embedding_dim, attention_dim))
        self.key = nn.Parameter(start * torch.randn(embedding_dim, attention_dim))
        self.relation_key = nn.Parameter(torch.zeros(num_relations, attention_dim))
        self.relation_value = nn.Parameter(torch.zeros(num_relations, embedding_dim))
        self.relation_bias = nn.Parameter(torch.zeros(num_relations))
        self.hub = nn.Parameter(torch.zeros(()))

    def attention(self, items: Tensor, entities: Tensor, edges: TypedEdges) -> Tensor:
        """Return a, [F]: it sums to one over the edges into a target."""
        of_item, of_entity = self.key, self.query
        target, degree, size = edges.entity, edges.item_degree, len(entities)
        if self.into_items:
            of_item, of_entity = of_entity, of_item
            target, degree, size = edges.item, edges.entity_degree, len(items)
        ends = _scaled(entities @ of_entity, self.slow * self.relation_key, edges)  # [Q, d]
        alike = inner_products(edges.facts, items @ of_item, ends)
        logits = alike * self.query.shape[1] ** -0.5 + edges.confidence
        logits = logits + self.slow * self.relation_bias.index_select(0, edges.relation)
        logits = logits + (self.slow * self.hub - 0.5) * degree
        weights: Tensor = softmax(logits, target, num_nodes=size)
        return weights

    def forward(self, items: Tensor, entities: Tensor, edges: TypedEdges) -> Tensor:
        """Return what each target is told: items, [I, D], or entities, [N, D].

        Args:
            items: [I, D].
            entities: [N, D].
        """
        weight = self.attention(items, entities, edges)
        values = self.slow * self.relation_value
        if self.into_items:
            return weighted_sum(edges.facts, weight, _scaled(entities, values, edges))
        told = weighted_sum_back(edges.facts, weight, items)  # [Q, D]
        told = told * (1 + values).index_select(0, edges.end_relation)
        return torch.zeros_like(entities).index_add(0, edges.end_entity, told)


def _scaled(entities: Tensor, by_relation: Tensor, edges: TypedEdges) -> Tensor:
    """Return the entity of each end, its coordinates scaled by one plus the relation's, [Q, D]."""
    scale = (1 + by_relation).index_select(0, edges.end_relation)
    return scale * entities.index_select(0, edges.end_entity)


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

        def attention(size: int, *, into_items: bool) -> RelationAttention:
            return RelationAttention(relations, size, attention_dim, slow, into_items=into_items)

        self.to_entity = attention(embedding_dim, into_items=False)
        self.to_item = attention(embedding_dim, into_items=True)
        self._keep("gate", gate)
        self.entity: nn.Parameter | None = None
        if entity_kappa is not None:
            self.entity = nn.Parameter(INIT_SCALE * torch.randn(graph.num_entities, embedding_dim))
            degree = torch.from_numpy(graph.entity_degree)
            self._keep("entity_gate", (degree / (degree + entity_kappa))[:, None])
        self.inputs = inputs
        if inputs is not None:
            size = inputs.matrix.shape[1]
            self.said_of_entity = attention(size, into_items=False)
            self.said_of_item = attention(size, into_items=True)
            # An item that nobody has had stands on its text alone, so that speaks up.
            self.voice = nn.Parameter(torch.tensor([0.7, 1.4]))
        self._whole = TypedEdges.of(graph, device)
        self.to(device)

    def _keep(self, name: str, value: Tensor | None) -> None:
        self.register_buffer(name, value, persistent=False)

    def _drawn(self) -> TypedEdges:
        """Return the facts of a step, or all of them when no step is being learned."""
        if len(self.graph) <= self.most_facts or not torch.is_grad_enabled():
            return self._whole
        return TypedEdges.of(self.graph.sample(self.most_facts, self._rng), self.device)

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
        edges = self._drawn()
        taken = _walked(*self.nodes(graph), edges, self.to_entity, self.to_item, graph.items)
        if self.inputs is None:
            return taken
        texts, names = self.inputs(), self.inputs.entities()
        if names is None:
            names = texts.new_zeros(self.graph.num_entities, texts.shape[1])
        text_part = _walked(
            texts, names, edges, self.said_of_entity, self.said_of_item, graph.items
        )
        gate, (warm, cold) = graph.gate[:, None], self.voice
        return torch.cat([gate * taken, (warm * gate + cold * (1 - gate)) * text_part], dim=1)

    @torch.no_grad()
    def relation_shares(self, graph: Graph) -> dict[str, float]:
        """Return how much of the attention of items each relation gets; the shares sum to one."""
        items, entities = self.nodes(graph)
        edges = self._whole
        entities = entities + self.to_entity(items, entities, edges)
        weights = self.to_item.attention(items, entities, edges).double()
        summed = weights.new_zeros(len(self.graph.relations)).index_add(0, edges.relation, weights)
        shares = (summed / summed.sum().clamp_min(1e-12)).tolist()
        return dict(zip(self.graph.relations, shares, strict=True))


def _walked(
    items: Tensor,
    entities: Tensor,
    edges: TypedEdges,
    up: RelationAttention,
    down: RelationAttention,
    rows: Tensor | None,
) -> Tensor:
    """Return items after a walk to their entities and back, rows of length 1, [I, D]."""
    entities = entities + up(items, entities, edges)
    items = items + down(items, entities, edges)
    return nn.functional.normalize(items if rows is None else items[rows], dim=1, eps=1e-6)
