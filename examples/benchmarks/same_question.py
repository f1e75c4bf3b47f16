"""Show that a score is the same to the last bit wherever it is asked for, and what asking costs.

    python examples/benchmarks/same_question.py [--draws 500] [--cli 20] [--filters genre=Drama ...]

Draws users, filters, k, diversity and the hour, and compares the scores of every item of a list
with those of the batch, the restored query of an explanation, the HTTP API and, for some draws,
the command line. Needs a graph with a live model, as `make demo` leaves one in `.kgrec`. Prints
the number of scores compared, the greatest differences, and times; exits with 1 on a difference.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import statistics
import sys
import time
from collections.abc import Iterator
from typing import Any
from unittest import mock

import numpy as np
from fastapi.testclient import TestClient

from kgrec.cli import main as command
from kgrec.config import load_settings
from kgrec.explain.explainer import Explainer
from kgrec.graph import open_graph
from kgrec.graph.pages import user_pages
from kgrec.retrieval.batch import recommend_all
from kgrec.retrieval.recommender import Recommender
from kgrec.serving.app import create_app

HOUR = 3_600_000
USERS_A_SETTING = 50
FILTERS = ("genre=Western", "genre=Drama|Comedy", "year>=1990", "year=1940..1985", "genre=Horror")
Items = list[tuple[str, float]]


def main() -> None:
    """Draw, compare, and print one JSON object."""
    options = _options()
    rng = np.random.default_rng(options.seed)
    settings = load_settings()
    report: dict[str, Any] = {"draws": 0, "scores": 0, "different": 0}
    times: dict[str, list[float]] = {"list": [], "explanation": []}
    worst = {"shares": 0.0, "contributions": 0.0}
    with open_graph(settings) as store, contextlib.ExitStack() as stack:
        recommender = Recommender(store, settings.home / "models")
        explainer = Explainer(recommender)
        app = create_app(settings)
        base = {"base_url": "http://127.0.0.1", "client": ("127.0.0.1", 50_000)}
        api = stack.enter_context(TestClient(app, **base))
        users = [user for page in user_pages(store) for user in page["ids"]]
        live = recommender.live.current()
        while report["draws"] < options.draws:
            number = min(USERS_A_SETTING, options.draws - report["draws"])
            count = int(rng.integers(3))
            knobs: dict[str, Any] = {
                "k": int(rng.integers(1, 40)),
                "filters": [str(f) for f in rng.choice(options.filters, count, replace=False)],
                "diversity": float(rng.choice([0.0, 0.0, 0.2, 0.7])),
            }
            asked = int(time.time() * 1000) - int(rng.integers(24)) * HOUR
            chosen = [str(user) for user in rng.choice(users, number, replace=False)]
            with _asked_at(asked):
                begun = time.perf_counter()
                every = {
                    top.user_id: list(
                        zip(live.team.items.take(top.rows), top.scores.tolist(), strict=True)
                    )
                    for top in recommend_all(store, live, **knobs)
                }
                times.setdefault("batch", []).append(time.perf_counter() - begun)
                for user in chosen:
                    found = recommender.recommend(user, **knobs)
                    times["list"].append(found.milliseconds)
                    report["draws"] += 1
                    if found.fallback or not found.items:
                        continue
                    expected = [(item.item_id, item.score) for item in found.items]
                    query, changed = explainer.query(user, found.request_id)
                    place = [query.scored.position(live.team.items.row(i)) for i, _ in expected]
                    restored = list(
                        zip(query.ids(place), query.scored.scores[place].tolist(), strict=True)
                    )
                    answers = [every[user], restored, _served(api, user, knobs)]
                    if report["draws"] % max(options.draws // max(options.cli, 1), 1) == 0:
                        answers.append(_printed(user, knobs))
                        report["cli"] = report.get("cli", 0) + 1
                    report["scores"] += len(expected) * (len(answers) + 1)
                    report["different"] += sum(answer != expected for answer in answers)
                    report["different"] += len(changed)
                    item = found.items[int(rng.integers(len(found.items)))]
                    why = explainer.explain(user, item.item_id, found.request_id)
                    times["explanation"].append(why.milliseconds)
                    report["different"] += (why.score, why.list_rank) != (item.score, item.rank)
                    parts = sum(e.contribution for e in why.history)
                    parts += sum(a.prior for a in why.agents)
                    worst["contributions"] = max(worst["contributions"], abs(parts - why.score))
                    shares = sum(abs(a.signed_share) for a in why.agents)
                    worst["shares"] = max(worst["shares"], abs(shares - 1.0))
                    worst["shares"] = max(worst["shares"], abs(sum(found.shares.values()) - 1.0))
    medians = {name: round(statistics.median(values), 2) for name, values in times.items()}
    report |= {"furthest_from_the_sum": worst, "median_ms": medians}
    report["median_ms"]["batch"] = round(medians["batch"] * 1000)
    json.dump(report, sys.stdout, indent=2)
    print()
    sys.exit(bool(report["different"]))


@contextlib.contextmanager
def _asked_at(moment: int) -> Iterator[None]:
    """Have everything in this process ask at one moment."""
    with (
        mock.patch("kgrec.retrieval.recommender.current_time", return_value=moment),
        mock.patch("kgrec.retrieval.batch.current_time", return_value=moment),
    ):
        yield


def _served(api: TestClient, user: str, knobs: dict[str, Any]) -> Items:
    query = {"k": knobs["k"], "filter": knobs["filters"], "diversity": knobs["diversity"]}
    answer = api.get(f"/v1/users/{user}/recommendations", params=query).json()
    return [(item["item_id"], item["score"]) for item in answer["items"]]


def _printed(user: str, knobs: dict[str, Any]) -> Items:
    options = ["-k", str(knobs["k"]), "--diversity", str(knobs["diversity"]), "--json"]
    options += [f"--filter={each}" for each in knobs["filters"]]
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
        command(["recommend", user, *options])
    return [(item["item_id"], item["score"]) for item in json.loads(text.getvalue())["items"]]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--draws", type=int, default=500)
    parser.add_argument("--cli", type=int, default=20, help="draws that ask the command line too")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--filters", nargs="+", default=FILTERS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
