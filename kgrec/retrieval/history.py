"""The history of a query: what a user did, newest first, as the graph or the caller gives it."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kgrec.data.dataset import IntArray
from kgrec.data.selection import Selection, kind_codes
from kgrec.data.vocabulary import Vocabulary
from kgrec.model.histories import Histories
from kgrec.retrieval.context import Context

HOUR = 3_600_000
_TIMELESS = ("fingerprint", "seen_ids", "seen_rows")
"""What is computed of a history once, whatever the moment."""
MINUTE = 60_000


@dataclass(frozen=True)
class Event:
    """One item of a history, with the last interaction on it.

    Attributes:
        title: empty where nobody will read it, as in a batch.
        kind: of the interaction; empty for an item of an anonymous history.
        at: milliseconds since 1970 in UTC; 0 where the time is unknown.
    """

    item_id: str
    title: str
    kind: str = ""
    value: float = 1.0
    at: int = 0


@dataclass(frozen=True, eq=False)
class History:
    """A history as a query holds it.

    Attributes:
        events: positive events on items that the model knows, newest first, [H].
        rows: rows of the events' items, int64 [H].
        seen: every item of the history, the positive ones and the others, newest first.
        query_time: the moment of asking, milliseconds since 1970.
        num_items: how many items the model knows.
        rejected: dislikes, skips and low values of items that the model knows, newest first, [M];
            the model's `RejectionWeights` decide whether they count.
        rejected_rows: rows of their items, int64 [M].
    """

    events: tuple[Event, ...] = ()
    rows: IntArray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    seen: tuple[Event, ...] = ()
    query_time: int = 0
    num_items: int = 0
    rejected: tuple[Event, ...] = ()
    rejected_rows: IntArray = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.events)

    @property
    def ids(self) -> list[str]:
        return [event.item_id for event in self.events]

    @cached_property
    def seen_ids(self) -> frozenset[str]:
        return frozenset(event.item_id for event in self.seen)

    @property
    def now(self) -> int:
        """The hour of the query.

        Scores that depend on the time stay the same within an hour.
        """
        return self.query_time // HOUR * HOUR

    @cached_property
    def fingerprint(self) -> str:
        """Return 12 hexadecimal digits over items, kinds, values and times, in their order."""
        rows = [(e.item_id, e.kind, float(e.value), e.at) for e in self.seen]
        text = json.dumps(rows, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]

    @cached_property
    def histories(self) -> Histories:
        """The history as agents read it, converted once.

        Items of an anonymous history, which have an order but no times, are a minute apart. Times
        that the graph lacks stay unknown, as in training.
        """
        at = np.array([event.at for event in self.events], dtype=np.int64)
        if not at.any() and not any(event.kind for event in self.events):
            at = self.now - MINUTE * np.arange(1, len(at) + 1)
        return Histories.one(
            self.rows,
            self.num_items,
            at=at,
            kind=kind_codes([event.kind for event in self.events]),
            value=[event.value for event in self.events],
            now=max(self.now, int(at.max(initial=0))),
            rejected=(self.rejected_rows, kind_codes([event.kind for event in self.rejected])),
        )

    def unseen(self, items: Vocabulary, present: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return which of the present items are not in the history, bool [I].

        Args:
            items: of the model that the history was made for.
        """
        left = present.copy()
        left[self._seen_rows(items)] = False
        return left

    def _seen_rows(self, items: Vocabulary) -> IntArray:
        known: IntArray | None = self.__dict__.get("seen_rows")
        if known is None:
            rows = items.rows(event.item_id for event in self.seen)
            known = self.__dict__["seen_rows"] = rows[rows >= 0]
        return known

    def at(self, moment: int) -> History:
        """Return the history at another moment, with what has been computed of it."""
        other = replace(self, query_time=moment)
        names = [*_TIMELESS, *(["histories"] if other.now == self.now else [])]
        known = {name: self.__dict__[name] for name in names if name in self.__dict__}
        other.__dict__.update(known)
        return other

    def without(self, item_id: str) -> History:
        """Return the history as if an item had never been seen."""
        kept, left = (
            [n for n, event in enumerate(events) if event.item_id != item_id]
            for events in (self.events, self.rejected)
        )
        return History(
            tuple(self.events[n] for n in kept),
            self.rows[kept],
            tuple(event for event in self.seen if event.item_id != item_id),
            self.query_time,
            self.num_items,
            tuple(self.rejected[n] for n in left),
            self.rejected_rows[left],
        )


