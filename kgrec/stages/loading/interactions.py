"""Writes interactions to the graph, whole users at a time, while the next ones are prepared."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import Any, TypeVar

from kgrec.data.interactions.columns import InteractionBatch
from kgrec.data.interactions.spool import InteractionSpool
from kgrec.errors import GraphConstraintError
from kgrec.graph.store import GraphStore, Step
from kgrec.stages.loading.facts import Tally
from kgrec.stages.loading.items import OF_ANOTHER_DOMAIN, Refuse

INTERACTIONS_A_BATCH = 10_000
MOST_A_BATCH = 50_000
"""Of one user, in one transaction."""
_MOST_KNOWN = 200_000
_ABSENT = "there is no such item"

ArgumentT = TypeVar("ArgumentT")
ResultT = TypeVar("ResultT")

_Held = tuple[float, str, str, str]
"""Value, device, scenario and source of an interaction that is in the graph."""
_Ahead = tuple[InteractionBatch, "Future[_Looked]"]
_UnderWay = tuple["_Prepared", Future[bool]]


@dataclass(frozen=True)
class _Looked:
    """What the graph holds of one batch.

    Attributes:
        batch: without what is refused.
        new_items: that are to be created.
        spans: where the interactions of each user begin and end.
        there: the users who are in the graph.
        known: their interactions, by user, item and key.
    """

    batch: InteractionBatch
    new_items: list[str]
    spans: dict[str, tuple[int, int]]
    there: set[str]
    known: dict[tuple[str, str, str], _Held]


@dataclass(frozen=True)
class _Prepared:
    """What one batch writes.

    Attributes:
        batch: without what is refused.
        steps: for `GraphStore.write_all`.
        fresh: how many interactions of new users the last step must write.
    """

    batch: InteractionBatch
    tally: Tally
    steps: list[Step]
    fresh: int


@dataclass
class InteractionLoader:
    """Writes interactions that are grouped by user.

    Args:
        item_type: the item label of the domain, for items that are created.
        create_items: whether an unknown item is created; without it the interaction is refused.
        refuse: called for each record that cannot be written.
        source: what interactions are marked with, so that it is known when a complete source no
            longer holds them; empty for others.
        also: steps that the transaction of each batch has before its own.
    """

    store: GraphStore
    item_type: str
    create_items: bool
    refuse: Refuse
    source: str = ""
    also: tuple[Step, ...] = ()
    _known_items: set[str] = field(default_factory=set)
    """Items of the domain that are there, or are created by a batch before."""
    _reader: ThreadPoolExecutor = field(init=False)

    def write(self, spool: InteractionSpool) -> Iterator[Tally]:
        """Write interactions, one transaction a batch of whole users; yield their counts.

        While one batch is written, the next is compared with the graph, and what the graph holds
        of the one after is read: no user is in two, but for one who fills a batch alone.
        """
        ahead: _Ahead | None = None
        under_way: _UnderWay | None = None
        with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(1) as writer:
            self._reader = reader
            for batch in spool.by_user(INTERACTIONS_A_BATCH, MOST_A_BATCH):
                goes_on = ahead is not None and batch.users[0] == ahead[0].users[-1]
                looked = None if goes_on else self._look_ahead(batch)
                if ahead is not None:
                    prepared = self._prepare(ahead[1])
                    if under_way is not None:
                        yield self._written(*under_way)
                    under_way = prepared, _in_context(writer, self._store, prepared)
                if looked is None:
                    if under_way is not None:
                        yield self._written(*under_way)
                    under_way, looked = None, self._look_ahead(batch)
                ahead = batch, looked
            if ahead is not None:
                prepared = self._prepare(ahead[1])
                if under_way is not None:
                    yield self._written(*under_way)
                yield self._written(prepared, _in_context(writer, self._store, prepared))

    def _look_ahead(self, batch: InteractionBatch) -> Future[_Looked]:
        return _in_context(self._reader, self._look, batch)

    def _store(self, prepared: _Prepared) -> bool:
        """Write a batch; return whether the graph was still as it was prepared for."""
        if not prepared.steps:
            return True
        try:
            rows = self.store.write_all(prepared.steps)
        except GraphConstraintError:
            if not prepared.fresh:
                raise
            return False
        if not prepared.fresh:
            return True
        return bool(rows[-1]) and int(rows[-1][0]["written"]) == prepared.fresh

    def _written(self, prepared: _Prepared, stored: Future[bool]) -> Tally:
        if stored.result():
            return prepared.tally
        # Others created one of its users, or deleted one of its items, in the meantime.
        self._known_items = set()
        again = self._prepare(self._look_ahead(prepared.batch), merge=True)
        self.store.write_all(again.steps)
        return again.tally

    def _look(self, batch: InteractionBatch) -> _Looked:
        """Read what the graph holds of a batch."""
        problems = self._problems_of(set(batch.items))
        new_items = [item for item, problem in problems.items() if problem is None]
        kept = self._usable(batch, problems)
        spans = _spans(kept.users)
        names = list(spans)
        rows = self.store.read("ingest/users", users=names, properties=[]) if names else []
        there = {row["user_id"] for row in rows}
        known = self._read_known(kept, {u: span for u, span in spans.items() if u in there})
        return _Looked(kept, new_items, spans, there, known)

    def _prepare(self, future: Future[_Looked], *, merge: bool = False) -> _Prepared:
        """Compare a batch with the graph.

        Args:
            merge: whether users who are not there are created first, by themselves.
        """
        looked = future.result()
        batch, spans, there, new_items = looked.batch, looked.spans, looked.there, looked.new_items
        tally = Tally(users=len(spans) - len(there), items=len(new_items))
        changed = self._changed(looked, tally)
        fresh = [span for user, span in spans.items() if user not in there]
        rows = sum(end - begin for begin, end in fresh)
        tally.created += rows
        steps: list[Step] = list(self.also)
        source = self.source or None
        if new_items:
            labels = {"item_type": self.item_type}
            steps.append(("ingest/create_items", labels, {"items": new_items}))
        if (merge or self.also) and fresh:  # which must not be written without the batch
            named = [{"user_id": batch.users[n], "properties": {}} for n, _ in fresh]
            steps.append(("ingest/upsert_users", {}, {"rows": named}))
            changed += [n for begin, end in fresh for n in range(begin, end)]
            fresh, rows = [], 0
        if changed:
            groups = _chosen(batch, changed)
            steps.append(("ingest/upsert_interactions", {}, {"groups": groups, "source": source}))
        if fresh:
            items, groups = _created(batch, fresh)
            given = {"items": items, "groups": groups, "source": source}
            steps.append(("ingest/create_interactions", {}, given))
        return _Prepared(batch, tally, steps, rows)

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
        rows = self.store.read("ingest/items", items=unread, properties=[]) if unread else []
        labels = {row["item_id"]: row["labels"] for row in rows}
        problems: dict[str, str | None] = {}
        for item in unread:
            if item in labels:
                problems[item] = "" if self.item_type in labels[item] else OF_ANOTHER_DOMAIN
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

    def _changed(self, looked: _Looked, tally: Tally) -> list[int]:
        """Count the interactions of users who are there; return which ones are to be written."""
        if not looked.there:
            return []
        batch, known, changed = looked.batch, looked.known, []
        keys = batch.keys
        for user, (begin, end) in looked.spans.items():
            if user not in looked.there:
                continue
            for n in range(begin, end):
                before = known.get((user, batch.items[n], keys[n]))
                if before is None:
                    tally.created += 1
                elif before[:3] != (batch.values[n], batch.devices[n], batch.scenarios[n]) or (
                    self.source not in ("", before[3])
                ):
                    tally.updated += 1
                else:
                    tally.unchanged += 1
                    continue
                changed.append(n)
        return changed

    def _read_known(
        self, batch: InteractionBatch, spans: dict[str, tuple[int, int]]
    ) -> dict[tuple[str, str, str], _Held]:
        users = list(spans)
        if not users:
            return {}
        items = [dict.fromkeys(batch.items[begin:end], True) for begin, end in spans.values()]
        known: dict[tuple[str, str, str], _Held] = {}
        for row in self.store.read("ingest/interactions", users=users, items=items):
            names = ("users", "items", "keys", "values", "devices", "scenarios", "sources")
            for user, item, key, *held in zip(*(row[name] for name in names), strict=True):
                known[users[user], item, key] = (held[0], held[1], held[2], held[3])
        return known


def _in_context(
    pool: ThreadPoolExecutor, work: Callable[[ArgumentT], ResultT], argument: ArgumentT
) -> Future[ResultT]:
    """Do something in a thread, within the deadline of this one."""
    return pool.submit(copy_context().run, work, argument)


def _spans(users: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Return where the interactions of each user begin and end."""
    spans: dict[str, tuple[int, int]] = {}
    begin = 0
    for end in range(1, len(users) + 1):
        if end == len(users) or users[end] != users[begin]:
            spans[users[begin]] = begin, end
            begin = end
    return spans


