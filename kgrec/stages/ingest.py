"""Ingest: one table into the graph.

Every batch is one transaction, and only what differs from the graph is written. So the same file
twice changes nothing, a newer file adds and updates, and a load that was killed is completed by
running it again. A run is named by what it loads: the same file and columns are the same run.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from kgrec.config import FrozenModel
from kgrec.data.cells.values import CellError
from kgrec.data.columns import plan_columns
from kgrec.data.guess_file import STEP
from kgrec.data.guesses import snake
from kgrec.data.parsing import Report, RowParser
from kgrec.data.plan import ColumnPlan
from kgrec.data.public import dataset_table
from kgrec.data.records import (
    EntityRecord,
    InteractionRecord,
    ItemRecord,
    LinkRecord,
    UserRecord,
)
from kgrec.data.rejects import Rejects
from kgrec.data.sources import Kind, Source
from kgrec.data.spool import InteractionSpool, LinkSpool
from kgrec.data.tables import Table, fingerprint, open_table
from kgrec.errors import DataError
from kgrec.graph.setup import ensure_schema
from kgrec.graph.store import GraphStore
from kgrec.progress import SILENT, Progress, Task
from kgrec.schema import Domain, load_schema
from kgrec.stages.loading.facts import Tally, batched
from kgrec.stages.loading.interactions import InteractionLoader, LinkLoader
from kgrec.stages.loading.items import (
    ENTITIES_A_BATCH,
    ITEMS_A_BATCH,
    USERS_A_BATCH,
    EntityLoader,
    ItemLoader,
    UserLoader,
)

_MOST_REASONS = 10
_LATER = (
    "relation",
    "entity_type",
    "skip",
    "nulls",
    "at_format",
    "kinds",
    "namespace",
    "whole_ids",
)
RecordT = TypeVar("RecordT", ItemRecord, UserRecord, EntityRecord)
RowT = TypeVar("RowT", InteractionRecord, LinkRecord)


class IngestSummary(FrozenModel):
    """What one ingest did; the counts are those of `Tally`.

    Every row is created, updated, unchanged, repeated or rejected, once.

    Attributes:
        rejected: rows that were set aside.
        cells_rejected: invalid cells that were left out of rows that were kept.
        nulls: cells that held a word for nothing, such as N/A.
        rejects: the file with these rows and cells; None when there are none.
        reasons: the most frequent reasons, with how often they occurred.
    """

    run_id: str
    source: str
    kind: Kind
    file: str
    rows: int
    created: int
    updated: int
    unchanged: int
    repeated: int
    users: int
    items: int
    entities: int
    facts: int
    links: int
    withdrawn: int
    rejected: int
    cells_rejected: int
    nulls: int = 0
    reasons: dict[str, int]
    rejects: str | None
    seconds: float

    @property
    def mostly_rejected(self) -> bool:
        """Whether more than half of the rows were set aside."""
        return self.rejected * 2 > self.rows

    @property
    def changed(self) -> bool:
        """Whether anything in the graph has changed."""
        counts = (self.created, self.updated, self.users, self.items, self.entities)
        return any((*counts, self.facts, self.links, self.withdrawn))


@dataclass(frozen=True)
class PreparedSource:
    """A source whose table was looked at, with what becomes of its columns."""

    source: Source
    domain: Domain
    table: Table
    plan: ColumnPlan


def prepare(
    source: Source, domain: str, *, cache: Path, progress: Progress = SILENT
) -> PreparedSource:
    """Find the table of a source and decide what its columns are; the graph is not touched.

    Args:
        domain: name of a domain, or path of a domain file.
        cache: folder for public data sets.

    Raises:
        ConfigError: the source names a column, relation or kind that there is not.
        DataError: the file is not a valid table, or a data set cannot be fetched.
    """
    schema = load_schema()
    known = schema.domain(domain)
    path = source.path
    if path is None:
        path = dataset_table(str(source.dataset), source.kind, cache=cache, progress=progress)
    large = source.kind in ("interactions", "relations")
    table = open_table(path, source.layout).surveyed(step=STEP if large else 1)
    return PreparedSource(source, known, table, plan_columns(table, source, known, schema.core))


def ingest(
    store: GraphStore, prepared: PreparedSource, *, home: Path, progress: Progress = SILENT
) -> IngestSummary:
    """Load one table into the graph.

    Args:
        home: rows that are set aside are written to `<home>/rejects/<run>.jsonl`.

    Raises:
        DataError: no row of the file can be used.
        GraphError: the kinds below it.
    """
    begun = time.perf_counter()
    path = prepared.table.path
    found = fingerprint(path)
    run_id = _run_id(prepared, found.digest)
    ensure_schema(store)
    finished = _start(store, run_id)
    with Rejects(home / "rejects" / f"{run_id}.jsonl") as rejects:
        load = _Load(store, prepared, run_id, rejects, found.lines, progress)
        tally = load.run()
    if tally.created + tally.updated + tally.unchanged == 0:
        raise _nothing_usable(path, rejects)
    summary = _summary(
        prepared, run_id, tally, rejects, load.parser.counts["nulls"], time.perf_counter() - begun
    )
    if summary.changed or not finished:
        _finish(store, summary)
    return summary


class _Load:
    """The load of one table."""

    def __init__(
        self,
        store: GraphStore,
        prepared: PreparedSource,
        run_id: str,
        rejects: Rejects,
        lines: int,
        progress: Progress,
    ) -> None:
        self.store = store
        self.table = prepared.table
        self.source = prepared.source
        self.item_type = prepared.domain.item_label
        self.run_id = run_id
        self.rejects = rejects
        self.lines = lines if self.table.layout.format != "parquet" else None
        self.progress = progress
        self.read = 0
        keys = {"catalog": "item_id", "users": "user_id"}
        self.key = keys.get(self.source.kind, "entity_id")
        self.domain = prepared.domain
        self.core = load_schema().core
        self.parser = RowParser(prepared.plan, prepared.source, self.domain, self.core)

    def run(self) -> Tally:
        tally = {
            "catalog": self._items,
            "users": self._users,
            "interactions": self._interactions,
            "entities": self._entities,
            "relations": self._links,
        }[self.source.kind]()
        tally.rows = self.read
        return tally

    def _set_unreadable_aside(self, line: int, value: object, reason: str) -> None:
        self.read += 1
        self._set_aside(line, value, reason)

    def _set_aside(self, line: int, value: object, reason: str) -> None:
        self.rejects.add(str(self.table.path), line, value, reason)

    def _set_cell_aside(self, line: int, value: object, reason: str) -> None:
        self.rejects.add(str(self.table.path), line, value, reason, cell=True)

    def _items(self) -> Tally:
        loader = ItemLoader(self.store, self.item_type, self.run_id, self._set_aside)
        return self._load(self.parser.item, lambda one: one.item_id, loader.write, ITEMS_A_BATCH)

    def _users(self) -> Tally:
        loader = UserLoader(self.store)
        return self._load(self.parser.user, lambda one: one.user_id, loader.write, USERS_A_BATCH)

    def _entities(self) -> Tally:
        loader = EntityLoader(self.store, self.run_id)
        return self._load(
            self.parser.entity, lambda one: one.node.id, loader.write, ENTITIES_A_BATCH
        )

    def _load(
        self,
        parse: Callable[[dict[str, Any], Report], RecordT],
        key: Callable[[RecordT], str],
        write: Callable[[list[tuple[int, RecordT]]], Tally],
        size: int,
    ) -> Tally:
        tally = Tally()
        with self.progress.task(f"load {self.source.title}", self.lines) as task:
            for batch in batched(self._records(task, parse, key), size):
                tally.add(write(batch))
        return tally

    def _interactions(self) -> Tally:
        tally, title = Tally(), self.source.title
        loader = InteractionLoader(
            self.store, self.item_type, self.source.create_items, self._set_aside
        )
        with InteractionSpool() as spool:
            with self.progress.task(f"read {title}", self.lines) as task:
                spool.add(self._parsed(task, self.parser.interaction))
            distinct = len(spool)
            tally.repeated = spool.received - distinct
            with self.progress.task(f"load {title}", distinct) as task:
                for part in loader.write(spool.by_user()):
                    tally.add(part)
                    task.advance(part.created + part.updated + part.unchanged)
        return tally

    def _records(
        self,
        task: Task,
        parse: Callable[[dict[str, Any], Report], RecordT],
        key: Callable[[RecordT], str],
    ) -> Iterator[tuple[int, RecordT]]:
        seen: dict[str, int] = {}
        for line, cells in self._rows(task):
            try:
                record = parse(cells, partial(self._set_cell_aside, line))
            except CellError as error:
                self._set_aside(line, error.value, error.reason)
                continue
            identifier = key(record)
            if seen.setdefault(identifier, line) == line:
                yield line, record
            else:
                reason = f"{self.key} stands in the file before; the first row counts"
                self._set_aside(line, identifier, reason)

    def _links(self) -> Tally:
        tally, title = Tally(), self.source.title
        names = [self.source.relation] if self.source.relation else list(self.domain.relations)
        ends = dict.fromkeys(self.core.ends_of(self.domain.relations[name]) for name in names)
        loader = LinkLoader(self.store, self.item_type, self.run_id, tuple(ends), self._set_aside)
        with LinkSpool() as spool:
            with self.progress.task(f"read {title}", self.lines) as task:
                spool.add(self._parsed(task, self.parser.link))
            distinct = len(spool)
            tally.repeated = spool.received - distinct
            with self.progress.task(f"load {title}", distinct) as task:
                for part in loader.write(spool):
                    tally.add(part)
                    task.advance(part.created + part.updated + part.unchanged)
        return tally

    def _parsed(
        self, task: Task, parse: Callable[[dict[str, Any]], RowT]
    ) -> Iterator[tuple[int, RowT]]:
        for line, cells in self._rows(task):
            try:
                one = parse(cells)
            except CellError as error:
                self._set_aside(line, error.value, error.reason)
            else:
                yield line, one

    def _rows(self, task: Task) -> Iterator[tuple[int, dict[str, Any]]]:
        before = 0
        for line, cells in self.table.rows(self._set_unreadable_aside):
            self.read += 1
            if line - before >= 1000:
                task.advance(line - before)
                before = line
            yield line, cells


def _run_id(prepared: PreparedSource, digest: str) -> str:
    # What later versions added is left out where it is not given, so that runs keep their names.
    fields = type(prepared.source).model_fields
    unset = {
        name
        for name in _LATER
        if getattr(prepared.source, name) == fields[name].get_default(call_default_factory=True)
    }
    source = prepared.source.model_dump_json(exclude={"path", *unset})
    options = [source, prepared.domain.name, digest]
    text = "\n".join([*options, str(prepared.plan.decisions)])
    name = snake(prepared.source.title) or prepared.source.kind
    return f"ingest-{name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _start(store: GraphStore, run_id: str) -> bool:
    rows = store.write(
        "ingest/start_run", run_id=run_id, stage="ingest", started_at=datetime.now(UTC)
    )
    return bool(rows and rows[0]["finished"])


def _finish(store: GraphStore, summary: IngestSummary) -> None:
    store.write(
        "ingest/finish_run",
        run_id=summary.run_id,
        finished_at=datetime.now(UTC),
        summary=json.dumps(summary.model_dump(mode="json"), ensure_ascii=False),
    )


def _summary(
    prepared: PreparedSource,
    run_id: str,
    tally: Tally,
    rejects: Rejects,
    nulls: int,
    seconds: float,
) -> IngestSummary:
    return IngestSummary(
        run_id=run_id,
        source=prepared.source.title,
        kind=prepared.source.kind,
        file=str(prepared.table.path),
        rejected=len(rejects) - rejects.cells,
        cells_rejected=rejects.cells,
        nulls=nulls,
        reasons=dict(rejects.reasons.most_common(_MOST_REASONS)),
        rejects=str(rejects.path) if len(rejects) else None,
        seconds=round(seconds, 3),
        **asdict(tally),
    )


def _nothing_usable(path: Path, rejects: Rejects) -> DataError:
    if not len(rejects):
        return DataError("the file has no rows below the names of its columns", value=str(path))
    reason, count = rejects.reasons.most_common(1)[0]
    return DataError(
        "no row of the file can be used",
        value=str(path),
        remedy=f"{count} times: {reason}. Every row is in {rejects.path}.",
    )
