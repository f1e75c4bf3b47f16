"""Interactions that are read column by column are those that are read row by row."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgrec.data.cells.values import CellError
from kgrec.data.columns import plan_columns
from kgrec.data.interactions.columns import InteractionBatch, InteractionColumns
from kgrec.data.parsing import RowParser
from kgrec.data.records import InteractionRecord
from kgrec.data.sources import Source
from kgrec.data.tables import Table, open_table
from kgrec.data.tables import rows as delimited_rows
from kgrec.data.tables.rows import BrokenRow, Run, read_delimited, read_runs
from kgrec.schema import load_schema

Found = tuple[list[tuple[int, InteractionRecord]], list[tuple[int, str, str]], Counter[str]]

HEADER = "user_id,item_id,rating,timestamp,event,device"
CELLS = {
    "user": ["u1", "u2", " u1 ", "", "NaN", "1.0", "1", "é", "a\tb"],
    "item": ["i1", "7", "7.0", "None"],
    "value": ["4", "4.0", "-0.0", "", "N/A", "1e99", "inf", "3,5", "$4"],
    "time": ["978300760", "0", "", "978300760000", "2001-01-01", "99999999999", "-", "1e9", "007"],
    "event": ["rating", "", "View", "nonsense", "n/a"],
    "device": ["", "phone", "x" * 99],
}
lines = st.tuples(*(st.sampled_from(cells) for cells in CELLS.values())).map(",".join)
broken = st.sampled_from(["", "u1,i1", '"u1,i1,4,0,view,', '"u,\nx",i1,4,0,,', 'u"1,i1,4,0,,'])


def parser_of(table: Table, **options: Any) -> RowParser:
    source = Source.model_validate({"kind": "interactions", "path": table.path, **options})
    schema = load_schema()
    domain = schema.domain("movies")
    return RowParser(plan_columns(table, source, domain, schema.core), source, domain, schema.core)


def by_rows(table: Table, **options: Any) -> Found:
    parser, found, aside = parser_of(table, **options), [], []
    for line, cells in table.rows(lambda *one: aside.append((one[0], repr(one[1]), one[2]))):
        try:
            found.append((line, parser.interaction(cells)))
        except CellError as error:
            aside.append((line, repr(error.value), error.reason))
    return found, aside, +parser.nulls


def by_columns(table: Table, **options: Any) -> Found:
    parser, found, aside = parser_of(table, **options), [], []

    def set_aside(line: int, value: object, reason: str) -> None:
        aside.append((line, repr(value), reason))

    columns = InteractionColumns(parser)
    for run in table.runs(columns.names, set_aside):
        found += list(columns.read(run, set_aside).records())
    return found, aside, +parser.nulls


def assert_alike(table: Table, **options: Any) -> None:
    one, other = by_rows(table, **options), by_columns(table, **options)
    assert other[0] == one[0]
    assert sorted(other[1]) == sorted(one[1])
    assert other[2] == one[2]


@settings(deadline=None, max_examples=40)
@given(rows=st.lists(lines | broken, max_size=12), options=st.sampled_from([{}, {"nulls": []}]))
def test_a_delimited_table(rows: list[str], options: dict[str, Any]) -> None:
    for size in (1, 3, 5_000):
        with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
            patch.setattr(delimited_rows, "_RUN_LINES", size)
            path = Path(folder) / "t.csv"
            text = "\n".join([HEADER, "u0,i0,3,978300760,view,", *rows, ""])
            path.write_bytes(text.encode("latin-1" if len(rows) % 2 else "utf-8"))
            assert_alike(open_table(path), **options)


VALUES = [1, 1.0, True, "1", None, 2.5, float("inf"), [1], {"a": 1}, "x", 978300760, "0"]


@settings(deadline=None, max_examples=40)
@given(st.lists(st.lists(st.sampled_from(VALUES), min_size=4, max_size=4), min_size=1, max_size=8))
def test_json_lines_of_mixed_types(rows: list[list[Any]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.jsonl"
        names = ("user_id", "item_id", "rating", "timestamp")
        first = json.dumps({"user_id": 1, "item_id": 2, "rating": 3, "timestamp": 978300760})
        given_rows = [json.dumps(dict(zip(names, row, strict=True))) for row in rows]
        path.write_text("\n".join([first, *given_rows]), encoding="utf-8")
        assert_alike(open_table(path))


def test_parquet_with_types(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    moments = pa.array([978300760, None, 978300761], pa.timestamp("s"))
    columns = {"user_id": [1, 2, None], "item_id": [1.0, 2.0, 2.5], "rating": [1.0, None, 3.0]}
    pq.write_table(pa.table({**columns, "timestamp": moments}), path)
    assert_alike(open_table(path))


def test_cells_beyond_what_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kgrec.data.interactions.columns._MOST_KNOWN", 2)
    path = tmp_path / "t.csv"
    text = "".join(f"u{n % 5},i{n % 7},4,{978300760 + n},,\n" for n in range(30))
    path.write_text(f"{HEADER}\n{text}", encoding="utf-8")
    assert_alike(open_table(path))
    assert len(by_columns(open_table(path))[0]) == 30


def one_by_one(found: Iterator[Run | BrokenRow]) -> list[Any]:
    rows: list[Any] = []
    for one in found:
        if isinstance(one, BrokenRow):
            rows.append((one.line, one.text, one.reason))
        else:
            rows += enumerate(map(list, zip(*one.columns, strict=True)), one.line)
    return rows


@settings(deadline=None)
@given(st.lists(st.text('ab",; ', max_size=6), max_size=12), st.sampled_from(["\n", "\r\n"]))
def test_runs_are_the_rows_of_a_text(texts: list[str], end: str) -> None:
    whole = [text + end for text in texts]
    for quoted, width, size in ((True, 2, 3), (False, 2, 2), (True, 1, 3), (True, 3, 5_000)):
        rows = [
            (one.line, one.cells)
            if not isinstance(one, BrokenRow)
            else (one.line, one.text, one.reason)
            for one in read_delimited(whole, ",", quoted=quoted, width=width, before=4)
        ]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(delimited_rows, "_RUN_LINES", size)
            runs = read_runs(whole, ",", quoted=quoted, width=width, before=4)
            assert one_by_one(runs) == rows


def test_columns_keep_their_rows() -> None:
    records = [
        (3, InteractionRecord("u", "i", "view", 2.0, 5)),
        (4, InteractionRecord("v", "j", "k")),
    ]
    columns = InteractionBatch.of(records)
    assert list(columns.records()) == records
    assert columns.keys == ["view@5", "k@0"]
    assert list(columns.chosen([1]).records()) == records[1:]
    assert len(InteractionBatch.of([])) == 0
