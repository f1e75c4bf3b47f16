"""The README's commands are run as they stand there, after the demo has run."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kgrec.cli import main

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```\w*\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
COMMANDS = [
    shlex.split(line, comments=True)
    for block in BLOCKS
    for line in block.splitlines()
    if line.startswith("kgrec ")
]
# FOLDER, ID and mine are the reader's own; a server does not end; the demo has run its pipeline.
OWN = {"FOLDER", "ID", "mine.toml", "mine/pipeline.toml"}
LEFT_OUT = {*OWN, "serve", "train", "pipelines/movielens.toml"}
OF_THEIR_OWN = {"graph", "fold"}
"""Processes of their own: one starts a server, the other lowers its priority."""
RUNNABLE = [command for command in COMMANDS if not LEFT_OUT & set(command)]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment in which the demo has run to its end."""
    home = tmp_path_factory.mktemp("demo")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("KGREC_")}
    environment |= {"PATH": path, "KGREC_HOME": str(home), "SERVE": "0", "COLUMNS": "100"}
    script = ["sh", str(ROOT / "examples" / "movies" / "demo.sh")]
    done = subprocess.run(script, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    yield environment
    subprocess.run(["kgrec", "graph", "stop", "--force"], env=environment, check=True)


def test_names_only_commands_and_options_that_exist(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert len(COMMANDS) >= 12
    shown = dict[str, str]()
    for command in COMMANDS:
        group = command[1:3] if command[1] in {"graph", "schema", "models"} else command[1:2]
        if (name := " ".join(group)) not in shown:
            with pytest.raises(SystemExit) as left:
                main([*group, "--help"])
            assert not left.value.code
            shown[name] = capsys.readouterr().out
        for option in (word for word in command if word.startswith("--")):
            assert option in shown[name], " ".join(command)


@pytest.mark.slow
def test_the_demo_learns_as_well_as_it_did(demo: dict[str, str]) -> None:
    """NDCG@20 on its validation part, by agent; other seeds move it by some thousandths."""
    shown = subprocess.run(
        ["kgrec", "models", "show", "--json"], env=demo, capture_output=True, text=True, check=True
    )
    reached = json.loads(shown.stdout)["record"]["metrics"]["validation"]
    floors = {"team": 0.355, "collaborative": 0.345, "linear": 0.345, "knowledge": 0.33}
    floors |= {"sequential": 0.315, "semantic": 0.13}
    assert {name: reached[name] for name, floor in floors.items() if reached[name] < floor} == {}


@pytest.mark.slow
def test_every_command_does_what_the_readme_says(
    demo: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    shutil.copy(ROOT / "examples" / "movies" / "catalog.csv", tmp_path / "films.csv")
    ratings = "user_id,movie_id,rating\n" + "".join(
        f"u{n % 9},{n},{1 + n % 5}\n" for n in range(1, 99)
    )
    (tmp_path / "ratings.csv").write_text(ratings, encoding="utf-8")
    assert len(RUNNABLE) > 8
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("KGREC_")]:
        monkeypatch.delenv(name)
    for name, value in demo.items():
        monkeypatch.setenv(name, value)
    for command in RUNNABLE:
        if command[1] in OF_THEIR_OWN:
            done = subprocess.run(command, capture_output=True, text=True, timeout=300)
            code, printed, errors = done.returncode, done.stdout, done.stderr
        else:
            with pytest.raises(SystemExit) as left:
                main(command[1:])
            code, (printed, errors) = left.value.code or 0, capfd.readouterr()
        assert code == 0, f"{' '.join(command)}\n{printed}\n{errors}"
        assert printed.strip(), " ".join(command)


def test_links_lead_somewhere() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", README)
    assert links
    for link in links:
        assert (ROOT / link).exists(), link
