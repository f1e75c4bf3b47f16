"""Writes interactions to the graph, whole users at a time, while the next ones are prepared."""

from __future__ import annotations

from collections import deque
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
from kgrec.stages.loading.items import Refuse
from kgrec.stages.loading.lookup import InteractionLookup, Looked, changed, names_of, spans_of

INTERACTIONS_A_BATCH = 10_000
MOST_A_BATCH = 50_000
"""Of one user, in one transaction."""
_READERS = 2
"""Batches that are looked up at once: the database reads one while another is compared."""
_CREATE, _ADD = "ingest/create_interactions", "ingest/add_interactions"
_ALONE = frozenset({_CREATE, _ADD})


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


@dataclass(frozen=True)
class _Pools:
    """Threads: one that looks up items and users, some for interactions, one that writes."""

    first: ThreadPoolExecutor
    second: ThreadPoolExecutor
    writer: ThreadPoolExecutor


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
    _lookup: InteractionLookup = field(init=False)
    _pools: _Pools = field(init=False)
    _under_way: tuple[_Prepared, Future[Tally]] | None = None

    def write(self, spool: InteractionSpool) -> Iterator[Tally]:
        """Write interactions, one transaction a batch of whole users; yield their counts.

        While one batch is written, the next is compared with the graph, and what the graph holds
        of those after it is read: no user is in two, but for one who fills a batch alone.
        """
        given = (self.store, self.item_type, self.create_items, self.refuse, self.source)
        self._lookup = InteractionLookup(*given)
        ahead: deque[Future[Looked]] = deque()
        last = ""
        with (
            ThreadPoolExecutor(1) as first,
            ThreadPoolExecutor(_READERS) as second,
            ThreadPoolExecutor(1) as writer,
        ):
            self._pools = _Pools(first, second, writer)
            for batch in spool.by_user(INTERACTIONS_A_BATCH, MOST_A_BATCH):
                if batch.users[0] == last:
                    yield from self._brought_to(0, ahead)
                last = batch.users[-1]
                ahead.append(self._look_ahead(batch))
                yield from self._brought_to(_READERS, ahead)
            yield from self._brought_to(0, ahead)

    def _brought_to(self, count: int, ahead: deque[Future[Looked]]) -> Iterator[Tally]:
        """Write batches until so many are left, with none the one under way as well."""
        while len(ahead) > count:
            prepared = self._prepare(ahead.popleft())
            yield from self._finished()
            self._under_way = prepared, in_thread(self._pools.writer, self._store, prepared)
        if not count:
            yield from self._finished()

    def _finished(self) -> Iterator[Tally]:
        if self._under_way is not None:
            under_way, self._under_way = self._under_way, None
            yield self._written(*under_way)

    def _look_ahead(self, batch: InteractionBatch) -> Future[Looked]:
        """Look up a batch: its items after those of the batch before, the rest beside it."""
        known = in_thread(self._pools.first, self._lookup.known, batch)
        return in_thread(self._pools.second, self._lookup.held, known)

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
        self._lookup.forget()
        again = self._prepare(self._look_ahead(prepared.batch), merge=True)
        self.store.write_all(again.steps)
        done.add(again.tally)
        done.unchanged -= done.created + done.updated - again.tally.created - again.tally.updated
        return done

    def _prepare(self, future: Future[Looked], *, merge: bool = False) -> _Prepared:
        """Compare a batch with the graph.

        Args:
            merge: whether what is not there is looked for again where it is written, and users are
                created first, by themselves.
        """
        merge = merge or bool(self.also)  # which must not be written without the batch
        looked = future.result()
        batch, spans = looked.known.batch, looked.known.spans
        there, new_items = looked.known.there, looked.known.new_items
        tally = Tally(users=len(spans) - len(there), items=len(new_items))
        added, updated = changed(looked, self.source, tally)
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
            names = iter(names_of(chosen))
            for group in groups:
                group["new"] = {next(names): True for _ in group["keys"]}
            given = {"items": items, "groups": groups, "source": source}
            steps.append((_ADD, {}, given))
        if rows:
            items, groups = _created(batch if len(rows) == len(batch) else batch.chosen(rows))
            given = {"items": items, "groups": groups, "source": source}
            steps.append((_CREATE, {}, given))
        return _Prepared(batch, tally, steps, len(rows) + len(added))


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
        for user, (begin, end) in spans_of(batch.users).items()
    ]


def _columns(batch: InteractionBatch) -> dict[str, Sequence[Any]]:
    """Return what both statements have of each interaction."""
    return {
        "keys": batch.keys,
        "kinds": batch.kinds,
        "values": batch.values,
        "times": batch.times,
    }
