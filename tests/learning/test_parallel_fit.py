"""Two real processes fit the team that one process fits, and the first leaves it behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from tastes import Tastes, tastes
from torchrun import torchrun

from kgrec.data.dataset import Interactions
from kgrec.model.storage import load_team
from kgrec.stages.parallel import main

SETTINGS = """
agents = ["collaborative", "linear"]
[settings.collaborative]
tau = 0.3
embedding_dim = 8
schedule = { steps = 8, check_from = 4, check_every = 4 }
[settings.linear]
ridge = 10.0
"""


@pytest.fixture(scope="module")
def world() -> Tastes:
    return tastes()


@pytest.fixture(scope="module")
def folder(world: Tastes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The planted tastes as atomic files, and the settings of the team."""
    place = tmp_path_factory.mktemp("planted")
    train = world.train
    for part, rows in (
        ("train", train.interactions),
        ("valid", world.valid),
        ("test", world.test),
    ):
        (place / f"planted.{part}.inter").write_text(_rows(rows), encoding="utf-8")
    (place / "team.toml").write_text(SETTINGS, encoding="utf-8")
    return place


def _rows(part: Interactions) -> str:
    lines = [f"u{u}\ti{i}" for u, i in zip(part.user, part.item, strict=True)]
    return "\n".join(["user_id:token\titem_id:token", *lines]) + "\n"


def train(folder: Path, out: Path, processes: int, *options: str) -> dict[str, Any]:
    settings = ("--config", str(folder / "team.toml"), *options)
    output = torchrun(processes, "-m", "kgrec.training", str(folder), "--out", str(out), *settings)
    summary: dict[str, Any] = json.loads(output[output.index("{") :])
    return summary


def test_two_processes_fit_the_team_that_one_fits(folder: Path, tmp_path: Path) -> None:
    alone = train(folder, tmp_path / "one", 1)
    both = train(folder, tmp_path / "two", 2)
    assert (alone["processes"], both["processes"]) == (1, 2)
    assert both["shares"] == pytest.approx(alone["shares"], abs=1e-6)
    teams = [load_team(tmp_path / name) for name in ("one", "two")]
    histories = np.eye(len(teams[0].items), dtype=np.float32)[:10]
    scores = [team.scores(csr_matrix(histories)) for team in teams]
    np.testing.assert_allclose(scores[0], scores[1], atol=2e-3 * np.abs(scores[0]).max())


@pytest.mark.parametrize(
    ("settings", "options", "words"),
    [
        ('device = "abacus"', [], "abacus"),
        ('device = "abacus"', ["--device", "cpu", "--agents", "linaer"], "linear"),
        ("", ["--domain", "movies"], "--domain"),
    ],
)
def test_no_setting_is_passed_over(
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    settings: str,
    options: list[str],
    words: str,
) -> None:
    (tmp_path / "team.toml").write_text(settings)
    given = [folder, "--out", tmp_path / "out", "--config", tmp_path / "team.toml", *options]
    with pytest.raises(SystemExit) as left:
        main([str(each) for each in given])
    assert (left.value.code, words in capsys.readouterr().err) == (2, True)
