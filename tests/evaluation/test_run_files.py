"""Runs are read as they are written, whoever wrote them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kgrec.data.dataset import Dataset, Interactions
from kgrec.data.vocabulary import Vocabulary
from kgrec.errors import DataError
from kgrec.evaluation.protocol import Lists
from kgrec.evaluation.run_files import read_run, run_lines, write_text

USERS = np.array([0, 2])


def catalogue() -> Dataset:
    return Dataset(Vocabulary("abc"), Vocabulary(["x", "y\u2028z", "w"]), Interactions.empty())


def test_a_run_is_read_as_it_was_written(tmp_path: Path) -> None:
    items = np.array([[1, 0], [2, -1]])
    lists = Lists(USERS, items, np.array([[0.9, 0.5], [0.7, -np.inf]], dtype=np.float32))
    path = tmp_path / "run.tsv"
    write_text(path, run_lines(lists, catalogue()))
    read, known = read_run(path, catalogue(), USERS, 2)
    assert read.tolist() == items.tolist()
    assert known == 2


def test_lines_may_stand_in_any_order_and_say_more_than_is_asked(tmp_path: Path) -> None:
    path = tmp_path / "run.tsv"
    # An item twice, an item and a user that are not known, a user who is not asked for.
    path.write_text("c\tw\t1\nc\tx\t2\nc\tw\t3\nc\tq\t9\nq\tx\t9\nb\tx\t9\n\n")
    read, known = read_run(path, catalogue(), USERS, 3)
    assert read.tolist() == [[-1, -1, -1], [2, 0, -1]]
    assert known == 1


@pytest.mark.parametrize("line", ["c\tx", "c\tx\tbest", "c\tx\tnan", "user\titem\tscore"])
def test_a_line_of_another_form_is_an_error(tmp_path: Path, line: str) -> None:
    path = tmp_path / "run.tsv"
    path.write_text(f"c\tw\t1\n{line}\n")
    with pytest.raises(DataError, match=r"run.tsv:2.*no header"):
        read_run(path, catalogue(), USERS, 3)
