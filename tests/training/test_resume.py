from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from torch import nn

from kgrec.errors import ModelError
from kgrec.training.logs import TrainingFiles, read_log, slug
from kgrec.training.loop import Schedule, Trained, seeded, train
from kgrec.training.resume import read_state, write_state

TESTS = Path(__file__).parent.parent
WHOLE, SAMPLED = 1_000_000, 0


class Noisy(nn.Module):
    """Learns a point from noise of all generators."""

    def __init__(self) -> None:
        super().__init__()
        self.x = nn.Parameter(torch.zeros(3))
        self.rng = np.random.default_rng(1)

    def loss(self) -> torch.Tensor:
        noise = torch.rand(3) + float(np.random.random()) + float(self.rng.random())
        return (self.x - noise).square().sum()


def trained(
    files: TrainingFiles | None, steps: int, schedule: Schedule | None = None
) -> tuple[Trained, torch.Tensor]:
    model = Noisy()
    schedule = schedule or Schedule(steps=20, check_from=2, check_every=3, patience=50)
    with seeded(3):
        ended = train(
            model,
            model.loss,
            schedule,
            measure=lambda: -float(model.x.detach().sub(1.2).abs().sum()),
            stop_after=steps,
            generator=model.rng,
            files=files,
            name="noisy: τ 1",
        )
    return ended, model.x.detach().clone()


def eager(folder: Path, fingerprint: str = "a") -> TrainingFiles:
    return TrainingFiles(None, folder, fingerprint, seconds=0.0)


@pytest.mark.parametrize("curve", ["step", "plateau"])
def test_a_training_that_goes_on_ends_as_one_that_was_never_interrupted(
    curve: Literal["step", "plateau"], tmp_path: Path
) -> None:
    schedule = Schedule(
        curve=curve, steps=20, check_from=2, check_every=3, patience=50, least_gain=0.5
    )
    whole, parameters = trained(None, 20, schedule)
    assert (whole.fell is not None and whole.fell < 9) == (curve == "plateau")
    part, _ = trained(eager(tmp_path), 9, schedule)
    assert len(part.losses) == 9
    ended, resumed = trained(eager(tmp_path), 20, schedule)
    assert torch.equal(resumed, parameters)
    assert ended == whole


def test_a_training_that_was_done_is_not_done_again(tmp_path: Path) -> None:
    first, parameters = trained(eager(tmp_path), 20)
    file = tmp_path / "noisy-tau-1.safetensors"
    written = file.stat().st_mtime_ns
    again, same = trained(eager(tmp_path), 20)
    assert again == first
    assert torch.equal(same, parameters)
    assert file.stat().st_mtime_ns == written
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def test_a_state_of_other_data_or_settings_is_refused(tmp_path: Path) -> None:
    trained(eager(tmp_path), 5)
    with pytest.raises(ModelError, match="other data or settings"):
        trained(eager(tmp_path, "b"), 5)
    with pytest.raises(ModelError, match="other data or settings"):
        trained(eager(tmp_path), 5, Schedule(steps=20, rate=0.5))


def test_a_broken_or_unwritable_state_is_named(tmp_path: Path) -> None:
    trained(eager(tmp_path), 5)
    file = tmp_path / "noisy-tau-1.safetensors"
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(ModelError, match="broken"):
        trained(eager(tmp_path), 5)
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match="cannot be written"):
        trained(eager(tmp_path / "file" / "below"), 5)


def test_state_comes_back_as_it_was(tmp_path: Path) -> None:
    tensors = {"a": torch.rand(2, 3), "b": torch.tensor(7.0, dtype=torch.float64)}
    record = {"losses": [0.1, 1 / 3], "state": {"big": 2**120}}
    write_state(tmp_path / "x.safetensors", tensors, record)
    found = read_state(tmp_path / "x.safetensors")
    assert found is not None
    assert found[1] == record
    assert all(torch.equal(found[0][name], tensor) for name, tensor in tensors.items())
    assert read_state(tmp_path / "none.safetensors") is None


def test_tensors_that_share_memory_are_kept_each(tmp_path: Path) -> None:
    """Networks that learn together have one table of items under two names."""
    table = nn.Embedding(3, 2)
    shared = nn.ModuleDict({"first": table, "second": table}).state_dict()
    write_state(tmp_path / "x.safetensors", shared, {})
    found = read_state(tmp_path / "x.safetensors")
    assert found is not None
    assert found[0].keys() == shared.keys()
    assert all(torch.equal(tensor, table.weight) for tensor in found[0].values())


def test_names_make_files() -> None:
    assert slug("collaborative: τ 0.3, seed 2") == "collaborative-tau-0.3-seed-2"
    assert slug("../..") == "training"


@pytest.mark.parametrize("max_edges", [WHOLE, SAMPLED], ids=["whole graph", "sampled users"])
def test_a_killed_training_goes_on(tmp_path: Path, max_edges: int) -> None:
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    victim = start(killed, max_edges)
    wait_for_steps(killed, 12, victim)
    victim.send_signal(signal.SIGKILL)
    assert victim.wait() == -signal.SIGKILL
    assert not (killed / "factors.npy").exists()
    assert list((killed / "checkpoints").glob("*.safetensors"))
    both = [start(killed, max_edges), start(whole, max_edges)]
    assert [process.wait(timeout=300) for process in both] == [0, 0]
    assert np.array_equal(np.load(killed / "factors.npy"), np.load(whole / "factors.npy"))
    for log in (whole / "logs").glob("*.csv"):
        expected, found = read_log(log), read_log(killed / "logs" / log.name)
        assert [(r.step, r.loss, r.validation) for r in found] == [
            (r.step, r.loss, r.validation) for r in expected
        ]


def start(folder: Path, max_edges: int) -> subprocess.Popen[bytes]:
    folder.mkdir(exist_ok=True)
    program = str(TESTS / "training" / "victim.py")
    path = os.pathsep.join([str(TESTS), str(TESTS.parent)])
    return subprocess.Popen(
        [sys.executable, program, str(folder), str(max_edges)],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
    )


def wait_for_steps(folder: Path, steps: int, process: subprocess.Popen[bytes]) -> None:
    log = folder / "logs" / "collaborative-tau-0.3.csv"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if log.is_file() and len(log.read_text().splitlines()) > steps:
            return
        time.sleep(0.01)
    pytest.fail("the training did not get so far")
