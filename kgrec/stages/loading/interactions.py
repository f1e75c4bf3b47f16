"""Writes interactions to the graph, whole users at a time, while the next ones are prepared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from kgrec.data.interactions.columns import InteractionBatch
from kgrec.data.interactions.spool import InteractionSpool
from kgrec.deadline import in_thread
from kgrec.errors import GraphConstraintError
from kgrec.graph.store import GraphStore, Step
from kgrec.stages.loading.facts import Tally
from kgrec.stages.loading.items import OF_ANOTHER_DOMAIN, Refuse

INTERACTIONS_A_BATCH = 10_000
MOST_A_BATCH = 50_000
"""Of one user, in one transaction."""
_MOST_KNOWN = 200_000
_ABSENT = "there is no such item"
_CREATE, _ADD = "ingest/create_interactions", "ingest/add_interactions"
_ALONE = frozenset({_CREATE, _ADD})
_HELD = ("places", "values", "devices", "scenarios", "sources")

_Held = tuple[Sequence[Any], ...]
"""Interactions in the graph: place, value, device, scenario and source of each, as columns."""
_Ahead = tuple[InteractionBatch, "Future[_Looked]"]
_UnderWay = tuple["_Prepared", Future[Tally]]


@dataclass(frozen=True)
class _Looked:
    """What the graph holds of one batch.

    Attributes:
        batch: without what is refused.
        new_items: that are to be created.
        spans: where the interactions of each user begin and end.
        there: the users who are in the graph.
        wanted: for each of these users the place in the batch of each interaction, by `_names`.
        held: those of them that the graph holds.
    """

    batch: InteractionBatch
    new_items: list[str]
    spans: dict[str, tuple[int, int]]
    there: set[str]
    wanted: dict[str, dict[str, int]]
    held: _Held


@dataclass(frozen=True)
class _Prepared:
    """What one batch writes.

    Attributes:
        batch: without what is refused.
        steps: for `GraphStore.write_all`.
        alone: how many interactions the steps that look for none must write.
    """

    batch: InteractionBatch
    tally: Tally
    steps: list[Step]
    alone: int


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
                    under_way = prepared, in_thread(writer, self._store, prepared)
                if looked is None:
                    if under_way is not None:
                        yield self._written(*under_way)
                    under_way, looked = None, self._look_ahead(batch)
                ahead = batch, looked
            if ahead is not None:
                prepared = self._prepare(ahead[1])
                if under_way is not None:
                    yield self._written(*under_way)
                yield self._written(prepared, in_thread(writer, self._store, prepared))

    def _look_ahead(self, batch: InteractionBatch) -> Future[_Looked]:
        return in_thread(self._reader, self._look, batch)

    def _store(self, prepared: _Prepared) -> Tally:
        """Write a batch; return its counts, or lower ones where others were quicker."""
        if not prepared.steps:
            return prepared.tally
        try:
            answers = self.store.write_all(prepared.steps)
        except GraphConstraintError:
            if not prepared.alone:
                raise
            return Tally()
        pairs = zip(prepared.steps, answers, strict=True)
        written = {step[0]: rows[0]["written"] for step, rows in pairs if step[0] in _ALONE}
        alone, tally = sum(written.values()), prepared.tally
        if alone == prepared.alone:
            return tally
        users = tally.users if written.get(_CREATE) else 0
        return Tally(created=alone, updated=tally.updated, users=users, items=tally.items)

    def _written(self, prepared: _Prepared, stored: Future[Tally]) -> Tally:
        done = stored.result()
        if done is prepared.tally:
            return done
        # Others wrote of one of its users, or deleted one of its items, in the meantime.
        self._known_items = set()
        again = self._prepare(self._look_ahead(prepared.batch), merge=True)
        self.store.write_all(again.steps)
        done.add(again.tally)
        done.unchanged -= done.created + done.updated - again.tally.created - again.tally.updated
        return done

    def _look(self, batch: InteractionBatch) -> _Looked:
        """Read what the graph holds of a batch."""
        problems = self._problems_of(set(batch.items))
        new_items = [item for item, problem in problems.items() if problem is None]
        kept = self._usable(batch, problems)
        spans = _spans(kept.users)
        users = list(spans)
        rows = self.store.read("ingest/users", users=users, properties=[]) if users else []
        there = {row["user_id"] for row in rows}
        if not there:
            return _Looked(kept, new_items, spans, there, {}, ((),) * len(_HELD))
        names = _names(kept)
        wanted = {
            user: dict(zip(names[begin:end], range(begin, end), strict=True))
            for user, (begin, end) in spans.items()
            if user in there
        }
        maps = list(wanted.values())
        (row,) = self.store.read("ingest/interactions", users=list(wanted), wanted=maps)
        return _Looked(kept, new_items, spans, there, wanted, tuple(row[name] for name in _HELD))

    def _prepare(self, future: Future[_Looked], *, merge: bool = False) -> _Prepared:
        """Compare a batch with the graph.

        Args:
            merge: whether what is not there is looked for again where it is written, and users are
                created first, by themselves.
        """
        merge = merge or bool(self.also)  # which must not be written without the batch
        looked = future.result()
        batch, spans, there, new_items = looked.batch, looked.spans, looked.there, looked.new_items
        tally = Tally(users=len(spans) - len(there), items=len(new_items))
        added, updated = self._changed(looked, tally)
        fresh = [span for user, span in spans.items() if user not in there]
        rows = [n for begin, end in fresh for n in range(begin, end)]
        tally.created += len(rows)
        steps: list[Step] = list(self.also)
        source = self.source or None
        if new_items:
            labels = {"item_type": self.item_type}
            steps.append(("ingest/create_items", labels, {"items": new_items}))
        if merge:
            named = [{"user_id": batch.users[begin], "properties": {}} for begin, _ in fresh]
            steps += [("ingest/upsert_users", {}, {"rows": named})] if named else []
            rows, added, updated = [], [], sorted([*rows, *added, *updated])
        if updated:
            groups = _merged(batch.chosen(updated))
            steps.append(("ingest/upsert_interactions", {}, {"groups": groups, "source": source}))
        if added:
            chosen = batch.chosen(added)
            items, groups = _created(chosen)
            names = iter(_names(chosen))
            for group in groups:
                group["new"] = {next(names): True for _ in group["keys"]}
            given = {"items": items, "groups": groups, "source": source}
            steps.append((_ADD, {}, given))
        if rows:
            items, groups = _created(batch if len(rows) == len(batch) else batch.chosen(rows))
            given = {"items": items, "groups": groups, "source": source}
            steps.append((_CREATE, {}, given))
        return _Prepared(batch, tally, steps, len(rows) + len(added))

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

    def _changed(self, looked: _Looked, tally: Tally) -> tuple[list[int], list[int]]:
        """Count the interactions of users who are there; return which ones are new and changed."""
        spans = [span for user, span in looked.spans.items() if user in looked.there]
        rows = [n for begin, end in spans for n in range(begin, end)]
        if not rows:
            return [], []
        batch = looked.batch
        if self._are_held(looked, len(rows)):
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
                self.source not in ("", before[3])
            ):
                changed.append(n)
        tally.created += len(new)
        tally.updated += len(changed)
        tally.unchanged += len(rows) - len(new) - len(changed)
        return new, changed

    def _are_held(self, looked: _Looked, count: int) -> bool:
        """Whether the graph holds so many interactions as they are; whole columns are compared."""
        places, *columns, sources = looked.held
        batch = looked.batch
        mine = (batch.values, batch.devices, batch.scenarios)
        return (
            len(places) == count == len(set(places))
            and all(
                list(map(own.__getitem__, places)) == held
                for own, held in zip(mine, columns, strict=True)
            )
            and (not self.source or set(sources) == {self.source})
        )


def _spans(users: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Return where the interactions of each user begin and end."""
    spans: dict[str, tuple[int, int]] = {}
    begin = 0
    for end in range(1, len(users) + 1):
        if end == len(users) or users[end] != users[begin]:
            spans[users[begin]] = begin, end
            begin = end
    return spans


