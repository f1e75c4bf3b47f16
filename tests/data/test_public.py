"""Public data sets: the same tables from every source, and never the wrong ones."""

from __future__ import annotations

import hashlib
import io
import random
import socketserver
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kgrec.data.public import (
    DATASETS,
    FetchError,
    PublicDataset,
    Tables,
    _download,
    dataset_table,
    movielens_of_grouplens,
    movielens_of_recbole,
)
from kgrec.data.tables import open_table
from kgrec.errors import DataError, NotFoundError
from kgrec.http_client import RequestLimits

RATINGS = [(n % 7 + 1, n % 5 + 1, n % 5 + 1, 881_250_949 + n) for n in range(30)]
USERS = [(n, 20 + n, "MF"[n % 2], "writer", f"0{n}139") for n in range(1, 12)]


def archive(files: dict[str, str]) -> zipfile.ZipFile:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as writer:
        for name, text in files.items():
            writer.writestr(name, text)
    return zipfile.ZipFile(content)


def lines(rows: list[tuple[object, ...]], delimiter: str, seed: int) -> str:
    order = list(rows)
    random.Random(seed).shuffle(order)
    return "".join(delimiter.join(map(str, row)) + "\n" for row in order)


def test_both_sources_give_the_same_bytes() -> None:
    grouplens = archive(
        {
            "ml-100k/u.data": lines(RATINGS, "\t", seed=1),
            "ml-100k/u.user": lines(USERS, "|", seed=2),
        }
    )
    place = "recbole/dataset_example/ml-100k/ml-100k"
    ratings, users = lines(RATINGS, "\t", seed=3), lines(USERS, "\t", seed=4)
    recbole = archive(
        {
            f"{place}.inter": "user_id:token\titem_id:token\trating:float\tt:float\n" + ratings,
            f"{place}.user": "user_id:token\tage:token\tgender:token\to:token\tz:token\n" + users,
        }
    )
    assert movielens_of_grouplens(grouplens) == movielens_of_recbole(recbole)


def test_the_data_set_is_fetched_checked_and_kept(tmp_path: Path) -> None:
    try:
        path = dataset_table("movielens-100k", "interactions", cache=tmp_path)
    except DataError as error:
        pytest.skip(f"neither GroupLens nor the package index can be reached: {error}")
    assert sum(1 for _ in open_table(path).rows(lambda *_: None)) == 100_000
    users = dataset_table("movielens-100k", "users", cache=tmp_path)
    assert open_table(users).columns == ("user_id", "age", "gender", "occupation")
    before = path.stat().st_mtime_ns
    assert dataset_table("movielens-100k", "interactions", cache=tmp_path) == path
    assert path.stat().st_mtime_ns == before
    path.write_bytes(b"damaged")
    dataset_table("movielens-100k", "interactions", cache=tmp_path)
    assert path.stat().st_size > 1_000_000


def test_unknown_data_sets_and_tables_are_errors(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no such data set"):
        dataset_table("movielens-1b", "interactions", cache=tmp_path)
    with pytest.raises(NotFoundError, match="no such table"):
        dataset_table("movielens-100k", "catalog", cache=tmp_path)
    assert set(DATASETS) == {"movielens-100k"}


@contextmanager
def answering(content: bytes) -> Iterator[str]:
    """Yield the address of a server that answers every connection with these bytes."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(4096)
            self.request.sendall(content)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()
            thread.join()


def test_an_answer_that_is_not_http_leaves_the_other_sources_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr("kgrec.data.public._LIMITS", RequestLimits(attempts=2, pause=0.01))
    with (
        answering(b"not http at all\r\n\r\n") as address,
        pytest.raises(FetchError, match="not http"),
    ):
        _download(address)


def tiny(*contents: bytes) -> PublicDataset:
    """Return a data set whose right content is the last of these, one source each."""
    digest = hashlib.sha256(contents[-1]).hexdigest()

    def source(content: bytes) -> Callable[[], Tables]:
        return lambda: {"users": content}

    ways = tuple((f"source {n}", source(content)) for n, content in enumerate(contents))
    return PublicDataset({"users": digest}, ways)


def test_a_source_with_other_content_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(DATASETS, "tiny", tiny(b"wrong", b"right"))
    path = dataset_table("tiny", "users", cache=tmp_path)
    assert path.read_bytes() == b"right"
    monkeypatch.setitem(DATASETS, "tiny", PublicDataset(DATASETS["tiny"].digests, ()))
    assert dataset_table("tiny", "users", cache=tmp_path) == path  # nothing is fetched
    path.write_bytes(b"damaged")
    with pytest.raises(DataError, match="cannot be fetched"):
        dataset_table("tiny", "users", cache=tmp_path)
    wrong = PublicDataset(DATASETS["tiny"].digests, tiny(b"wrong").sources)
    monkeypatch.setitem(DATASETS, "tiny", wrong)
    with pytest.raises(DataError, match="checksum differs"):
        dataset_table("tiny", "users", cache=tmp_path)


def test_a_cache_that_cannot_be_written_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(DATASETS, "tiny", tiny(b"right"))
    (tmp_path / "tiny").touch()
    with pytest.raises(DataError, match="XDG_CACHE_HOME"):
        dataset_table("tiny", "users", cache=tmp_path)


def test_projects_share_the_users_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(DATASETS, "tiny", tiny(b"right"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    path = dataset_table("tiny", "users")
    assert path.is_relative_to(tmp_path)
    assert path.read_bytes() == b"right"
