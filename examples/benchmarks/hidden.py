"""Hide items while lists are requested, and count the lists that show a hidden one.

    python examples/benchmarks/hidden.py --requests 100000

It plants a catalogue in an embedded graph of its own, changes the availability of some items
every few requests (hidden, not yet available, expired, shown again), and requests lists in every
way: for users, histories and items, popular ones, with filters, from memory and from the graph,
with the catalogue in memory up to date or not.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from planted import item_id, planted, user_id  # noqa: E402 - of the tests

from kgrec.config import Settings  # noqa: E402
from kgrec.graph import open_graph  # noqa: E402
from kgrec.retrieval.recommender import Recommender, RecommenderConfig  # noqa: E402
from kgrec.retrieval.records import RecommendationList  # noqa: E402

ITEMS, USERS, CHANGED = 160, 60, 12


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=2_000)
    parser.add_argument("--each", type=int, default=20, help="requests between two changes")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    with tempfile.TemporaryDirectory(prefix="kgrec-hidden-") as folder:
        settings = Settings(home=Path(folder), graph_uri=None)
        with open_graph(settings) as store:
            live = planted(store, settings.home / "models", users=USERS, items=ITEMS)
            ways = {
                "memory": Recommender(store, live.models, resident=True),
                "no snapshot": Recommender(store, live.models),
                "graph": Recommender(store, live.models, RecommenderConfig(retrieval="graph")),
            }
            ways["memory"].warm_up()
            shown, fresh, begun = Counter[str](), Counter[bool](), time.perf_counter()
            hidden: dict[str, dict[str, object]] = {}
            for number in range(options.requests):
                if number % options.each == 0:
                    hidden = change(rng, hidden)
                    rows = [{"item_id": i, "properties": p} for i, p in hidden.items()]
                    store.write("ingest/set_items", rows=rows)
                name = list(ways)[number % 3]
                fresh[ways["memory"].state().snapshot is not None] += name == "memory"
                found = request(rng, ways[name])
                now_hidden = {
                    i for i, p in hidden.items() if any(v is not None for v in p.values())
                }
                for item in found.items:
                    shown[name if item.item_id in now_hidden else "allowed"] += 1
    seconds = time.perf_counter() - begun
    wrong = {name: shown[name] for name in ways}
    print(f"{options.requests} requests in {seconds:.0f} s, {shown['allowed']} items shown")
    print(f"requests to memory with a snapshot up to date: {fresh[True]}, without: {fresh[False]}")
    print(f"hidden items shown: {sum(wrong.values())} {wrong}")
    if sum(wrong.values()) or not shown["allowed"]:
        raise SystemExit(1)


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


def request(rng: np.random.Generator, recommender: Recommender) -> RecommendationList:
    """Request a list in one of several ways."""
    k, user = int(rng.integers(1, 21)), user_id(int(rng.integers(USERS)))
    filters = ["year>=1900"] if rng.random() < 0.3 else []
    items = [item_id(int(n)) for n in rng.choice(ITEMS, 3, replace=False)]
    way = int(rng.integers(4))
    if way == 0:
        return recommender.recommend_for(items, k, filters=filters)
    if way == 1:
        return recommender.similar(items[0], k, filters=filters)
    name = user if way == 2 else "nobody"
    return recommender.recommend(name, k, filters=filters, diversity=float(rng.random() < 0.3))


if __name__ == "__main__":
    main()
