"""Where a training writes: its logs and the state it goes on from when it was killed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class TrainingFiles:
    """Folders of a training; where one is None nothing is written.

    Attributes:
        logs: takes `<name>.csv`, and a plot and TensorBoard events where these are installed.
        checkpoints: takes `<name>.safetensors`.
        fingerprint: of the data and the settings; a checkpoint of others is an error.
        seconds: between two checkpoints, at least.
        first: whether this process writes; of several that train together one does, all read.
    """

    logs: Path | None = None
    checkpoints: Path | None = None
    fingerprint: str = ""
    seconds: float = 10.0
    first: bool = True

    def checkpoint(self, name: str) -> Path | None:
        """Return the file of the state of the training of this name."""
        return None if self.checkpoints is None else self.checkpoints / f"{slug(name)}.safetensors"


def slug(name: str) -> str:
    """Return a name of letters, digits, dots and dashes: `collaborative: τ 0.3` has one too."""
    latin = name.replace("τ", "tau")
    return re.sub(r"[^A-Za-z0-9.]+", "-", latin).strip("-.") or "training"
