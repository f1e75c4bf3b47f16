"""What a load did to the graph, counted while it runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


@dataclass
class Tally:
    """Counts of one load.

    Attributes:
        rows: all rows of the file, whatever became of them.
        created, updated, unchanged: items, users or interactions.
        repeated: interactions that stand in the file more than once; the last one counts.
        users, items: created because interactions name them.
        entities, facts, withdrawn: entities and facts created or changed, and facts that a column
            held before and no longer holds.
    """

    rows: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    repeated: int = 0
    users: int = 0
    items: int = 0
    entities: int = 0
    facts: int = 0
    withdrawn: int = 0

    def add(self, other: Tally) -> None:
        """Count what another tally holds as well."""
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))


def batched(values: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield lists of at most `size` values."""
    iterator = iter(values)
    while batch := list(islice(iterator, size)):
        yield batch
