"""Tables at addresses: copied once, whole or not at all, and shown without their secrets."""

from __future__ import annotations

import gzip
import io
import os
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kgrec.data.origins import remote
from kgrec.data.origins.address import holds_secret, redacted, shown
from kgrec.data.origins.opening import open_origin
from kgrec.data.sources import Source
from kgrec.data.tables.copies import LocalCopy
from kgrec.errors import ConfigError, DataError, KGRecError

CSV = "item_id,title\n" + "".join(f"{n},Title {n}\n" for n in range(20_000))


def parquet() -> bytes:
    sink = io.BytesIO()
    rows = [{"item_id": str(n), "title": f"Title {n}"} for n in range(20_000)]
    pq.write_table(pa.Table.from_pylist(rows), sink)
    return sink.getvalue()


FILES = {
    "/films.csv": CSV.encode(),
    "/films.csv.gz": gzip.compress(CSV.encode()),
    "/films.parquet": parquet(),
}


class _Files(BaseHTTPRequestHandler):
    """Serves files; the first part of the path says how."""

    fails: int = 0
    requests: list[str]

    def do_HEAD(self) -> None:
        self._answer(head=True)

    def do_GET(self) -> None:
        self._answer(head=False)

    def _answer(self, *, head: bool) -> None:
        way, _, name = self.path.partition("?")[0].removeprefix("/").partition("/")
        type(self).requests.append(f"{self.command} {way}")
        content = FILES.get(f"/{name}")
        if way == "guarded" and self.headers.get("Authorization") is None:
            self.send_error(403, "no")
            return
        if way == "busy" and not head and type(self).fails:
            type(self).fails -= 1
            self.send_error(503, "later")
            return
        if content is None:
            self.send_error(404, "none")
            return
        start, end, asked = 0, len(content), self.headers.get("Range", "")
        if way == "ranges" and asked.startswith("bytes="):
            first, _, last = asked.removeprefix("bytes=").partition("-")
            start, end = int(first), min(int(last or end - 1) + 1, len(content))
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(content)}")
        else:
            self.send_response(200)
        if way == "ranges":
            self.send_header("Accept-Ranges", "bytes")
        if way != "endless":
            self.send_header("Content-Length", str(end - start))
        self.end_headers()
        if head:
            return
        if way == "torn" and type(self).fails:
            type(self).fails -= 1
            end = start + (end - start) // 2
        self.wfile.write(content[start:end])

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    _Files.fails, _Files.requests = 0, []
    with ThreadingHTTPServer(("127.0.0.1", 0), _Files) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{http.server_port}"
        http.shutdown()


