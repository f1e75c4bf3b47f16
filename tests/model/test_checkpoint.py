from __future__ import annotations

from pathlib import Path

import pytest

from kgrec.errors import ModelError
from kgrec.model.checkpoint import writing_directory


def test_a_block_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "model"
    with writing_directory(target) as folder:
        (folder / "a").write_text("old")
    with pytest.raises(RuntimeError):
        _write_half(target)
    assert (target / "a").read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_what_was_there_comes_back_when_the_new_cannot_take_its_place(tmp_path: Path) -> None:
    target = tmp_path / "model"
    with writing_directory(target) as folder:
        (folder / "a").write_text("old")
    with pytest.raises(ModelError, match="cannot be written"), writing_directory(target) as folder:
        folder.rmdir()  # nothing is left that could be moved
    assert (target / "a").read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def _write_half(target: Path) -> None:
    with writing_directory(target) as folder:
        (folder / "a").write_text("new")
        raise RuntimeError
