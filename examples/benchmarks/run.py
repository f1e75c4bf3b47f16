"""Measure kgrec and simple peers on the same splits, in one run on one machine, as one table.

    python examples/benchmarks/run.py FOLDER [FOLDER ...] [--k 10]

Each FOLDER holds atomic files (`NAME.train.inter`, `.valid.inter`, `.test.inter`, with knowledge
`NAME.kg`, `.link`, `.item`). kgrec runs with its defaults, with the knowledge as it is, without it,
and shuffled between items. The peers are what people reach for first: the most popular items, an
item-item cosine, and implicit's ALS where `pip install implicit` was run. A peer's settings are
chosen on the validation part by the metric that kgrec chooses by; none sees the test part before
it is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from kgrec.data.atomic import SplitDataset, read_folder
from kgrec.evaluation.protocol import Ranker, evaluate_ranking
from kgrec.evaluation.validation import Objective, Validation

METRICS = ("recall", "ndcg", "mrr")


class Popular:
    """The items that most people had."""

    def __init__(self, train: sp.csr_matrix) -> None:
        self._counts = np.bincount(train.indices, minlength=train.shape[1]).astype(np.float32)

    def scores(self, histories: sp.csr_matrix) -> np.ndarray:
        return np.tile(self._counts, (histories.shape[0], 1))


class ItemCosine:
    """The items most alike, by who had them, to those of the history."""

    def __init__(self, train: sp.csr_matrix, neighbours: int) -> None:
        norm = np.sqrt(np.maximum(np.bincount(train.indices, minlength=train.shape[1]), 1))
        unit = train @ sp.diags_array(1.0 / norm)
        likeness = np.asarray((unit.T @ unit).todense(), dtype=np.float32)
        np.fill_diagonal(likeness, 0)
        bar = -np.partition(-likeness, min(neighbours, len(likeness) - 1), axis=1)
        likeness[likeness < bar[:, [min(neighbours, len(likeness) - 1)]]] = 0
        self._likeness = sp.csr_matrix(likeness)

    def scores(self, histories: sp.csr_matrix) -> np.ndarray:
        return np.asarray((histories @ self._likeness).todense(), dtype=np.float32)


class ALS:
    """Implicit's alternating least squares; a user is solved for from the history."""

    def __init__(self, train: sp.csr_matrix, factors: int) -> None:
        from implicit.cpu.als import AlternatingLeastSquares

        self._model = AlternatingLeastSquares(factors=factors, random_state=2024)
        self._model.fit(sp.csr_matrix(train), show_progress=False)

    def scores(self, histories: sp.csr_matrix) -> np.ndarray:
        users = self._model.recalculate_user(np.arange(histories.shape[0]), histories)
        return np.asarray(users @ self._model.item_factors.T, dtype=np.float32)


def peers() -> Iterator[tuple[str, list[Callable[[sp.csr_matrix], Ranker]]]]:
    """Yield each peer's name and the settings to choose among."""
    yield "popularity", [Popular]
    yield "item cosine", [lambda t, n=n: ItemCosine(t, n) for n in (20, 50, 100, 200)]
    try:
        import implicit  # noqa: F401
    except ImportError:
        print("implicit is not installed: ALS is left out (pip install implicit)", file=sys.stderr)
        return
    yield "implicit ALS", [lambda t, f=f: ALS(t, f) for f in (16, 32, 64, 128)]


def measure_peer(
    data: SplitDataset, choices: list[Callable[[sp.csr_matrix], Ranker]], k: int
) -> dict[str, float]:
    """Choose on valid, measure on test; seconds are those of fitting and choosing."""
    train = data.train.matrix()
    seen = data.train.interactions.concat(data.valid).matrix(*train.shape)
    held_out = Validation(train, data.valid, Objective(), seed=2024)
    begun = time.perf_counter()
    tried = [build(train) for build in choices]
    values = [held_out.measure(lambda h, r=r: r.scores(h.matrix)) for r in tried]
    seconds = time.perf_counter() - begun
    report, _ = evaluate_ranking(tried[int(np.argmax(values))], train, seen, data.test, [k])
    return {name: report.at[k][name].mean for name in METRICS} | {"seconds": seconds}


def measure_kgrec(folder: Path, knowledge: str, k: int) -> dict[str, float]:
    """Run `kgrec evaluate` as a person would, in a process of its own."""
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch) / "report.json"
        command = [sys.executable, "-m", "kgrec", "evaluate", str(folder), "--k", str(k)]
        command += ["--knowledge", knowledge, "--report", str(report)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        result = json.loads(report.read_text())
    at = result["ranking"]["at"][str(k)]
    seconds = result["seconds"]["fit"]
    return {name: at[name]["mean"] for name in METRICS} | {"seconds": seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="*", type=Path, metavar="FOLDER")
    parser.add_argument("--k", type=int, default=10)
    options = parser.parse_args()
    if not options.folders:
        parser.error('name folders of atomic files: make bench DATA="folder ..."')
    for folder in options.folders:
        print(f"\n{folder.name}, k = {options.k}, {os.cpu_count()} cores")
        header = "".join(f"{name:>9}" for name in (*METRICS, "seconds"))
        print(f"{'':<28}{header}")
        data = read_folder(folder)
        for name, choices in peers():
            print_row(name, measure_peer(data, choices, options.k))
        for kind in ("none", "shuffled", "full"):
            print_row(f"kgrec, knowledge {kind}", measure_kgrec(folder, kind, options.k))


def print_row(name: str, values: dict[str, float]) -> None:
    cells = "".join(f"{values[metric]:>9.4f}" for metric in METRICS)
    print(f"{name:<28}{cells}{values['seconds']:>9.1f}", flush=True)


if __name__ == "__main__":
    main()
