from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from kgrec.errors import ModelError
from kgrec.training.logs import StepRecord, TrainingFiles, TrainingLog, plot_training, read_log
from kgrec.training.loop import Schedule, train


def test_a_training_leaves_its_log_its_events_and_its_picture(tmp_path: Path) -> None:
    model = nn.Linear(1, 1)
    schedule = Schedule(steps=6, check_from=2, check_every=2, clip=0.5, patience=9)
    trained = train(
        model,
        lambda: model(torch.ones(1)).square().sum(),
        schedule,
        measure=lambda: 0.25,
        name="line: τ 1",
        files=TrainingFiles(tmp_path),
    )
    records = read_log(tmp_path / "line-tau-1.csv")
    assert [record.step for record in records] == [1, 2, 3, 4, 5, 6]
    assert tuple(record.loss for record in records) == trained.losses
    assert [record.validation for record in records] == [None, 0.25, None, 0.25, None, 0.25]
    assert [record.rate for record in records] == [schedule.rate_at(step) for step in range(6)]
    assert all(record.gradient_norm is not None for record in records)
    assert scalars(tmp_path / "line-tau-1", "loss") == pytest.approx(trained.losses)
    assert (tmp_path / "line-tau-1.png").read_bytes().startswith(b"\x89PNG")
    assert "</svg>" in (tmp_path / "line-tau-1.svg").read_text()


def test_a_log_goes_on_where_the_training_does(tmp_path: Path) -> None:
    first = TrainingLog(tmp_path, "x")
    for step in (1, 2, 3, 4):
        first.write(StepRecord(step, 1.0 / step, 0.1, 0.0))
    first.close()
    with (tmp_path / "x.csv").open("a") as file:
        file.write("5,0.2")  # the process was killed in the middle of a line
    second = TrainingLog(tmp_path, "x", after=2)
    assert len(read_log(tmp_path / "x.csv")) == 2  # should it be killed before its first step
    second.write(StepRecord(3, 9.0, 0.1, 0.0))
    second.close()
    assert [(r.step, r.loss) for r in read_log(tmp_path / "x.csv")] == [
        (1, 1.0),
        (2, 0.5),
        (3, 9.0),
    ]


def test_a_training_that_begins_anew_replaces_the_earlier_log(tmp_path: Path) -> None:
    for loss in (1.0, 2.0):
        log = TrainingLog(tmp_path, "x")
        log.write(StepRecord(1, loss, 0.1, 0.0))
        log.close()
    assert [record.loss for record in read_log(tmp_path / "x.csv")] == [2.0]
    assert scalars(tmp_path / "x", "loss") == [2.0]


def test_the_log_of_a_training_that_failed_is_whole(tmp_path: Path) -> None:
    model = nn.Linear(1, 1)
    factors = iter([1.0, torch.nan])
    with pytest.raises(ModelError, match="not finite"):
        train(
            model,
            lambda: model(torch.ones(1)).sum() * next(factors),
            Schedule(),
            name="x",
            files=TrainingFiles(tmp_path),
        )
    assert len(scalars(tmp_path / "x", "loss")) == 1
    assert (tmp_path / "x.png").is_file()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match="log cannot be written"):
        TrainingLog(tmp_path / "file", "x")


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_the_picture_shows_loss_and_validation(tmp_path: Path, suffix: str) -> None:
    without = [StepRecord(step, 1.0, 0.1, 0.0) for step in range(1, 5)]
    measured = [StepRecord(step, 1.0, 0.1, 0.0, None, 0.1 * step) for step in range(1, 5)]
    for name, records in (("without", without), ("measured", measured), ("empty", [])):
        plot_training(records, tmp_path / f"{name}{suffix}")
    pictures = [(tmp_path / f"{name}{suffix}").read_bytes() for name in ("without", "measured")]
    assert pictures[0] != pictures[1]


def test_extras_are_not_imported_before_a_log_is_asked_for() -> None:
    program = (
        "import sys, kgrec.training.loop; "
        "print([m for m in ('tensorboard', 'matplotlib') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert found.stdout.strip() == "[]", found.stderr


def scalars(folder: Path, tag: str) -> list[float]:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what TensorBoard itself imports
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        events = EventAccumulator(str(folder)).Reload()
    return [event.value for event in events.Scalars(tag)]
