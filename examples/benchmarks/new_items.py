"""New items: from POST to the first recommendation, and how well they are recommended.

    python examples/benchmarks/new_items.py prepare OUT [--agents semantic,knowledge]
    python examples/benchmarks/new_items.py measure OUT
    python examples/benchmarks/new_items.py text [--title … --description …]

`prepare` reads the graph of KGREC_HOME, less the items that nobody liked, holds a tenth of the
items out (and a tenth to choose on) as `kgrec evaluate --graph --protocol cold-item` does, measures
a team that knew the held-out items when it was trained, without interactions, and trains a second
one without them. `measure` takes them, and all interactions but those of the training, out of the
graph, publishes the second team, posts the items to a server as JSON lines, and requests lists for
the same users. Both change the graph: give them a copy of a home. `text` posts one item by its text
alone to a server over KGREC_HOME, and requests lists until one of the users has it in theirs.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from kgrec.config import load_settings
from kgrec.data.atomic import SplitDataset
from kgrec.data.dataset import Dataset
from kgrec.data.protocols import ProtocolConfig
from kgrec.data.selection import Selection
from kgrec.data.vocabulary import Vocabulary
from kgrec.evaluation.held_out import DataConfig, read_split
from kgrec.evaluation.measure import HeldOutQueries, measure
from kgrec.graph import open_graph
from kgrec.graph.store import GraphStore
from kgrec.graph.training_data import read_dataset
from kgrec.learning.fit_team import fit_team
from kgrec.learning.team_config import TeamConfig, encoder_of
from kgrec.model.storage import save_model

K = 10
COLUMNS = {
    "HAS_GENRE": "genres",
    "HAS_KEYWORD": "keywords",
    "DIRECTED_BY": "director",
    "STARS": "actors",
}
"""Fields of a posted item, by the relation type that a table states with them."""


def split_of(store: GraphStore, seed: int) -> SplitDataset:
    """Return the graph with the interactions of a tenth of the items held out."""
    config = DataConfig(graph=Selection(domain="movies"), protocol=ProtocolConfig(name="cold-item"))
    return read_split(config, seed=seed, store=store)


def without(data: Dataset, rows: np.ndarray[Any, np.dtype[np.int64]]) -> Dataset:
    """Return a data set that does not know some items."""
    kept = np.setdiff1d(np.arange(data.num_items), rows)
    place = np.full(data.num_items, -1, dtype=np.int64)
    place[kept] = np.arange(len(kept))
    facts, links, done = data.facts, data.links, data.interactions
    known = place[facts.item] >= 0
    if len(links.of("item", "item")):
        links = links.of("entity", "entity")
    done = done.take(place[done.item] >= 0)
    return replace(
        data,
        items=Vocabulary(data.items.take(kept)),
        interactions=replace(done, item=place[done.item]),
        facts=replace(
            facts,
            item=place[facts.item[known]],
            relation=facts.relation[known],
            entity=facts.entity[known],
            confidence=facts.confidence[known],
        ),
        item_texts=tuple(data.item_texts[row] for row in kept.tolist()),
        links=links,
    )


def prepare(out: Path, agents: tuple[str, ...], seed: int) -> None:
    """Fit both teams; the second is saved, with what `measure` needs."""
    settings = load_settings()
    with open_graph(settings) as store:
        known = read_dataset(store, Selection(domain="movies"))
        count = np.bincount(known.interactions.item, minlength=known.num_items)
        for each in known.items.take(np.flatnonzero(count == 0)):
            store.write("serving/delete_item", item_id=each)
        data = split_of(store, seed)
    assert data.cold is not None
    config = TeamConfig(agents=agents, seed=seed)
    encode = encoder_of(config, cache_dir=settings.home / "cache" / "vectors")
    queries = HeldOutQueries(data, "train", (K,), None, seed)
    out.mkdir(parents=True, exist_ok=True)
    items, cold = data.train.items, data.cold
    users = data.train.users
    test = data.test
    wanted: dict[str, list[str]] = {}
    for user, item in zip(test.user.tolist(), test.item.tolist(), strict=True):
        wanted.setdefault(users.id(user), []).append(items.id(item))
    kept = data.train.interactions
    pairs = [[users.id(u), items.id(i)] for u, i in zip(kept.user, kept.item, strict=True)]
    about = {"cold": items.take(cold), "wanted": wanted, "kept": pairs, "seed": seed}
    (out / "split.json").write_text(json.dumps(about))
    begun = time.perf_counter()
    few = without(data.train, cold)
    place = np.full(len(items), -1, dtype=np.int64)
    place[items.rows(few.items.ids)] = np.arange(few.num_items)
    valid = replace(data.valid, item=place[data.valid.item])
    team = fit_team(few, valid, config, encode=encode)
    team = replace(
        team, config={**team.config, "selection": Selection(domain="movies").model_dump()}
    )
    record = save_model(team, out / "models")
    spent = time.perf_counter() - begun
    print(json.dumps({"without": {"model_id": record.model_id, "weights": team.weights,
                      "validation": team.metrics["validation"], "ranker": team.metrics["ranker"],
                      "seconds": spent}}), flush=True)  # fmt: skip
    begun = time.perf_counter()
    whole = fit_team(data.train, data.valid, config, encode=encode)
    found = measure(whole, queries)
    figures = {name: one.mean for name, one in found.ranking.at[K].items()}
    offline = {"figures": figures, "weights": whole.weights,
               "seconds": time.perf_counter() - begun}  # fmt: skip
    (out / "offline.json").write_text(json.dumps(offline))
    print(json.dumps({"offline": offline}), flush=True)


def main() -> None:
    """Read the options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parts = parser.add_subparsers(dest="part", required=True)
    one = parts.add_parser("prepare")
    one.add_argument("out", type=Path)
    one.add_argument("--agents", default="semantic,knowledge")
    one.add_argument("--seed", type=int, default=2024)
    given = parser.parse_args()
    if given.part == "prepare":
        prepare(given.out, tuple(given.agents.split(",")), given.seed)


if __name__ == "__main__":
    main()