@pytest.fixture(autouse=True)
def copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have copies made where the test can look for them, and attempts follow at once."""
    folder = tmp_path / "copies"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    monkeypatch.setattr(remote, "_PAUSE_S", 0.01)
    return folder


def count(address: str, tmp_path: Path, **settings: Any) -> int:
    source = Source.model_validate({"kind": "catalog", "path": address, **settings})
    return sum(1 for _ in open_origin(source, cache=tmp_path).rows(lambda *_: None))


@pytest.mark.parametrize("way", ["ranges", "plain", "endless"])
@pytest.mark.parametrize("name", FILES)
def test_files_over_http(server: str, tmp_path: Path, copies: Path, way: str, name: str) -> None:
    assert count(f"http://{server}/{way}{name}", tmp_path) == 20_000
    assert not list(copies.iterdir()), "a copy is left behind"
    assert _Files.requests.count(f"GET {way}") == 1, "the file is fetched once"


def test_a_transfer_that_breaks_off_is_made_again(server: str, tmp_path: Path) -> None:
    _Files.fails = 2
    assert count(f"http://{server}/torn/films.csv", tmp_path) == 20_000
    _Files.fails = 2
    assert count(f"http://{server}/busy/films.csv", tmp_path) == 20_000
    _Files.fails = 9
    with pytest.raises(DataError, match="cannot be read"):
        count(f"http://{server}/torn/films.csv", tmp_path)


def test_errors_and_names_hold_no_secrets(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FILMS_PASSWORD", "very-secret")
    for address, reason in {
        f"http://ann:very-secret@{server}/plain/none.csv": "no such file",
        f"http://ann:${{FILMS_PASSWORD}}@{server}/plain/none.csv": "no such file",
        f"http://{server}/guarded/films.csv?X-Amz-Signature=very-secret": "may not be read",
        "http://ann:very-secret@127.0.0.1:9/films.csv?sig=very-secret": "cannot be read",
        "nonsense://ann:very-secret@there/films.csv": "cannot be used",
    }.items():
        with pytest.raises(KGRecError, match=reason) as raised:
            count(address, tmp_path)
        assert "secret" not in str(raised.value)
        assert "secret" not in repr(raised.value.__cause__)
    guarded = f"http://ann:${{FILMS_PASSWORD}}@{server}/guarded/films.csv?sig=very-secret"
    source = Source.model_validate({"kind": "catalog", "path": guarded})
    table = open_origin(source, cache=tmp_path)
    assert table.shown == f"http://{server}/guarded/films.csv"
    assert source.title == "films"
    with pytest.raises(ConfigError, match="not set") as unset:
        count("http://ann:${NOT_SET_HERE}@host/x.csv", tmp_path)
    assert unset.value.value == "NOT_SET_HERE"


def test_what_is_wrong_in_a_copy_is_called_by_its_address(server: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as raised:
        count(f"http://{server}/plain/films.csv", tmp_path, delimiter="|")
    assert f"http://{server}/plain/films.csv" in str(raised.value)
    assert "kgrec-source" not in str(raised.value)


def test_files_in_memory_and_by_file_addresses(tmp_path: Path) -> None:
    with fsspec.open("memory://shelf/films #1.csv", "wt") as file:
        file.write(CSV)
    assert count("memory://shelf/films #1.csv", tmp_path) == 20_000
    (tmp_path / "fi lms.csv").write_text(CSV)
    assert count(f"file://{tmp_path}/fi%20lms.csv", tmp_path) == 20_000


@pytest.mark.parametrize("lines", [False, True])
def test_standard_input_is_a_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: bool
) -> None:
    text = '{"item_id": "1", "title": "One"}\n' if lines else "item_id,title\n1,One\n"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    assert count("-", tmp_path) == 1


def test_a_chain_of_addresses_reads_one_of_several_members(tmp_path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("a.csv", "item_id,title\n1,One\n")
        archive.writestr("b.csv", CSV)
    assert count(f"zip://b.csv::file://{tmp_path}/two.zip", tmp_path) == 20_000


def test_copies_of_processes_that_were_killed_are_removed(copies: Path) -> None:
    left, held = copies / "kgrec-source-dead", LocalCopy("x.csv")
    left.mkdir()
    (left / ".lock").touch()
    for folder in (left, held.path.parent):
        os.utime(folder, (time.time() - 3600,) * 2)
    LocalCopy("y.csv")
    assert not left.exists()
    assert held.path.parent.exists(), "a copy in use was removed"


def test_what_is_shown_of_addresses() -> None:
    assert shown("s3://key:pw@bucket/a/b.csv?versionId=1#x") == "s3://bucket/a/b.csv"
    assert shown("zip://a.csv::https://u:p@h/x.zip?sig=1") == "zip://a.csv::https://h/x.zip"
    assert shown("postgresql+psycopg://u:p%40ss@h:5/shop?password=q") == (
        "postgresql+psycopg://h:5/shop"
    )
    address = "https://u:p%40ss@h/x?sig=abcd%2Fef"
    text = "refused p@ss and p%40ss, abcd/ef and abcd%2Fef"
    assert redacted(text, address) == "refused *** and ***, *** and ***"
    assert holds_secret("https://u:p@h/x")
    assert not holds_secret("https://u:${PW}@h/x")
    assert not holds_secret("postgresql://somebody:${PW}${MORE}@h/x?sslkey=${KEY}")
    assert holds_secret("postgresql://somebody:${PW}@h/x?sslkey=abcd")
    assert holds_secret("https://ghp_token:@h/x")


def test_files_in_s3(tmp_path: Path) -> None:
    endpoint = os.environ.get("KGREC_TEST_S3")
    if not endpoint:
        pytest.skip("KGREC_TEST_S3 names no server of S3, such as moto's")
    s3 = pytest.importorskip("s3fs").S3FileSystem(endpoint_url=endpoint)
    s3.mkdirs("shelf", exist_ok=True)
    for name, content in FILES.items():
        s3.pipe(f"shelf{name}", content)
        assert count(f"s3://shelf{name}", tmp_path) == 20_000
    with pytest.raises(DataError, match="no such file"):
        count("s3://shelf/none.csv", tmp_path)
