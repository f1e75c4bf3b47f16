"""Where each millisecond of a list of recommendations goes.

    python examples/benchmarks/request_steps.py [--users 60] [--json]

Works on the graph of KGREC_HOME (as `make demo` leaves one in `.kgrec`), in this process: the graph
is read, everything else is in memory, as in `kgrec serve`. For users of every length of history it
takes each step apart and prints milliseconds: the median and the 99th percentile over the users,
each the best of some tries; `state` waits for the database, the other steps are processor time of
this process. `again` is the whole request once more while nothing has changed.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from kgrec.config import load_settings
from kgrec.graph import open_graph
from kgrec.graph.pages import user_pages
from kgrec.retrieval.history import as_history, current_time
from kgrec.retrieval.knobs import Knobs
from kgrec.retrieval.maker import QueryMaker
from kgrec.retrieval.recommender import Recommender
from kgrec.retrieval.reranking import picks

TRIES = 5
ValueT = TypeVar("ValueT")


class Steps:
    """Times the steps of one request after the other."""

    def __init__(self) -> None:
        self.taken: dict[str, float] = {}

    def step(
        self, name: str, do: Callable[[], ValueT], clock: Callable[[], float] = time.thread_time
    ) -> ValueT:
        """Note the best time of a step, in milliseconds, and return its result."""
        best = float("inf")
        for _ in range(TRIES):
            begun = clock()
            found = do()
            best = min(best, clock() - begun)
        self.taken[name] = best * 1000
        return found


def take_apart(recommender: Recommender, fresh: QueryMaker, user: str) -> dict[str, float]:
    """Return the milliseconds of each step of a list for a user."""
    steps = Steps()
    state = steps.step("state, waiting", lambda: recommender.state(user), time.perf_counter)
    steps.step("state, processor", lambda: recommender.state(user))
    live, items, now = state.live, state.live.team.items, current_time()
    done = state.interactions or ()
    history = steps.step("history", lambda: as_history(done, items, live.selection, query_time=now))

    def make() -> Any:
        return fresh.make(live, replace(history), Knobs(), "user", user, snapshot=state.snapshot)

    query = steps.step("query: weights, shares, candidates", make)
    base = steps.step("scores of all items", query.scorer.scores)[query.candidates]
    steps.step("ranker", lambda: query.scorer.rank(query.candidates, base))
    shown = picks(query, 10)
    positions = [pick.position for pick in shown]
    steps.step("contributions", lambda: query.contributions(positions))
    name = "list: contributions, paths, reasons, records"
    found = steps.step(name, lambda: recommender.lists.of(query))
    steps.step("JSON", found.model_dump_json)
    recommender.recommend(user)
    steps.step("again", lambda: recommender.recommend(user))
    return steps.taken


def main() -> None:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--users", type=int, default=60)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    settings = load_settings()
    with open_graph(settings) as store:
        recommender = Recommender(store, settings.home / "models", resident=True)
        recommender.live.current()
        recommender.warm_up()
        fresh = QueryMaker(store)
        users = [user for page in user_pages(store) for user in page["ids"]]
        size = {user: len(recommender.state(user).interactions or ()) for user in users}
        ordered = sorted((user for user in users if size[user]), key=lambda user: size[user])
        places = np.linspace(0, len(ordered) - 1, min(options.users, len(ordered))).astype(int)
        taken = [take_apart(recommender, fresh, ordered[place]) for place in places]
    rows = {
        name: {
            "p50": round(float(np.percentile([each[name] for each in taken], 50)), 2),
            "p99": round(float(np.percentile([each[name] for each in taken], 99)), 2),
        }
        for name in taken[0]
    }
    if options.json:
        print(json.dumps(rows, indent=1))
        return
    print(f"{'':46}{'p50':>8}{'p99':>8}")
    for name, row in rows.items():
        print(f"{name:46}{row['p50']:8}{row['p99']:8}")


if __name__ == "__main__":
    main()
