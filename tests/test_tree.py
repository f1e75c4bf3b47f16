"""The tree keeps its shape: sizes, names, cycles, and serving without torch."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
MAKE_TREE = runpy.run_path(str(ROOT / "docs" / "make_tree.py"))


@pytest.fixture(scope="module")
def tree() -> Any:
    return MAKE_TREE["measure"](ROOT)


def test_modules_are_neither_many_nor_large(tree: Any) -> None:
    # 250 until folding came, 275 until intake grew, 320 until it read addresses, triples and logs,
    # and graphs moved and were reported on, 350 until extractors were trained and names resolved,
    # 400 until language models and declarations stated facts, persons corrected them, and the
    # doubles of a graph were merged, 430 until servers read by what extraction was set up with, and
    # other works were left out.
    assert 150 <= len(tree.lines) <= 440
    assert 100 <= tree.median <= 180
    assert tree.largest[1] <= 400, tree.largest


def test_no_two_public_classes_have_one_name(tree: Any) -> None:
    assert tree.twice == {}


def test_no_file_names_form_a_family(tree: Any) -> None:
    assert tree.families == {}


def test_no_file_name_says_nothing(tree: Any) -> None:
    empty = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "base", "core"}
    assert not {Path(name).stem for name in tree.lines} & empty


def test_no_modules_import_each_other(tree: Any) -> None:
    """Nor inside functions, nor for type checkers alone."""
    assert tree.cycles == []


def test_nothing_that_serves_can_reach_torch(tree: Any) -> None:
    assert tree.chains == {}


def test_a_cycle_would_be_found() -> None:
    cycles = MAKE_TREE["cycles"]
    assert cycles({"a": ["b"], "b": ["c"], "c": ["b"], "d": ["a"]}) == [["b", "c"]]
    assert cycles({"a": ["b"], "b": []}) == []


def test_a_family_would_be_found() -> None:
    folder = Path("kgrec/model")
    files = [folder / name for name in ("gate.py", "linear_rows.py", "linear_form.py", "kernel.py")]
    families = MAKE_TREE["_families"](Path("kgrec"), files)
    assert families == {"model/linear": ["linear_form", "linear_rows"]}
