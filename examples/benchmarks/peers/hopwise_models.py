"""Published graph models from hopwise (a RecBole fork), trained in a Python of their own."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from kgrec.data.dataset import FloatArray, Interactions
from kgrec.data.item_files import read_table
from kgrec.data.vocabulary import Vocabulary
from peers.base import Fitted, Grid, Problem, Settings, Unavailable, Vectors, fit_in_steps, search

WORKER = Path(__file__).with_name("hopwise_worker.py")
NAME = "data"

GRIDS: dict[str, Grid] = {
    # Where the search begins, then the other values; usual in the papers and in RecBole.
    "LightGCN": {
        "learning_rate": (0.005, 0.001),
        "n_layers": (3, 2),
        "reg_weight": (1e-4, 1e-5, 1e-3),
    },
    "KGIN": {
        "learning_rate": (0.005, 0.001),
        "context_hops": (3, 2),
        "ind": ("distance",),
        "node_dropout_rate": (0.5,),
        "mess_dropout_rate": (0.1,),
    },
    "KGAT": {
        "learning_rate": (0.005, 0.001),
        "reg_weight": (1e-5, 1e-4),
    },
}
FIXED: dict[str, dict[str, Any]] = {"KGAT": {"layers": [64, 32, 16]}}


class HopwiseModel:
    """A model of hopwise, measured by kgrec's metric after every few epochs.

    LightGCN: He et al., SIGIR 2020. KGAT: Wang et al., KDD 2019. KGIN: Wang et al., WWW 2021.

    Args:
        model: its name in hopwise.
        every: epochs between two looks at the validation part, of up to 200,000 interactions;
            fewer where an epoch has more steps.
    """

    def __init__(self, model: str, every: int = 10) -> None:
        self._model, self._every = model, every
        self._worker: Worker | None = None

    def prepare(self, problem: Problem) -> None:
        if problem.peers_python is None:
            raise Unavailable(f"{self._model} needs --peers-python PATH (see docs/benchmarks.md)")
        folder = problem.scratch / NAME
        folder.mkdir()
        write_atomic_files(problem, folder)
        if self._model != "LightGCN" and not (folder / f"{NAME}.kg").is_file():
            raise Unavailable(f"{self._model} needs a knowledge graph: NAME.kg and NAME.link")
        self._worker = Worker(problem, folder, self._model)

    def fit(self, problem: Problem) -> Fitted:
        assert self._worker is not None
        grid = GRIDS[self._model]
        if problem.quick:
            grid = {name: values[:1] for name, values in grid.items()}
        with self._worker as worker:
            fitted = search(problem, grid, lambda settings: self._fit(problem, worker, settings))
        return worker.account(fitted)

    def _fit(self, problem: Problem, worker: Worker, settings: Settings) -> Fitted:
        built = worker.ask({"start": settings | FIXED.get(self._model, {})})["seconds"]
        larger = problem.train.nnz / 200_000
        every = max(1, round(self._every / max(larger, 1.0)))

        def advance() -> tuple[Vectors, float]:
            nonlocal built
            seconds = worker.ask({"advance": every})["seconds"] + built
            built = 0.0
            return worker.vectors(), seconds

        return fit_in_steps(
            problem,
            advance,
            settings,
            epochs=2 * every if problem.quick else 1000,
            every=every,
            patience=5,
        )


class Worker:
    """The other Python, which trains when asked to."""

    def __init__(self, problem: Problem, folder: Path, model: str) -> None:
        self._problem, self._folder = problem, folder
        self._last: dict[str, Any] = {}
        self._log = folder.parent / "worker.log"
        options = (folder, model, problem.seed, problem.threads)
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [str(problem.peers_python), str(WORKER), *map(str, options)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=folder.parent,
            )
        self._read()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stdin.close()
        self._process.wait(timeout=60)
        self._process.stdout.close()

    def ask(self, command: dict[str, Any]) -> dict[str, Any]:
        """Send a command and wait for its answer."""
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        self._last = self._read()
        return self._last

    def _read(self) -> dict[str, Any]:
        line = self._process.stdout.readline()
        if not line:
            self._process.wait(timeout=60)
            raise Unavailable(f"hopwise failed: {self._log.read_text()[-2000:]}")
        return json.loads(line)

    def vectors(self) -> Vectors:
        """Read what the model learned, in the rows of kgrec."""
        ids = json.loads((self._folder / "ids.json").read_text())
        data = self._problem.data.train
        user = _rows(np.load(self._folder / "user.npy"), ids["user"], data.users)
        item = _rows(np.load(self._folder / "item.npy"), ids["item"], data.items)
        return Vectors(user, item)

    def account(self, fitted: Fitted) -> Fitted:
        """Add the memory and the CPU time of this process."""
        return replace(fitted, memory=self._last["memory"], cpu=self._last["cpu"])


def _rows(vectors: FloatArray, ids: Sequence[str], known: Vocabulary) -> FloatArray:
    """Put the vectors of ids into the rows of a vocabulary, zero where it has ids that are new.

    Those stand in no part, so they are never right; a score of zero is no advantage.
    """
    rows = np.zeros((len(known), vectors.shape[1]), dtype=np.float32)
    at = known.rows(ids)
    rows[at[at >= 0]] = vectors[at >= 0]
    return rows


def write_atomic_files(problem: Problem, folder: Path) -> None:
    """Write the split as fixed files, and the knowledge graph as it is where there is one.

    Links of items that stand in no part are left out, since hopwise takes them for entities.
    """
    data = problem.data
    parts = {"train": data.train.interactions, "valid": data.valid, "test": data.test}
    for part, rows in parts.items():
        _write(folder, f"{part}.inter", "user_id:token\titem_id:token", _pairs(problem, rows))
    graph, links = (problem.folder / f"{data.name}.{kind}" for kind in ("kg", "link"))
    if not graph.is_file() or not links.is_file():
        return
    shutil.copyfile(graph, folder / f"{NAME}.kg")
    table = read_table(links)
    item, entity = (table.find((name,)) for name in ("item_id", "entity_id"))
    taken = {row for part in parts.values() for row in part.item.tolist()}
    known = ((row[item], row[entity]) for row in table.rows if row[item] in data.train.items)
    kept = (pair for pair in known if data.train.items.row(pair[0]) in taken)
    _write(folder, "link", "item_id:token\tentity_id:token", kept)


def _pairs(problem: Problem, part: Interactions) -> Iterator[tuple[str, str]]:
    users, items = problem.data.train.users, problem.data.train.items
    for user, item in zip(part.user, part.item, strict=True):
        yield users.id(int(user)), items.id(int(item))


def _write(folder: Path, kind: str, header: str, rows: Iterable[tuple[str, ...]]) -> None:
    lines = ["\t".join(row).replace("\n", " ") for row in rows]
    (folder / f"{NAME}.{kind}").write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
