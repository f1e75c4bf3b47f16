"""Run by torchrun in `test_workers_agree.py`: an agent that several processes fit together."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from tastes import tastes

from kgrec.agents.base import FitContext
from kgrec.agents.collaborative import CollaborativeAgent, CollaborativeConfig
from kgrec.training.workers import joined, leave


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


if __name__ == "__main__":
    main(Path(sys.argv[1]))
    leave()
