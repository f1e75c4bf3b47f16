"""Rows that are set aside: a file with one JSON object a line, and their count."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from kgrec.errors import ConfigError

_SHOWN = 200
_NO_LONGER_KEPT = 1000


@dataclass(frozen=True, slots=True)
class Reject:
    """A row or a cell that cannot be used.

    Attributes:
        line: line of the file, from 1; row of a Parquet file, from 1.
        value: the cell, or the beginning of the row.
    """

    file: str
    line: int
    value: str
    reason: str


class Rejects:
    """Writes rejects to a file, which is there only when there is something in it.

    Args:
        path: the file; what a run before left in it is replaced. None where they are only counted.

    Attributes:
        first: the first one of each reason.
        cells: how many of them are cells of rows that were kept.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.reasons: Counter[str] = Counter()
        self.first: dict[str, Reject] = {}
        self.cells = 0
        self._file: TextIO | None = None

    def __enter__(self) -> Rejects:
        try:
            if self.path is not None:
                self.path.unlink(missing_ok=True)
        except OSError as error:
            raise self._unwritable(error) from None
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def __len__(self) -> int:
        return sum(self.reasons.values())

    def add(self, file: str, line: int, value: object, reason: str, *, cell: bool = False) -> None:
        """Set one row aside, or one cell of a row that is kept without it.

        Raises:
            ConfigError: the file of rejects cannot be written.
        """
        kept = reason if reason in self.reasons or len(self.reasons) < _NO_LONGER_KEPT else "other"
        self.reasons[kept] += 1
        self.cells += cell
        if kept not in self.first:
            self.first[kept] = Reject(file, line, shown(value), reason)
        if self.path is None:
            return
        reject = {"file": file, "line": line, "value": shown(value), "reason": reason}
        try:
            self._open(self.path).write(json.dumps(reject, ensure_ascii=False) + "\n")
        except OSError as error:
            raise self._unwritable(error) from None

    def flush(self) -> None:
        """Have what was added lie in the file, also if the process is killed."""
        if self._file is not None:
            self._file.flush()

    def _open(self, path: Path) -> TextIO:
        if self._file is None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("w", encoding="utf-8")
        return self._file

    def _unwritable(self, error: OSError) -> ConfigError:
        return ConfigError(
            f"the file of rejected rows cannot be written ({error.strerror})",
            value=str(self.path),
            remedy="Make the folder writable, or set KGREC_HOME to another one.",
        )


def read_rejects(path: Path) -> list[Reject]:
    """Return the rows that a run set aside; none when there is no file."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="\n") as lines:
        return [Reject(**json.loads(line)) for line in lines]


def shown(value: Any) -> str:
    """Return a value short enough for a report; bytes that are no text are escaped."""
    text = value if isinstance(value, str) else repr(value)
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
