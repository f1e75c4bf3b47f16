"""Measure what rejected items (dislikes, skips, low values) do to lists when they count.

    python examples/benchmarks/dislikes.py [--agents linear,collaborative] [--k 20] [--seed 2024]

Reads the graph of KGREC_HOME and writes nothing into it. Positive interactions and rejections are
both split 8:1:1 by chance. A team learns from the first part; the weights are chosen on the second
as `kgrec train` does it; on the third NDCG is measured over the wanted items, those with positive
interactions, and over the unwanted, those that the users rejected. `net` is their difference. Each
row is a weight, with the difference to a weight of 0 and its 95 % interval, users resampled.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from kgrec.config import load_settings
from kgrec.data.protocols import split_by_ratio
from kgrec.data.selection import Selection, kind_codes
from kgrec.graph import open_graph
from kgrec.graph.training_data import read_dataset
from kgrec.learning.fit_team import fit_team
from kgrec.learning.team_config import TeamConfig
from kgrec.metrics.intervals import intervals
from kgrec.metrics.ranking import hits_of, ndcg
from kgrec.metrics.validation import Objective, Validation
from kgrec.model.histories import Histories
from kgrec.model.rejection import RejectionWeights
from kgrec.schema import load_schema

WEIGHTS = (-1.0, -0.5, -0.25, -0.1, 0.1, 0.25, 0.5)


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n\n")[0])
    parser.add_argument("--agents", default="linear,collaborative")
    parser.add_argument("--k", type=int, default=20)
    parser.add_argument("--seed", type=int, default=2024)
    given = parser.parse_args()
    with open_graph(load_settings()) as store:
        whole = read_dataset(store, Selection(domain="movies"))
    ratios = (0.8, 0.1, 0.1)
    train, valid, test = split_by_ratio(whole.interactions, ratios, seed=given.seed)
    rejected, unwanted, unwanted_test = split_by_ratio(whole.rejected, ratios, seed=given.seed)
    data = replace(whole, interactions=train, rejected=rejected)
    config = TeamConfig(agents=tuple(given.agents.split(",")), seed=given.seed)
    team = fit_team(data, valid, config, unwanted=unwanted)
    print(f"{len(train):,} interactions, {len(rejected):,} rejected; shares {team.weights}")
    for kind, found in team.metrics["rejection"].items():
        print(
            f"chosen for {kind}: {found['weight']:+g}", {n: round(v, 4) for n, v in found.items()}
        )
    shape = data.num_users, data.num_items
    histories = Histories.of(train, *shape, rejected=rejected)
    queries = Validation(histories, test, Objective(k=given.k))
    bad = unwanted_test.matrix(*shape)[queries.users]

    def measured(weight: float) -> NDArray[np.float64]:
        kinds = [
            name
            for name, code in zip(names, kind_codes(names).tolist(), strict=True)
            if (rejected.kind == code).any()
        ]
        weights = RejectionWeights(dict.fromkeys(kinds, weight)) if weight else None
        top = queries.top(replace(team, rejection=weights).scores(queries.histories))
        right = np.diff(queries.truth.indptr).astype(np.int64)
        wanted = ndcg(hits_of(top, queries.truth), right, given.k)
        number = np.diff(bad.indptr).astype(np.int64)
        found = ndcg(hits_of(top, bad), np.maximum(number, 1), given.k)
        return np.stack([wanted, found, wanted - found])

    names = list(load_schema().core.interactions)
    plain = measured(0.0)
    print(f"weight 0: wanted {plain[0].mean():.4f}, unwanted {plain[1].mean():.4f}")
    for weight in WEIGHTS:
        gains = measured(weight) - plain
        cells = []
        for name, gain in zip(("wanted", "unwanted", "net"), gains, strict=True):
            [[low], [high]] = np.asarray(intervals(gain[:, None], seed=given.seed)).tolist()
            cells.append(f"{name} {gain.mean():+.4f} [{low:+.4f}, {high:+.4f}]")
        print(f"weight {weight:+g}: {', '.join(cells)}")


if __name__ == "__main__":
    main()
