"""New items: from POST to the first recommendation, and how well they are recommended.

    python examples/benchmarks/new_items.py prepare OUT [--agents semantic,knowledge]
    python examples/benchmarks/new_items.py measure OUT
    python examples/benchmarks/new_items.py text [--wait 0] [--title … --description …]
    python examples/benchmarks/new_items.py change [--runs 5]

`prepare` reads the graph of KGREC_HOME, less the items that nobody liked, holds a tenth of the
items out (and a tenth to choose on) as `kgrec evaluate --graph --protocol cold-item` does, measures
a team that knew the held-out items when it was trained, without interactions, and trains a second
one without them. `measure` takes them, and the interactions of what was chosen on, out of the
graph, publishes the second team, posts the items to a server as JSON lines, and requests lists for
the same users. Both change the graph: give them a copy of a home. `text` posts one item by its text
alone to a server over KGREC_HOME, and requests lists until one of the users has it in theirs; with
`--wait 0` the first is posted as soon as the server is ready, before anything that reads texts is
loaded. Each run has a text of its own, whose vector no cache has. `change` gives the first item of
a list another text, and requests the list until the score of that item is another one; then
the item gets its own text back. The live team must read texts (`kgrec train --agents semantic`).
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from kgrec.client import Client
from kgrec.config import load_settings
from kgrec.data.atomic import SplitDataset
from kgrec.data.dataset import Dataset, Interactions
from kgrec.data.protocols import ProtocolConfig
from kgrec.data.records import TABLE
from kgrec.data.selection import Selection
from kgrec.data.vocabulary import Vocabulary
from kgrec.evaluation.held_out import DataConfig, read_split
from kgrec.evaluation.measure import HeldOutQueries, measure
from kgrec.graph import open_graph
from kgrec.graph.pages import (
    entity_pages,
    fact_pages,
    item_id_pages,
    pages_of_items,
    relation_types,
    user_pages,
)
from kgrec.graph.store import GraphStore
from kgrec.graph.training_data import read_dataset
from kgrec.learning.fit_team import fit_team
from kgrec.learning.team_config import TeamConfig, encoder_of
from kgrec.model.folding.extension import folded_team
from kgrec.model.folding.files import load_folded
from kgrec.model.storage import load_team, save_model
from kgrec.model.team import Team
from kgrec.schema import load_schema
from kgrec.stages.publish import publish
from kgrec.stages.upsert import upsert_items

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))
from newcomers import without
from started import started

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


def prepare(out: Path, agents: tuple[str, ...], seed: int) -> None:
    """Fit both teams; the second is saved, with what `measure` needs."""
    settings = load_settings()
    with open_graph(settings) as store:
        known = read_dataset(store, Selection(domain="movies"))
        count = np.bincount(known.interactions.item, minlength=known.num_items)
        for each in known.items.take(np.flatnonzero(count == 0)):
            store.write("retiring/delete_items", items=[each])
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
    offline = {
        "figures": figures_of(whole, queries),
        "without the ranker": figures_of(replace(whole, ranker=None), queries),
        "weights": whole.weights,
        "ranker": whole.metrics["ranker"],
        "seconds": time.perf_counter() - begun,
    }
    (out / "offline.json").write_text(json.dumps(offline))
    print(json.dumps({"offline": offline}), flush=True)


def figures_of(team: Team, queries: HeldOutQueries) -> dict[str, float]:
    """Return the metrics of a team among all items."""
    found = measure(team, queries)
    return {name: one.mean for name, one in found.ranking.at[K].items()}


def rows_of(store: GraphStore, items: list[str]) -> list[dict[str, Any]]:
    """Return items as a shop would post them: title, text, and what tables state of them."""
    rows: dict[str, dict[str, Any]] = {}
    for page in pages_of_items(store, items, properties=["year"]):
        columns = (page["ids"], page["titles"], page["descriptions"], page["values"])
        for each, title, text, (year,) in zip(*columns, strict=True):
            rows[each] = {"item_id": each, "title": title, "description": text, "year": year}
    ids, types = list(rows), relation_types(store)
    names = {entity: name for page in entity_pages(store)
             for entity, name in zip(page["ids"], page["names"], strict=True)}  # fmt: skip
    for page in fact_pages(store, ids, types):
        columns = (page["heads"], page["relations"], page["tails"], page["extractors"])
        for row, relation, tail, extractor in zip(*columns, strict=True):
            if extractor == TABLE and relation in COLUMNS:
                rows[ids[row]].setdefault(COLUMNS[relation], []).append(names[tail])
    return [rows[each] for each in items]


def hold_back(out: Path, about: dict[str, Any]) -> list[dict[str, Any]]:
    """Take the held-out items out of the graph and publish the team that does not know them.

    Returns:
        the items as they are posted.
    """
    settings = load_settings()
    posted, chosen = out / "posted.json", out / "chosen_on.json"
    with open_graph(settings) as store:
        if not posted.exists():
            learned = {item for _, item in about["kept"]} | set(about["cold"])
            others = [i for page in item_id_pages(store) for i in page["ids"] if i not in learned]
            chosen.write_text(json.dumps(rows_of(store, others)))
            posted.write_text(json.dumps(rows_of(store, about["cold"])))
        rows: list[dict[str, Any]] = json.loads(posted.read_text())
        # Items that were chosen on keep their facts and lose their interactions.
        again = json.loads(chosen.read_text())
        for each in [row["item_id"] for row in (*rows, *again)]:
            store.write("retiring/delete_items", items=[each])
        domain = load_schema().domain("movies")
        upsert_items(store, list(enumerate(again, 1)), domain, source="catalog.csv")
        [trained] = (out / "models").iterdir()
        target = settings.home / "models" / trained.name
        if not target.exists():
            shutil.copytree(trained, target)
        publish(store, load_team(target), trained.name)
    return rows


def known(client: Client, item_id: str) -> bool:
    """Tell whether the live model speaks of an item."""
    return client.similar(item_id, k=1).fallback is None


def measure_posted(out: Path) -> None:
    """Post the held-out items, and measure the lists of the users who liked them."""
    about = json.loads((out / "split.json").read_text())
    rows = hold_back(out, about)
    with started() as (url, _), Client(url, timeout=60) as client:
        time.sleep(30)  # until the process beside the server has loaded what reads texts
        begun = time.perf_counter()
        for first in range(0, len(rows), 100):
            client.put_items(rows[first : first + 100])
        posted = time.perf_counter() - begun
        while not all(known(client, rows[n]["item_id"]) for n in (0, len(rows) // 2, -1)):
            time.sleep(0.5)
        folded = time.perf_counter() - begun
        recall, precision, ndcg = [], [], []
        for user, wanted in about["wanted"].items():
            ids = [item.item_id for item in client.recommend(user, k=K).items]
            hits = np.array([each in wanted for each in ids] + [False] * (K - len(ids)))
            gains = 1.0 / np.log2(np.arange(2, K + 2))
            recall.append(hits.sum() / len(wanted))
            precision.append(hits.mean())
            ndcg.append((hits * gains).sum() / gains[: len(wanted)].sum())
    found = {
        "items": len(rows),
        "users": len(recall),
        "recall": float(np.mean(recall)),
        "recall_error": float(np.std(recall) / np.sqrt(len(recall))),
        "precision": float(np.mean(precision)),
        "ndcg": float(np.mean(ndcg)),
        "seconds_posted": posted,
        "seconds_folded": folded,
    }
    print(json.dumps({"api": found}), flush=True)
    print(json.dumps({"same team, in process": folded_offline(about)}), flush=True)
    if (out / "offline.json").exists():
        print((out / "offline.json").read_text())


def folded_offline(about: dict[str, Any]) -> dict[str, float]:
    """Measure the live team with the items folded into it, by the code that measures `offline`.

    What differs from the lists of the API is then the API; what differs from `offline` is which
    items the team knew when it was chosen and trained.
    """
    settings = load_settings()
    with open_graph(settings) as store:
        [row] = store.read("recommend/live_model")
    folder = settings.home / "models" / row["model_id"]
    cold = set(about["cold"])
    every = load_folded(folder, row["folded"])
    folded = every.only([each for each in every.ids if each in cold])
    team = folded_team(load_team(folder), folded)
    users = Vocabulary(sorted({*about["wanted"], *(user for user, _ in about["kept"])}))

    def of(pairs: list[Any]) -> Interactions:
        user, item = users.rows([each[0] for each in pairs]), team.items.rows([e[1] for e in pairs])
        ones = np.ones(len(pairs), dtype=np.float32)
        return Interactions(user, item, ones, np.zeros(len(pairs), dtype=np.int64))

    wanted = of([(user, each) for user, items in about["wanted"].items() for each in items])
    none = Interactions.empty()
    data = SplitDataset("posted", Dataset(users, team.items, of(about["kept"])), none, wanted)
    return figures_of(team, HeldOutQueries(data, "train", (K,), None, about["seed"]))


TEXT = (
    "A retired bank robber is drawn into one last heist by his former partner. A tense crime "
    "thriller set in Los Angeles, directed by Michael Mann and starring Al Pacino."
)


LONGEST_S = 120.0


def post_text(title: str, text: str, runs: int, wait: float) -> None:
    """Post items by their text alone, and time the first list with each."""
    with open_graph(load_settings()) as store:
        users = [user for page in user_pages(store) for user in page["ids"]][:200]
    places: dict[str, int] = {}
    with started() as (url, _), Client(url, timeout=60) as client:
        time.sleep(wait)
        for number in range(runs):
            name = f"text {time.time_ns()}"
            begun = time.perf_counter()
            own = f"{text} Part {time.time_ns()}."
            client.put_items([{"item_id": name, "title": title, "description": own}])
            acknowledged = time.perf_counter() - begun
            while not known(client, name):
                time.sleep(0.05)
            spoken = time.perf_counter() - begun
            first = None
            users.sort(key=lambda user: places.get(user, 999))  # those who had the last one first
            places = {}
            for user in users:
                ids = [item.item_id for item in client.recommend(user, k=50).items]
                if name in ids:
                    places[user] = ids.index(name) + 1
                    first = first or time.perf_counter() - begun
            line = {
                "run": number,
                "seconds_acknowledged": acknowledged,
                "seconds_known": spoken,
                "seconds_first_list": first,
                "users_with_it_in_50": len(places),
                "best_place": min(places.values(), default=None),
            }
            print(json.dumps(line), flush=True)
            client.delete_item(name)


def change_text(runs: int, wait: float) -> None:
    """Change texts of items, and time the first list that shows it."""
    with open_graph(load_settings()) as store:
        users = [user for page in user_pages(store) for user in page["ids"]]
    with started() as (url, _), Client(url, timeout=60) as client:
        time.sleep(wait)
        for number, user in enumerate(users[:: max(1, len(users) // runs)][:runs]):
            first = client.recommend(user, k=1).items[0]
            own = client.item(first.item_id).description
            begun = time.perf_counter()
            client.change_item(first.item_id, {"description": f"{TEXT} Part {time.time_ns()}."})
            acknowledged = time.perf_counter() - begun
            while time.perf_counter() - begun < LONGEST_S:
                now = client.recommend(user, k=1).items[0]
                if (now.item_id, now.score) != (first.item_id, first.score):
                    break
                time.sleep(0.05)
            line = {
                "run": number,
                "seconds_acknowledged": acknowledged,
                "seconds_changed_list": time.perf_counter() - begun,
            }
            print(json.dumps(line), flush=True)
            client.change_item(first.item_id, {"description": own})
            time.sleep(wait)


def main() -> None:
    """Read the options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parts = parser.add_subparsers(dest="part", required=True)
    one = parts.add_parser("prepare")
    one.add_argument("out", type=Path)
    one.add_argument("--agents", default="semantic,knowledge")
    one.add_argument("--seed", type=int, default=2024)
    two = parts.add_parser("measure")
    two.add_argument("out", type=Path)
    three = parts.add_parser("text")
    three.add_argument("--title", default="The Last Vault")
    three.add_argument("--description", default=TEXT)
    three.add_argument("--runs", type=int, default=3)
    three.add_argument("--wait", type=float, default=30, help="seconds before the first one")
    four = parts.add_parser("change")
    four.add_argument("--runs", type=int, default=5)
    four.add_argument("--wait", type=float, default=30, help="seconds before each")
    given = parser.parse_args()
    if given.part == "prepare":
        prepare(given.out, tuple(given.agents.split(",")), given.seed)
    elif given.part == "measure":
        measure_posted(given.out)
    elif given.part == "change":
        change_text(given.runs, given.wait)
    else:
        post_text(given.title, given.description, given.runs, given.wait)


if __name__ == "__main__":
    main()
