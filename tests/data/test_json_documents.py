"""JSON files that are no JSON lines are read object by object."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from pathlib import Path

import pytest

from kgrec.data.tables import open_table
from kgrec.errors import DataError

ROWS = [{"id": n, "title": f"Film {n}", "genres": [{"name": "War"}]} for n in range(5)]
PRETTY = json.dumps(ROWS, indent=2)
ONE = {"id": 1, "cast": [{"name": "Ann"}, {"name": "Bob"}]}
DOCUMENTS = {
    "an array": json.dumps(ROWS),
    "an array over lines": PRETTY,
    "an array with a mark": "\ufeff \n" + PRETTY,
    "a line for each object": "[\n" + ",\n".join(map(json.dumps, ROWS)) + "\n]\n",
    "objects behind each other": "\n".join(json.dumps(row, indent=1) for row in ROWS),
    "a list beside counts": json.dumps({"total": 5, "page": {"n": 1}, "items": ROWS, "next": None}),
    "a list beside counts, over lines": json.dumps({"total": 5, "results": ROWS}, indent=2),
    "a list beside what is about it": json.dumps({"meta": {"n": 5}, "films": ROWS, "total": 5}),
    "the same over lines": json.dumps({"meta": {"n": 5}, "films": ROWS, "total": 5}, indent=2),
    "a list alone": json.dumps({"films": ROWS}),
    "a list alone, over lines": json.dumps({"films": ROWS}, indent=2),
    "lines": "\n".join(map(json.dumps, ROWS)),
}


def found(path: Path) -> tuple[list[tuple[int, dict[str, object]]], list[tuple[int, str]]]:
    aside: list[tuple[int, str]] = []
    table = open_table(path)
    rows = list(table.rows(lambda line, value, reason: aside.append((line, reason[:12]))))
    return rows, aside


@pytest.mark.parametrize("name", list(DOCUMENTS))
@pytest.mark.parametrize("packed", [False, True])
def test_every_document_holds_its_rows(tmp_path: Path, name: str, packed: bool) -> None:
    path = tmp_path / ("t.json.gz" if packed else "t.json")
    content = DOCUMENTS[name].encode()
    path.write_bytes(gzip.compress(content) if packed else content)
    assert found(path) == (list(enumerate(ROWS, 1)), [])


@pytest.mark.parametrize("indent", [None, 1])
def test_one_object_with_a_list_is_one_row(tmp_path: Path, indent: int | None) -> None:
    path = tmp_path / "t.json"
    path.write_text(json.dumps(ONE, indent=indent))
    assert found(path) == ([(1, ONE)], [])


@pytest.mark.parametrize("indent", [None, 1])
def test_objects_by_id_are_rows_with_that_id(tmp_path: Path, indent: int | None) -> None:
    path = tmp_path / "t.json"
    named = {f"tt{n}": {"title": f"Film {n}", "year": 1990 + n} for n in range(3_000)}
    path.write_text(json.dumps(named, indent=indent))
    rows, aside = found(path)
    assert aside == []
    assert [cells for _, cells in rows] == [{"id": key, **row} for key, row in named.items()]
    whole = {f"tt{n}": {"id": n, "title": f"Film {n}"} for n in range(3)}
    path.write_text(json.dumps(whole, indent=indent)[:-4])
    rows, aside = found(path)
    assert [cells for _, cells in rows] == [whole["tt0"], whole["tt1"]]
    assert len(aside) == 1


def test_columns_are_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.write_text(json.dumps({"id": {"0": 1, "1": 2}, "title": {"0": "Up", "1": "Heat"}}))
    with pytest.raises(DataError, match="columns and not rows") as refused:
        found(path)
    assert "orient='records'" in refused.value.remedy


def test_an_object_of_unlike_objects_is_one_row(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    row = {"_id": {"$oid": "5f"}, "title": {"en": "War"}, "at": {"$date": "2020-01-01"}}
    path.write_text(json.dumps(row))
    assert found(path) == ([(1, row)], [])


BROKEN = {
    "broken off": (json.dumps(ROWS)[:-20], [1, 2, 3, 4], [(5, "not JSON, or")]),
    "one object": (
        json.dumps(ROWS[:2])[:-1] + ', {"id": oops}, ' + json.dumps(ROWS[2:])[1:],
        [1, 2, 4, 5, 6],
        [(3, "not JSON, or")],
    ),
    "no objects": ('[1, "a", ' + json.dumps(ROWS)[1:], [3, 4, 5, 6, 7], [(1, "not a JSON o")] * 1),
}


@pytest.mark.parametrize("name", list(BROKEN))
def test_what_is_broken_costs_no_other_row(tmp_path: Path, name: str) -> None:
    content, numbers, aside = BROKEN[name]
    path = tmp_path / "t.json"
    path.write_text(content)
    rows, refused = found(path)
    assert [number for number, _ in rows] == numbers
    assert refused[: len(aside)] == aside


@pytest.mark.parametrize("content", ["[]", "[1, 2]", "[[]]", "{", "[", "[{]", "17", "{}"])
def test_a_document_without_objects_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "t.json"
    path.write_text(content)
    with pytest.raises(DataError, match="does not hold JSON objects"):
        found(path)


def test_memory_is_that_of_an_object(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    with path.open("w") as file:
        file.write("[" + ",".join(f'{{"id": {n}, "text": "{"x" * 400}"}}' for n in range(30_000)))
        file.write(', {"id": "broken"')
    table, aside = open_table(path), [0]
    tracemalloc.start()
    count = sum(1 for _ in table.rows(lambda *_: aside.append(1)))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (count, sum(aside)) == (30_000, 1)
    assert most < 4e6 < path.stat().st_size
