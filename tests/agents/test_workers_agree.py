from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

TESTS = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one process learns, and what two learn together."""
    folder = tmp_path_factory.mktemp("together")
    command = [sys.executable, "-m", "torch.distributed.run"]
    command += ["--rdzv_backend", "c10d", "--rdzv_endpoint", "127.0.0.1:0", "--nproc_per_node"]
    script = str(TESTS / "agents" / "together.py")
    path = os.pathsep.join([str(TESTS), str(TESTS.parent)])
    for count in (1, 2):
        (folder / str(count)).mkdir()
        done = subprocess.run(
            [*command, str(count), script, str(folder / str(count))],
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.mark.parametrize("name", ["whole", "sampled"])
def test_two_processes_learn_what_one_does(folder: Path, name: str) -> None:
    alone = np.load(folder / "1" / f"{name}-0-of-1.npy")
    first, second = (np.load(folder / "2" / f"{name}-{rank}-of-2.npy") for rank in (0, 1))
    np.testing.assert_array_equal(first, second)
    if name == "whole":
        np.testing.assert_allclose(first, alone, atol=2e-3)
    else:  # a process samples its own users' edges only, so that gradients differ by chance
        assert np.corrcoef(first.ravel(), alone.ravel())[0, 1] > 0.95
    logs = [path.name for path in (folder / "2" / name / "logs").glob("*.csv")]
    assert sorted(logs) == ["collaborative-tau-0.3.csv", "collaborative-tau-0.5.csv"]
