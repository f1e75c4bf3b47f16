"""Compare the forms of the linear agent: accuracy on the validation part, seconds, memory.

    python examples/benchmarks/linear_forms.py [DATA ...] [--forms dense,sparse,low-rank:256]

DATA is a folder of atomic files, or one with `ratings.csv`, `catalog.csv` and `people.csv` (films;
ratings of 3 and more, 8:1:1 per user by chance), or USERSxITEMSxINTERACTIONS, which are generated.
`low-rank:512` names the rank. Settings are chosen on the validation part, as by default; the users
measured are a sample of 2,000. Each fit runs in a process of its own, so that its memory can be
told: the most that the process held, with the data, until it was fitted.
"""

from __future__ import annotations

import argparse
import csv
import multiprocessing
import re
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from generated import generate, peak_gib

from kgrec.data.atomic import SplitDataset, read_folder
from kgrec.data.dataset import Dataset, Facts, Interactions
from kgrec.data.protocols import split_by_ratio
from kgrec.data.vocabulary import Vocabulary
from kgrec.evaluation.protocol import evaluate_ranking
from kgrec.learning.agent import FitContext
from kgrec.learning.linear.agent import LinearAgent, LinearConfig

USERS = 2_000
LISTS = {"GENRE": "genres", "KEYWORD": "keywords", "DIRECTOR": "director", "ACTOR": "actors"}


def read_data(name: str) -> SplitDataset:
    """Read or draw a data set by what it is called."""
    if re.fullmatch(r"\d+x\d+x\d+", name):
        return generate(*map(int, name.split("x")))
    folder = Path(name)
    return read_films(folder) if (folder / "ratings.csv").is_file() else read_folder(folder)


def read_films(folder: Path) -> SplitDataset:
    """Read ratings of 3 and more, and what is known of the films."""
    taken = [row for row in _rows(folder / "ratings.csv") if float(row["rating"]) >= 3]
    catalogue = {row["movie_id"]: row for row in _rows(folder / "catalog.csv")}
    for row in _rows(folder / "people.csv"):
        catalogue[row["movie_id"]] |= row
    users = Vocabulary.of(row["user_id"] for row in taken)
    items = Vocabulary(catalogue)
    everything = Interactions(
        users.rows(row["user_id"] for row in taken),
        items.rows(row["movie_id"] for row in taken),
        np.array([row["rating"] for row in taken], dtype=np.float32),
        np.array([row["timestamp"] for row in taken], dtype=np.int64) * 1000,
    )
    train, valid, test = split_by_ratio(everything, (0.8, 0.1, 0.1), seed=2024)
    facts = [
        (item, relation, f"{name}:{value}")
        for item, row in enumerate(catalogue.values())
        for relation, (name, column) in enumerate(LISTS.items())
        for value in filter(None, (row.get(column) or "").split("|"))
    ]
    item, relation, names = zip(*facts, strict=True)
    entities = Vocabulary.of(names)
    columns = np.array(item), np.array(relation), entities.rows(names)
    ones = np.ones(len(facts), dtype=np.float32)
    dataset = Dataset(users, items, train, entities, Facts(*columns, ones, tuple(LISTS)))
    return SplitDataset(folder.name, dataset, valid, test)


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def measure(name: str, form: str) -> tuple[str, ...]:
    """Fit one form on one data set and return the cells of its row."""
    data = read_data(name)
    kind, _, rank = form.partition(":")
    settings = {"form": kind} | ({"rank": int(rank)} if rank else {})
    begun, used = time.perf_counter(), time.process_time()
    kernel = LinearAgent(LinearConfig.model_validate(settings)).fit(
        FitContext(data.train, data.valid)
    )
    seconds, processor = time.perf_counter() - begun, time.process_time() - used
    memory = peak_gib()
    histories = data.train.matrix()
    asked = np.unique(data.valid.user)
    asked = np.random.default_rng(1).permutation(asked)[:USERS]
    held_out = data.valid.take(np.isin(data.valid.user, asked))
    report, _ = evaluate_ranking(kernel, histories, histories, held_out, [10, 20])
    chosen = f"λ {kernel.chosen['ridge']:g}, w {kernel.chosen['knowledge']:g}"
    weights = 0 if kernel.rows is None else kernel.rows.nnz
    factors = 0 if kernel.item_factors is None else 2 * kernel.item_factors.size
    return (
        f"{report.at[20]['ndcg'].mean:.4f}",
        f"{report.at[20]['recall'].mean:.4f}",
        f"{report.at[10]['mrr'].mean:.4f}",
        f"{seconds:.0f}",
        f"{processor:.0f}",
        f"{memory:.2f}",
        f"{(weights + factors) / 1e6:.1f}",
        chosen,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="*", default=["5000x2000x100000"])
    parser.add_argument("--forms", default="dense,sparse,low-rank:256")
    options = parser.parse_args()
    head = ("NDCG@20", "Recall@20", "MRR@10", "s", "cpu s", "GiB", "M numbers", "chosen")
    print("| data | form |", " | ".join(head), "|")
    print("|---|---|" + "---|" * len(head), flush=True)
    for name in options.data:
        for form in options.forms.split(","):
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                cells = pool.apply(measure, (name, form))
            print(f"| {Path(name).name} | {form} |", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()
