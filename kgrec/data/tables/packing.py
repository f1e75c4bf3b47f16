"""Packed files: gzip, Zstandard, bzip2, xz, and ZIP of one member, unpacked as they are read.

What a file unpacks to is bounded by its own size, so that a few kilobytes cannot become gigabytes.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from kgrec.errors import DataError

SUFFIXES = frozenset({".gz", ".zst", ".bz2", ".xz", ".zip"})
_STARTS = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\xfd7zXZ\x00": "xz",
    b"PK\x03\x04": "zip",
}
_BZIP2 = (b"BZh", b"1AY&SY")
_FREE = 256 << 20
"""Bytes that any packed file may unpack to."""
_XZ_MEMORY = 256 << 20
_BLOCK = 1 << 16


def packing_of(path: Path) -> str | None:
    """Return how a file is packed by its first bytes, whatever its name; None if it is not."""
    with path.open("rb") as file:
        start = file.read(10)
    if start[:3] == _BZIP2[0] and start[4:10] == _BZIP2[1]:
        return "bzip2"
    return next((name for mark, name in _STARTS.items() if start.startswith(mark)), None)


def unpacked_suffix(path: Path) -> str:
    """Return the ending of a file's name, in lower case, without that of its packing."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in SUFFIXES:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


@contextmanager
def binary(path: Path, max_growth: float) -> Iterator[IO[bytes]]:
    """Open a file for reading, unpacked where it is packed.

    A stream that breaks off, or is damaged, raises EOFError where it does.

    Args:
        max_growth: how many times its own size a packed file may unpack to, beyond 256 MiB.
    """
    packing = packing_of(path)
    if packing is None:
        with path.open("rb") as plain:
            yield plain
        return
    with _stream(path, packing) as stream:
        limit = max(_FREE, int(path.stat().st_size * max_growth))
        bounded = _Bounded(stream, path, limit, max_growth)
        yield cast(IO[bytes], io.BufferedReader(bounded, 4 * _BLOCK))


@contextmanager
def _stream(path: Path, packing: str) -> Iterator[Any]:
    if packing == "gzip":
        with gzip.open(path) as unpacked:
            yield unpacked
    elif packing == "bzip2":
        with bz2.open(path) as file:
            yield file
    elif packing == "xz":
        with path.open("rb") as packed:
            yield _Xz(packed)
    elif packing == "zip":
        with _archive(path) as archive, archive.open(_member(path, archive)) as member:
            yield member
    else:
        import pyarrow as pa

        with pa.input_stream(str(path), compression=packing) as source:
            yield source


class _Bounded(io.RawIOBase):
    """A stream of unpacked bytes that ends in an error beyond a number of them."""

    def __init__(self, stream: Any, path: Path, limit: int, growth: float) -> None:
        self._stream, self._path, self._limit, self._growth = stream, path, limit, growth
        self._read = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data: bytes = self._stream.read1(min(len(buffer), _BLOCK))
        except (zlib.error, lzma.LZMAError, zipfile.BadZipFile) as error:
            raise EOFError(str(error)) from None
        except OSError as error:
            if error.errno is not None:
                raise
            raise EOFError(str(error)) from None  # the unpackers have no class of their own
        self._read += len(data)
        if self._read > self._limit:
            raise DataError(
                f"the packed file unpacks to more than {self._growth:g} times its size",
                value=str(self._path),
                remedy="If it is what you mean to load, unpack it first, or raise `max_growth` "
                "(--max-growth).",
            )
        buffer[: len(data)] = data
        return len(data)


class _Xz:
    """Unpacks the streams of an xz file, with a limit on memory that `lzma.open` does not have."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._unpack = self._begin()
        self._packed = b""

    def read1(self, size: int) -> bytes:
        while True:
            if self._unpack.eof:
                rest = self._unpack.unused_data.lstrip(b"\0") or self._file.read(_BLOCK)
                while rest and not (rest := rest.lstrip(b"\0")):
                    rest = self._file.read(_BLOCK)
                if not rest:
                    return b""
                self._unpack, self._packed = self._begin(), rest
            elif self._unpack.needs_input and not self._packed:
                self._packed = self._file.read(_BLOCK)
                if not self._packed:
                    raise EOFError("the end of the stream is missing")
            data = self._unpack.decompress(self._packed, size)
            self._packed = b""
            if data:
                return data

    def _begin(self) -> lzma.LZMADecompressor:
        return lzma.LZMADecompressor(memlimit=_XZ_MEMORY)


def _archive(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except zipfile.BadZipFile:
        raise DataError(
            "the file is not a text table, nor a whole ZIP archive", value=str(path)
        ) from None


def _member(path: Path, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    """Return the one file of an archive."""
    files = [one for one in archive.infolist() if not one.is_dir()]
    if {"[Content_Types].xml", "content.xml"} & {one.filename for one in files}:
        raise DataError(
            "the file is a spreadsheet, which kgrec does not read",
            value=str(path),
            remedy="Save its sheet as CSV (UTF-8), ids as text.",
        )
    if len(files) != 1:
        names = ", ".join(one.filename for one in files[:10]) or "none"
        raise DataError(
            f"the archive holds {len(files)} files, and not one",
            value=f"{path}: {names}",
            remedy="Unpack it, or name one of them as zip://NAME::PATH.",
        )
    if files[0].flag_bits & 1:
        raise DataError("the archive is encrypted", value=str(path), remedy="Unpack it first.")
    return files[0]
