"""Run by torchrun in `test_workers_agree.py`: what several processes fit together."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from tastes import Tastes, encode_words, tastes

from kgrec.data.dataset import FloatArray
from kgrec.errors import ConfigError
from kgrec.learning.agent import FitContext
from kgrec.learning.collaborative.agent import CollaborativeAgent, CollaborativeConfig
from kgrec.learning.fit_team import fit_team
from kgrec.learning.sequential.agent import SequentialAgent, SequentialConfig
from kgrec.learning.team_config import TeamConfig
from kgrec.model.kernel import Kernel
from kgrec.training.workers import Workers, joined, leave


def main(folder: Path) -> None:
    world = tastes(users=60, items=48)
    with joined() as workers:
        for name, max_edges in (("whole", 1_000_000), ("sampled", 0)):
            config = CollaborativeConfig.model_validate(
                {
                    "embedding_dim": 4,
                    "schedule": {"steps": 12, "check_from": 4, "check_every": 4},
                    "sample": {"max_edges": max_edges, "refresh": 2},
                    "max_cells": 48 * 30,
                }
            )
            context = FitContext(
                world.train,
                world.valid,
                workers=workers,
                logs=folder / name / "logs",
                checkpoints=folder / name / "checkpoints",
            )
            scores = CollaborativeAgent(config).fit(context).scores(world.train.matrix())
            np.save(folder / f"{name}-{workers.rank}-of-{workers.world}.npy", scores)
        scores = sequential(world, workers).scores(world.train.matrix())
        np.save(folder / f"sequential-{workers.rank}-of-{workers.world}.npy", scores)
        scores = joint(world, workers, {})
        np.save(folder / f"joint-{workers.rank}-of-{workers.world}.npy", scores)
        try:
            joint(world, workers, {"embedding_dim": 3})
        except ConfigError as error:
            (folder / f"refused-{workers.rank}.txt").write_text(str(error), encoding="utf-8")


def sequential(world: Tastes, workers: Workers) -> Kernel:
    """Return the kernel of the sequential agent; its examples are shared."""
    known = world.train.interactions
    times = 1_000_000 * np.arange(1, len(known) + 1, dtype=np.int64)
    train = world.train.with_interactions(replace(known, at=times))
    config = SequentialConfig.model_validate(
        {
            "fill": 1.0,
            "embedding_dim": 8,
            "drop": 0.0,
            "dropout": 0.0,
            "schedule": {"steps": 12, "check_from": 4, "check_every": 4},
        }
    )
    context = FitContext(train, world.valid, encode=encode_words, workers=workers)
    return SequentialAgent(config).fit(context)


def joint(world: Tastes, workers: Workers, settings: dict[str, int]) -> FloatArray:
    """Return the scores of a team, two agents of which learn on one loss."""
    few = {"steps": 8, "check_from": 4, "check_every": 4}
    config = TeamConfig.model_validate(
        {
            "agents": ("collaborative", "knowledge", "linear"),
            "settings": {"collaborative": settings},
            "together": {"use": True, "embedding_dim": 4, "schedule": few},
            "ranker": {"use": "never"},
            "refit": True,
        }
    )
    team = fit_team(world.train, world.valid, config, encode=encode_words, workers=workers)
    return team.scores(world.train.matrix())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
    leave()
