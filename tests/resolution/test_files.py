"""Pairs of catalogues with planted matches: whether they are found, and whether it stops there."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path

import pytest

from kgrec.cli.app import main
from kgrec.errors import ConfigError, DataError
from kgrec.resolution.alignment import closeness, number_of
from kgrec.resolution.config import ResolutionConfig
from kgrec.resolution.matching import Matching, match
from kgrec.resolution.reading import RecordTable, read_labels, read_source
from kgrec.resolution.words import codes_of, plain, sorted_words

_LETTERS = "ka lo mi ren sta vor del ni pra shu tel qua bor fen gri hal jo zan wes tri"
SYLLABLES = _LETTERS.split()
PLACES = ["Lisbon", "Oslo", "Quito", "Hanoi", "Dakar", "Turin", "Lima", "Perth"]
Truth = set[tuple[int, int]]


def planted(
    overlap: float, size: int = 240, seed: int = 3
) -> tuple[RecordTable, RecordTable, Truth]:
    """Return two sources of authors, and their true matches."""
    rng = random.Random(seed)
    shared = round(overlap * size)

    def name() -> str:
        return " ".join("".join(rng.choices(SYLLABLES, k=3)).capitalize() for _ in range(2))

    things = [(name(), rng.randrange(1900, 2000), rng.choice(PLACES)) for _ in range(2 * size)]
    left = list(range(size))
    right = left[:shared] + list(range(size, 2 * size - shared))
    rng.shuffle(right)
    rows = []
    for n in right:
        own, born, place = things[n]
        if rng.random() < 0.3:
            own = ", ".join(reversed(own.split()))
        if rng.random() < 0.3:
            at = rng.randrange(1, len(own) - 1)
            own = own[:at] + own[at + 1 :]
        rows.append((own, str(born) if rng.random() < 0.8 else "", place))
    one = _source(["writer", "born", "city"], [(a, str(b), c) for a, b, c in things[:size]], "A")
    other = _source(["Person::label", "year of birth", "place"], rows, "B")
    return one, other, {(n, at) for at, n in enumerate(right) if n < size}


def _source(names: list[str], rows: list[tuple[str, ...]], letter: str) -> RecordTable:
    columns = {
        name: list(cells) for name, cells in zip(names, zip(*rows, strict=True), strict=True)
    }
    return RecordTable(tuple(f"0{letter}{at}" for at in range(len(rows))), columns, {})


def f1(found: Matching, truth: Truth) -> float:
    pairs = {(i, j) for i, j in found.matches.tolist()}
    return 2 * len(pairs & truth) / max(1, len(pairs) + len(truth))


@pytest.mark.parametrize(("overlap", "least"), [(0.1, 0.65), (0.5, 0.95), (1.0, 0.7)])
def test_matches_are_found_whatever_share_of_the_records_has_one(
    overlap: float, least: float
) -> None:
    left, right, truth = planted(overlap)
    found = match(left, right)
    assert f1(found, truth) >= least
    assert set(found.aligned) >= {("writer", "Person::label"), ("born", "year of birth")}


def test_nothing_is_matched_where_nothing_is_shared() -> None:
    left, right, _ = planted(0.0)
    assert len(match(left, right).matches) <= len(left) // 50


def test_each_record_is_in_one_pair_and_the_same_files_give_the_same_pairs() -> None:
    left, right, _ = planted(0.6)
    found, again = match(left, right), match(left, right)
    assert len(set(found.pairs[:, 0])) == len(set(found.pairs[:, 1])) == len(found.pairs)
    assert found.pairs.tolist() == again.pairs.tolist()
    assert found.probability.tolist() == again.probability.tolist()


def test_labels_decide_their_pairs_and_move_the_others() -> None:
    left, right, truth = planted(0.5)
    plain_ones = match(left, right)
    i, j = plain_ones.matches[0].tolist()
    known = {(i, j): False} | dict.fromkeys(sorted(truth)[:20], True)
    found = match(left, right, known)
    assert (i, j) not in {tuple(pair) for pair in found.matches.tolist()}
    assert {pair for pair in known if known[pair]} <= {tuple(p) for p in found.matches.tolist()}
    assert f1(found, truth - {(i, j)}) >= 0.9


def test_records_of_one_cell_are_for_a_person_to_look_at_where_others_have_more() -> None:
    left, right, truth = planted(0.6)
    cities = [f"{place} {word}" for place in PLACES for word in SYLLABLES]
    empty = [""] * len(cities)
    sources = []
    for table, letter in ((left, "A"), (right, "B")):
        name, *others = table.columns
        columns = {name: [*table.columns[name], *cities]}
        columns |= {other: [*table.columns[other], *empty] for other in others}
        rows = list(zip(*columns.values(), strict=True))
        sources.append(_source(list(columns), rows, letter))
    cut = len(left)
    found = match(*sources)
    assert not [pair for pair in found.matches.tolist() if max(pair) >= cut]
    taken = match(*sources, config=ResolutionConfig(of_one_cell=1.0))
    assert f1(found, truth) > 0.8 > 0.7 > f1(taken, truth)
    aside = {(i, j) for i, j in found.pairs.tolist() if i >= cut and i == j}
    assert len(aside) > 0.9 * len(cities)
    told = match(*sources, {(cut, cut): True, (cut + 1, cut + 1): True})
    assert len(told.matches) > len(found.matches) + 0.5 * len(cities)


def test_other_scripts_and_missing_values_are_matched() -> None:
    left, right, truth = planted(0.5)
    turned = str.maketrans("aeioulmnrstvkd", "аеиоулмнрствкд")
    for source in (left, right):
        for cells in source.columns.values():
            cells[:] = [cell.translate(turned) for cell in cells]
        source.columns["nothing"] = [""] * len(source)
    assert f1(match(left, right), truth) >= 0.9


def test_words_are_compared_in_plain_letters() -> None:
    assert plain("Amélie ÇA") == "amelie ca"
    assert sorted_words("lynch, david") == sorted_words("david lynch")
    assert codes_of("phone kx-tg6700b, (new)") == ["kxtg6700b"]
    assert number_of("$1,299.00") == 1299
    assert number_of("1984-07-01") == pytest.approx(1984.5, abs=0.01)


def test_numbers_are_close_by_what_chance_would_give() -> None:
    import numpy as np

    values = np.array([*range(100), 5.0, np.nan])
    close = closeness(values, np.array([[5, 100], [5, 6], [0, 99], [3, 101]]))
    assert close[0] == 1
    assert close[0] > close[1] > close[2]
    assert np.isnan(close[3])


def _write(path: Path, source: RecordTable, separator: str) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=separator)
        writer.writerow(["id", *source.columns])
        writer.writerows(zip(source.ids, *source.columns.values(), strict=True))
    return path


def test_the_command_writes_ids_as_they_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    left, right, truth = planted(0.5, size=120)
    one, other = _write(tmp_path / "a.csv", left, ";"), _write(tmp_path / "b.txt", right, "|")
    labels = tmp_path / "labels.csv"
    i, j = min(truth)
    labels.write_text(f"left_id,right_id,label\n{left.ids[i]},{right.ids[j]},1\n")
    target, unsure = tmp_path / "matches.csv", tmp_path / "review.csv"
    options = ["--out", str(target), "--labels", str(labels), "--review", str(unsure), "--json"]
    with pytest.raises(SystemExit) as left_with:
        main(["resolve", "files", str(one), str(other), *options])
    assert left_with.value.code == 0
    summary = json.loads(capsys.readouterr().out)
    with target.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["left_id", "right_id", "score"]
    assert len(rows) == summary["matches"]
    pairs = {(left.row_of[row["left_id"]], right.row_of[row["right_id"]]) for row in rows}
    assert len(pairs & truth) >= 0.9 * len(truth)
    assert (i, j) in pairs
    assert unsure.exists()


def test_what_cannot_be_used_is_refused(tmp_path: Path) -> None:
    empty, table = tmp_path / "empty.csv", tmp_path / "table.csv"
    empty.write_text("")
    table.write_text("id,name\n001,one\n001,again\n,none\n002,two\n")
    found = read_source(table, "id")
    assert found.ids == ("001", "002")
    assert found.refused == {"an id that came before": 1, "no id": 1}
    with pytest.raises(DataError, match="empty"):
        read_source(empty, "id")
    with pytest.raises(ConfigError, match="column of ids"):
        read_source(table, "key")
    labels = tmp_path / "labels.csv"
    for text in (
        "a,b\n1,2\n",
        "left_id,right_id,label\n001,001,maybe\n",
        "left_id,right_id,label\n9,9,1\n",
    ):
        labels.write_text(text)
        with pytest.raises(DataError):
            read_labels(labels, found, found)
    with pytest.raises(SystemExit) as left:
        main(["resolve", "files", str(empty), str(table), "--out", str(tmp_path / "m.csv")])
    assert left.value.code == 3


def test_sources_without_records_or_with_ids_alone_have_no_matches() -> None:
    none, bare = RecordTable((), {"name": []}, {}), RecordTable(("1", "2", "3"), {}, {})
    assert len(match(none, bare).matches) == len(match(bare, bare).matches) == 0
    one = RecordTable(("1",), {"name": ["a b"]}, {})
    assert len(match(one, bare).matches) == 0
