"""Time the graph layers, forward and backward, beside torch-geometric's own and an older checkout.

    python examples/benchmarks/graph_layers.py DATA [--before CHECKOUT] [--rounds 40]

DATA is a folder of atomic files with a `.kg` and a `.link`. CHECKOUT is a working tree of a commit
that has `kgrec/agents/convolution.py` and `kgrec/agents/relational.py`; both trees are loaded into
one process and take turns, so that what else the machine does falls on both alike. Printed are
medians in milliseconds, and the median of the ratios of neighbouring rounds.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import torch

from kgrec.data.atomic import read_folder
from kgrec.export.pyg import HeteroData, to_hetero
from kgrec.learning.knowledge.relation_conv import RelationConv, TypedEdges
from kgrec.learning.knowledge.typed_graph import TypedGraph
from kgrec.learning.link_prediction.convolution import Edges, Graph, HistoryConv

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from torch_geometric.nn import HGTConv, LGConv

HISTORY_DIM, ENTITY_DIM, ATTENTION_DIM, SLOW = 128, 64, 16, 0.1
Layer = Callable[[], torch.Tensor]


def before(checkout: Path, *names: str) -> list[ModuleType]:
    """Import modules of another checkout beside those that are loaded."""
    ours = {name: module for name, module in sys.modules.items() if name.split(".")[0] == "kgrec"}
    for name in ours:
        del sys.modules[name]
    sys.path.insert(0, str(checkout))
    found = [importlib.import_module(name) for name in names]
    sys.path.pop(0)
    for name in [name for name in sys.modules if name.split(".")[0] == "kgrec"]:
        del sys.modules[name]
    sys.modules.update(ours)
    return found


def history_layers(data: HeteroData, checkout: Path | None) -> dict[str, Layer]:
    """Return the convolutions over users."""
    edges = Edges.of_graph(data)
    x = torch.randn(edges.num_items, HISTORY_DIM, requires_grad=True)
    graph, conv = Graph.of(edges, 0.5), HistoryConv()
    user, item = torch.from_numpy(edges.user), torch.from_numpy(edges.item) + edges.num_users
    both = torch.stack([torch.cat([user, item]), torch.cat([item, user])])
    reference, users = LGConv(), torch.zeros(edges.num_users, HISTORY_DIM)

    def theirs() -> torch.Tensor:
        return reference(reference(torch.cat([users, x]), both), both)[edges.num_users :]

    layers: dict[str, Layer] = {"HistoryConv": lambda: conv(x, graph), "2 × LGConv": theirs}
    if checkout is not None:
        [module] = before(checkout, "kgrec.agents.convolution")
        old = module.Graph.of(
            module.Edges(edges.user, edges.item, edges.num_users, edges.num_items), 0.5
        )
        layers["before"] = lambda: module.convolve(old, x)
    return layers


def relation_layers(data: HeteroData, checkout: Path | None) -> dict[str, Layer]:
    """Return the attention along facts, to entities and back to items."""
    table = TypedGraph.of(data).facts
    relations = len(table.relations)
    items = torch.randn(table.size[0], ENTITY_DIM, requires_grad=True)
    entities = torch.randn(table.size[1], ENTITY_DIM, requires_grad=True)
    edges = TypedEdges.of(table, "cpu")
    up, down = (
        RelationConv(relations, ENTITY_DIM, ATTENTION_DIM, SLOW, to_rows=rows)
        for rows in (False, True)
    )

    def ours() -> torch.Tensor:
        return down(items, entities + up(items, entities, edges), edges)

    kinds = [("item", f"r{n}", "entity") for n in range(relations)]
    back = [("entity", f"r{n}~", "item") for n in range(relations)]
    reference = HGTConv(ENTITY_DIM, ENTITY_DIM, (["item", "entity"], [*kinds, *back]))
    index = {}
    for number, (kind, way_back) in enumerate(zip(kinds, back, strict=True)):
        rows = np.flatnonzero(table.relation == number)
        pair = torch.from_numpy(np.stack([table.row[rows], table.column[rows]]))
        index[kind], index[way_back] = pair, pair.flip(0)

    def theirs() -> torch.Tensor:
        nodes = {"item": items, "entity": entities}
        nodes = {"item": items, "entity": reference(nodes, index)["entity"]}
        return reference(nodes, index)["item"]

    layers: dict[str, Layer] = {"RelationConv": ours, "2 × HGTConv": theirs}
    if checkout is not None:
        layers["before"] = old_relations(data, checkout, items, entities)
    return layers


def old_relations(
    data: HeteroData, checkout: Path, items: torch.Tensor, entities: torch.Tensor
) -> Layer:
    """Return the same attention as the older checkout has it."""
    [module] = before(checkout, "kgrec.agents.relational")
    table = TypedGraph.of(data).facts
    graph = module.TypedGraph(
        table.row,
        table.relation,
        table.column,
        table.confidence,
        np.arange(table.size[1]),
        table.row_degree,
        table.column_degree,
        table.relations,
    )
    edges = module.TypedEdges.of(graph, "cpu")
    up, down = (
        module.RelationAttention(
            len(table.relations), ENTITY_DIM, ATTENTION_DIM, SLOW, into_items=into
        )
        for into in (False, True)
    )
    return lambda: down(items, entities + up(items, entities, edges), edges)


def compare(title: str, layers: dict[str, Layer], rounds: int) -> None:
    """Time forward and backward in turns, and print."""
    spent: dict[str, list[float]] = {name: [] for name in layers}
    for _ in range(rounds + 3):
        for name, layer in layers.items():
            begun = time.perf_counter()
            layer().sum().backward()
            spent[name].append(1000 * (time.perf_counter() - begun))
    times = {name: np.array(values[3:]) for name, values in spent.items()}
    ours = next(iter(times.values()))
    print(title)
    for name, values in times.items():
        ratio = float(np.median(values / ours))
        print(f"  {name:14} {np.median(values):8.2f} ms   {ratio:5.2f} of the first")


def main() -> None:
    """Compare both layers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--before", type=Path)
    parser.add_argument("--rounds", type=int, default=40)
    options = parser.parse_args()
    data = to_hetero(read_folder(options.data).train)
    compare("convolution over users", history_layers(data, options.before), options.rounds)
    compare("attention along facts", relation_layers(data, options.before), options.rounds)


if __name__ == "__main__":
    main()
