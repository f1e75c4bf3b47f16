"""What a user did, read from the graph, newest first."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from kgrec.data.dataset import IntArray
from kgrec.data.selection import Selection, kind_codes
from kgrec.data.vocabulary import Vocabulary
from kgrec.graph.store import GraphStore
from kgrec.model.histories import Histories

MINUTE = 60_000


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
        now: when it is asked for, milliseconds since 1970; see `asked_now`.
    """

    events: tuple[Event, ...] = ()
    rows: IntArray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    seen: frozenset[str] = frozenset()
    now: int = 0

    def __len__(self) -> int:
        return len(self.events)

    @property
    def ids(self) -> list[str]:
        return [event.item_id for event in self.events]

    def without(self, items: frozenset[str]) -> History:
        """Return the history as if these items had never been met."""
        kept = [n for n, event in enumerate(self.events) if event.item_id not in items]
        events = tuple(self.events[n] for n in kept)
        return History(events, self.rows[kept], self.seen - items, self.now)

    def taken(self, num_items: int) -> Histories:
        """Return the history as agents read it.

        Items of an anonymous history, which have an order but no times, are a minute apart. Times
        that the graph lacks stay unknown, as in training.

        Args:
            num_items: how many items the model knows.
        """
        at = np.array([event.at for event in self.events], dtype=np.int64)
        if not at.any() and not any(event.kind for event in self.events):
            at = self.now - MINUTE * np.arange(1, len(at) + 1)
        return Histories.one(
            self.rows,
            num_items,
            at=at,
            kind=kind_codes([event.kind for event in self.events]),
            value=[event.value for event in self.events],
            now=max(self.now, int(at.max(initial=0))),
        )


def asked_now() -> int:
    """Return the time of a request: the hour that has begun, in milliseconds since 1970.

    Scores that look at the time stay the same within an hour, so that what was recommended can
    be explained a little later.
    """
    return int(time.time() // 3600) * 3_600_000


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
    known = tuple(events[n] for n in np.flatnonzero(kept).tolist())
    return History(known, rows[kept], seen, asked_now())
