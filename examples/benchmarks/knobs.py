"""Measure what each knob costs in NDCG and what it brings.

    python examples/benchmarks/knobs.py [--users 300] [--k 10] [--only novelty …] [--seed 1]

Reads the graph of KGREC_HOME and writes nothing into it. The last fifth of the positive
interactions of each user, by time, is held out; a team of the linear agent alone learns from the
rest, for the live model has learned from everything. Each sampled user is queried with the
history that is left, by the code that serves. NDCG is over the items held out; the difference to
the plain list is a mean over the same users with a 95 % interval. Beside it stands what a knob is
for: `diversity` is the mean distance of the facts of two items of a list, `information` the mean
of -log2 of the share of users who had an item, `miscalibration` the divergence of the list's
genres from the history's (Steck 2018), `same` the most items of one director, `western` the mean
number of items of a group that is rare. `moved` is the share of shown items with a move on record.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from kgrec.config import load_settings
from kgrec.data.dataset import Dataset, IntArray
from kgrec.data.selection import Selection
from kgrec.graph import open_graph
from kgrec.graph.training_data import read_dataset
from kgrec.learning.fit_team import fit_team
from kgrec.learning.team_config import TeamConfig
from kgrec.metrics.beyond_accuracy import (
    intra_list_diversity,
    item_features,
    kinds_of,
    miscalibration,
)
from kgrec.metrics.ranking import ndcg
from kgrec.model.storage import save_model
from kgrec.retrieval.history import Event, as_history
from kgrec.retrieval.knobs import KnobOptions, Knobs
from kgrec.retrieval.live import LiveModel, LiveModels
from kgrec.retrieval.maker import QueryMaker
from kgrec.retrieval.reranking import picks
from kgrec.retrieval.snapshot import Snapshot, read_snapshot
from kgrec.retrieval.traits import Traits

HELD_OUT = 0.2
POOL = 10
Values = NDArray[np.float64]

SETTINGS: Mapping[str, tuple[float, KnobOptions]] = {
    # name: diversity, other knobs
    "plain": (0.0, {}),
    "diversity=.3 by model": (0.3, {}),
    "diversity=.3 by facts": (0.3, {"diversity_by": "facts"}),
    "diversity=.3 by text": (0.3, {"diversity_by": "text"}),
    "diversity=.7 by facts": (0.7, {"diversity_by": "facts"}),
    "novelty=.1": (0.0, {"novelty": 0.1}),
    "novelty=.3": (0.0, {"novelty": 0.3}),
    "novelty=.6": (0.0, {"novelty": 0.6}),
    "calibration=.3 by genre": (0.0, {"calibration": 0.3, "calibrate_by": "genre"}),
    "calibration=.7 by genre": (0.0, {"calibration": 0.7, "calibrate_by": "genre"}),
    "calibration=.95 by genre": (0.0, {"calibration": 0.95, "calibrate_by": "genre"}),
    "quota=director:1": (0.0, {"quota": ["director:1"]}),
    "quota=genre:4": (0.0, {"quota": ["genre:4"]}),
    "floor=genre=Western:1": (0.0, {"floor": ["genre=Western:1"]}),
    "floor=genre=Western:3": (0.0, {"floor": ["genre=Western:3"]}),
}


def main() -> None:
    """Hold out, learn, measure each setting, and print a table."""
    options = _options()
    settings = load_settings()
    with open_graph(settings) as store, tempfile.TemporaryDirectory() as folder:
        data = read_dataset(store, Selection(domain=options.domain))
        train, held = split(data)
        begun = time.perf_counter()
        config = TeamConfig.model_validate(
            {"agents": ("linear",), "coordinator": {"gate": {"use": "never"}}}
        )
        team = fit_team(train, None, config)
        known = replace(team, config={"selection": Selection(domain=options.domain).model_dump()})
        print(f"{data.num_users} users, {data.num_items} items, {len(train.interactions)} to learn")
        print(
            f"from, {sum(map(len, held))} held out; fitted in {time.perf_counter() - begun:.0f} s"
        )
        live = LiveModels(store, Path(folder)).get(save_model(known, Path(folder)).model_id)
        users = np.flatnonzero([bool(len(rows)) for rows in held])
        some = np.random.default_rng(options.seed).permutation(users)[: options.users]
        bench = Bench(QueryMaker(store, "memory"), live, read_snapshot(store), train, held, some)
        plain: Values | None = None
        print(f"{'':26}  NDCG@{options.k}  difference         diversity information", end=" ")
        print("miscalibration same western moved   ms")
        for name, (diversity, more) in SETTINGS.items():
            if name != "plain" and not any(word in name for word in options.only):
                continue
            gains, others = bench.measure(Knobs.of(options.k, (), diversity, more))
            plain = gains if plain is None else plain
            change = gains - plain
            error = 1.96 * change.std(ddof=1) / np.sqrt(len(change))
            print(
                f"{name:26}  {gains.mean():.4f}  {change.mean():+.4f} ± {error:.4f}  "
                f"{others['diversity']:9.3f} {others['information']:11.2f} "
                f"{others['miscalibration']:14.3f} {others['same']:4.2f} {others['western']:7.2f} "
                f"{others['moved']:5.2f} {others['ms']:4.1f}",
                flush=True,
            )


def split(data: Dataset) -> tuple[Dataset, list[IntArray]]:
    """Return what is left, and the rows of the items held out of each user, the last by time."""
    all_ = data.interactions
    order = np.lexsort((all_.item, all_.at, all_.user))
    counts = np.bincount(all_.user, minlength=data.num_users)
    place = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    late = place >= np.repeat(counts - np.floor(HELD_OUT * counts).astype(np.int64), counts)
    test = all_.take(order[late])
    held = [test.item[test.user == user] for user in range(data.num_users)]
    return replace(data, interactions=all_.take(order[~late])), held


class Bench:
    """Makes the lists of some users and measures them."""

    def __init__(
        self,
        queries: QueryMaker,
        live: LiveModel,
        snapshot: Snapshot,
        train: Dataset,
        held: Sequence[IntArray],
        users: IntArray,
    ) -> None:
        self.queries, self.live, self.snapshot = queries, live, snapshot
        self.traits = Traits(queries.store, live, snapshot)
        self.train, self.held, self.users = train, held, users
        self.histories = [self._history(user) for user in users.tolist()]
        count = np.asarray(train.matrix().astype(bool).sum(axis=0)).ravel()
        self.information = -np.log2(np.maximum(count, 1) / train.num_users)
        features, kinds = item_features(train), kinds_of(train, "HAS_GENRE")
        assert features is not None
        assert kinds is not None
        self.features, self.kinds = features[1], kinds[1]
        everyone = np.array([e.partition(":")[2] for e in train.entities.ids])
        western = train.facts.item[everyone[train.facts.entity] == "western"]
        self.western = np.isin(np.arange(train.num_items), western)
        directed = train.facts.relations.index("DIRECTED_BY")
        own = train.facts.relation == directed
        shape = (train.num_items, len(train.entities))
        pairs = (train.facts.item[own], train.facts.entity[own])
        self.directors = sp.csr_matrix((np.ones(own.sum()), pairs), shape=shape).astype(bool)

    def measure(self, knobs: Knobs) -> tuple[Values, dict[str, float]]:
        """Return the NDCG of each user, and the means of the rest."""
        top = np.full((len(self.users), knobs.k), -1, dtype=np.int64)
        moved, times = [], []
        for n, history in enumerate(self.histories):
            begun = time.perf_counter()
            query = self.queries.make(
                self.live, history, knobs, "user", snapshot=self.snapshot, traits=self.traits
            )
            shown = picks(query, POOL)
            times.append(time.perf_counter() - begun)
            rows = query.scored.rows[[pick.position for pick in shown]]
            top[n, : len(rows)] = rows
            moved += [bool(pick.steps) for pick in shown]
        wanted = [self.held[user] for user in self.users]
        hits = np.array([np.isin(row, items) for row, items in zip(top, wanted, strict=True)])
        right = np.array([len(items) for items in wanted])
        past = self.train.matrix()[self.users]
        same = [float(self.directors[row[row >= 0]].sum(axis=0).max()) for row in top]
        others = {
            "diversity": np.nanmean(intra_list_diversity(top, self.features)),
            "information": self.information[top[top >= 0]].mean(),
            "miscalibration": np.nanmean(miscalibration(top, past, self.kinds)),
            "same": np.mean(same),
            "western": self.western[top].sum(axis=1, where=top >= 0).mean(),
            "moved": np.mean(moved),
            "ms": 1000 * float(np.median(times)),
        }
        return ndcg(hits, right, knobs.k), {name: float(value) for name, value in others.items()}

    def _history(self, user: int) -> Any:
        done = self.train.interactions
        mine = np.flatnonzero(done.user == user)
        mine = mine[np.lexsort((done.item[mine], -done.at[mine]))]
        ids = self.train.items.take(done.item[mine])
        columns = (done.value[mine].tolist(), done.at[mine].tolist())
        events = [Event(i, "", "rating", v, at) for i, v, at in zip(ids, *columns, strict=True)]
        now = int(done.at[mine].max(initial=0)) + 1
        return as_history(events, self.live.team.items, self.live.selection, query_time=now)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--users", type=int, default=300)
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--only", nargs="+", default=[""], help="settings that hold these words")
    parser.add_argument("--domain", default="movies")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
