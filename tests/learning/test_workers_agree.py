from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from torchrun import torchrun


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one process learns, and what two learn together."""
    folder = tmp_path_factory.mktemp("together")
    for count in (1, 2):
        (folder / str(count)).mkdir()
        torchrun(
            count, str(Path(__file__).parents[1] / "joint_worlds.py"), str(folder / str(count))
        )
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


def test_two_processes_learn_the_sequential_agent_as_one_does(folder: Path) -> None:
    """Each process reads its share of the examples; what is dropped of items differs by chance."""
    alone = np.load(folder / "1" / "sequential-0-of-1.npy")
    first, second = (np.load(folder / "2" / f"sequential-{rank}-of-2.npy") for rank in (0, 1))
    np.testing.assert_array_equal(first, second)
    assert np.corrcoef(first.ravel(), alone.ravel())[0, 1] > 0.85
    assert np.abs(first - alone).mean() < 0.1 * np.abs(alone).mean()


def test_agents_that_learn_together_are_the_same_in_all_processes(folder: Path) -> None:
    """The first process learns them; what it refuses, all of them raise."""
    alone = np.load(folder / "1" / "joint-0-of-1.npy")
    for rank in (0, 1):
        np.testing.assert_array_equal(np.load(folder / "2" / f"joint-{rank}-of-2.npy"), alone)
        told = (folder / "2" / f"refused-{rank}.txt").read_text(encoding="utf-8")
        assert "collaborative: embedding_dim" in told
