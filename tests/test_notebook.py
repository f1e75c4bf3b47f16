"""The tour in examples/ is run cell by cell, on an embedded graph of its own."""

from __future__ import annotations

import json
import resource
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RUNNER = runpy.run_path(str(ROOT / "examples" / "run_notebook.py"))


@pytest.mark.slow
def test_the_tour_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Less than a minute of one processor, whatever else the machine is doing."""
    monkeypatch.chdir(ROOT)
    notebook = json.loads((ROOT / "examples" / "tour.ipynb").read_text("utf-8"))
    before = resource.getrusage(resource.RUSAGE_SELF)
    outputs = RUNNER["run"](notebook)
    after = resource.getrusage(resource.RUSAGE_SELF)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 60
    printed = "\n".join(outputs)
    assert "recall@10" in printed
    assert "True" in printed  # the exported graph is valid
    stored = [
        "".join("".join(o["text"]) for o in c["outputs"]) for c in RUNNER["code_cells"](notebook)
    ]
    assert [bool(text) for text in stored] == [bool(text) for text in outputs]


def test_a_cell_shows_what_it_prints_and_its_last_value() -> None:
    cells = [
        {"cell_type": "code", "source": ["x = 2\n", "print('first')\n", "x + 1"]},
        {"cell_type": "markdown", "source": ["# no code"]},
        {"cell_type": "code", "source": ["y = x"]},
    ]
    assert RUNNER["run"]({"cells": cells}) == ["first\n3\n", ""]


def test_what_a_cell_raises_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        RUNNER["run"]({"cells": [{"cell_type": "code", "source": ["1 / 0"]}]})
