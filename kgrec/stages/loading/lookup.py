"""What the graph holds of interactions that are to be written: items, users, and themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from kgrec.data.interactions.columns import InteractionBatch
from kgrec.graph.store import GraphStore
from kgrec.stages.loading.facts import Tally
from kgrec.stages.loading.items import OF_ANOTHER_DOMAIN, Refuse

_MOST_KNOWN = 200_000
_ABSENT = "there is no such item"
_HELD = ("places", "values", "devices", "scenarios", "sources")

_Held = tuple[Sequence[Any], ...]
"""Interactions in the graph: place, value, device, scenario and source of each, as columns."""


@dataclass(frozen=True)
class Known:
    """What the graph knows of one batch.

    Attributes:
        batch: without what is refused.
        new_items: that are to be created.
        spans: where the interactions of each user begin and end.
        there: the users who are in the graph.
    """

    batch: InteractionBatch
    new_items: list[str]
    spans: dict[str, tuple[int, int]]
    there: set[str]


@dataclass(frozen=True)
class Looked:
    """What the graph holds of the interactions of one batch."""

    known: Known
    held: _Held


@dataclass
class InteractionLookup:
    """Reads of the graph what batches of interactions are compared with.

    Args:
        item_type, create_items, refuse, source: as of `InteractionLoader`.
    """

    store: GraphStore
    item_type: str
    create_items: bool
    refuse: Refuse
    source: str
    _known_items: set[str] = field(default_factory=set)
    """Items of the domain that are there, or are created by a batch before."""
    _are_plain: bool = True
    """Whether the users of batches before had few others, of value and time alone."""

    def forget(self) -> None:
        """Look up items again, since others deleted some."""
        self._known_items = set()

    def known(self, batch: InteractionBatch) -> Known:
        """Read which items and users of a batch the graph has."""
        problems = self._problems_of(set(batch.items))
        new_items = [item for item, problem in problems.items() if problem is None]
        kept = self._usable(batch, problems)
        spans = spans_of(kept.users)
        users = list(spans)
        (row,) = self.store.read("ingest/known_users", users=users)
        return Known(kept, new_items, spans, set(row["users"]))

    def held(self, future: Future[Known]) -> Looked:
        """Read what the graph holds of the interactions of users who are there."""
        known = future.result()
        batch, there = known.batch, known.there
        if not there:
            return Looked(known, ((),) * len(_HELD))
        names = names_of(batch)
        wanted = {
            user: dict(zip(names[begin:end], range(begin, end), strict=True))
            for user, (begin, end) in known.spans.items()
            if user in there
        }
        if (held := self._plain(batch, wanted)) is not None:
            return Looked(known, held)
        maps = list(wanted.values())
        (row,) = self.store.read("ingest/interactions", users=list(wanted), wanted=maps)
        return Looked(known, tuple(row[name] for name in _HELD))

    def _plain(self, batch: InteractionBatch, wanted: dict[str, dict[str, int]]) -> _Held | None:
        """Read all interactions of users, which is quicker than to send what is looked for.

        Returns:
            None where they have many others, or the graph or the batch holds more of one than its
            value.
        """
        if not self._are_plain or self.source or any(batch.devices) or any(batch.scenarios):
            return None
        most = sum(map(len, wanted.values())) * 2
        users = list(wanted)
        (row,) = self.store.read("ingest/plain_interactions", users=users, most=most)
        rows, names, values = row["rows"], row["names"], row["values"]
        if row["more"] or len(rows) == most:
            self._are_plain = False
            return None
        maps = list(wanted.values())
        places = [maps[at].get(name) for at, name in zip(rows, names, strict=True)]
        if None in places:
            values = [value for value, at in zip(values, places, strict=True) if at is not None]
            places = [at for at in places if at is not None]
        nothing = [""] * len(places)
        return places, values, nothing, nothing, nothing

    def _problems_of(self, items: set[str]) -> dict[str, str | None]:
        """Look up items that are not known yet.

        Returns:
            Why interactions with one are refused; empty where they are not, None where it is to be
            created.
        """
        known = self._known_items
        if len(known) > _MOST_KNOWN:
            self._known_items = known = set()
        unread = sorted(items - known)
        fit: dict[str, bool] = {}
        if unread:
            item_type = self.item_type
            (row,) = self.store.read("ingest/known_items", items=unread, item_type=item_type)
            fit = dict(zip(row["items"], row["fit"], strict=True))
        problems: dict[str, str | None] = {}
        for item in unread:
            if item in fit:
                problems[item] = "" if fit[item] else OF_ANOTHER_DOMAIN
            else:
                problems[item] = None if self.create_items else _ABSENT
        known.update(item for item, problem in problems.items() if not problem)
        return problems

    def _usable(
        self, batch: InteractionBatch, problems: Mapping[str, str | None]
    ) -> InteractionBatch:
        if not any(problems.values()):
            return batch
        rows = []
        for n, (line, item) in enumerate(zip(batch.lines, batch.items, strict=True)):
            if problem := problems.get(item):
                self.refuse(line, item, problem)
            else:
                rows.append(n)
        return batch.chosen(rows)


def changed(looked: Looked, source: str, tally: Tally) -> tuple[list[int], list[int]]:
    """Count the interactions of users who are there; return which ones are new and changed."""
    known = looked.known
    spans = [span for user, span in known.spans.items() if user in known.there]
    rows = [n for begin, end in spans for n in range(begin, end)]
    if not rows:
        return [], []
    batch = known.batch
    if _are_held(looked, source, len(rows)):
        tally.unchanged += len(rows)
        return [], []
    places, *columns = looked.held
    held = dict(zip(places, zip(*columns, strict=True), strict=True))
    new, changed = [], []
    for n in rows:
        before = held.get(n)
        if before is None:
            new.append(n)
        elif before[:3] != (batch.values[n], batch.devices[n], batch.scenarios[n]) or (
            source not in ("", before[3])
        ):
            changed.append(n)
    tally.created += len(new)
    tally.updated += len(changed)
    tally.unchanged += len(rows) - len(new) - len(changed)
    return new, changed


def _are_held(looked: Looked, source: str, count: int) -> bool:
    """Whether the graph holds so many interactions as they are; whole columns are compared."""
    places, *columns, sources = looked.held
    batch = looked.known.batch
    mine = (batch.values, batch.devices, batch.scenarios)
    return (
        len(places) == count == len(set(places))
        and all(
            list(map(own.__getitem__, places)) == held
            for own, held in zip(mine, columns, strict=True)
        )
        and (not source or set(sources) == {source})
    )


def spans_of(users: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Return where the interactions of each user begin and end."""
    spans: dict[str, tuple[int, int]] = {}
    begin = 0
    for end in range(1, len(users) + 1):
        if end == len(users) or users[end] != users[begin]:
            spans[users[begin]] = begin, end
            begin = end
    return spans


def names_of(batch: InteractionBatch) -> list[str]:
    """Return what the statements call each interaction of a user: its item and its key."""
    rows = zip(batch.items, batch.kinds, batch.times, strict=True)
    return [f"{item}|{kind}@{at}" for item, kind, at in rows]
