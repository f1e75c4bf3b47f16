"""`kgrec evaluate` on folders of a dozen users, as odd as people's folders are."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kgrec.cli.app import main

HEADER = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
Row = tuple[str, str, float, int]


def rows(part: slice, users: int = 12) -> list[Row]:
    """Return some of the six items of each user."""
    rng = np.random.default_rng(0)
    taken = [rng.choice(10, 6, replace=False) for _ in range(users)]
    return [
        (f"u{user}", f"i{item}", 1 + item % 5, 1_000_000_000 + 1000 * step)
        for user, items in enumerate(taken)
        for step, item in list(enumerate(items.tolist()))[part]
    ]


TRAIN, VALID, TEST = rows(slice(0, 4)), rows(slice(4, 5)), rows(slice(5, 6))


def inter(lines: list[Row]) -> str:
    return HEADER + "".join("\t".join(map(str, line)) + "\n" for line in lines)


def folder(path: Path, **files: str | bytes) -> Path:
    """Write a split; a keyword names another content of a part."""
    usual = {"train": inter(TRAIN), "valid": inter(VALID), "test": inter(TEST)}
    contents = {f"{name}.inter": text for name, text in usual.items()}
    contents |= {name.replace("_", "."): text for name, text in files.items()}
    for name, content in contents.items():
        data = content.encode() if isinstance(content, str) else content
        (path / f"d.{name}").write_bytes(data)
    return path


ONE_EACH: dict[str, str | bytes] = {
    f"{name}_inter": inter(TEST) for name in ("train", "valid", "test")
}
"""Every user has one interaction."""


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["evaluate", *map(str, arguments), "--agents", "linear"])
    return int(ended.value.code or 0)


def measured(capsys: pytest.CaptureFixture, *arguments: object) -> dict[str, Any]:
    """Evaluate, and read all of standard output as JSON, in which there is no NaN."""
    assert run(*arguments, "--json") == 0

    def refused(word: str) -> float:
        raise AssertionError(word)

    return dict(json.loads(capsys.readouterr().out, parse_constant=refused))


@pytest.mark.parametrize("k", [10**12, 10**30])
def test_longer_lists_than_there_are_items_are_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture, k: int
) -> None:
    item = "item_id:token\tgenre:token_seq\n" + "".join(f"i{n}\tg{n % 3}\n" for n in range(10))
    path = folder(tmp_path, item=item)
    whole = measured(capsys, path, "--k", 10, "--run-out", tmp_path / "run.tsv")
    long = measured(capsys, path, "--k", k, "--baseline", tmp_path / "run.tsv")
    usual, found = whole["ranking"]["at"]["10"], long["ranking"]["at"][str(k)]
    for metric in ("recall", "ndcg", "mrr", "hit"):
        assert found[metric] == usual[metric]
    assert found["precision"]["mean"] == pytest.approx(1 / k)
    assert long["lists"]["at"][str(k)] == whole["lists"]["at"]["10"]
    assert long["baseline"]["at"][str(k)]["ndcg"]["mean"] == 0


def test_rows_that_stand_twice_count_once(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    usual = measured(capsys, folder(tmp_path))["ranking"]
    twice = {f"{n}_inter": inter(2 * p) for n, p in (("train", TRAIN), ("test", TEST))}
    found = measured(capsys, folder(tmp_path, **twice))["ranking"]
    assert {**found, "seconds": 0} == {**usual, "seconds": 0}


def test_what_the_test_part_repeats_is_told(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = folder(tmp_path, train_inter=inter(TRAIN + TEST[:5]))
    assert measured(capsys, path)["ranking"]["repeated"] == 5
    assert run(path) == 0
    assert "5 test interactions left out" in capsys.readouterr().out
    folder(tmp_path, train_inter=inter(TRAIN + TEST))
    assert run(path) == 3
    assert "are in no other part" in capsys.readouterr().err


def test_nothing_is_said_to_be_chosen_where_nothing_new_is_to_choose_on(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert run(folder(tmp_path, valid_inter=inter(TRAIN))) == 0
    shown = capsys.readouterr().out
    assert "Chosen on the validation part" not in shown
    assert "Nothing new in the validation part" in shown


def test_items_that_only_the_test_part_has_are_ranked(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    new = [(user, f"new{item}", value, at) for user, item, value, at in TEST]
    found = measured(capsys, folder(tmp_path, test_inter=inter(new)), "--k", 1)
    assert found["counts"]["items"] == 10 + len({row[1] for row in new})
    assert found["ranking"]["at"]["1"]["hit"]["mean"] < 0.5


@pytest.mark.parametrize("value", ["1e300", "1e38", "-1e16"])
def test_a_value_beyond_reckoning_is_set_aside(
    tmp_path: Path, capsys: pytest.CaptureFixture, value: str
) -> None:
    more = inter(TRAIN) + f"u0\ti9\t{value}\t1000000000\n"
    found = measured(capsys, folder(tmp_path, train_inter=more))
    assert found["counts"]["train"] == len(TRAIN)
    assert "rating is too large a number" in found["rejected"][0]


def test_a_graph_that_is_tied_to_no_item_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    kg = "head_id:token\trelation_id:token\ttail_id:token\ne0\tgenre\tg\ne1\tgenre\tg\n"
    found = measured(capsys, folder(tmp_path, kg=kg))
    assert found["rejected"] == ["d.kg: no row is read, as there is no d.link"]


def test_empty_names_tie_nothing_together(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    kg = "head_id:token\trelation_id:token\ttail_id:token\ne0\tgenre\tg\n\tgenre\tg\ne0\tgenre\t\n"
    link = "item_id:token\tentity_id:token\ni0\te0\ni1\t\n"
    found = measured(capsys, folder(tmp_path, kg=kg, link=link))
    assert found["counts"]["facts"] == 1
    assert [reject.split(":")[1] for reject in found["rejected"]] == ["3", "4"]


def test_a_word_for_nothing_is_no_group(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    ages = ["nan", " ", *(str(20 + n) for n in range(10))]
    users = "".join(f"u{n}\t{age}\n" for n, age in enumerate(ages))
    path = folder(tmp_path, user=f"user_id:token\tage:float\n{users}")
    groups = measured(capsys, path, "--group", "age")["groups"]["groups"]
    assert groups.pop("unknown")["users"] == 2
    assert len(groups) == 4


@pytest.mark.parametrize("as_json", [True, False])
def test_a_terminal_of_few_letters_gets_the_others_escaped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, as_json: bool
) -> None:
    users = "".join(f"u{n}\t{'男🦊'[n % 2]}\n" for n in range(12))
    path = folder(tmp_path, user=f"user_id:token\tsex:token\n{users}")
    shown = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", shown)
    assert run(path, "--group", "sex", *["--json"] * as_json) == 0
    shown.seek(0)
    text = shown.read()
    if as_json:
        assert set(json.loads(text)["groups"]["groups"]) == {"男", "🦊"}
    else:
        assert "\\u7537" in text


@pytest.mark.parametrize(
    ("files", "arguments", "code", "words"),
    [
        ({"valid_inter": HEADER}, (), 3, "no row of the file is usable"),
        ({"test_inter": ""}, (), 3, "the file is empty"),
        ({"train_inter": HEADER.encode() + b"u\xe9\ti\t1\t1\n"}, (), 3, "not UTF-8"),
        ({"item": b"item_id:token\ttitle:token_seq\ni1\tcaf\xe9\n"}, (), 3, "not UTF-8"),
        ({"user": "who:token\tage:float\nu1\t3\n"}, (), 3, "no user column"),
        ({}, ("--group", "age"), 2, "there is no file"),
        ({}, ("--protocol", "cold-item"), 3, "neither facts nor texts"),
        (ONE_EACH, ("--protocol", "cold-user"), 3, "too few users with two interactions"),
        (ONE_EACH, ("--protocol", "warm"), 3, "leaves nothing to choose on"),
    ],
)
def test_what_cannot_be_measured_is_one_object_on_standard_error(
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
    files: dict[str, str | bytes],
    arguments: tuple[str, ...],
    code: int,
    words: str,
) -> None:
    assert run(folder(tmp_path, **files), *arguments, "--json") == code
    told = capsys.readouterr()
    assert told.out == ""
    assert words in " ".join(map(str, json.loads(told.err).values()))