def _names(batch: InteractionBatch) -> list[str]:
    """Return what the statements call each interaction of a user: its item and its key."""
    rows = zip(batch.items, batch.kinds, batch.times, strict=True)
    return [f"{item}|{kind}@{at}" for item, kind, at in rows]


def _created(batch: InteractionBatch) -> tuple[list[str], list[dict[str, Any]]]:
    """Return items and groups of `create_interactions`."""
    items: dict[str, int] = {}
    places = [items.setdefault(item, len(items)) for item in batch.items]
    used = [one or None for one in batch.devices], [one or None for one in batch.scenarios]
    columns = {**_columns(batch), "places": places, "devices": used[0], "scenarios": used[1]}
    return list(items), _groups(batch, columns)


def _merged(batch: InteractionBatch) -> list[dict[str, Any]]:
    """Return groups of `upsert_interactions`; columns, since maps are sent much slower."""
    own = {"items": batch.items, "devices": batch.devices, "scenarios": batch.scenarios}
    return _groups(batch, {**_columns(batch), **own})


def _groups(batch: InteractionBatch, columns: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Return the columns user by user."""
    return [
        {"user_id": user, **{name: one[begin:end] for name, one in columns.items()}}
        for user, (begin, end) in _spans(batch.users).items()
    ]


def _columns(batch: InteractionBatch) -> dict[str, Sequence[Any]]:
    """Return what both statements have of each interaction."""
    return {
        "keys": batch.keys,
        "kinds": batch.kinds,
        "values": batch.values,
        "times": batch.times,
    }
