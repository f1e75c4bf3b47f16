from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torchrun import torchrun

from kgrec.errors import ConfigError
from kgrec.training.workers import ALONE, PATIENCE, TopKCompression, Workers, _done, joined

SCRIPT = Path(__file__).with_name("two_workers.py")


def run(compression: str, processes: int, folder: Path) -> list[dict[str, Any]]:
    """Run the script by real processes, and return what each of them writes in a file of its own.

    Printed lines would not do: processes share one output, and long lines of two run together.
    """
    torchrun(processes, str(SCRIPT), compression, str(folder))
    return [json.loads((folder / f"{rank}.json").read_bytes()) for rank in range(processes)]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Two processes that send gradients whole."""
    return run("none", 2, tmp_path_factory.mktemp("both"))


def test_two_processes_learn_what_one_learns(both: list[dict[str, Any]], tmp_path: Path) -> None:
    (alone,) = run("none", 1, tmp_path)
    assert len(both) == 2
    np.testing.assert_allclose(both[0]["losses"], alone["losses"], rtol=1e-4)
    np.testing.assert_allclose(both[0]["weight"], alone["weight"], atol=1e-5)
    np.testing.assert_array_equal(both[0]["weight"], both[1]["weight"])
    assert [each["rank"] for each in both] == [0, 0]
    assert {each["said"] for each in both} == {"the first process found nothing"}


@pytest.mark.parametrize("compression", ["topk", "powersgd"])
def test_smaller_gradients_still_learn_and_keep_processes_alike(
    both: list[dict[str, Any]], compression: str, tmp_path: Path
) -> None:
    small = run(compression, 2, tmp_path)
    np.testing.assert_array_equal(small[0]["weight"], small[1]["weight"])
    assert small[0]["losses"][-1] < 0.2 * small[0]["losses"][0]
    assert not np.allclose(small[0]["losses"], both[0]["losses"], rtol=1e-3)


def test_the_largest_entries_are_sent_and_the_rest_waits() -> None:
    state = TopKCompression(density=0.5, world=1)
    position, value = state.select(0, torch.tensor([3.0, -1.0, 0.5, -4.0]))
    assert sorted(zip(position.tolist(), value.tolist(), strict=True)) == [(0, 3.0), (3, -4.0)]
    position, value = state.select(0, torch.tensor([0.0, -1.5, 0.0, 0.1]))
    assert sorted(zip(position.tolist(), value.tolist(), strict=True)) == [(1, -2.5), (2, 0.5)]


def test_every_row_is_somebodys() -> None:
    rows = np.arange(11)
    shares = [Workers(rank, 3).share(rows) for rank in range(3)]
    assert sorted(np.concatenate(shares).tolist()) == rows.tolist()
    assert ALONE.share(rows).tolist() == rows.tolist()


def test_each_process_takes_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {"WORLD_SIZE": 4, "RANK": 3, "LOCAL_RANK": 3, "MASTER_ADDR": "none", "MASTER_PORT": 1}
    for name, value in names.items():
        monkeypatch.setenv(name, str(value))
    taken: list[int] = []
    spoken: list[str] = []

    def join(backend: str, *, timeout: timedelta) -> None:
        assert timeout == PATIENCE
        spoken.append(backend)

    monkeypatch.setattr(torch.cuda, "set_device", taken.append)
    monkeypatch.setattr(torch.distributed, "init_process_group", join)
    for name, value in (("get_rank", 3), ("get_world_size", 4), ("destroy_process_group", None)):
        monkeypatch.setattr(torch.distributed, name, lambda value=value: value)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    with joined(device="cuda") as workers:
        assert (workers.rank, taken, spoken) == (3, [3], ["nccl"])
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ConfigError, match="no GPU for this process"), joined(device="cuda"):
        pass


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_hook_answers_from_the_gpu() -> None:
    gradient = torch.ones(3, device="cuda")
    assert torch.equal(_done(gradient).wait(), gradient)


def test_half_an_environment_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigError, match="find each other"), joined():
        pass
