"""Learning together beside learning alone: what a team finds, and how long its agents take.

    python examples/benchmarks/together.py FOLDER [--agents collaborative,knowledge,sequential]
        [--variants alone,joint,...] [--steps 120] [--dim 64] [--seeds 1] [--users N]

FOLDER holds atomic files; agents whose data it lacks are left out. Every variant has the same
agents with the same schedule and temperatures; shares of the team are chosen on one half of the
validation users, and what is shown is measured on the other half. `--users` keeps so many users,
for a machine that is slow. One line a variant and seed: the metric of each agent and of the team,
and the seconds of the agents' fits.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kgrec.data.atomic import read_folder
from kgrec.data.dataset import Dataset, Interactions
from kgrec.learning.agent import FitContext, NothingToLearnError
from kgrec.learning.blending.weights import CoordinatorConfig, GateConfig, choose_coordinator
from kgrec.learning.joint import fit_together
from kgrec.learning.registry import build_agent
from kgrec.learning.sentence_vectors import memoised
from kgrec.learning.team_config import TeamConfig, TogetherConfig, encoder_of
from kgrec.metrics.validation import Objective, Validation
from kgrec.model.kernel import Kernel
from kgrec.model.team import Team

VARIANTS: Mapping[str, dict[str, Any]] = {
    "joint": {},
    "joint, no agreement": {"agreement": 0.0},
    "joint, own inputs": {"share_inputs": False},
    "joint, own inputs, no agreement": {"share_inputs": False, "agreement": 0.0},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--agents", default="collaborative,knowledge,sequential")
    parser.add_argument("--variants", default=",".join(["alone", *VARIANTS][:4]), help="with /")
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--tau", type=float, default=0.3)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--users", type=int)
    parser.add_argument("--texts", action="store_true", help="encode the texts of items as well")
    options = parser.parse_args()
    data = read_folder(options.folder)
    train, valid = data.train, data.valid
    if options.users:
        train, valid = _some(train, options.users), _rows(valid, options.users)
    first = np.random.default_rng(0).random(train.num_users) < 0.5
    halves = valid.take(first[valid.user]), valid.take(~first[valid.user])
    encode = memoised(encoder_of(TeamConfig())) if options.texts else None
    for seed in range(options.seeds):
        context = FitContext(train, halves[0], encode=encode, seed=seed)
        asked = Validation(context.histories, halves[1], Objective(), seed=1)
        names = _able(options, context)
        for variant in ("alone", *VARIANTS):
            if variant not in options.variants.replace("/", ",").split(","):
                continue
            begun = time.perf_counter()
            kernels = _fitted(variant, names, options, context)
            seconds = time.perf_counter() - begun
            team = CoordinatorConfig(gate=GateConfig(use="never"))
            coordinator, _ = choose_coordinator(
                kernels, context.held_out(team.objective), team, seed=seed
            )
            whole = Team(train.items, tuple(kernels), coordinator)
            each = "  ".join(f"{k.agent} {asked.measure(k.scores):.4f}" for k in kernels)
            print(
                f"seed {seed}  {variant:32} team {asked.measure(whole.scores):.4f}  {each}  "
                f"{seconds:6.1f} s",
                flush=True,
            )


def _settings(name: str, options: argparse.Namespace, schedule: dict[str, int]) -> dict[str, Any]:
    settings: dict[str, Any] = {"schedule": schedule, "embedding_dim": options.dim}
    if name == "sequential":
        return {**settings, "fill": 1.0}
    own = {"tau": options.tau} | ({"text_dim": options.dim} if name == "knowledge" else {})
    return settings | own


def _fitted(
    variant: str, names: list[str], options: argparse.Namespace, context: FitContext
) -> list[Kernel]:
    schedule = {"steps": options.steps, "check_from": options.steps // 3}
    if variant == "alone":
        return [
            build_agent(name, _settings(name, options, schedule)).fit(context) for name in names
        ]
    config = TogetherConfig.model_validate(
        {"embedding_dim": options.dim, "schedule": schedule, **VARIANTS[variant]}
    )
    plain = {name: _settings(name, options, schedule) for name in names}
    for settings in plain.values():
        settings.pop("schedule")
    return fit_together([build_agent(name, plain[name]) for name in names], context, config)


def _able(options: argparse.Namespace, context: FitContext) -> list[str]:
    """Return the agents that find something to learn from."""
    names = []
    for name in options.agents.split(","):
        agent: Any = build_agent(name)
        try:
            agent.problem(context)
        except NothingToLearnError as error:
            print(f"left out: {error.what}")
        else:
            names.append(name)
    return names


def _rows(part: Interactions, users: int) -> Interactions:
    return part.take(part.user < users)


def _some(train: Dataset, users: int) -> Dataset:
    """Keep the interactions of the first users; the others have none."""
    return train.with_interactions(_rows(train.interactions, users))


if __name__ == "__main__":
    main()
