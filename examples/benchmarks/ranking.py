"""Ranking all items for all users, beside the bare matrix product, and where the rest goes.

    python examples/benchmarks/ranking.py [--items 4000,40000,400000] [--users 20000]

The bare product is that of the users' vectors with those of all items, D numbers each, by BLAS with
all of its threads, into the same memory again and again; nothing can rank by factors in less. Each
ranker is measured as `kgrec evaluate` ranks: histories are summed, all items are scored, seen ones
are left out, and the best k are put in order. `factors` is one kernel of factors and a prior,
`rows` one of sparse rows (the linear agent), `solved` one of factors whose users are solved from
their histories (the factorisation agent), `team` the first two with shares, `reranked` the team
with a ranker over its best 200. Vectors are drawn, histories are those of `generated.py`. A line
of JSON for each; the profile is of one thread, in shares of its processor time.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import os
import pstats
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import scipy.sparse as sp
from generated import generate

from kgrec.data.vocabulary import Vocabulary
from kgrec.evaluation.protocol import BatchScorer, blas_threads, rank_all
from kgrec.model.coordinator import Coordinator
from kgrec.model.histories import Histories
from kgrec.model.kernel import Kernel
from kgrec.model.ranker import Ranker
from kgrec.model.redundancy_reader import RedundancyReader
from kgrec.model.team import Team

PARTS = {
    ("histories.py", "__getitem__"): "histories of a batch",
    ("kernel.py", "weights"): "weights of history items",
    ("kernel.py", "_sums"): "sums over histories",
    ("kernel.py", "_scores"): "scores of all items",
    ("kernel.py", "spread"): "spread of scores",
    ("ranker.py", "reorder"): "ranker",
    ("protocol.py", "_check"): "check of numbers",
    ("ranking.py", "mask_seen"): "mask of seen items",
    ("ranking.py", "__call__"): "best k",
}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", default="4000,40000,400000", help="separated by commas")
    parser.add_argument("--users", type=int, help="ranked for; by default 80 million scores' worth")
    parser.add_argument("--rankers", default="factors,rows,solved,team,reranked")
    parser.add_argument("--length", type=int, default=30, help="mean length of a history")
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--row-size", type=int, default=100, help="sparse weights of an item")
    parser.add_argument("--k", type=int, default=20)
    return parser.parse_args()


def kernels(num_items: int, dim: int, row_size: int) -> tuple[Kernel, Kernel]:
    """Draw a kernel of factors and one of sparse rows."""
    rng = np.random.default_rng(1)
    vectors = rng.standard_normal((num_items, dim), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    prior = rng.standard_normal(num_items, dtype=np.float32)
    column = rng.integers(num_items, size=(num_items, row_size))
    column.sort(axis=1)
    weight = rng.random(column.size, dtype=np.float32)
    start = row_size * np.arange(num_items + 1)
    rows = sp.csr_matrix((weight, column.ravel(), start), shape=(num_items, num_items))
    rows.sum_duplicates()
    factors = Kernel("factors", history_factors=3 * vectors, item_factors=vectors, prior=prior)
    return factors, Kernel("rows", rows=rows)


def rankers(factors: Kernel, rows: Kernel, popularity: np.ndarray) -> dict[str, BatchScorer]:
    items = Vocabulary(f"i{row}" for row in range(factors.num_items))
    both, shares = (factors, rows), Coordinator([0.6, 0.4])
    ranker = Ranker(
        attention_weights=np.array([1.0, 1.0]),
        value_weights=np.array([0.5, 0.5]),
        popularity_weights=np.array([0.1, -0.1]),
        recency=0.0,
        liking=0.0,
        popularity=np.log1p(popularity).astype(np.float32),
        prior=np.zeros(factors.num_items, dtype=np.float32),
    )
    team = Team(items, both, shares)
    return {
        "factors": factors,
        "rows": rows,
        "solved": replace(factors, attention=RedundancyReader(np.asarray(factors.item_factors))),
        "team": team,
        "reranked": Team(items, both, shares, ranker=ranker),
    }


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Return wall and processor seconds of the better of two runs."""
    runs = []
    for _ in range(2):
        begun, used = time.perf_counter(), time.process_time()
        work()
        runs.append((time.perf_counter() - begun, time.process_time() - used))
    return min(runs)


def bare(queries: np.ndarray, vectors: np.ndarray) -> None:
    size = max(128, 8_000_000 // len(vectors))
    into = np.empty((size, len(vectors)), dtype=np.float32)
    for start in range(0, len(queries), size):
        part = queries[start : start + size]
        np.matmul(part, vectors.T, out=into[: len(part)])


def profile(work: Callable[[], object]) -> dict[str, float]:
    """Return the share of each part of the work, by a profile of one thread."""
    recorder = cProfile.Profile(time.process_time)
    recorder.runcall(work)
    stats: Any = pstats.Stats(recorder)
    spent = dict.fromkeys(PARTS.values(), 0.0)
    for (file, _, name), (_, _, _, cumulated, _) in stats.stats.items():
        part = PARTS.get((os.path.basename(file), name))
        if part is not None and "kgrec" in file:
            spent[part] += cumulated
    total = stats.total_tt
    return {part: round(seconds / total, 3) for part, seconds in spent.items() if seconds}


def measured(options: argparse.Namespace, num_items: int) -> Iterator[dict[str, Any]]:
    number = options.users or max(200, 80_000_000 // num_items)
    data = generate(number, num_items, number * options.length)
    seen = data.train.matrix()
    histories = Histories.of(data.train.interactions, *seen.shape)
    users = np.arange(number, dtype=np.int64)
    factors, rows = kernels(num_items, options.dim, options.row_size)
    queries = np.asarray(histories.matrix @ factors.history_factors)
    product = timed(lambda: bare(queries, np.asarray(factors.item_factors)))
    size = {"items": num_items, "users": number, "interactions": int(seen.nnz)}
    yield size | row("bare product", number, product, product)
    popularity = np.bincount(seen.indices, minlength=num_items)
    for name, ranker in rankers(factors, rows, popularity).items():
        if name not in options.rankers.split(","):
            continue
        few = users if name != "reranked" else users[: max(1, number // 10)]

        def ranked(threads: int | None = None, ranker: Any = ranker, few: Any = few) -> object:
            return rank_all(ranker, histories, seen, few, options.k, threads=threads)

        found = row(name, len(few), timed(ranked), tuple(len(few) / number * s for s in product))
        yield size | found | {"profile": profile(lambda ranked=ranked: ranked(1))}


def row(
    name: str, users: int, spent: tuple[float, float], product: tuple[float, ...]
) -> dict[str, Any]:
    return {
        "ranker": name,
        "users_a_second": round(users / spent[0]),
        "wall_s": round(spent[0], 3),
        "cpu_s": round(spent[1], 3),
        "times_the_product": round(spent[0] / product[0], 2),
        "times_its_cpu": round(spent[1] / product[1], 2),
    }


def main() -> None:
    options = parse()
    print(f"{blas_threads()} threads of BLAS, load {os.getloadavg()[0]:.1f}", flush=True)
    for num_items in map(int, options.items.split(",")):
        for found in measured(options, num_items):
            print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
