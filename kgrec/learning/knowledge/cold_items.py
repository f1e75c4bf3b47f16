"""What the knowledge agent's network computes of an item without interactions, for NumPy."""

from __future__ import annotations

import numpy as np
import torch

from kgrec.data.dataset import FloatArray
from kgrec.learning.knowledge.network import KnowledgeNetwork
from kgrec.learning.link_prediction.convolution import Graph
from kgrec.model.folding.attention import AttentionFormula


@torch.no_grad()
def attention_formula(
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