class UserInteractions(list[Event]):
    """UserInteractions of one user, newest first, with the history that was made of them last.

    Not to be changed.
    """

    def __init__(self, events: Iterable[Event] = ()) -> None:
        super().__init__(events)
        self._made: tuple[Vocabulary, Selection | None, History] | None = None

    def history(
        self, items: Vocabulary, selection: Selection | None, moment: int
    ) -> History | None:
        """Return the history for a model at a moment, where it was made before."""
        made = self._made
        if made is None or made[0] is not items or made[1] is not selection:
            return None
        return made[2].at(moment)

    def keep(self, items: Vocabulary, selection: Selection | None, history: History) -> None:
        """Keep the history for a model."""
        self._made = items, selection, history


def current_time() -> int:
    """Return the query time, in milliseconds since 1970."""
    return int(time.time() * 1000)


def at_moment(context: Context | None) -> Context:
    """Return a context whose moment is known: now, where the caller names none."""
    given = context or Context()
    return given if given.time is not None else given.model_copy(update={"time": current_time()})


def interactions_of(columns: Mapping[str, Sequence[Any]]) -> UserInteractions:
    """Return the interactions of one user, newest first.

    The order is fixed here, not by the database, so that a batch has the very same.

    Args:
        columns: `items`, `kinds`, `values`, `times` and, where they are wanted, `titles`.
    """
    items = columns["items"]
    titles = columns.get("titles") or [""] * len(items)
    kinds, values, times = columns["kinds"], columns["values"], columns["times"]
    # Tuples, which compare faster than what a function makes of each event.
    newest = sorted(
        zip((-at for at in times), items, kinds, values, range(len(items)), strict=True)
    )
    return UserInteractions(
        Event(item, titles[n], kind, value, -behind) for behind, item, kind, value, n in newest
    )


def with_session(done: Sequence[Event], context: Context, titles: Mapping[str, str]) -> list[Event]:
    """Put the events of a session before what the graph holds.

    Args:
        done: newest first.
        titles: of the session's items; an event on an item without one is left out.
    """
    session = [
        Event(
            event.item_id,
            titles[event.item_id],
            event.kind,
            event.value,
            (context.time or 0) if event.at is None else event.at,
        )
        for event in context.events
        if event.item_id in titles
    ]
    return [*session, *done]


def as_history(
    interactions: Iterable[Event],
    items: Vocabulary,
    selection: Selection | None = None,
    *,
    query_time: int | None = None,
) -> History:
    """Keep the last interaction on each item; those that are positive and known are the events.

    Args:
        interactions: newest first.
        items: what the model knows.
        selection: the kinds and values that are positive; None means all.
        query_time: the query time, in milliseconds since 1970; now when absent.
    """
    moment = current_time() if query_time is None else query_time
    read = interactions if isinstance(interactions, UserInteractions) else None
    if read is not None and (known := read.history(items, selection, moment)) is not None:
        return known
    last: dict[str, Event] = {}
    for event in interactions:
        last.setdefault(event.item_id, event)
    seen = tuple(last.values())
    rows = items.rows(event.item_id for event in seen)
    kept, left = rows >= 0, np.zeros(len(rows), dtype=np.bool_)
    if selection is not None:
        kinds, values = [e.kind for e in seen], [e.value for e in seen]
        plain = np.array([kind == "" for kind in kinds], dtype=np.bool_)  # a session's
        left = kept & selection.rejected(kinds, values)
        kept &= plain | selection.positive(kinds, values)
    events, rejected = (
        tuple(seen[n] for n in np.flatnonzero(mask).tolist()) for mask in (kept, left)
    )
    made = History(events, rows[kept], seen, moment, len(items), rejected, rows[left])
    if read is not None:
        read.keep(items, selection, made)
    return made
