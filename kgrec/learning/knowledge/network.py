"""Relation-aware attention over items, entities and links: the network of `knowledge`.

    h_e   = Z_e + up(Z)_e                  messages from items to their entities
    h_e   = h_e + g_e · across(h)_e        messages between linked entities, repeatedly
    h_i   = rownorm(Z_i + down(h)_i + g_i · beside(Z)_i)     from entities and linked items

where `up`, `down`, `across` and `beside` are `RelationConv`s and the weights `g` of the links are
learned. Two such passes:
one from interactions, Z_i = gate_i · E_i, and one from texts, Z_i = T x_i and Z_e = T x_e, with `x`
the sentence vectors of texts and names. An item is both,

    A_i   = [gate_i · h_i ; (g0 · gate_i + g1 · (1 - gate_i)) · h'_i]

with gate_i = deg_i / (deg_i + κ): a cold item is represented by its text and by those of its
entities and neighbours. Without texts, A_i = h_i. The loss is the cosine softmax of
`link_prediction`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from kgrec.learning.knowledge.relation_conv import RelationConv, TypedEdges
from kgrec.learning.knowledge.typed_graph import EdgeTable, TypedGraph
from kgrec.learning.link_prediction.convolution import Graph
from kgrec.learning.link_prediction.network import INIT_SCALE, HistoryNetwork, SentenceMap

# Not initialised to 0: a message over a link and back has the gradient of a square, 0 at 0.
LINK_WEIGHT = 0.5


@dataclass(frozen=True)
class StepEdges:
    """The typed edges of a step; links are None where the graph has none."""

    facts: TypedEdges
    entity_links: TypedEdges | None
    item_links: TypedEdges | None

    @classmethod
    def of(cls, graph: TypedGraph, device: str) -> StepEdges:
        """Copy all edges of a graph to the device."""

        def moved(table: EdgeTable) -> TypedEdges | None:
            return TypedEdges.of(table, device) if len(table) else None

        links = moved(graph.entity_links), moved(graph.item_links)
        return cls(TypedEdges.of(graph.facts, device), *links)


class TypedPass(nn.Module):
    """Messages from items to entities, among entities, and back to items.

    Args:
        graph: the graph, for its relations.
        size: size of the vectors, D.
        attention_dim, slow: see `RelationConv`.
    """

    def __init__(self, graph: TypedGraph, size: int, attention_dim: int, slow: float) -> None:
        super().__init__()
        self._graph, self._sizes = graph, (size, attention_dim, slow)
        relations = len(graph.facts.relations)
        self.up = RelationConv(relations, size, attention_dim, slow, to_rows=False)
        self.down = RelationConv(relations, size, attention_dim, slow, to_rows=True)
        self.across: RelationConv | None = None
        self.beside: RelationConv | None = None
        self.link_layers = 0

    def add_links(self, link_layers: int) -> None:
        """Add the layers of the links in the graph.

        They are initialised last, so that the other parameters do not depend on them.

        Args:
            link_layers: number of layers between linked entities, which share weights.
        """
        graph, self.link_layers = self._graph, link_layers
        if len(graph.entity_links) and link_layers:
            self.across = RelationConv(
                len(graph.entity_links.relations), *self._sizes, to_rows=True
            )
            self.entity_weight = nn.Parameter(torch.tensor(LINK_WEIGHT))
        if len(graph.item_links) and link_layers:
            self.beside = RelationConv(len(graph.item_links.relations), *self._sizes, to_rows=True)
            self.item_weight = nn.Parameter(torch.tensor(LINK_WEIGHT))

    def entities(self, items: Tensor, entities: Tensor, edges: StepEdges) -> Tensor:
        """Return h_e, [N, D], of item vectors, [I, D], and entity vectors, [N, D]."""
        entities = entities + self.up(items, entities, edges.facts)
        if self.across is not None and edges.entity_links is not None:
            for _ in range(self.link_layers):
                messages = self.across(entities, entities, edges.entity_links)
                entities = entities + self.entity_weight * messages
        return entities

    def forward(
        self, items: Tensor, entities: Tensor, edges: StepEdges, rows: Tensor | None
    ) -> Tensor:
        """Return h_i of all items or of some of them, rows of length 1, [I, D]."""
        messages = self.down(items, self.entities(items, entities, edges), edges.facts)
        if self.beside is not None and edges.item_links is not None:
            messages = messages + self.item_weight * self.beside(items, items, edges.item_links)
        items = items + messages
        return nn.functional.normalize(items if rows is None else items[rows], dim=1, eps=1e-6)


class KnowledgeNetwork(HistoryNetwork):
    """Item vectors from the entities that items share, from links and from texts.

    Args:
        graph: facts and links; at most `most_facts` of each are sampled in a step.
        gate: gate_i from all interactions, for steps over some of them, float32 [I].
        inputs: T x, of X dimensions; None without texts.
        embedding_dim: D.
        tau: temperature of the cosine.
        history_power: p.
        entity_kappa: number of facts at which an entity's own embedding has weight one half;
            None learns no embeddings of entities.
        attention_dim: d.
        slow: learning rate of relation parameters, as a factor of that of embeddings.
        link_layers: number of layers between linked entities; 0 uses no links.
        device: device of the tensors.
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
        link_layers: int,
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
        self.by_interactions = TypedPass(graph, embedding_dim, attention_dim, slow)
        self._keep("gate", gate)
        self.entity: nn.Parameter | None = None
        if entity_kappa is not None:
            self.entity = nn.Parameter(INIT_SCALE * torch.randn(graph.num_entities, embedding_dim))
            degree = torch.from_numpy(graph.facts.column_degree)
            self._keep("entity_gate", (degree / (degree + entity_kappa))[:, None])
        self.inputs = inputs
        passes = [self.by_interactions]
        if inputs is not None:
            self.by_text = TypedPass(graph, inputs.matrix.shape[1], attention_dim, slow)
            passes.append(self.by_text)
            # A cold item has its text alone, which therefore has a larger weight.
            self.text_weight = nn.Parameter(torch.tensor([0.7, 1.4]))
        for one in passes:
            one.add_links(link_layers)
        self.whole_edges = StepEdges.of(graph, device)
        self.to(device)

    def _keep(self, name: str, value: Tensor | None) -> None:
        self.register_buffer(name, value, persistent=False)

    def _sampled(self) -> StepEdges:
        """Return a sample of the edges in training, all edges in evaluation."""
        graph, most = self.graph, self.most_facts
        tables = graph.facts, graph.entity_links, graph.item_links
        if all(len(table) <= most for table in tables) or not torch.is_grad_enabled():
            return self.whole_edges
        facts, entity_links, item_links = (table.sample(most, self._rng) for table in tables)
        sampled = TypedGraph(facts, entity_links, item_links, graph.entities)
        return StepEdges.of(sampled, self.device)

    def get_extra_state(self) -> Tensor:
        """Return the state of the edge sampler for checkpoints, uint8."""
        state = json.dumps(self._rng.bit_generator.state).encode()
        return torch.frombuffer(bytearray(state), dtype=torch.uint8)

    def set_extra_state(self, state: Tensor) -> None:
        """Restore the state of the edge sampler."""
        self._rng.bit_generator.state = json.loads(bytes(state.tolist()))

    def base(self, graph: Graph) -> Tensor:
        """Return Z of the pass from interactions, float32 [I, D]."""
        items = self.nodes(graph)[0]
        return items if graph.items is None else items[graph.items]

    def nodes(self, graph: Graph) -> tuple[Tensor, Tensor]:
        """Return Z of the pass from interactions, of all items, [I, D], and entities, [N, D]."""
        gate = graph.gate
        if graph.items is not None:
            gate = self.gate.index_copy(0, graph.items, gate)
        items = gate[:, None] * self.item
        entities = items.new_zeros(self.graph.num_entities, items.shape[1])
        if self.entity is not None:
            entities = entities + self.entity_gate * self.entity
        return items, entities

    def item_vectors(self, graph: Graph) -> Tensor:
        """Return A, float32 [I, D + X]; [I, D] without texts."""
        edges = self._sampled()
        known: Tensor = self.by_interactions(*self.nodes(graph), edges, graph.items)
        if self.inputs is None:
            return known
        texts, names = self.inputs(), self.inputs.entities()
        if names is None:
            names = texts.new_zeros(self.graph.num_entities, texts.shape[1])
        written = self.by_text(texts, names, edges, graph.items)
        gate, (warm, cold) = graph.gate[:, None], self.text_weight
        return torch.cat([gate * known, (warm * gate + cold * (1 - gate)) * written], dim=1)

    @torch.no_grad()
    def relation_shares(self, graph: Graph) -> dict[str, float]:
        """Return the share of each relation in the attention of items; they sum to one."""
        items, entities = self.nodes(graph)
        edges, relations = self.whole_edges, self.graph.facts.relations
        entities = self.by_interactions.entities(items, entities, edges)
        weights = self.by_interactions.down.attention(items, entities, edges.facts).double()
        summed = weights.new_zeros(len(relations)).index_add(0, edges.facts.relation, weights)
        shares = (summed / summed.sum().clamp_min(1e-12)).tolist()
        return dict(zip(relations, shares, strict=True))

    def link_weights(self) -> dict[str, float]:
        """Return the learned weights of the links by kind; empty without links."""
        found = {}
        for name in ("entity_weight", "item_weight"):
            weight = getattr(self.by_interactions, name, None)
            if weight is not None:
                found[name.removesuffix("_weight")] = round(float(weight.detach()), 4)
        return found
