"""The torch-geometric layers against torch-geometric's own, forward and backward."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from kgrec.data.dataset import Dataset, Facts, Interactions
from kgrec.data.vocabulary import Vocabulary
from kgrec.export.pyg import to_hetero
from kgrec.learning.knowledge.relation_conv import RelationConv, TypedEdges
from kgrec.learning.knowledge.typed_graph import EdgeTable, TypedGraph
from kgrec.learning.link_prediction.convolution import Edges, Graph, HistoryConv
from kgrec.training.loop import seeded

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from torch_geometric.nn import HGTConv, LGConv

USERS, ITEMS, ENTITIES, DIM = 9, 7, 5, 6
RELATIONS = ("MADE_BY", "ABOUT", "NEAR")


def interactions() -> Edges:
    rng = np.random.default_rng(0)
    user, item = np.nonzero(rng.random((USERS, ITEMS)) < 0.4)
    return Edges(user, item, USERS, ITEMS)


def facts() -> EdgeTable:
    """Every relation between every second pair, no two edges of one pair and relation."""
    rng = np.random.default_rng(1)
    item, relation, entity = np.nonzero(rng.random((ITEMS, len(RELATIONS), ENTITIES)) < 0.5)
    confidence = np.ones(len(item), dtype=np.float32)
    dataset = Dataset(
        Vocabulary(()),
        Vocabulary(f"i{n}" for n in range(ITEMS)),
        Interactions.empty(),
        Vocabulary(f"e{n}" for n in range(ENTITIES)),
        Facts(item, relation, entity, confidence, RELATIONS),
    )
    graph = TypedGraph.of(to_hetero(dataset))
    assert len(graph.entities) == ENTITIES
    return graph.facts


def gradients(out: Tensor, inputs: list[Tensor]) -> list[Tensor]:
    weight = torch.linspace(-1, 1, out.numel()).view_as(out)
    return list(torch.autograd.grad((out * weight).sum(), inputs))


def test_a_history_convolution_is_two_light_graph_convolutions() -> None:
    edges = interactions()
    x = torch.randn(ITEMS, DIM, generator=torch.Generator().manual_seed(0), requires_grad=True)
    mine = HistoryConv()(x, Graph.of(edges, kappa=0.5))
    with torch.no_grad():  # in parts of some columns
        torch.testing.assert_close(HistoryConv(columns=4)(x, Graph.of(edges, kappa=0.5)), mine)
    to_item = torch.from_numpy(np.stack([edges.user, USERS + edges.item]))
    edge_index = torch.cat([to_item, to_item.flip(0)], dim=1)
    conv = LGConv()
    nodes = torch.cat([torch.zeros(USERS, DIM), x])
    theirs = conv(conv(nodes, edge_index), edge_index)[USERS:]
    torch.testing.assert_close(mine, theirs)
    torch.testing.assert_close(gradients(mine, [x]), gradients(theirs, [x]))


@pytest.mark.parametrize("to_rows", [True, False])
def test_a_relation_convolution_is_a_heterogeneous_graph_transformer(to_rows: bool) -> None:
    """Where its matrices are diagonal, and neither confidence nor degree has a say."""
    table = facts()
    edges = TypedEdges.of(table, "cpu")
    with seeded(3):
        mine = RelationConv(len(RELATIONS), DIM, DIM, slow=0.5, to_rows=to_rows)
        for parameter in (mine.relation_key, mine.relation_value):
            nn.init.normal_(parameter)
        nn.init.constant_(mine.hub, 1.0)  # 0.5 · 1 - 0.5: the degree cancels out
        items = torch.randn(ITEMS, DIM, requires_grad=True)
        entities = torch.randn(ENTITIES, DIM, requires_grad=True)
        theirs, kinds = transformer(mine, to_rows)
    row, column = torch.from_numpy(table.row), torch.from_numpy(table.column)
    index = {}
    for number, kind in enumerate(kinds):
        at = torch.from_numpy(np.flatnonzero(table.relation == number))
        index[kind] = torch.stack([column[at], row[at]] if to_rows else [row[at], column[at]])
    target, size = ("item", items) if to_rows else ("entity", entities)
    messages = mine(items, entities, edges)
    share = theirs.skip[target].sigmoid()
    expected = theirs({"item": items, "entity": entities}, index)[target]
    out = share * nn.functional.gelu(messages) + (1 - share) * size
    torch.testing.assert_close(out, expected, rtol=1e-4, atol=1e-5)
    inputs = [items, entities]
    torch.testing.assert_close(
        gradients(out, inputs), gradients(expected, inputs), rtol=1e-4, atol=1e-5
    )


def transformer(mine: RelationConv, to_rows: bool) -> tuple[HGTConv, list[tuple[str, str, str]]]:
    """Return an HGTConv with the weights of a relation convolution, and its edge types."""
    ends = ("entity", "item") if to_rows else ("item", "entity")
    kinds = [(ends[0], name, ends[1]) for name in RELATIONS]
    theirs = HGTConv(DIM, DIM, (["item", "entity"], kinds), heads=1)
    with torch.no_grad():
        for kind in ("item", "entity"):
            linear = theirs.kqv_lin.lins[kind]
            linear.weight.copy_(torch.cat([mine.key.T, mine.query.T, torch.eye(DIM)]))
            linear.bias.zero_()
            out = theirs.out_lin.lins[kind]
            out.weight.copy_(torch.eye(DIM))
            out.bias.zero_()
        for number, kind in enumerate(kinds):
            place = theirs.edge_types_map[kind]
            theirs.k_rel.weight[place].copy_(torch.diag(1 + 0.5 * mine.relation_key[number]))
            theirs.v_rel.weight[place].copy_(torch.diag(1 + 0.5 * mine.relation_value[number]))
    return theirs, kinds


@pytest.mark.parametrize("to_rows", [True, False])
def test_fused_messages_are_those_made_edge_by_edge(to_rows: bool) -> None:
    table = facts()
    edges = TypedEdges.of(table, "cpu")
    with seeded(4):
        conv = RelationConv(len(RELATIONS), DIM, 3, slow=0.5, to_rows=to_rows)
        for parameter in conv.parameters():
            nn.init.normal_(parameter)
        items = torch.randn(ITEMS, DIM, requires_grad=True)
        entities = torch.randn(ENTITIES, DIM, requires_grad=True)
    inputs = [items, entities, *conv.parameters()]
    fused = conv(items, entities, edges)
    conv.fuse = False
    apart = conv(items, entities, edges)
    torch.testing.assert_close(fused, apart)
    torch.testing.assert_close(gradients(fused, inputs), gradients(apart, inputs))
