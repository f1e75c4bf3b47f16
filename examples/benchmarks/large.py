"""What a large catalogue costs: seconds and memory of each agent, and what it finds for a sample.

    python examples/benchmarks/large.py [--size 1000000x200000x20000000] [--agents linear,...]
    torchrun --nproc_per_node 2 examples/benchmarks/large.py --agents collaborative

The graph is generated (`generated.py`). `linear` and `collaborative` are fitted with their defaults
but for one temperature, `--tau`, so that the second is one training of one epoch: every user is in
a step once. A settings file changes what it names: `--config` as of `kgrec evaluate`. The users
measured are a sample. Started by torchrun, the processes share the steps of one training; memory
is that of the first, with the data. One line of JSON an agent.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
from generated import describe, generate, peak_gib

from kgrec.config import load_toml
from kgrec.data.atomic import SplitDataset
from kgrec.evaluation.protocol import evaluate_ranking
from kgrec.learning.agent import FitContext
from kgrec.learning.registry import build_agent
from kgrec.model.kernel import Kernel
from kgrec.training.workers import Workers, joined, leave


def size(text: str) -> tuple[int, ...]:
    if not re.fullmatch(r"\d+x\d+x\d+", text):
        raise argparse.ArgumentTypeError(f"not USERSxITEMSxINTERACTIONS: {text!r}")
    return tuple(map(int, text.split("x")))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=size, default=(1_000_000, 200_000, 20_000_000))
    parser.add_argument("--agents", default="linear,collaborative", help="separated by commas")
    parser.add_argument("--tau", type=float, default=0.3, help="temperature of collaborative")
    parser.add_argument("--config", type=Path, help="TOML with [settings.AGENT]")
    parser.add_argument("--users", type=int, default=2_000, help="of the sample that is measured")
    return parser.parse_args()


def measured(kernel: Kernel, data: SplitDataset, users: int) -> dict[str, float]:
    """Rank all items for a sample of the test users."""
    histories = data.train.matrix()
    seen = histories + data.valid.matrix(*histories.shape)
    asked = np.random.default_rng(1).permutation(np.unique(data.test.user))[:users]
    held_out = data.test.take(np.isin(data.test.user, asked))
    begun = time.perf_counter()
    report, _ = evaluate_ranking(kernel, histories, seen, held_out, [20])
    found = {name: round(report.at[20][name].mean, 4) for name in ("recall", "ndcg", "mrr")}
    return {**found, "users": len(asked), "rank_s": round(time.perf_counter() - begun, 1)}


def fitted(
    name: str, data: SplitDataset, options: argparse.Namespace, workers: Workers
) -> tuple[Kernel, dict[str, Any]]:
    """Fit one agent; return its kernel and what it cost."""
    given = load_toml(options.config).get("settings", {}) if options.config else {}
    settings = {"tau": options.tau} if name == "collaborative" else {}
    agent = build_agent(name, settings | given.get(name, {}))
    context = FitContext(data.train, data.valid, workers=workers)
    begun, used = time.perf_counter(), time.process_time()
    if getattr(agent, "shares_batches", False):
        kernel = agent.fit(context)
    else:
        kernel = workers.once(lambda: agent.fit(context))
    cost = {
        "wall_s": round(time.perf_counter() - begun, 1),
        "cpu_s": round(time.process_time() - used, 1),
        "peak_gib": round(peak_gib(), 2),
    }
    return kernel, {**cost, "chosen": dict(kernel.chosen)}


def main() -> None:
    options = parse()
    with joined() as workers:
        data = generate(*options.size)
        if workers.first:
            print(*describe(data), f"data: {peak_gib():.2f} GiB", sep="\n", flush=True)
        for name in options.agents.split(","):
            kernel, cost = fitted(name, data, options, workers)
            if workers.first:
                found = measured(kernel, data, options.users)
                row = {"agent": name, "processes": workers.world, **cost, **found}
                print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
    leave()
