"""Any torch-geometric module as an agent: GraphSAGE over users, items and entities.

    python examples/sage_agent.py FOLDER

FOLDER holds atomic files with a split, such as `NAME.train.inter`; printed is what the team finds.
"""

import sys
from pathlib import Path

from torch import Tensor, nn
from torch_geometric.data import HeteroData
from torch_geometric.nn import HeteroConv, SAGEConv

from kgrec.data.atomic import read_folder
from kgrec.evaluation.measure import HeldOutQueries, measure
from kgrec.learning.fit_team import fit_team
from kgrec.learning.link_prediction.module_agent import ModuleAgent
from kgrec.learning.registry import register
from kgrec.learning.team_config import TeamConfig

EdgeType = tuple[str, str, str]


class Sage(nn.Module):
    """Two layers of GraphSAGE, one SAGEConv for each edge type and direction."""

    def __init__(self, kinds: list[EdgeType], dim: int) -> None:
        super().__init__()
        layers = [{kind: SAGEConv((dim, dim), dim) for kind in kinds} for _ in range(2)]
        self.layers = nn.ModuleList(HeteroConv(convs, aggr="mean") for convs in layers)

    def forward(self, x: dict[str, Tensor], edges: dict[EdgeType, Tensor]) -> dict[str, Tensor]:
        for layer in self.layers:
            x = x | {kind: x[kind] + out for kind, out in layer(x, edges).items()}
        return x


@register
class SageAgent(ModuleAgent):
    """The agent: a name, and the module that it trains."""

    name = "sage"

    def module(self, data: HeteroData, embedding_dim: int) -> nn.Module:
        back = [(tail, f"{relation}~", head) for head, relation, tail in data.edge_types]
        return Sage([*data.edge_types, *back], embedding_dim)


if __name__ == "__main__":
    split = read_folder(Path(sys.argv[1]))
    team = fit_team(split.train, split.valid, TeamConfig(agents=("linear", "sage")))
    found = measure(team, HeldOutQueries(split, "train", (10,)))
    print("shares:", team.metrics["weights"])
    print("recall@10:", found.ranking.at[10]["recall"].mean)
