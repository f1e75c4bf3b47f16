"""Show that filters select what brute force selects, in memory and in the graph.

    python examples/benchmarks/filters.py [--draws 2000] [--lists 200] [--seed 1]

Draws expressions of conditions, ranges, alternatives and paths of two hops over a graph with a live
model, as `make demo` leaves one in `.kgrec`, and compares the items that pass by the catalogue in
memory, by Cypher, and by plain Python over facts that were exported edge by edge. For some draws
both retrievals make a list, which must hold min(k, number of unseen items that pass) of these.
Prints counts and times; exits with 1 on a difference.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from kgrec.config import load_settings
from kgrec.graph import open_graph
from kgrec.graph.pages import user_pages
from kgrec.retrieval.filters import parse_filter, passing, passing_of
from kgrec.retrieval.recommender import Recommender, RecommenderConfig
from kgrec.retrieval.snapshot import read_snapshot

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
from filter_draws import Facts, draw


def main() -> None:
    """Draw, compare, and print one JSON object."""
    options = _options()
    rng = np.random.default_rng(options.seed)
    settings = load_settings()
    report: dict[str, Any] = {"draws": options.draws, "different": 0, "lists": 0, "short": 0}
    times: dict[str, list[float]] = {"memory": [], "graph": []}
    sizes = []
    with open_graph(settings) as store:
        facts, snapshot = Facts.read(store, options.domain), read_snapshot(store)
        report |= {"items": len(facts.every), "two_hops": len(facts.over)}
        ids = np.array(snapshot.nodes["item"].ids)
        users = [user for page in user_pages(store) for user in page["ids"]]
        recommenders = [
            Recommender(
                store,
                settings.home / "models",
                RecommenderConfig.model_validate({"retrieval": retrieval}),
                resident=retrieval == "memory",
            )
            for retrieval in ("memory", "graph")
        ]
        known = set(recommenders[0].live.current().team.items.ids)
        for recommender in recommenders:
            recommender.warm_up()
        for number in range(options.draws):
            text, expected = draw(rng, facts)
            filters = [parse_filter(text, options.domain)]
            begun = time.perf_counter()
            mask = passing_of(snapshot, filters)
            times["memory"].append(time.perf_counter() - begun)
            begun = time.perf_counter()
            read = passing(store, filters)
            times["graph"].append(time.perf_counter() - begun)
            kept = set() if mask is None else set(ids[mask].tolist())
            if kept != expected or read != expected:
                report["different"] += 1
                report.setdefault("examples", []).append(text)
            sizes.append(len(expected))
            if number % max(options.draws // max(options.lists, 1), 1):
                continue
            user, k = str(rng.choice(users)), int(rng.integers(1, 40))
            for recommender in recommenders:
                found = recommender.recommend(user, k, filters=[text])
                seen = {event.item_id for event in recommender.state(user).interactions or ()}
                left = (expected & known) - seen
                items = {item.item_id for item in found.items}
                report["lists"] += 1
                report["different"] += not items <= expected
                report["short"] += found.fallback is None and len(items) != min(k, len(left))
    report["passing_median"] = statistics.median(sizes)
    report["median_ms"] = {n: round(statistics.median(t) * 1000, 2) for n, t in times.items()}
    json.dump(report, sys.stdout, indent=2)
    print()
    sys.exit(bool(report["different"] or report["short"]))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--lists", type=int, default=200, help="draws that make lists as well")
    parser.add_argument("--domain", default="movies")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
