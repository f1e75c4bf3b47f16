"""Packed files: read like plain ones, bounded in what they unpack to, kept to where they break."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import tracemalloc
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kgrec.data.tables import TableFormat, open_table
from kgrec.errors import DataError

ROWS = [{"item_id": str(n), "title": f"Title {n * 7919 % 9973}"} for n in range(5_000)]
CSV = "item_id,title\n" + "".join(f"{one['item_id']},{one['title']}\n" for one in ROWS)
LINES = "".join(json.dumps(one) + "\n" for one in ROWS)


def zstd(data: bytes) -> bytes:
    return bytes(pa.compress(data, codec="zstd", asbytes=True))


def zipped(data: bytes) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("folder/", b"")
        archive.writestr("folder/table.csv", data)
    return sink.getvalue()


def parquet() -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(ROWS), sink)
    return sink.getvalue()


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": zstd,
    "zip": zipped,
}


@pytest.mark.parametrize("packing", PACKED)
@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "parquet"])
def test_what_is_packed_is_read_like_what_is_not(tmp_path: Path, packing: str, kind: str) -> None:
    plain = {
        "csv": CSV.encode(),
        "tsv": CSV.replace(",", "\t").encode(),
        "jsonl": LINES.encode(),
        "parquet": parquet(),
    }[kind]
    path = tmp_path / f"films.{kind}.{packing}"
    path.write_bytes(PACKED[packing](plain))
    aside: list[object] = []
    table = open_table(path)
    assert table.shown == str(path)
    assert [cells for _, cells in table.rows(lambda *one: aside.append(one))] == ROWS
    assert not aside


def test_a_wrong_ending_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "films.csv"
    path.write_bytes(bz2.compress(CSV.encode()))
    assert len(list(open_table(path).rows(lambda *_: None))) == len(ROWS)


def test_several_streams_in_one_file(tmp_path: Path) -> None:
    half = CSV.index("\n", len(CSV) // 2) + 1
    for packing, pack in PACKED.items():
        if packing == "zip":
            continue
        path = tmp_path / f"t.csv.{packing}"
        path.write_bytes(pack(CSV[:half].encode()) + pack(CSV[half:].encode()))
        assert len(list(open_table(path).rows(lambda *_: None))) == len(ROWS)


@pytest.mark.parametrize("packing", PACKED)
def test_a_bomb_is_refused_in_bounded_memory(
    tmp_path: Path, packing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kgrec.data.tables.packing._FREE", 32 << 20)  # an eighth, to save time
    path = tmp_path / f"bomb.csv.{packing}"
    block = ("1," + "x" * (1 << 20) + "\n") * 8
    path.write_bytes(PACKED[packing](b"a,b\n" + block.encode() * 8))
    assert path.stat().st_size * 100 < 32 << 20
    tracemalloc.start()
    try:
        with pytest.raises(DataError) as raised:
            for _ in open_table(path).rows(lambda *_: None):
                pass
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert "more than 100 times its size" in raised.value.what
    assert raised.value.value == str(path)
    assert peak < 64 << 20


def test_what_is_meant_to_grow_may(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kgrec.data.tables.packing._FREE", 8 << 20)
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n" + ("1," + "x" * (1 << 20) + "\n").encode() * 16))
    rows = open_table(path, TableFormat(max_growth=2000)).rows(lambda *_: None)
    assert sum(1 for _ in rows) == 16


@pytest.mark.parametrize("packing", ["gz", "bz2", "xz", "zst"])
def test_a_stream_that_breaks_off_gives_what_it_holds(tmp_path: Path, packing: str) -> None:
    noise = "".join(f"{n},{hash((n, 1)) % 10**12}\n" for n in range(40_000))
    pack = partial(bz2.compress, compresslevel=1) if packing == "bz2" else PACKED[packing]
    whole = pack(f"a,b\n{noise}".encode())
    path = tmp_path / f"t.csv.{packing}"
    path.write_bytes(whole[: len(whole) * 3 // 4])
    aside: list[tuple[int, object, str]] = []
    rows = list(open_table(path).rows(lambda *one: aside.append(one)))
    assert 5_000 < len(rows) < 40_000
    assert "breaks off" in aside[-1][2]


def test_a_spreadsheet_is_named_as_one(tmp_path: Path) -> None:
    path = tmp_path / "films.xlsx"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("[Content_Types].xml", "xl/workbook.xml"):
            archive.writestr(name, "<x/>")
    with pytest.raises(DataError, match=r"spreadsheet.*Save its sheet as CSV"):
        open_table(path)


def test_archives_that_are_not_one_file_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "two.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", "a,b\n1,2\n")
        archive.writestr("b.csv", "a,b\n1,2\n")
    with pytest.raises(DataError, match="2 files") as raised:
        open_table(path)
    assert "a.csv, b.csv" in str(raised.value.value)
