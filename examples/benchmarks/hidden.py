"""Hide items while lists are requested, and count the lists that show a hidden one.

    python examples/benchmarks/hidden.py --requests 100000 [--max-time 3600]

It plants a catalogue in an embedded graph of its own, changes the availability of some items
every few requests (hidden, not yet available, expired, shown again), and requests lists in every
way: for users with and without a history, visitors, histories and items, popular ones, next pages,
with filters and knobs, from memory and from the graph, with the catalogue in memory up to date or
not. Most requests go without reasons, which no availability depends on, and to memory.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from planted import item_id, planted, user_id  # noqa: E402 - of the tests

from kgrec.config import Settings  # noqa: E402
from kgrec.graph import open_graph  # noqa: E402
from kgrec.graph.store import GraphStore  # noqa: E402
from kgrec.retrieval.recommender import Recommender, RecommenderConfig  # noqa: E402
from kgrec.retrieval.records import RecommendationList  # noqa: E402
from kgrec.retrieval.visitor import Visitor  # noqa: E402

ITEMS, USERS, CHANGED = 160, 60, 12


PROGRESS = 2_000
ODDS = {"memory": 0.7, "no snapshot": 0.15, "graph": 0.15}
REASONED = 0.05


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=2_000)
    parser.add_argument("--each", type=int, default=25, help="requests between two changes")
    parser.add_argument("--max-time", type=float, default=7_200.0, help="seconds at most")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    with tempfile.TemporaryDirectory(prefix="kgrec-hidden-") as folder:
        settings = Settings(home=Path(folder), graph_uri=None)
        with open_graph(settings) as store:
            live = planted(store, settings.home / "models", users=USERS, items=ITEMS)
            ways = Ways(store, live.models)
            hidden: dict[str, dict[str, object]] = {}
            done, begun = 0, time.perf_counter()
            while done < options.requests and time.perf_counter() - begun < options.max_time:
                hidden = change(rng, hidden)
                rows = [{"item_id": i, "properties": p} for i, p in hidden.items()]
                store.write("ingest/set_items", rows=rows)
                now_hidden = {i for i, p in hidden.items() if any_set(p)}
                for _ in range(min(options.each, options.requests - done)):
                    ways.one(rng, now_hidden)
                    done += 1
                if done % PROGRESS < options.each:
                    print(f"{done}: {ways.summary()}", file=sys.stderr, flush=True)
    seconds = time.perf_counter() - begun
    print(f"{done} requests in {seconds:.0f} s: {ways.summary()}")
    print(f"by way: {dict(sorted(ways.requests.items()))}")
    print(f"requests to memory with a snapshot up to date: {ways.fresh}")
    if ways.wrong or not ways.allowed:
        raise SystemExit(1)


class Ways:
    """Every way to request a list, and what was shown by each."""

    def __init__(self, store: GraphStore, models: Path) -> None:
        graph = RecommenderConfig(retrieval="graph")
        self._plain = {
            "memory": Recommender(store, models, RecommenderConfig(sources=0), resident=True),
            "no snapshot": Recommender(store, models, RecommenderConfig(sources=0)),
            "graph": Recommender(store, models, graph.model_copy(update={"sources": 0})),
        }
        self._reasoned = {
            "memory": Recommender(store, models, resident=True),
            "no snapshot": Recommender(store, models),
            "graph": Recommender(store, models, graph),
        }
        for each in (self._plain, self._reasoned):
            each["memory"].warm_up()
        self.requests: Counter[str] = Counter()
        self.wrong: Counter[str] = Counter()
        self.allowed = 0
        self.fresh = 0

    def one(self, rng: np.random.Generator, hidden: set[str]) -> None:
        """Request one list, and count what it shows."""
        name = str(rng.choice(list(ODDS), p=list(ODDS.values())))
        recommender = (self._reasoned if rng.random() < REASONED else self._plain)[name]
        if name == "memory" and self.requests[name] % 50 == 0:
            self.fresh += recommender.state().snapshot is not None
        self.requests[name] += 1
        way, found = request(rng, recommender)
        self.requests[way] += 1
        shown = [item.item_id for item in found.items]
        self.wrong[f"{name}, {way}"] += (bad := len(hidden.intersection(shown)))
        self.allowed += len(shown) - bad
        self.wrong = +self.wrong

    def summary(self) -> str:
        """Return how many items were shown, and how many of them were hidden."""
        return f"{self.allowed} items shown, {self.wrong.total()} hidden ones {dict(self.wrong)}"


def change(
    rng: np.random.Generator, hidden: dict[str, dict[str, object]]
) -> dict[str, dict[str, object]]:
    """Show what was hidden, and hide other items in one of three ways."""
    nothing: dict[str, object] = dict.fromkeys(("available", "available_from", "expires_at"))
    now = datetime.now(UTC)
    found = {item: dict(nothing) for item, values in hidden.items() if any_set(values)}
    limits: list[dict[str, object]] = [
        {"available": False},
        {"available_from": now + timedelta(days=1)},
        {"expires_at": now},
    ]
    for n, number in enumerate(rng.choice(ITEMS, CHANGED, replace=False).tolist()):
        found[item_id(number)] = nothing | limits[n % 3]
    return found


def any_set(values: dict[str, object]) -> bool:
    return any(value is not None for value in values.values())


def request(rng: np.random.Generator, recommender: Recommender) -> tuple[str, RecommendationList]:
    """Request a list in one of several ways, and name it."""
    k, user = int(rng.integers(1, 21)), user_id(int(rng.integers(USERS)))
    filters = ["year>=1900"] if rng.random() < 0.3 else []
    items = [item_id(int(n)) for n in rng.choice(ITEMS, 3, replace=False)]
    way = str(rng.choice(["user", "user", "history", "visitor", "similar", "popular", "page"]))
    if way == "history":
        return way, recommender.recommend_for(items, k, filters=filters)
    if way == "visitor":
        visitor = Visitor(history=tuple(items[:2]), dislikes=(items[2],))
        return way, recommender.recommend_for(visitor, k, filters=filters)
    if way == "similar":
        return way, recommender.similar(items[0], k, filters=filters)
    if way == "popular":
        name = str(rng.choice(["nobody", "loner", "grump"]))
        return way, recommender.recommend(name, k, filters=filters)
    if way == "page":
        first = recommender.recommend(user, k, filters=filters)
        if first.cursor is not None:
            return way, recommender.next_page(first.cursor, user)
        return way, first
    knobs = [
        {},
        {"diversity": 0.5},
        {"novelty": 0.5},
        {"calibration": 0.5, "calibrate_by": "genre"},
        {"repeats": True},
    ]
    chosen: dict[str, Any] = knobs[int(rng.integers(len(knobs)))]
    return way, recommender.recommend(user, k, filters=filters, **chosen)


if __name__ == "__main__":
    main()
