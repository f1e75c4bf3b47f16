"""Rows that are set aside are in a file, whole enough to be found again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kgrec.data.rejects import Reject, Rejects, read_rejects
from kgrec.errors import ConfigError


def test_a_reject_has_file_line_value_and_reason(tmp_path: Path) -> None:
    path = tmp_path / "rejects" / "run.jsonl"
    with Rejects(path) as rejects:
        rejects.add("a.csv", 7, "abc", "rating is not a number")
        rejects.add("a.csv", 9, "caf\udce9\u2028", "bytes that are not UTF-8")
        rejects.add("a.csv", 11, ["x"] * 500, "not an object")
    lines = path.read_text(encoding="utf-8").split("\n")
    assert json.loads(lines[0]) == {
        "file": "a.csv",
        "line": 7,
        "value": "abc",
        "reason": "rating is not a number",
    }
    found = read_rejects(path)
    assert found[1] == Reject("a.csv", 9, "caf\\udce9\u2028", "bytes that are not UTF-8")
    assert len(found[2].value) == 200
    assert len(rejects) == 3


def test_a_run_without_rejects_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    with Rejects(path) as rejects:
        rejects.add("a", 1, "x", "y")
    with Rejects(path):
        pass
    assert not path.exists()
    assert read_rejects(path) == []


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with (
        Rejects(tmp_path / "other.jsonl"),
        pytest.raises(ConfigError, match="cannot be written"),
        Rejects(tmp_path / "file" / "run.jsonl") as rejects,
    ):
        rejects.add("a", 1, "x", "y")
