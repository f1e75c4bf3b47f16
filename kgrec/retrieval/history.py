"""What a user did, read from the graph, newest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from kgrec.data.dataset import IntArray
from kgrec.data.selection import Selection
from kgrec.data.vocabulary import Vocabulary
from kgrec.graph.store import GraphStore


@dataclass(frozen=True)
class Event:
    """One item of a history, with the last interaction on it.

    Attributes:
        kind: of the interaction; empty for an item of an anonymous history.
        at: milliseconds since 1970 in UTC; 0 where the time is unknown.
    """

    item_id: str
    title: str
    kind: str = ""
    value: float = 1.0
    at: int = 0


@dataclass(frozen=True)
class History:
    """A history as the model takes it.

    Attributes:
        events: what speaks for its item and is known to the model, newest first, [H].
        rows: rows of the events' items, int64 [H].
        seen: ids of all items of the history, whatever was thought of them.
    """

    events: tuple[Event, ...] = ()
    rows: IntArray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    seen: frozenset[str] = frozenset()

    def __len__(self) -> int:
        return len(self.events)

    @property
    def ids(self) -> list[str]:
        return [event.item_id for event in self.events]

    def without(self, items: frozenset[str]) -> History:
        """Return the history as if these items had never been met."""
        kept = [n for n, event in enumerate(self.events) if event.item_id not in items]
        events = tuple(self.events[n] for n in kept)
        return History(events, self.rows[kept], self.seen - items)


def read_history(
    store: GraphStore, user_id: str, items: Vocabulary, selection: Selection
) -> History | None:
    """Return the history of a user, or None when the graph has no such user."""
    found = store.read("recommend/history", user_id=user_id)
    if not found:
        return None
    columns = found[0]
    last: dict[str, Event] = {}
    names = ("items", "titles", "kinds", "values", "times")
    for item_id, title, kind, value, at in zip(*(columns[name] for name in names), strict=True):
        last.setdefault(item_id, Event(item_id, title, kind, value, at))
    return as_history(list(last.values()), items, selection)


def as_history(
    events: Sequence[Event], items: Vocabulary, selection: Selection | None = None
) -> History:
    """Keep the events that speak for items of the vocabulary; the others count as seen.

    Args:
        events: one an item, newest first.
        items: what the model knows.
        selection: says which kinds and values speak for an item; None takes every event.
    """
    rows = items.rows(event.item_id for event in events)
    kept = rows >= 0
    if selection is not None:
        kinds, values = [e.kind for e in events], [e.value for e in events]
        kept &= selection.positive(kinds, values)
    seen = frozenset(event.item_id for event in events)
    return History(tuple(events[n] for n in np.flatnonzero(kept).tolist()), rows[kept], seen)
