"""Read the files of a dump, checked: a folder, or a .zip of the same files."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from pydantic import ValidationError

from kgrec.errors import DataError
from kgrec.graph.dump.manifest import FORMAT, MANIFEST, VERSION, DumpedFile, Manifest, damaged
from kgrec.progress import SILENT, Progress

_LONGEST_LINE = 64 << 20
_BLOCK = 1 << 20


class Dump:
    """A dump that is read: a folder or a .zip.

    Raises:
        DataError: there is none, it is damaged, or of a version that this kgrec does not read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._archive: zipfile.ZipFile | None = None
        if path.is_file():
            try:
                self._archive = zipfile.ZipFile(path)
            except (zipfile.BadZipFile, OSError) as error:
                raise damaged(path, f"the archive cannot be opened ({error})") from None
        with self.open(MANIFEST) as raw:
            self._text = raw.read(_LONGEST_LINE)
        self.manifest = self._parsed()
        self.digest = hashlib.sha256(self._text).hexdigest()

    def __enter__(self) -> Dump:
        return self

    def __exit__(self, *_: object) -> None:
        if self._archive is not None:
            self._archive.close()

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """Yield a file of the dump, as bytes."""
        try:
            if self._archive is not None:
                with self._archive.open(name) as packed:
                    yield packed
            else:
                with (self.path / name).open("rb") as plain:
                    yield plain
        except (FileNotFoundError, NotADirectoryError, KeyError):
            what = "no dump of a graph" if name == MANIFEST else f"{name} is missing"
            raise damaged(self.path, what) from None
        except (zipfile.BadZipFile, EOFError, OSError, zlib.error) as error:
            raise damaged(self.path, f"{name} cannot be read ({error})") from None

    def check(self, progress: Progress = SILENT) -> None:
        """Compare the digest of every file.

        Raises:
            DataError: a file is missing, or is not as it was written.
        """
        files = self.manifest.files
        with progress.task("check digests", sum(one.bytes for one in files)) as task:
            for one in files:
                digest, size = hashlib.sha256(), 0
                with self.open(one.path) as raw:
                    while block := raw.read(_BLOCK):
                        digest.update(block)
                        size += len(block)
                        task.advance(len(block))
                if size != one.bytes:
                    raise damaged(self.path, f"{one.path} has {size:,} bytes for {one.bytes:,}")
                if digest.hexdigest() != one.sha256:
                    raise damaged(self.path, f"{one.path} has not the digest that it was given")

    def lines(self, one: DumpedFile) -> Iterator[bytes]:
        """Yield the lines of a file."""
        with self.open(one.path) as raw, gzip.GzipFile(fileobj=raw) as file:
            reader = io.BufferedReader(file, _BLOCK)
            number = 0
            while line := reader.readline(_LONGEST_LINE):
                if not line.endswith(b"\n"):
                    raise damaged(self.path, f"line {number + 1} of {one.path} has no end")
                number += 1
                yield line
        if number != one.rows:
            raise damaged(self.path, f"{one.path} has {number:,} lines for {one.rows:,}")

    def _parsed(self) -> Manifest:
        try:
            found = json.loads(self._text)
            kind, version = found["format"], found["version"]
        except (ValueError, TypeError, KeyError):
            raise damaged(self.path, f"{MANIFEST} cannot be read") from None
        if kind != FORMAT:
            raise damaged(self.path, "no dump of a graph")
        if version != VERSION:
            raise DataError(
                f"the dump is of version {version}, and this kgrec reads {VERSION}",
                value=str(self.path),
                remedy="Use the kgrec that wrote it, or a newer one.",
            )
        try:
            return Manifest.model_validate_json(self._text)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise damaged(self.path, f"{MANIFEST}: {place}: {first['msg']}") from None
