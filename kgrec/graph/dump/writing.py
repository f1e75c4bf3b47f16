"""Write the files of a dump: a folder, or a .zip of the same files.

Lines are compressed by gzip, so that any tool reads them. All is written under another name and
renamed at the end, so that what is killed is no dump.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kgrec.errors import ConfigError
from kgrec.graph.dump.manifest import MANIFEST, DumpedFile

_LEVEL = 4
"""Of gzip; 9 would take five times as long for a twentieth less."""


class LineWriter:
    """Writes lines of one file and counts them."""

    def __init__(self, folder: Path, about: Mapping[str, str]) -> None:
        self.about = dict(about)
        self.rows = 0
        self._content = 0
        self._path = folder / about["path"]
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._raw = self._path.open("wb")
        self._file = gzip.GzipFile("", "wb", _LEVEL, self._raw, mtime=0)

    def write(self, line: bytes) -> None:
        self._file.write(line)
        self._content += int.from_bytes(hashlib.sha256(line).digest(), "big")
        self.rows += 1

    def discard(self) -> None:
        """Close the file; once it is finished, nothing happens."""
        self._file.close()
        self._raw.close()

    def finish(self) -> DumpedFile:
        """Close the file and describe it."""
        self.discard()
        with self._path.open("rb") as raw:
            digest = hashlib.file_digest(raw, "sha256").hexdigest()
        size = self._path.stat().st_size
        content = summed([self._content])
        given: dict[str, Any] = dict(self.about)
        return DumpedFile(rows=self.rows, bytes=size, sha256=digest, content=content, **given)


def summed(contents: list[int]) -> str:
    """Return the sum of contents as a dump writes it."""
    return f"{sum(contents) % 2**256:064x}"


@contextmanager
def new_dump(target: Path, *, replace: bool) -> Iterator[Path]:
    """Yield a folder for the files of a dump, which is moved or packed to `target` at the end.

    Raises:
        ConfigError: there is something at `target` and `replace` is False, or it is no dump, or it
            has the ending of an archive that is none of ours.
    """
    _check_target(target, replace=replace)
    draft = target.with_name(f"{target.name}.part")
    _remove(draft)
    draft.mkdir(parents=True)
    try:
        yield draft
    except BaseException:
        _remove(draft)
        raise
    if _packed(target):
        packed = target.with_name(f"{target.name}.zip.part")
        _pack(draft, packed)
        os.replace(packed, target)
        _remove(draft)
        return
    _remove(target)
    os.replace(draft, target)


def _check_target(target: Path, *, replace: bool) -> None:
    if target.suffix in (".tar", ".gz", ".tgz", ".7z", ".xz", ".bz2", ".zst", ".json", ".jsonl"):
        raise ConfigError(
            "a dump is a folder, or a file whose name ends in .zip",
            value=str(target),
            remedy="Give a name such as graph.zip.",
        )
    if not target.exists():
        return
    if target.is_dir() and not any(target.iterdir()):
        return
    if not replace:
        raise ConfigError(
            "there is something at this path already",
            value=str(target),
            remedy="Give another path, or --force to replace a dump.",
        )
    if target.is_dir() and not (target / MANIFEST).is_file():
        raise ConfigError(
            "the folder is no dump, and is not replaced", value=str(target), remedy="Remove it."
        )


def _packed(path: Path) -> bool:
    return path.suffix.lower() == ".zip"


def _pack(folder: Path, target: Path) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for path in sorted(folder.rglob("*"), key=lambda one: (one.name != MANIFEST, str(one))):
            if path.is_file():
                archive.write(path, path.relative_to(folder).as_posix())


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
