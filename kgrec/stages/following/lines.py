"""Whole lines of a log as they are written: of a pipe, or of a file that grows and is rotated."""

from __future__ import annotations

import hashlib
import os
import select
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from kgrec.config import FrozenModel
from kgrec.data.tables.files import MAX_LINE
from kgrec.data.tables.packing import SUFFIXES
from kgrec.errors import DataError

_BLOCK = 1 << 16
_HEAD = 4096
_BEGINNING = 200
_POLL_S = 0.2
_GRACE_S = 1.0
"""For so long a writer may go on in a file that was renamed."""


class Position(FrozenModel):
    """How far a log was read.

    Attributes:
        device, inode: of the file.
        head: hash of its first bytes, by which a copy of it is known.
        head_bytes: how many these are.
        offset: bytes behind which the next line begins.
        line: lines before it.
    """

    device: int = 0
    inode: int = 0
    head: str = ""
    head_bytes: int = 0
    offset: int = 0
    line: int = 0


@dataclass(frozen=True)
class Lines:
    """Some lines of one file.

    Attributes:
        first: number of the first one in its file, from 1.
        after: the position behind them; None of a pipe.
        ended: whether nothing will follow.
    """

    lines: tuple[bytes, ...] = ()
    first: int = 1
    after: Position | None = None
    ended: bool = False


class Log(Protocol):
    """Where lines come from."""

    def read(self, most: int, wait_s: float) -> Lines:
        """Return whole lines, at most so many, of one file; none where none came in that time."""

    def beginning(self) -> tuple[bytes, ...]:
        """Return the first lines of the present file; none of a pipe."""


class _Splitter:
    """Cuts bytes into lines; of one that is longer than a line may be, the start is kept."""

    def __init__(self) -> None:
        self.rest = b""
        self.skipped = 0

    def feed(self, block: bytes) -> Iterator[tuple[bytes, int]]:
        """Yield whole lines, and how many bytes of the log each took."""
        *whole, self.rest = (self.rest + block).split(b"\n")
        for line in whole:
            yield line, len(line) + 1 + self.skipped
            self.skipped = 0
        if len(self.rest) > MAX_LINE:
            self.skipped += len(self.rest) - MAX_LINE
            self.rest = self.rest[:MAX_LINE]


