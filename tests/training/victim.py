"""Fits an agent on planted tastes, slowly and with its state on disk: the tests kill it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from tastes import tastes

from kgrec.config import FrozenModel
from kgrec.learning.agent import FitContext
from kgrec.learning.collaborative.agent import CollaborativeAgent, CollaborativeConfig
from kgrec.training.logs import TrainingFiles


@dataclass(frozen=True)
class EagerContext(FitContext):
    """Keeps the state of a training after every step."""

    def files(self, *settings: FrozenModel) -> TrainingFiles:
        return replace(super().files(*settings), seconds=0.0)


class Slow:
    """A progress bar that takes its time, so that there is a middle to be killed in."""

    @contextmanager
    def task(self, name: str, total: float | None = None) -> Iterator[Slow]:
        yield self

    def advance(self, steps: float = 1) -> None:
        time.sleep(0.05)

    def describe(self, text: str) -> None:
        pass


def main(folder: Path, max_edges: int) -> None:
    torch.set_num_threads(1)
    world = tastes(users=60, items=48)
    config = CollaborativeConfig.model_validate(
        {
            "embedding_dim": 4,
            "schedule": {"steps": 30, "check_from": 4, "check_every": 4, "patience": 100},
            "regularise": {"contrast": {"weight": 0.1}, "history_dropout": 0.1},
            "sample": {"max_edges": max_edges, "refresh": 5},
            "max_cells": 48 * 20,
        }
    )
    context = EagerContext(
        world.train,
        world.valid,
        progress=Slow(),
        logs=folder / "logs",
        checkpoints=folder / "checkpoints",
    )
    kernel = CollaborativeAgent(config).fit(context)
    assert kernel.item_factors is not None
    np.save(folder / "factors.npy", kernel.item_factors)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
