"""Tables: every format gives the same rows, and what is broken costs no more than itself."""

from __future__ import annotations

import csv
import gzip
import io
import json
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kgrec.data.tables import Row, TableFormat, fingerprint, open_table
from kgrec.errors import ConfigError, DataError

ROWS = [
    {"item_id": "1", "title": "Alien", "year": "1979"},
    {"item_id": "2", "title": "Amélie", "year": "2001"},
    {"item_id": "3", "title": 'The "Burbs"', "year": "1989"},
]
Aside = list[tuple[int, object, str]]


def read(path: Path, layout: TableFormat | None = None) -> tuple[list[Row], Aside]:
    aside: Aside = []
    rows = list(open_table(path, layout).rows(lambda *one: aside.append(one)))
    return rows, aside


def write(folder: Path, name: str, content: bytes | str) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def delimited(rows: list[dict[str, str]], delimiter: str) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), delimiter=delimiter, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def contents() -> dict[str, bytes]:
    parquet = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(ROWS), parquet)
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS)
    plain_tabs = "item_id\ttitle\tyear\n" + "".join("\t".join(r.values()) + "\n" for r in ROWS)
    return {
        "a.csv": delimited(ROWS, ",").encode(),
        "b.csv": delimited(ROWS, ";").encode(),
        "c.csv": delimited(ROWS, ",").replace("\n", "\r\n").encode("utf-8-sig"),
        "d.tsv": plain_tabs.encode(),
        "e.inter": plain_tabs.replace("item_id", "item_id:token", 1).encode(),
        "f.jsonl": lines.encode(),
        "g.jsonl.gz": gzip.compress(lines.encode()),
        "h.csv.gz": gzip.compress(delimited(ROWS, ",").encode()),
        "i.parquet": parquet.getvalue(),
    }


@pytest.mark.parametrize("name", list(contents()))
def test_every_format_gives_the_same_rows(tmp_path: Path, name: str) -> None:
    rows, aside = read(write(tmp_path, name, contents()[name]))
    assert [cells for _, cells in rows] == ROWS
    assert not aside