class Pipe:
    """The lines of a stream, such as standard input, until it ends."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._splitter = _Splitter()
        self._ready: list[bytes] = []
        self._ended = False
        self._line = 1

    def read(self, most: int, wait_s: float) -> Lines:
        until = time.monotonic() + wait_s
        while len(self._ready) < most and not self._ended:
            left = until - time.monotonic()
            wait = min(_POLL_S, max(0.0, left))
            if not select.select([self._stream], [], [], wait)[0]:
                if self._ready or left <= 0:
                    break
                continue
            block = os.read(self._stream.fileno(), _BLOCK)
            self._ready += [line for line, _ in self._splitter.feed(block)]
            if not block:
                self._ended = True
                self._ready += [self._splitter.rest] if self._splitter.rest else []
        ready, self._ready = self._ready[:most], self._ready[most:]
        first, self._line = self._line, self._line + len(ready)
        return Lines(tuple(ready), first, ended=self._ended and not self._ready)

    def beginning(self) -> tuple[bytes, ...]:
        return ()


class LogFile:
    """The lines of a file that grows; renamed or cut off, what replaces it is read after it.

    Lines that are not ended yet are left until they are. What was rotated while nobody read is
    looked for beside the file, as `NAME.1` or `NAME-DATE`, unless it is packed.

    Args:
        position: where to go on; None at the start.

    Attributes:
        lost: the position in a file that is not found any more.
    """

    def __init__(self, path: Path, position: Position | None = None) -> None:
        self._path = path
        self._open_file: IO[bytes] | None = None
        self._offset = self._line = 0
        self._splitter = _Splitter()
        self._renamed_at: float | None = None
        self._last = Position()
        self._left = b""
        self.lost: Position | None = None
        if position is not None and position.inode:
            found = self._find(position)
            if found is None:
                self.lost = position
            else:
                self._open(found, position)

    def read(self, most: int, wait_s: float) -> Lines:
        until = time.monotonic() + wait_s
        while True:
            lines = self._take(most)
            if lines.lines or time.monotonic() >= until:
                return lines
            if not self._moved_on():
                time.sleep(min(_POLL_S, max(0.0, until - time.monotonic())))

    def _take(self, most: int) -> Lines:
        """Return the lines that are there."""
        if self._open_file is None:
            if not self._path.exists():
                return Lines()
            self._open(self._path)
        elif self._is_cut():
            self._recover()
        first, found = self._line + 1, list[bytes]()
        if self._left:  # the last line of a file that was renamed, which nothing ended
            found.append(self._left)
            self._offset, self._left = self._offset + len(self._left), b""
        while len(found) < most:
            block = self._file.read(_BLOCK)
            if not block:
                break
            for line, size in self._splitter.feed(block):
                if len(found) == most:
                    break
                found.append(line)
                self._offset += size
            if len(found) == most:
                self._again()
        self._line += len(found)
        self._last = self._position()
        return Lines(tuple(found), first, self._last)

    def _again(self) -> None:
        """Have the file read from the present position."""
        self._file.seek(self._offset)
        self._splitter = _Splitter()

    def _moved_on(self) -> bool:
        """Go to the file behind a renamed or cut off one; return whether there is one."""
        if self._open_file is None:
            return False
        own = os.fstat(self._file.fileno())
        following = self._following(own)
        if following is None:
            self._renamed_at = None
            return False
        self._renamed_at = self._renamed_at or time.monotonic()
        if time.monotonic() - self._renamed_at < _GRACE_S or own.st_size > self._read_to:
            return False
        if self._splitter.rest:
            self._left, self._splitter = self._splitter.rest, _Splitter()
        else:
            self._open(following)
        return True

    def _is_cut(self) -> bool:
        """Return whether the file was cut off, as a rotation by copy does, and perhaps grew."""
        if os.fstat(self._file.fileno()).st_size < self._last.offset:
            return True
        head = os.pread(self._file.fileno(), self._last.head_bytes, 0)
        return bool(head) and hashlib.sha256(head).hexdigest() != self._last.head

    def _recover(self) -> None:
        """Go on in the copy of a file that was cut off, or at its start where there is none."""
        before = self._last
        copy = self._find(before, but=os.fstat(self._file.fileno()).st_ino)
        if copy is None:
            self.lost = before
            self._open(self._path)
        else:
            self._open(copy, before)

    @property
    def _file(self) -> IO[bytes]:
        if self._open_file is None:
            raise DataError("there is no such file", value=str(self._path))
        return self._open_file

    @property
    def _read_to(self) -> int:
        return self._offset + len(self._splitter.rest) + self._splitter.skipped

    def _following(self, own: os.stat_result) -> Path | None:
        """Return the file that was begun next after the present one, None if this is the last."""
        try:
            now = self._path.stat()
        except FileNotFoundError:
            return None
        if (now.st_dev, now.st_ino) == (own.st_dev, own.st_ino):
            return None
        later = [
            (stat.st_mtime_ns, path)
            for path in self._rotated()
            if (stat := path.stat()).st_mtime_ns > own.st_mtime_ns and stat.st_ino != own.st_ino
        ]
        return min(later)[1] if later else self._path

    def _find(self, position: Position, but: int = 0) -> Path | None:
        """Return the file of a position: itself, renamed, or a copy that begins as it did."""
        fits = [
            path
            for path in (self._path, *self._rotated())
            if path.exists() and _begins_so(path, position) and path.stat().st_ino != but
        ]
        same = [path for path in fits if path.stat().st_ino == position.inode]
        return next(iter([*same, *fits]), None)

    def _rotated(self) -> list[Path]:
        name = self._path.name
        beside = [*self._path.parent.glob(f"{name}.*"), *self._path.parent.glob(f"{name}-*")]
        return [path for path in beside if path.suffix not in SUFFIXES and path.is_file()]

    def _open(self, path: Path, position: Position | None = None) -> None:
        self.close()
        self._open_file = path.open("rb", buffering=0)
        self._offset, self._line = (position.offset, position.line) if position else (0, 0)
        self._splitter, self._renamed_at = _Splitter(), None
        self._file.seek(self._offset)
        self._last = self._position()

    def beginning(self) -> tuple[bytes, ...]:
        return tuple(os.pread(self._file.fileno(), 1 << 18, 0).split(b"\n")[:_BEGINNING])

    def close(self) -> None:
        """Close the file."""
        if self._open_file is not None:
            self._open_file.close()
            self._open_file = None

    def _position(self) -> Position:
        stat = os.fstat(self._file.fileno())
        length = min(self._offset, _HEAD)
        head = hashlib.sha256(os.pread(self._file.fileno(), length, 0)).hexdigest()
        return Position(
            device=stat.st_dev,
            inode=stat.st_ino,
            head=head,
            head_bytes=length,
            offset=self._offset,
            line=self._line,
        )


def _begins_so(path: Path, position: Position) -> bool:
    with path.open("rb") as file:
        head = hashlib.sha256(file.read(position.head_bytes)).hexdigest()
    return head == position.head and path.stat().st_size >= position.offset
