from __future__ import annotations

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from kgrec.data.atomic import read_folder

SCRIPT = Path(__file__).parents[2] / "examples" / "benchmarks" / "ml100k_split.py"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Files of the shape of MovieLens 100K: 30 users with 20 of 40 films each, ratings 1 to 5."""
    rng = np.random.default_rng(1)
    folder = tmp_path / "ml-100k"
    folder.mkdir()
    rows = [
        f"{user}\t{item}\t{rng.integers(1, 6)}\t{rng.integers(10**9)}"
        for user in range(1, 31)
        for item in rng.choice(40, 20, replace=False)
    ]
    header = "user_id:token\titem_id:token\trating:float\ttimestamp:float"
    (folder / "ml-100k.inter").write_text("\n".join([header, *rows]) + "\n")
    items = "\n".join(f"{n}\tFilm {n}\t1990\tDrama" for n in range(45))
    header = "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq"
    (folder / "ml-100k.item").write_text(f"{header}\n{items}\n")
    links = "\n".join(f"{n}\tm.{n}" for n in range(45))
    (folder / "ml-100k.link").write_text(f"item_id:token\tentity_id:token\n{links}\n")
    triples = "\n".join(f"m.{n}\tdirector\tp.{n % 3}" for n in range(45))
    (folder / "ml-100k.kg").write_text(
        f"head_id:token\trelation_id:token\ttail_id:token\n{triples}\n"
    )
    users = "\n".join(f"{user}\t{20 + user}" for user in range(1, 31))
    (folder / "ml-100k.user").write_text(f"user_id:token\tage:token\n{users}\n")
    return folder


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *map(str, arguments)])
    runpy.run_path(str(SCRIPT), run_name="__main__")


@pytest.mark.parametrize("rounding", ["cut", "floor"])
def test_the_split_is_what_the_benchmark_says(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rounding: str
) -> None:
    run(monkeypatch, source, tmp_path / "out", "--rounding", rounding)
    data = read_folder(tmp_path / "out")
    whole = data.train.interactions.concat(data.valid).concat(data.test)
    assert whole.value.min() >= 3
    assert np.bincount(whole.user).min() >= 5
    assert np.bincount(whole.item).min() >= 5
    assert len({*zip(whole.user, whole.item, strict=True)}) == len(whole)
    count = np.bincount(whole.user)
    tested = np.bincount(data.test.user, minlength=len(count))
    expected = {"floor": np.maximum(count // 10, 1), "cut": count - count * 9 // 10}
    np.testing.assert_array_equal(tested, expected[rounding])
    assert data.train.facts.relations == ("class", "director")
    ages = dict(zip(data.train.users.ids, data.user_columns["age"], strict=True))
    assert ages["7"] == "27"


def test_a_folder_without_the_files_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit, match="no such file"):
        run(monkeypatch, tmp_path, tmp_path / "out")