@given(
    rows=st.lists(
        st.tuples(
            st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1),
            st.text(st.characters(codec="utf-8", exclude_characters="\0")),
        ),
        min_size=1,
        max_size=8,
    )
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_what_csv_can_say_is_read_back(tmp_path: Path, rows: list[tuple[str, str]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerows([("a", "b"), *rows])
    found, aside = read(write(tmp_path, "t.csv", text.getvalue()), TableFormat(delimiter=","))
    assert [tuple(cells.values()) for _, cells in found] == rows
    assert not aside


BROKEN = [
    (b"2,Two,extra", "2 cells are expected"),
    (b"2", "2 cells are expected"),
    (b'2,"Two', "quote"),
    (b'2,"Two" and more', "quote"),
    (b"2,caf\xe9", "bytes that are not UTF-8"),
]


@pytest.mark.parametrize(("line", "reason"), BROKEN)
def test_a_broken_row_costs_one_row(tmp_path: Path, line: bytes, reason: str) -> None:
    content = b'item_id,title\n1,One\n%s\n3,"Th, ree"\n4,"Fo\nur"\n5,Five\n' % line
    rows, aside = read(write(tmp_path, "t.csv", content))
    assert [(number, cells["item_id"]) for number, cells in rows] == [
        (2, "1"),
        (4, "3"),
        (5, "4"),
        (7, "5"),
    ]
    assert [one[0] for one in aside] == [3]
    assert reason in aside[0][2]


def test_a_file_that_breaks_off_gives_what_it_holds(tmp_path: Path) -> None:
    rows, aside = read(write(tmp_path, "t.csv", "item_id,title,year\n1,One,1999\n2,Tw"))
    assert len(rows) == 1
    assert aside == [(3, "2,Tw", "3 cells are expected, here are 2")]


def test_a_gzip_file_that_breaks_off_gives_what_it_holds(tmp_path: Path) -> None:
    lines = "".join(f"{n},{n * 7919 % 9973}\n" for n in range(20_000))
    whole = gzip.compress(f"a,b\n{lines}".encode())
    rows, aside = read(write(tmp_path, "t.csv.gz", whole[: len(whole) // 2]))
    assert 1_000 < len(rows) < 20_000
    assert "breaks off" in aside[-1][2]


def test_json_lines_that_are_none_are_set_aside(tmp_path: Path) -> None:
    content = b'{"a": 1}\nnot json\n[1, 2]\n{"a": "\xe9"}\n\n{"a": 2}\n'
    rows, aside = read(write(tmp_path, "t.jsonl", content))
    assert rows == [(1, {"a": 1}), (6, {"a": 2})]
    assert [one[0] for one in aside] == [2, 3, 4]


def test_other_encodings_and_delimiters_can_be_given(tmp_path: Path) -> None:
    path = write(tmp_path, "t.csv", "a,b\n1,café\n".encode("latin-1"))
    assert read(path, TableFormat(encoding="latin-1"))[0] == [(2, {"a": "1", "b": "café"})]
    path = write(tmp_path, "u.csv", "a,b\n1,café\n".encode("utf-16"))
    assert read(path, TableFormat(encoding="utf-16"))[0] == [(2, {"a": "1", "b": "café"})]
    path = write(tmp_path, "r.dat", "1::2\n3::4\n")
    layout = TableFormat(delimiter="::", header=("a", "b"))
    assert read(path, layout)[0] == [(1, {"a": "1", "b": "2"}), (2, {"a": "3", "b": "4"})]


@pytest.mark.parametrize(
    ("name", "content", "layout", "says"),
    [
        ("empty.csv", b"", {}, "empty"),
        ("blank.csv", b"\n\n", {}, "empty"),
        ("cut.csv", b"a;b\n1;2\n3;4\n", {"delimiter": ","}, "delimiter"),
        ("zip.csv", b"PK\x03\x04\0\0\0", {}, "not a text table"),
        ("data.csv", b"196\t242\t3\t881250949\n", {}, "holds values"),
        ("twice.csv", b"a,b,a\n1,2,3\n", {}, "same name"),
        ("twice.csv", b"a,b,a\n1,2,3\n", {}, "--skip 1"),
        ("half.parquet", b"PAR1 and no more", {}, "Parquet"),
        ("array.json", b"[1, 2]\n", {}, "JSON objects"),
        ("words.jsonl", b"not\njson\n", {}, "JSON"),
    ],
)
def test_what_is_no_table_is_an_error(
    tmp_path: Path, name: str, content: bytes, layout: dict[str, Any], says: str
) -> None:
    path = write(tmp_path, name, content)
    with pytest.raises(DataError) as caught:
        open_table(path, TableFormat(**layout))
    assert says in str(caught.value)
    assert name in str(caught.value)


def test_missing_files_folders_and_encodings_are_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        open_table(tmp_path / "none.csv")
    with pytest.raises(DataError, match="cannot be read"):
        open_table(tmp_path)
    path = write(tmp_path, "t.csv", "a,b\n1,2\n")
    with pytest.raises(ConfigError, match="encoding"):
        open_table(path, TableFormat(encoding="klingon"))


def test_a_fingerprint_tells_contents_apart(tmp_path: Path) -> None:
    one = fingerprint(write(tmp_path, "a.csv", "a\n1\n"))
    same = fingerprint(write(tmp_path, "b.csv", "a\n1\n"))
    other = fingerprint(write(tmp_path, "c.csv", "a\n2\n"))
    assert one == same
    assert one.lines == 2
    assert one.digest != other.digest


@pytest.mark.parametrize("encoding", ["klingon", "idna", "base64", "rot13", "hex"])
@pytest.mark.parametrize("name", ["t.csv", "t.jsonl"])
def test_an_encoding_of_no_use_is_an_error(tmp_path: Path, encoding: str, name: str) -> None:
    path = write(tmp_path, name, contents()["f.jsonl" if name == "t.jsonl" else "a.csv"])
    with pytest.raises(ConfigError, match="no such encoding"):
        open_table(path, TableFormat(encoding=encoding))


def test_a_file_of_another_encoding_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path, "t.csv", contents()["a.csv"])
    with pytest.raises(DataError, match="not text of this encoding"):
        open_table(path, TableFormat(encoding="utf-16"))


def test_times_of_nanoseconds_are_cut(tmp_path: Path) -> None:
    times = pa.array([881_250_949_000_000_001, None], pa.timestamp("ns", "UTC"))
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"user_id": ["a", "b"], "at": times}), path)
    rows, _ = read(path)
    found = [cells["at"] for _, cells in rows]
    assert found == [datetime(1997, 12, 4, 15, 55, 49, tzinfo=UTC), None]


def test_a_long_cell_is_kept_and_a_quote_left_open_is_not(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b\n1," + "x" * 140_000 + "\n2,y\n", encoding="utf-8")
    rows, rejects = read(path)
    assert [len(cells["b"]) for _, cells in rows] == [140_000, 1]
    assert not rejects
    path.write_text('a,b\n1,"' + "x" * 70_000 + "\n" + "z" * 70_000 + "\n", encoding="utf-8")
    _, rejects = read(path)
    assert rejects[0][2] == "a quote opens here that does not close"


@pytest.mark.parametrize("name", ["bomb.jsonl.gz", "bomb.csv.gz"])
def test_a_line_that_unpacks_to_more_than_a_line_is_set_aside(tmp_path: Path, name: str) -> None:
    """A gigabyte of one line packs into a megabyte; here it is a sixteenth of that."""
    is_json = "json" in name
    good = [b'{"item_id": "a"}', b'{"item_id": "b"}'] if is_json else [b"item_id,x", b"a,1"]
    path = tmp_path / name
    with gzip.open(path, "wb") as file:
        file.write(b"\n".join(good) + b"\n")
        for _ in range(64):
            file.write(b"0" * (1 << 20))
        file.write(b"\n" + (b'{"item_id": "c"}' if is_json else b"c,2") + b"\n")
    rejects: list[tuple[int, object, str]] = []
    tracemalloc.start()
    try:
        table = open_table(path, TableFormat())
        rows = list(table.rows(lambda *reject: rejects.append(reject)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 40 << 20
    assert [cells["item_id"] for _, cells in rows] == (["a", "b", "c"] if is_json else ["a", "c"])
    assert rows[-1][0] == 4
    [(line, _, reason)] = rejects
    assert (line, "longer than" in reason) == (3, True)


def test_numbers_and_nesting_beyond_all_bounds_are_rejects(tmp_path: Path) -> None:
    path = tmp_path / "odd.jsonl"
    path.write_text(
        '{"item_id": "a"}\n{"item_id": ' + "9" * 10_000 + "}\n" + '{"item_id": ' + "[" * 100_000
    )
    rejects: list[tuple[int, object, str]] = []
    rows = list(open_table(path, TableFormat()).rows(lambda *reject: rejects.append(reject)))
    assert [cells["item_id"] for _, cells in rows] == ["a"]
    assert [line for line, _, _ in rejects] == [2, 3]
