"""A training in one picture: loss and validation metric over the steps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kgrec.training.logs import StepRecord


def plot_training(records: Sequence[StepRecord], path: Path) -> None:
    """Draw loss and validation metric over the steps.

    Args:
        records: the steps of a log.
        path: takes the picture, in the format of its suffix: .png, .svg or .pdf.
    """
    # matplotlib is an extra, and slow to import.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    left = figure.add_subplot()
    steps = [record.step for record in records]
    left.plot(steps, [record.loss for record in records], color="tab:blue", linewidth=1)
    left.set_xlabel("step")
    left.set_ylabel("loss", color="tab:blue")
    looked = [record for record in records if record.validation is not None]
    if looked:
        right = left.twinx()
        measured = [record.validation or 0.0 for record in looked]
        right.plot([record.step for record in looked], measured, "o-", color="tab:orange")
        best = max(looked, key=lambda record: record.validation or 0.0)
        right.axvline(best.step, color="tab:orange", linestyle=":", linewidth=1)
        right.set_ylabel("validation", color="tab:orange")
    left.set_title(path.stem)
    figure.savefig(path)
