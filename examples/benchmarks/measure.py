"""Measures one system on one data set; `run.py` starts it in a process of its own.

Every system, kgrec too, is asked by rows of users, ranked by kgrec's own evaluation with the same
masks and the same order of ties, and judged on the validation part by the same metric.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import numpy as np
from peers.base import Problem, Unavailable
from peers.registry import build
from results import METRICS, Accuracy, Mask, Result, Times

from kgrec.data.atomic import SplitDataset, read_folder
from kgrec.data.dataset import FloatArray, IntArray
from kgrec.evaluation.protocol import HeldOutTargets, evaluate_ranking
from kgrec.evaluation.report import peak_memory
from kgrec.metrics.validation import Objective, Validation

SEED = 2024


class UserRows:
    """Stands for the histories of all users, and gives back the rows that are asked for.

    Some systems learned the users themselves, so a ranker must be told who is asked about.
    """

    def __init__(self, num_users: int, num_items: int) -> None:
        self.shape = (num_users, num_items)

    def __getitem__(self, rows: IntArray) -> IntArray:
        return rows


class RowRanker:
    """A score function of rows of users as what `evaluate_ranking` takes."""

    def __init__(self, score: Callable[[IntArray], FloatArray]) -> None:
        self._score = score

    def scores(self, histories: IntArray) -> FloatArray:
        return self._score(histories)


def rank_test(
    data: SplitDataset, score: Callable[[IntArray], FloatArray], ks: tuple[int, ...], mask: Mask
) -> tuple[dict[int, Accuracy], list[str], float]:
    """Rank all items for the users of the test part.

    Args:
        mask: the parts whose items are left out of a user's list.

    Returns:
        metric values of each user by `k`, their ids, and the seconds that ranking took.
    """
    train = data.train.matrix()
    masked = data.train.interactions
    if mask == "train+valid":
        masked = masked.concat(data.valid)
    seen = masked.matrix(*train.shape)
    report, lists = evaluate_ranking(
        RowRanker(score),
        UserRows(*train.shape),
        seen,
        data.test,
        ks,
        popularity=np.bincount(train.indices, minlength=train.shape[1]),
        seed=SEED,
    )
    values = HeldOutTargets.of(seen, data.test).values(lists.items, ks)
    accuracy = {
        k: Accuracy(
            mean={name: report.at[k][name] for name in METRICS},
            per_user={name: tuple(values[k][name].tolist()) for name in METRICS},
        )
        for k in ks
    }
    return accuracy, data.train.users.take(lists.users), report.seconds


class Meter:
    """Wall and CPU seconds of this process, and how busy others kept the machine meanwhile."""

    def __init__(self) -> None:
        self._wall, self._cpu, self._machine = time.perf_counter(), _cpu(), _machine_cpu()

    def read(self, helpers: float) -> tuple[float, float, float | None]:
        """Return wall seconds, CPU seconds, and the cores that others used on average.

        Args:
            helpers: CPU seconds of processes that this one has started.
        """
        wall = time.perf_counter() - self._wall
        own = _cpu() - self._cpu + helpers
        now = _machine_cpu()
        if now is None or self._machine is None:
            return wall, own, None
        return wall, own, max(0.0, (now - self._machine - own) / max(wall, 1e-9))


def _cpu() -> float:
    return time.process_time()


def _machine_cpu() -> float | None:
    """Return the CPU seconds that all processes have used since the machine was started."""
    try:
        first = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    except OSError:
        return None
    user, nice, system, _, _, interrupts, soft = map(int, first[:7])
    return (user + nice + system + interrupts + soft) / os.sysconf("SC_CLK_TCK")


def own_peak_memory() -> int:
    """Return the most memory this process has held, without what its parent held, in bytes."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return peak_memory()
    found = [line.split()[1] for line in lines if line.startswith("VmHWM")]
    return int(found[0]) * 1024 if found else peak_memory()


def measure(options: argparse.Namespace, scratch: Path) -> Result:
    """Prepare, fit, choose, rank."""
    data = read_folder(options.folder)
    train = data.train.matrix()
    system = build(options.system)
    problem = Problem(
        folder=options.folder,
        data=data,
        train=train,
        held_out=Validation(train, data.valid, Objective(), seed=SEED),
        seed=SEED,
        threads=options.threads,
        until=np.inf,
        scratch=scratch,
        fixed=json.loads(options.fixed),
        peers_python=options.peers_python,
        team=options.team,
        quick=options.quick,
    )
    system.prepare(problem)
    before = own_peak_memory()
    meter = Meter()
    fitted = system.fit(problem if options.cap is None else problem.before(options.cap))
    wall, cpu, others = meter.read(fitted.cpu)
    accuracy, users, seconds = rank_test(data, fitted.score, tuple(options.k), options.mask)
    return Result.of(
        options.system,
        data.name,
        fitted,
        Times(
            fit=wall,
            last_fit=fitted.seconds,
            cpu=cpu,
            rank=seconds,
            others=others,
            cap=options.cap,
        ),
        accuracy,
        users,
        threads=options.threads,
        memory=max(own_peak_memory(), fitted.memory),
        before=before,
        mask=options.mask,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("system")
    parser.add_argument("out", type=Path)
    parser.add_argument("--k", type=int, action="append")
    parser.add_argument("--mask", choices=get_args(Mask), default="train+valid")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cap", type=float)
    parser.add_argument("--peers-python", type=Path)
    parser.add_argument("--fixed", default="{}")
    parser.add_argument("--team", type=Path)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kgrec-bench-") as scratch:
        try:
            result = measure(options, Path(scratch))
        except Unavailable as error:
            sys.exit(f"{error}")
    options.out.write_text(result.model_dump_json())


if __name__ == "__main__":
    main()
