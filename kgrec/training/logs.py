"""Files of a training: its log as CSV, TensorBoard events and a plot, and its checkpoints.

TensorBoard and matplotlib are extras; without them the CSV file alone is written.
"""

from __future__ import annotations

import csv
import importlib.util
import re
import time
import warnings
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any, TextIO

from kgrec.errors import ModelError


@dataclass(frozen=True)
class TrainingFiles:
    """Folders of a training; nothing is written for one that is None.

    Attributes:
        logs: folder for `<name>.csv`, and a plot and TensorBoard events where these are installed.
        checkpoints: folder for `<name>.safetensors`.
        fingerprint: hash of data and settings; a checkpoint with another one is an error.
        seconds: minimum time between two checkpoints.
        first: whether this process writes; of several processes only the first does, all read.
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


@dataclass(frozen=True)
class StepRecord:
    """The log of one step.

    Attributes:
        step: counted from 1.
        seconds: since the training started or was resumed.
        gradient_norm: norm before clipping; None without clipping.
        validation: the metric, where it was measured after this step.
    """

    step: int
    loss: float
    rate: float
    seconds: float
    gradient_norm: float | None = None
    validation: float | None = None


class TrainingLog:
    """Writes a line for every step to `<folder>/<name>.csv`, at once.

    Args:
        folder: created if absent.
        after: steps of an earlier run that the checkpoint covers; later lines are dropped.

    Raises:
        ModelError: the folder cannot be written.
    """

    def __init__(self, folder: Path, name: str, *, after: int = 0) -> None:
        self.path = folder / f"{slug(name)}.csv"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            earlier = [record for record in self._earlier() if record.step <= after]
            self._file: TextIO = self.path.open("w", newline="", encoding="utf-8")
        except OSError as error:
            raise ModelError(
                f"the log cannot be written ({error.strerror or error})",
                value=str(self.path),
                remedy="Choose a directory that you may write to.",
            ) from None
        self._lines = csv.writer(self._file)
        self._lines.writerow([field.name for field in fields(StepRecord)])
        self._events = _events(folder / slug(name), after)
        self._begun = time.perf_counter()
        for record in earlier:
            self._lines.writerow(astuple(record))
        self._file.flush()

    def _earlier(self) -> list[StepRecord]:
        return read_log(self.path) if self.path.is_file() else []

    def seconds(self) -> float:
        """Return the seconds since the log was opened."""
        return round(time.perf_counter() - self._begun, 3)

    def write(self, record: StepRecord) -> None:
        """Write one step."""
        self._lines.writerow(astuple(record))
        self._file.flush()
        if self._events is not None:
            for name in ("loss", "rate", "gradient_norm", "validation"):
                value = getattr(record, name)
                if value is not None:
                    self._events.add_scalar(name, value, record.step)

    def close(self) -> None:
        """Close the log, and plot it where matplotlib is installed."""
        self._file.close()
        if self._events is not None:
            self._events.close()
        if importlib.util.find_spec("matplotlib") is not None:
            from kgrec.training.logs import plot_training

            for suffix in (".png", ".svg"):
                plot_training(read_log(self.path), self.path.with_suffix(suffix))


def read_log(path: Path) -> list[StepRecord]:
    """Read the steps of a CSV log; a last line that was cut off is left out."""
    records = []
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if None in row.values() or not row["seconds"]:
                break
            records.append(
                StepRecord(
                    int(row["step"]),
                    float(row["loss"]),
                    float(row["rate"]),
                    float(row["seconds"]),
                    float(row["gradient_norm"]) if row["gradient_norm"] else None,
                    float(row["validation"]) if row["validation"] else None,
                )
            )
    return records


def _events(folder: Path, after: int) -> Any | None:
    """Return a TensorBoard writer, or None where TensorBoard is not installed."""
    if importlib.util.find_spec("tensorboard") is None:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what TensorBoard itself imports
        from torch.utils.tensorboard import SummaryWriter

        if not after:  # the files of an earlier training would be read with it, in any order
            for earlier in folder.glob("events.out.tfevents.*"):
                earlier.unlink(missing_ok=True)
        return SummaryWriter(str(folder), purge_step=after + 1)


def plot_training(records: Sequence[StepRecord], path: Path) -> None:
    """Plot loss and validation metric over the steps.

    Args:
        records: the steps of a log.
        path: file of the plot; its suffix gives the format: .png, .svg or .pdf.
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