def _created(
    batch: InteractionBatch, spans: Iterable[tuple[int, int]]
) -> tuple[list[str], list[dict[str, Any]]]:
    """Return items and groups of `create_interactions`."""
    items: dict[str, int] = {}
    places = [items.setdefault(item, len(items)) for item in batch.items]
    used = [one or None for one in batch.devices], [one or None for one in batch.scenarios]
    columns = {**_columns(batch), "places": places, "devices": used[0], "scenarios": used[1]}
    return list(items), [_group(batch.users[begin], columns, begin, end) for begin, end in spans]


def _chosen(batch: InteractionBatch, rows: Sequence[int]) -> list[dict[str, Any]]:
    """Return groups of `upsert_interactions`; columns, since maps are sent much slower."""
    chosen = batch.chosen(rows)
    columns = {
        **_columns(chosen),
        "items": chosen.items,
        "devices": chosen.devices,
        "scenarios": chosen.scenarios,
    }
    spans = _spans(chosen.users).items()
    return [_group(user, columns, begin, end) for user, (begin, end) in spans]


def _columns(batch: InteractionBatch) -> dict[str, Sequence[Any]]:
    """Return what both statements have of each interaction."""
    return {
        "keys": batch.keys,
        "kinds": batch.kinds,
        "values": batch.values,
        "times": batch.times,
    }


def _group(user: str, columns: Mapping[str, Sequence[Any]], begin: int, end: int) -> dict[str, Any]:
    """Return the interactions of one user, which lie side by side."""
    return {"user_id": user, **{name: one[begin:end] for name, one in columns.items()}}
