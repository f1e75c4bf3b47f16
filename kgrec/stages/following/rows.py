"""Lines of a log to interactions: columns are recognised as in a file, and anew when more come."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from kgrec.data.cells.values import CellError
from kgrec.data.columns import plan_columns
from kgrec.data.parsing import RowParser
from kgrec.data.plan import ColumnPlan
from kgrec.data.records import InteractionRecord
from kgrec.data.sources import Source
from kgrec.data.tables import Table, TableFormat
from kgrec.data.tables.files import SetAside
from kgrec.data.tables.rows import BrokenRow, read_delimited
from kgrec.data.tables.sniffing import with_form
from kgrec.errors import DataError, KGRecError
from kgrec.schema import Domain, load_schema
from kgrec.stages.following.lines import Lines, Log

_SAMPLE = 200
_MOST_COLUMNS = 1_000


class LogRows:
    """Reads the lines of one log.

    The columns are decided by the first 200 rows, anew as they come and when new columns do.

    Args:
        name: how messages call the log.
    """

    def __init__(self, source: Source, domain: Domain, log: Log, name: str) -> None:
        self.source, self.domain = source, domain
        self._log, self._name = log, name
        self._core = load_schema().core
        self._layout: TableFormat | None = None
        self._columns: tuple[str, ...] = source.header or ()
        self._sample: list[dict[str, Any]] = []
        self._planned_with = 0
        self._parser: RowParser | None = None

    @property
    def plan(self) -> ColumnPlan | None:
        """What becomes of the columns; None before the first row."""
        return None if self._parser is None else self._parser.plan

    def read(self, lines: Lines, set_aside: SetAside) -> list[tuple[int, InteractionRecord]]:
        """Return the interactions of some lines; others go to `set_aside`.

        Raises:
            DataError: the log does not have the columns that interactions must have.
            ConfigError: an option names a column that there is not.
        """
        rows = list(self._rows(lines, set_aside))
        self._learn([cells for _, cells in rows])
        found: list[tuple[int, InteractionRecord]] = []
        parser = self._parser
        if parser is None:
            return found
        for line, cells in rows:
            try:
                found.append((line, parser.interaction(cells)))
            except CellError as error:
                set_aside(line, error.value, error.reason)
        return found

    def _learn(self, rows: Sequence[dict[str, Any]]) -> None:
        """Decide what the columns are, where these rows may change that."""
        new = dict.fromkeys(name for cells in rows for name in cells if name not in self._columns)
        if len(self._columns) + len(new) <= _MOST_COLUMNS:
            self._columns = (*self._columns, *new)
        else:
            new = {}
        self._sample += rows[: _SAMPLE - len(self._sample)]
        if not self._sample:
            return
        grown = len(self._sample) >= min(_SAMPLE, 2 * self._planned_with) > self._planned_with
        if self._parser is not None and not new and not grown:
            return
        layout = TableFormat(format="jsonl")
        table = Table(Path(self._name), layout, self._columns, tuple(self._sample))
        self._planned_with = len(self._sample)
        try:
            plan = plan_columns(table, self.source, self.domain, self._core)
        except KGRecError:
            if self._parser is None:
                raise
            return
        self._parser = RowParser(plan, self.source, self.domain, self._core)

    def _rows(self, lines: Lines, set_aside: SetAside) -> Iterator[tuple[int, dict[str, Any]]]:
        layout = self._layout or self._look(self._log.beginning() or lines.lines)
        self._layout = layout
        if layout.format == "jsonl":
            yield from self._objects(lines, set_aside)
        else:
            yield from self._cells(lines, layout, set_aside)

    def _objects(self, lines: Lines, set_aside: SetAside) -> Iterator[tuple[int, dict[str, Any]]]:
        for number, line in enumerate(lines.lines, lines.first):
            text = line.decode(self.source.encoding, "replace").strip().removeprefix("\ufeff")
            if not text:
                continue
            try:
                cells = json.loads(text)
            except (ValueError, RecursionError):
                set_aside(number, text, "not a line of JSON")
                continue
            if isinstance(cells, dict):
                yield number, cells
            else:
                set_aside(number, cells, "not a JSON object")

    def _cells(
        self, lines: Lines, layout: TableFormat, set_aside: SetAside
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        texts = self._texts(lines.lines)
        first = lines.first
        if first == 1 and self.source.header is None and texts:
            self._columns = self._names(texts[0], layout)
            texts, first = texts[1:], 2
        delimiter, quoted = layout.delimiter or ",", layout.quoted is not False
        width = len(self._columns)
        for row in read_delimited(texts, delimiter, quoted=quoted, width=width, before=first - 1):
            if isinstance(row, BrokenRow):
                set_aside(row.line, row.text.rstrip("\r\n"), row.reason)
            else:
                yield row.line, dict(zip(self._columns, row.cells, strict=True))

    def _look(self, lines: Sequence[bytes]) -> TableFormat:
        """Decide how the log is laid out, and how its columns are called."""
        texts = self._texts(lines)
        layout = self.source.layout
        start = next((text for text in texts if text.strip()), "")
        kind = layout.format or ("jsonl" if start.lstrip("\ufeff \t").startswith("{") else "csv")
        if kind == "parquet":
            raise DataError("a log is CSV, TSV or JSON lines", value=self._name)
        if kind != "jsonl":
            layout = with_form(layout, texts, "\t" if kind == "tsv" else ",")
            if self.source.header is None and texts:
                self._columns = self._names(texts[0], layout)
        return layout.model_copy(update={"format": kind})

    def _names(self, text: str, layout: TableFormat) -> tuple[str, ...]:
        lines, delimiter = [text.removeprefix("\ufeff")], layout.delimiter or ","
        row = next(read_delimited(lines, delimiter, quoted=layout.quoted is not False), None)
        if row is None or isinstance(row, BrokenRow):
            raise DataError("the line of column names is broken", value=f"{self._name}: {text!r}")
        return tuple(name.strip() or f"column_{n}" for n, name in enumerate(row.cells, 1))

    def _texts(self, lines: Sequence[bytes]) -> list[str]:
        return [f"{line.decode(self.source.encoding, 'replace')}\n" for line in lines]
