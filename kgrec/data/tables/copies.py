"""Copies of what is no local file: in a temporary folder, for as long as something refers to it.

A table is read several times, and each time it must be the same: a query or a remote file is read
once, in a stream, and lies on disk for as long as it is loaded.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import tempfile
import time
import weakref
from pathlib import Path

from kgrec.errors import ConfigError

_PREFIX = "kgrec-source-"
_YOUNG_S = 60.0
_ODD = re.compile(r"[^\w.-]+")


class LocalCopy:
    """A file in a folder of its own, which goes with this object or at the end of the process.

    What a process that was killed has left is removed when the next copy is made.

    Attributes:
        path: where the file is to be written.
        refused: where rows that could not be copied are noted: `[line, value, reason]` as JSON,
            one a line.
        notes: by column, what a person should know of it.

    Raises:
        ConfigError: the folder for temporary files cannot be written.
    """

    def __init__(self, name: str) -> None:
        _sweep(Path(tempfile.gettempdir()))
        try:
            folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
            lock = os.open(folder / ".lock", os.O_CREAT | os.O_WRONLY)
        except OSError as error:
            raise unwritable(error) from None
        fcntl.flock(lock, fcntl.LOCK_EX)
        self.path = folder / (_ODD.sub("_", name)[-100:].lstrip(".") or "table")
        self.notes: dict[str, str] = {}
        self.refused = folder / ".refused.jsonl"
        weakref.finalize(self, _remove, folder, lock)


def unwritable(error: OSError) -> ConfigError:
    """Return the error of a copy that cannot be written."""
    return ConfigError(
        f"a source cannot be copied to this machine ({error.strerror or error})",
        value=tempfile.gettempdir(),
        remedy="Make room in the folder for temporary files, or set TMPDIR to another.",
    )


def _remove(folder: Path, lock: int) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    os.close(lock)


def _sweep(parent: Path) -> None:
    """Remove the copies of processes that are no more: nobody holds their locks."""
    for folder in parent.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            if time.time() - folder.stat().st_mtime < _YOUNG_S:
                continue
            with (folder / ".lock").open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
