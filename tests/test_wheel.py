"""The wheel, installed into an empty environment, carries its data and adds one import name."""

from __future__ import annotations

import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    subprocess.run([*command, str(ROOT)], check=True, capture_output=True)
    return next(folder.glob("kgrec-*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel, whose dependencies are those of the running one."""
    folder = tmp_path_factory.mktemp("env")
    venv.create(folder, with_pip=False)
    site = next(folder.glob("lib/python*/site-packages"))
    here = next(path for path in sys.path if path.endswith("site-packages"))
    # A path in a .pth file lends the packages there, but not kgrec: an editable installation
    # works by a .pth file of its own, and those are read in true site folders only.
    (site / "dependencies.pth").write_text(here + "\n")
    install = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "install"]
    subprocess.run([*install, "--no-deps", "--quiet", str(wheel)], check=True, capture_output=True)
    return folder / "bin"


def test_adds_only_the_name_kgrec(wheel: Path) -> None:
    names = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {name for name in names if not name.endswith(".dist-info")} == {"kgrec"}


def test_carries_every_data_file(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    data = [
        path.relative_to(ROOT).as_posix()
        for folder in ("graph_schema", "pipelines")
        for path in (ROOT / folder).rglob("*")
        if path.is_file()
    ]
    assert data
    assert {f"kgrec/_data/{name}" for name in data} <= held
    page = [path for path in (ROOT / "kgrec" / "serving").rglob("*") if path.suffix == ".html"]
    assert page
    assert {path.relative_to(ROOT).as_posix() for path in page} <= held
    assert "kgrec/py.typed" in held


def test_works_where_it_is_installed(installed: Path, tmp_path: Path) -> None:
    def run(*args: str) -> str:
        done = subprocess.run(args, capture_output=True, text=True, cwd=tmp_path, check=True)
        return done.stdout

    where = run(str(installed / "python"), "-c", "import kgrec; print(kgrec.__file__)")
    assert str(ROOT) not in where
    assert "Usage: kgrec" in run(str(installed / "kgrec"), "--help")
    assert "movies" in run(str(installed / "kgrec"), "schema", "show")
    code = (
        "from pathlib import Path; from kgrec.stages.pipeline import load_pipeline; "
        "paths = [s.path for s in load_pipeline(Path('movielens')).sources if s.path]; "
        "assert paths and all(path.is_file() for path in paths), paths"
    )
    run(str(installed / "python"), "-c", code)
