"""A dry run: the rows of a table are read as a load reads them, and nothing is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import Field

from kgrec.config import FrozenModel
from kgrec.data.interactions.spool import InteractionSpool
from kgrec.data.parsing import unknown_kind
from kgrec.data.rejects import Rejects
from kgrec.data.sources import Kind
from kgrec.data.spool import LinkSpool
from kgrec.data.tables import fingerprint
from kgrec.errors import DataError
from kgrec.graph.store import GraphStore
from kgrec.progress import SILENT, Progress
from kgrec.schema import load_schema
from kgrec.stages.loading.facts import Tally
from kgrec.stages.loading.reading import PreparedSource, TableReading
from kgrec.stages.retiring.deleting import Deletion

_MOST_REASONS = 10
_MOST_EVENTS = 1_000


class SetAside(FrozenModel):
    """Rows, or cells, that a load would set aside for one reason.

    Attributes:
        line, value: the first of them.
    """

    reason: str
    count: int
    line: int
    value: str


class DryRun(FrozenModel):
    """What a load would read of one table; what depends on the graph is not looked at.

    Attributes:
        rows: usable, repeated and rejected ones.
        usable: items, users, entities, interactions or edges that can be loaded.
        repeated: rows that are joined to one before, or that a later one replaces.
        rejected: rows that would be set aside.
        cells_rejected: invalid cells of rows that would be kept without them.
        untitled: items without a title, which are set aside where the graph does not hold them.
        facts: facts of items, or edges of entities.
        users, items: how many the interactions name.
        nulls: how many cells hold each word for nothing, the most frequent first.
        events: names that are no kind of interaction, with how many rows have them.
        reasons: the most frequent ones.
        retires: whether rows name what is to go, or the source is complete.
    """

    kind: Kind
    file: str
    rows: int
    usable: int
    repeated: int
    rejected: int
    cells_rejected: int
    untitled: int = 0
    facts: int = 0
    users: int = 0
    items: int = 0
    nulls: dict[str, int] = Field(default_factory=dict)
    events: dict[str, int] = Field(default_factory=dict)
    reasons: tuple[SetAside, ...] = ()
    retires: bool = False

    @property
    def mostly_rejected(self) -> bool:
        """Whether more than half of the rows would be set aside."""
        return self.rejected * 2 > self.rows


class _Counts(Rejects):
    """Rejects that are counted only, with the names of events that are not known."""

    def __init__(self) -> None:
        super().__init__(None)
        self._unknown_kind = unknown_kind(load_schema().core)
        self.events: Counter[str] = Counter()

    def add(self, file: str, line: int, value: object, reason: str, *, cell: bool = False) -> None:
        super().add(file, line, value, reason, cell=cell)
        if reason == self._unknown_kind:
            name = str(value).strip()
            is_kept = name in self.events or len(self.events) < _MOST_EVENTS
            self.events[name if is_kept else "other"] += 1


def dry_run(prepared: PreparedSource, *, progress: Progress = SILENT) -> DryRun:
    """Read all rows of a table; no graph is needed, and nothing is written.

    Memory stays bounded as that of a load does: it grows with the number of ids.

    Raises:
        DataError: the file cannot be read to its end.
    """
    lines = fingerprint(prepared.table.path).lines
    rejects = _Counts()
    reading = TableReading(prepared, rejects, lines, progress)
    read = {"interactions": _interactions, "relations": _links}.get(reading.source.kind, _records)
    counts = read(reading)
    nulls = dict(reading.parser.nulls.most_common())
    return _found(prepared, reading.rows, rejects, nulls=nulls, **counts)


def dry_deletion(
    store: GraphStore, prepared: PreparedSource, *, progress: Progress = SILENT
) -> tuple[Tally, DryRun]:
    """Count what a table that names what is to go would retire; nothing is written."""
    rejects = _Counts()
    tally = Deletion(store, prepared, "dry", rejects, dry=True).run(progress)
    usable = tally.rows - tally.repeated - (len(rejects) - rejects.cells)
    return tally, _found(prepared, tally.rows, rejects, usable=usable, repeated=tally.repeated)


def refusal(runs: Sequence[DryRun]) -> DataError | None:
    """Return the error that loads would end with, None where they would not."""
    for one in runs:
        if not one.rows and not one.retires:
            return DataError("the file has no rows below the names of its columns", value=one.file)
    useless = [one for one in runs if one.rows and not one.usable]
    refused = useless or [one for one in runs if one.mostly_rejected]
    if not refused:
        return None
    return DataError(
        "no row of the file can be used" if useless else "most rows would be set aside",
        value=", ".join(f"{one.rejected:,} of {one.rows:,} of {one.file}" for one in refused),
        remedy="Nothing was loaded. The reasons are above.",
    )


def _found(prepared: PreparedSource, rows: int, rejects: _Counts, **counts: Any) -> DryRun:
    reasons = []
    for reason, count in rejects.reasons.most_common(_MOST_REASONS):
        first = rejects.first[reason]
        reasons.append(SetAside(reason=reason, count=count, line=first.line, value=first.value))
    return DryRun(
        kind=prepared.source.kind,
        file=prepared.table.shown,
        rows=rows,
        rejected=len(rejects) - rejects.cells,
        cells_rejected=rejects.cells,
        events=dict(rejects.events.most_common()),
        reasons=tuple(reasons),
        retires=prepared.source.complete or prepared.source.delete,
        **counts,
    )


def _interactions(reading: TableReading) -> dict[str, int]:
    with InteractionSpool() as spool:
        reading.interactions(spool)
        usable = len(spool)
        return {
            "usable": usable,
            "repeated": spool.received - usable,
            "users": spool.num_users,
            "items": spool.num_items,
        }


def _links(reading: TableReading) -> dict[str, int]:
    with LinkSpool() as spool:
        spool.add(reading.links())
        usable = len(spool)
        return {"usable": usable, "repeated": spool.received - usable}


def _records(reading: TableReading) -> dict[str, int]:
    usable = untitled = facts = 0
    for has_title, num_facts in _described(reading):
        usable += 1
        untitled += not has_title
        facts += num_facts
    return {
        "usable": usable,
        "repeated": reading.joined,
        "untitled": untitled,
        "facts": facts,
    }


def _described(reading: TableReading) -> Iterator[tuple[bool, int]]:
    """Yield of each item, user or entity whether it has the title that it needs, and its facts."""
    parser, title = reading.parser, reading.source.title
    with reading.progress.task(f"read {title}", reading.lines) as task:
        if reading.source.kind == "catalog":
            for _, item in reading.records(task, parser.item, lambda one: one.item_id):
                yield "title" in item.properties, len(item.facts)
        elif reading.source.kind == "users":
            for _ in reading.records(task, parser.user, lambda one: one.user_id):
                yield True, 0
        else:
            for _, one in reading.records(task, parser.entity, lambda one: one.node.id):
                yield True, len(one.links)
