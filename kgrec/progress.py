"""The interface by which long work reports its progress; the command line shows it as bars."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Task(Protocol):
    """One piece of work under way."""

    def advance(self, steps: float = 1) -> None:
        """Count steps as done."""

    def describe(self, text: str) -> None:
        """Set a short description of the current state, such as the validation metric."""


class Progress(Protocol):
    """Something that shows pieces of work."""

    def task(self, name: str, total: float | None = None) -> AbstractContextManager[Task]:
        """Begin a piece of work of `total` steps (unknown when None)."""


class _Silent:
    def advance(self, steps: float = 1) -> None:
        """Show nothing."""

    def describe(self, text: str) -> None:
        """Show nothing."""


class SilentProgress:
    """Shows nothing: the default of every library call."""

    @contextmanager
    def task(self, name: str, total: float | None = None) -> Iterator[Task]:
        yield _Silent()


SILENT: Progress = SilentProgress()
