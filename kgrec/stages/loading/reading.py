"""The rows of one table as records; what the parser refuses is set aside, no graph is needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from kgrec.data.cells.values import CellError
from kgrec.data.interactions.columns import InteractionColumns
from kgrec.data.interactions.spool import InteractionSpool
from kgrec.data.parsing import Report, RowParser
from kgrec.data.plan import ColumnPlan
from kgrec.data.records import EntityRecord, ItemRecord, LinkRecord, UserRecord
from kgrec.data.rejects import Rejects
from kgrec.data.sources import Source
from kgrec.data.tables import Table
from kgrec.data.tables.files import ignore
from kgrec.graph.redirects import Redirects
from kgrec.progress import Progress, Task
from kgrec.schema import Domain, load_schema
from kgrec.stages.loading.joining import RowJoiner

RecordT = TypeVar("RecordT", ItemRecord, UserRecord, EntityRecord)
Parse = Callable[[dict[str, Any], Report], RecordT]


@dataclass(frozen=True)
class PreparedSource:
    """A source whose table was looked at, with what becomes of its columns."""

    source: Source
    domain: Domain
    table: Table
    plan: ColumnPlan


class TableReading:
    """One reading of one table.

    Args:
        rejects: where rows and cells of no use go.
        lines: of the file, for the progress; 0 where they were not counted.
        redirects: where the ids of nodes lead that were merged into others.

    Attributes:
        rows: how many were read, those that were set aside included.
        joined: rows that added facts to the record of a row before, or nothing that is wanted.
    """

    def __init__(
        self,
        prepared: PreparedSource,
        rejects: Rejects,
        lines: int,
        progress: Progress,
        redirects: Redirects | None = None,
    ) -> None:
        self.redirects = redirects or Redirects()
        self.source, self.table = prepared.source, prepared.table
        self.core = load_schema().core
        self.parser = RowParser(prepared.plan, prepared.source, prepared.domain, self.core)
        self.rejects = rejects
        self.lines = lines if self.table.layout.format != "parquet" else None
        self.progress = progress
        self.rows = self.joined = 0
        keys = {"catalog": "item_id", "users": "user_id"}
        self._key = keys.get(self.source.kind, "entity_id")

    def set_aside(self, line: int, value: object, reason: str) -> None:
        self.rejects.add(self.table.shown, line, value, reason)

    def set_cell_aside(self, line: int, value: object, reason: str) -> None:
        self.rejects.add(self.table.shown, line, value, reason, cell=True)

    def _set_unreadable_aside(self, line: int, value: object, reason: str) -> None:
        self.rows += 1
        self.set_aside(line, value, reason)

    def interactions(self, spool: InteractionSpool) -> None:
        """Add all interactions of the table to a spool."""
        columns = InteractionColumns(self.parser)
        with self.progress.task(f"read {self.source.title}", self.lines) as task:
            for run in self.table.runs(columns.names, self._set_unreadable_aside):
                self.rows += len(run.lines)
                task.advance(len(run.lines))
                spool.add(columns.read(run, self.set_aside))

    def links(self) -> Iterator[tuple[int, LinkRecord]]:
        """Yield line and edge."""
        with self.progress.task(f"read {self.source.title}", self.lines) as task:
            for line, cells in self._rows(task):
                try:
                    one = self.redirects.link(self.parser.link(cells))
                except CellError as error:
                    self.set_aside(line, error.value, error.reason)
                    continue
                if one is None:
                    self.set_aside(line, None, "head and tail were merged into one")
                else:
                    yield line, one

    def records(
        self, task: Task, parse: Parse[RecordT], key: Callable[[RecordT], str]
    ) -> Iterator[tuple[int, RecordT]]:
        """Yield line and record with distinct ids; the facts of rows with one id are joined.

        Args:
            parse: turns a row into its record.
            key: returns the id of a record.
        """
        joiner: RowJoiner[RecordT] = RowJoiner(self._repeats(parse, key), self._repeated)
        for line, cells in self._rows(task):
            try:
                record = parse(cells, partial(self.set_cell_aside, line))
            except CellError as error:
                self.set_aside(line, error.value, error.reason)
                continue
            yield from joiner.add(line, key(record), record)
        yield from joiner.left()
        self.joined += joiner.joined

    def _repeated(self, line: int, identifier: str) -> None:
        plan = self.parser.plan
        more = plan.properties or {"title", "description"} & plan.roles.keys()
        if plan.unused and not more:  # another user gave the same tag
            self.joined += 1
            return
        reason = f"{self._key} stands in the file before; the first row counts"
        self.set_aside(line, identifier, reason)

    def _repeats(
        self, parse: Parse[RecordT], key: Callable[[RecordT], str]
    ) -> dict[str, int] | None:
        """Return how many rows each id has that has several, where their facts can be joined."""
        if not self.parser.plan.relations and not self.redirects:
            return None
        seen: set[str] = set()
        counts: dict[str, int] = {}
        is_item = self.source.kind == "catalog"
        for _, cells in self.table.rows(ignore):
            try:
                if is_item:
                    one = self.redirects.of("item", self.parser.item_id(cells))
                else:
                    one = key(parse(cells, _unheeded))
            except CellError:
                continue
            if one in seen:
                counts[one] = counts.get(one, 1) + 1
            seen.add(one)
        self.parser.nulls.clear()
        return counts

    def _rows(self, task: Task) -> Iterator[tuple[int, dict[str, Any]]]:
        before = 0
        for line, cells in self.table.rows(self._set_unreadable_aside):
            self.rows += 1
            if line - before >= 1000:
                task.advance(line - before)
                before = line
            yield line, cells


def _unheeded(value: object, reason: str) -> None:
    """Leave a cell without a word that is reported when its row is loaded."""
