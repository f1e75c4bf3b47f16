from __future__ import annotations

import os
import pickle
import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from kgrec.data.atomic import read_folder

SCRIPT = Path(__file__).parents[2] / "examples" / "benchmarks" / "yelp_split.py"
PARTS = {"train": [(0, 0), (0, 2), (2, 1)], "valid": [(0, 1)], "test": [(2, 0), (1, 3)]}


def matrix(pairs: list[tuple[int, int]], shape: tuple[int, int] = (4, 6)) -> sp.coo_matrix:
    rows, columns = zip(*pairs, strict=True)
    return sp.coo_matrix((np.ones(len(pairs)), (rows, columns)), shape=shape)


def pickled(path: Path, content: object, protocol: int = 2) -> Path:
    path.write_bytes(pickle.dumps(content, protocol))
    return path


@pytest.fixture
def parts(tmp_path: Path) -> dict[str, Path]:
    return {p: pickled(tmp_path / f"{p}.pkl", matrix(pairs)) for p, pairs in PARTS.items()}


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *map(str, arguments)])
    runpy.run_path(str(SCRIPT), run_name="__main__")


def test_matrices_become_a_split_with_every_item(
    parts: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pickled(parts["valid"], sp.csr_matrix(matrix(PARTS["valid"])), protocol=4)
    pickled(parts["test"], sp.csc_matrix(matrix(PARTS["test"])), protocol=5)
    run(monkeypatch, *parts.values(), tmp_path / "out")
    assert capsys.readouterr().out == "3 train, 1 valid, 2 test, 4 users, 6 items\n"
    data = read_folder(tmp_path / "out")
    assert data.name == "sparse-yelp"
    assert not data.rejects
    assert (data.train.num_users, data.train.num_items) == (3, 6)
    assert not any(data.train.item_texts)
    users, items = data.train.users, data.train.items
    for part, pairs in PARTS.items():
        kept = data.train.interactions if part == "train" else getattr(data, part)
        found = zip(users.take(kept.user), items.take(kept.item), strict=True)
        assert sorted(found) == sorted((str(user), str(item)) for user, item in pairs)


class Call:
    """What a pickle can hold in place of data: a function to be called when it is read."""

    def __init__(self, function: Any, *arguments: object) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def test_a_pickle_that_calls_a_function_is_refused_and_nothing_is_called(
    parts: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pickled(parts["test"], Call(os.mkdir, str(tmp_path / "made")))
    with pytest.raises(SystemExit, match=r"no sparse matrix.*test\.pkl.*names posix\.mkdir"):
        run(monkeypatch, *parts.values(), tmp_path / "out")
    assert not (tmp_path / "made").exists()


def test_other_content_is_refused(
    parts: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit, match=r"cannot be read.*absent\.pkl"):
        run(monkeypatch, tmp_path / "absent.pkl", parts["valid"], parts["test"], tmp_path / "out")
    for content in ([1, 2], np.ones((4, 6))):
        pickled(parts["test"], content)
        with pytest.raises(SystemExit, match="no sparse matrix"):
            run(monkeypatch, *parts.values(), tmp_path / "out")
    parts["test"].write_bytes(b"no pickle")
    with pytest.raises(SystemExit, match="no sparse matrix"):
        run(monkeypatch, *parts.values(), tmp_path / "out")
    outside = matrix(PARTS["test"])
    outside.col[0] = 900  # a column that the shape does not have
    pickled(parts["test"], outside)
    with pytest.raises(SystemExit, match="no sparse matrix"):
        run(monkeypatch, *parts.values(), tmp_path / "out")
    pickled(parts["test"], matrix(PARTS["test"], shape=(4, 7)))
    with pytest.raises(SystemExit, match=r"differ in shape.*test \(4, 7\)"):
        run(monkeypatch, *parts.values(), tmp_path / "out")
