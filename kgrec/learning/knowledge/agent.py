"""The knowledge agent: relation-aware attention over the typed graph of items and entities."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from pydantic import Field

from kgrec.data.dataset import FloatArray
from kgrec.errors import ModelError
from kgrec.export.pyg import HeteroData
from kgrec.learning.agent import FitContext, NothingToLearnError
from kgrec.learning.knowledge.network import KnowledgeNetwork
from kgrec.learning.knowledge.typed_graph import TypedGraph
from kgrec.learning.link_prediction.convolution import Graph
from kgrec.learning.link_prediction.network import HistoryNetwork, SentenceMap
from kgrec.learning.link_prediction.problem import HiddenEdges, HiddenEdgesConfig, UntilItStands
from kgrec.learning.sentence_vectors import Directions, directions_of
from kgrec.metrics.validation import Validation
from kgrec.model.folding.attention import AttentionFormula
from kgrec.model.folding.inductive import Inductive
from kgrec.model.kernel import Kernel, Source

_STANDARD_ERRORS = 2.0
_LINK_LAYERS = 2
"""What two entities are both linked with reaches one from the other over two layers."""


class KnowledgeConfig(HiddenEdgesConfig):
    """Settings of the knowledge agent.

    Attributes:
        entity_kappa: number of facts at which an entity's own embedding has weight one half; None
            learns no embeddings of entities, which are then means of their items.
        attention_dim: size of the queries and keys.
        slow: learning rate of relation parameters, as a factor of that of embeddings.
        slow_text: the same factor for the map of the sentence vectors.
        text_dim: maximum number of principal directions of the sentence vectors.
        whitening: whitening of the sentence vectors, as in `semantic`.
        max_names: maximum number of entity names that are added to an item's text, as in
            `semantic`.
        link_layers: number of message passing layers over entity links; item links have one
            layer; 0 uses no links. None fits with 0 and with 2, and keeps 2 only where it is better
            on the validation part by two standard errors; without a validation part it is 0.
        least_links: links per fact below which None stands for 0.
        most_facts: maximum number of facts, and of links, in a step; beyond it they are sampled.
    """

    reads_texts: ClassVar[bool] = True

    tau_choices: tuple[float, ...] = Field(default=(0.3,), min_length=1)
    embedding_dim: int = Field(default=64, ge=1)
    cold: float = Field(default=0.15, ge=0, lt=1)
    entity_kappa: float | None = Field(default=None, gt=0)
    attention_dim: int = Field(default=16, ge=1)
    slow: float = Field(default=0.1, gt=0)
    slow_text: float = Field(default=0.003, gt=0)
    text_dim: int = Field(default=128, ge=1)
    whitening: float = Field(default=0.5, ge=0, le=1)
    max_names: int = Field(default=24, ge=0)
    link_layers: int | None = Field(default=None, ge=0)
    least_links: float = Field(default=0.02, ge=0)
    most_facts: int = Field(default=30_000, ge=1)
    schedule: UntilItStands = UntilItStands()


class KnowledgeAgent:
    """Learns item vectors from the entities that items share and from their texts.

    Relational graph attention (Busbridge et al. 2019; the attention over relations towards
    recommendation is that of Wang et al. 2019, "KGAT") with these differences: there are no user
    vectors, a user is a history; user-item edges are not message edges, as in `collaborative`, but
    supervision edges alone; all edges of a share of the items are hidden in each step, so that
    vectors of cold items are trained as well.
    """

    name: ClassVar[str] = "knowledge"
    shares_batches: ClassVar[bool] = True
    Config: ClassVar[type[KnowledgeConfig]] = KnowledgeConfig

    def __init__(self, config: KnowledgeConfig | None = None) -> None:
        self.config = config or KnowledgeConfig()

    def fit(self, context: FitContext) -> Kernel:
        """Train the network and return its kernel; see `Agent.fit`."""
        held_out = context.held_out(self.config.objective)
        links, facts = context.train.links, context.train.facts
        count = len(links.of("entity", "entity")) + len(links.of("item", "item"))
        few = not count or count < self.config.least_links * len(facts)
        if self.config.link_layers is not None or few or held_out is None:
            return self.problem(context).fit()
        linked = self._with(_LINK_LAYERS, context.allot(2))
        try:
            bare = self._with(0, context)
        except NothingToLearnError:  # links alone connect the items
            return linked
        gain = context.workers.once(lambda: _gain(held_out, linked, bare))
        # Two trainings differ by chance too, beyond what the differences of the users show.
        return linked if gain > _STANDARD_ERRORS else bare

    def _with(self, link_layers: int, context: FitContext) -> Kernel:
        config = self.config.model_copy(update={"link_layers": link_layers})
        kernel = KnowledgeAgent(config).problem(context).fit()
        return replace(kernel, chosen={**kernel.chosen, "link_layers": link_layers})

    def problem(self, context: FitContext) -> KnownEdges:
        """Return the training problem of this data set."""
        config = self.config
        layers = config.link_layers or 0
        graph = TypedGraph.of(context.hetero, links=layers > 0)
        if not len(graph.facts):
            raise NothingToLearnError("the knowledge agent needs facts that items share")
        data, failure = _with_texts(context, graph, config)
        directions = _directions(data, graph)
        texts, names = _sentences(data, graph, config, directions)

        def build(tau: float) -> KnowledgeNetwork:
            inputs = None
            if texts is not None:
                inputs = SentenceMap(
                    texts, names, embedding_dim=config.text_dim, slow=config.slow_text
                )
            return KnowledgeNetwork(
                graph,
                problem.graph.gate,
                inputs,
                embedding_dim=config.embedding_dim,
                tau=tau,
                history_power=config.history_power,
                entity_kappa=config.entity_kappa,
                attention_dim=config.attention_dim,
                slow=config.slow,
                link_layers=layers,
                most_facts=config.most_facts,
                device=context.device,
            )

        reads: tuple[Source, ...] = ("interactions", "facts")
        if texts is not None:
            reads = (*reads, "texts")
        problem = KnownEdges(context, config, name=self.name, build=build, reads=reads)
        problem.failure, problem.directions = failure, directions
        return problem


def _gain(held_out: Validation, kernel: Kernel, other: Kernel) -> float:
    """Return how much better a kernel is than another, in standard errors over users."""
    one, two = (held_out.values(k.scores) for k in (kernel, other))
    error = float((one - two).std()) / np.sqrt(len(one))
    return float((one - two).mean() / max(error, 1e-12))


class KnownEdges(HiddenEdges):
    """The problem of hidden edges, with the attention of each relation in its kernel.

    Attributes:
        failure: why there are no text vectors, or empty.
        directions: of the sentence vectors, or None.
    """

    failure: str = ""
    directions: Directions | None = None

    @torch.no_grad()
    def kernel(self, network: HistoryNetwork, chosen: dict[str, float | int]) -> Kernel:
        """Return the kernel of a network over all edges, with `relations` in its notes."""
        kernel = super().kernel(network, chosen)
        if not isinstance(network, KnowledgeNetwork):
            return kernel
        notes: dict[str, Any] = {"relations": network.relation_shares(self.graph)}
        if network.link_weights():
            notes["links"] = network.link_weights()
        if self.failure:
            notes["texts"] = self.failure
        return replace(kernel, notes=notes)

    def inductive(self, network: HistoryNetwork) -> Inductive | None:
        """Return the formula of a cold item: attention over its entities, and its text."""
        config = self.config
        if not isinstance(network, KnowledgeNetwork) or not isinstance(config, KnowledgeConfig):
            return None
        mean = matrix = None
        if self.directions is not None:
            mean = self.directions.mean.astype(np.float32)
            matrix = self.directions.matrix(config.text_dim, config.whitening).astype(np.float32)
        return _attention_formula(network, self.graph, mean, matrix, config.max_names)


def _with_texts(
    context: FitContext, graph: TypedGraph, config: KnowledgeConfig
) -> tuple[HeteroData, str]:
    """Return the graph, and why its nodes lack text vectors where the encoder cannot be loaded."""
    try:
        return context.with_texts(config.max_names, graph.entities), ""
    except ModelError as error:  # the edges suffice for a kernel
        return context.hetero, f"not read: {error}"


def _directions(data: HeteroData, graph: TypedGraph) -> Directions | None:
    """Return the principal directions of item texts and entity names; None without texts."""
    if "x" not in data["item"]:
        return None
    texts, names = data["item"].x.cpu().numpy(), data["entity"].x.cpu().numpy()[graph.entities]
    return directions_of(np.concatenate([texts, names]))


def _sentences(
    data: HeteroData, graph: TypedGraph, config: KnowledgeConfig, directions: Directions | None
) -> tuple[FloatArray | None, FloatArray | None]:
    """Return sentence vectors of item texts and entity names, in one basis."""
    if directions is None:
        return None, None
    vectors = directions.project(config.text_dim, config.whitening)
    names = bool(data["entity"].x.cpu().numpy()[graph.entities].any())
    return vectors[: graph.num_items], vectors[graph.num_items :] if names else None


@torch.no_grad()
def _attention_formula(
    network: KnowledgeNetwork,
    graph: Graph,
    mean: FloatArray | None,
    directions: FloatArray | None,
    max_names: int,
) -> AttentionFormula:
    """Return the formula of a cold item in a trained network.

    Entities have the vectors that the items and links of the training give them. Links from item
    to item are left out.

    Args:
        graph: all edges.
        mean, directions: of the sentence vectors, [S] and [S, X']; None without texts.
        max_names: maximum number of entity names that are added to an item's text.
    """
    layers, items, entities = network.by_interactions, *network.nodes(graph)
    inputs, width, weight = network.inputs, 0, 1.0
    if inputs is not None:
        layers, items, names = network.by_text, inputs(), inputs.entities()
        width, weight = network.item.shape[1], float(network.text_weight[1])
        entities = items.new_zeros(len(entities), items.shape[1]) if names is None else names
    down, table = layers.down, network.graph.facts
    known = layers.entities(items, entities, network.whole_edges)

    def plain(tensor: torch.Tensor) -> FloatArray:
        return np.array(tensor.detach().cpu().numpy(), dtype=np.float32)

    return AttentionFormula(
        entities=plain(known),
        entity_rows=network.graph.entities,
        degree=np.log(np.maximum(table.column_degree, 1.0)).astype(np.float32),
        query=plain(down.query),
        key=plain(down.key),
        relation_key=plain(1 + down.slow * down.relation_key),
        relation_value=plain(1 + down.slow * down.relation_value),
        relation_bias=plain(down.slow * down.relation_bias),
        hub=float(down.slow * down.hub) - 0.5,
        tau=network.tau,
        cold_prior=float(network.cold_bias),
        width=width,
        weight=weight,
        mean=None if inputs is None else mean,
        directions=None if inputs is None else directions,
        map=None if inputs is None else plain(inputs.matrix),
        max_names=max_names,
    )
