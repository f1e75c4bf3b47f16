"""What commands share on the terminal: progress bars on standard error, JSON on standard output."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress

from kgrec.progress import SILENT, Progress, Task

out = Console()
err = Console(stderr=True)


class _BarTask:
    def __init__(self, bars: RichProgress, name: str, total: float | None) -> None:
        self._bars = bars
        self._id = bars.add_task(name, total=total, note="")

    def advance(self, steps: float = 1) -> None:
        self._bars.advance(self._id, steps)

    def describe(self, text: str) -> None:
        self._bars.update(self._id, note=text)


class BarProgress:
    """Shows one bar for each task on standard error."""

    def __init__(self, bars: RichProgress) -> None:
        self._bars = bars

    @contextmanager
    def task(self, name: str, total: float | None = None) -> Iterator[Task]:
        yield _BarTask(self._bars, name, total)


@contextmanager
def progress(*, quiet: bool = False) -> Iterator[Progress]:
    """Show bars while the block runs, unless `quiet` or standard error is not a terminal."""
    if quiet or not sys.stderr.isatty():
        yield SILENT
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with RichProgress(*columns, console=err) as bars:
        yield BarProgress(bars)


def print_json(value: Any) -> None:
    """Write one JSON document to standard output, escaped where it cannot show all letters."""
    text = json.dumps(value, ensure_ascii=False, indent=2, default=str)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(value, indent=2, default=str)
    sys.stdout.write(text + "\n")
