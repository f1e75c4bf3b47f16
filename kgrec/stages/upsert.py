"""Items into the graph without a file: the rows of a request, by the code that loads catalogues."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, cast

from kgrec.data.cells.values import CellError
from kgrec.data.columns import plan_columns
from kgrec.data.parsing import RowParser
from kgrec.data.plan import ColumnPlan
from kgrec.data.records import ItemRecord, Value
from kgrec.data.sources import Source
from kgrec.data.tables import Table
from kgrec.data.tables.files import TableFormat
from kgrec.graph.redirects import redirects_of
from kgrec.graph.store import GraphStore
from kgrec.schema import Domain, load_schema
from kgrec.stages.loading.facts import Tally, batched
from kgrec.stages.loading.items import ITEMS_A_BATCH, ItemLoader

Line = tuple[int, Mapping[str, Any]]
"""Number of a row and its cells by column."""
_SAMPLE = 200
_FILE = Path("items.jsonl")
"""How errors name the rows; there is no such file."""


@dataclass(frozen=True)
class RejectedCell:
    """What was set aside.

    Attributes:
        line: number of the row.
        cell: whether the row was kept without the cell; else the whole row was set aside.
    """

    line: int
    value: object
    reason: str
    cell: bool = False


@dataclass(frozen=True)
class Upserted:
    """What an upsert did.

    Attributes:
        tally: counts, as of a load.
        ids: of the items that are in the graph now.
        rejects: rows and cells that were set aside.
        unused: columns that are not read.
    """

    tally: Tally
    ids: tuple[str, ...]
    rejects: tuple[RejectedCell, ...]
    unused: tuple[str, ...]


def upsert_items(
    store: GraphStore, rows: Sequence[Line], domain: Domain, *, source: str
) -> Upserted:
    """Create items and change those that differ; the same rows twice change nothing.

    Columns are recognised as in a catalogue file. An empty cell leaves a property as it is.

    Args:
        source: name of the table that facts belong to; facts that an earlier row of this name held
            in the same column, and that this one no longer holds, are withdrawn.

    Raises:
        DataError: no column holds ids.
        GraphError: the kinds below it.
    """
    return _Upsert(store, domain, _source(source), rows).run()


def change_item(
    store: GraphStore, item_id: str, cells: Mapping[str, Any], domain: Domain, *, source: str
) -> Upserted:
    """Change some properties and facts of an item that is there; null empties a property.

    Args:
        cells: by column, without the id.
        source: see `upsert_items`.

    Raises:
        CellError: the title would be empty.
        GraphError: the kinds below it.
    """
    given = _source(source, {"item_id": "item_id"})
    row = (1, {**cells, "item_id": item_id})
    return _Upsert(store, domain, given, [row], clearing=True).run()


class _Upsert:
    def __init__(
        self,
        store: GraphStore,
        domain: Domain,
        source: Source,
        rows: Sequence[Line],
        *,
        clearing: bool = False,
    ) -> None:
        core = load_schema().core
        columns = tuple(dict.fromkeys(name for _, cells in rows for name in cells))
        sample = tuple(dict(cells) for _, cells in rows[:_SAMPLE])
        table = Table(_FILE, TableFormat(format="jsonl"), columns, sample)
        self.store, self.domain, self.rows, self.clearing = store, domain, rows, clearing
        self.source = source
        self.plan: ColumnPlan = plan_columns(table, source, domain, core)
        self.parser = RowParser(self.plan, source, domain, core)
        self.rejects: list[RejectedCell] = []

    def run(self) -> Upserted:
        records = self._records()
        tally, run_id = Tally(rows=len(self.rows)), _run_id(self.rows)
        loader = ItemLoader(
            self.store, self.domain.item_label, run_id, self._refuse, source=self.source.title
        )
        began = datetime.now(UTC)
        for part in loader.write(batched(records, ITEMS_A_BATCH)):
            tally.add(part)
        if tally.created or tally.updated:
            self._note(run_id, began, tally)
        refused = {reject.line for reject in self.rejects if not reject.cell}
        ids = tuple(record.item_id for line, record in records if line not in refused)
        return Upserted(tally, ids, tuple(self.rejects), self.plan.unused)

    def _records(self) -> list[tuple[int, ItemRecord]]:
        found: dict[str, tuple[int, ItemRecord]] = {}
        redirects = redirects_of(self.store)
        for line, cells in self.rows:
            try:
                record = redirects.item(self.parser.item(dict(cells), partial(self._spare, line)))
            except CellError as error:
                self._refuse(line, error.value, error.reason)
                continue
            if record.item_id in found:
                first, before = found[record.item_id]
                joined = before.joined(record)
                if joined is None:
                    reason = "item_id stands in the rows before; the first row counts"
                    self._refuse(line, record.item_id, reason)
                else:
                    found[record.item_id] = first, joined
                continue
            found[record.item_id] = line, self._cleared(record, cells) if self.clearing else record
        return list(found.values())

    def _cleared(self, record: ItemRecord, cells: Mapping[str, Any]) -> ItemRecord:
        """Return a record that also empties what its row names with null."""
        empty = {column for column, cell in cells.items() if cell is None}
        if self.plan.column("title") in empty:
            raise CellError("an item must keep a title", None)
        names = [role.becomes for role in self.plan.properties if role.column in empty]
        if self.plan.column("description") in empty:
            names.append("description")
        sources = {one.source for one in self.plan.relations if one.column in empty}
        nothing = cast(Value, None)  # Cypher removes a property that is set to null
        return replace(
            record,
            properties={**record.properties, **dict.fromkeys(names, nothing)},
            sources=record.sources | sources,
        )

    def _refuse(self, line: int, value: object, reason: str) -> None:
        self.rejects.append(RejectedCell(line, value, reason))

    def _spare(self, line: int, value: object, reason: str) -> None:
        self.rejects.append(RejectedCell(line, value, reason, cell=True))

    def _note(self, run_id: str, began: datetime, tally: Tally) -> None:
        summary = json.dumps(asdict(tally))
        ended = {"run_id": run_id, "finished_at": datetime.now(UTC), "summary": summary}
        start = {"run_id": run_id, "stage": "ingest", "started_at": began}
        self.store.write_all([("ingest/start_run", {}, start), ("ingest/finish_run", {}, ended)])


def _source(name: str, columns: Mapping[str, str] | None = None) -> Source:
    return Source(kind="catalog", name=name, path=_FILE, columns=dict(columns or {}))


def _run_id(rows: Sequence[Line]) -> str:
    text = json.dumps(rows, default=str).encode()
    return f"ingest-items-{hashlib.sha256(text).hexdigest()[:12]}"
