"""One file or table, looked at: its encoding, its columns, and what their values are like."""

from __future__ import annotations

import codecs
import itertools
import re
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kgrec.data.guess_file import STEP
from kgrec.data.origins.address import shown
from kgrec.data.origins.query import copy_query
from kgrec.data.origins.remote import copy_file
from kgrec.data.origins.triples.reading import format_of
from kgrec.data.origins.triples.rows import TripleRows
from kgrec.data.sources import Source
from kgrec.data.tables import Table, TableFormat, open_table
from kgrec.data.tables.copies import LocalCopy
from kgrec.data.tables.packing import packing_of, unpacked_suffix
from kgrec.errors import DataError
from kgrec.progress import SILENT, Progress
from kgrec.schema import Domain, load_schema
from kgrec.stages.starting.headless import guessed_names, wide_delimiter
from kgrec.stages.starting.naming import words_of
from kgrec.stages.starting.places import Place, QueriedTable
from kgrec.stages.starting.subjects import ItemSubjects, item_subjects

_TEXTS = frozenset({".csv", ".tsv", ".tab", ".txt", ".dat", ".data", ".item", ".user", ""})
_TOKENS = re.compile(r"([^\t:]+):token_seq(?=\s)")
_ROWS = 100_000
_MOST_VALUES = 50_000
_LEAST_SEVERAL = 5
_BLOCK = 1 << 20
_LARGE = 5_000_000
"""Bytes of a file of which not every row is looked at."""


@dataclass
class Values:
    """What the cells of a column hold, in the rows that were read.

    Attributes:
        filled: cells that hold anything.
        counts: how often each value stands, up to a number of distinct values.
        least, most: of numbers, where all values are numbers.
        characters: in all cells together.
        lists: cells that are lists or objects.
    """

    filled: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    numeric: bool = True
    least: float = float("inf")
    most: float = float("-inf")
    characters: int = 0
    lists: int = 0

    def add(self, cell: Any) -> None:
        """Count one cell."""
        if cell is None or cell == "":
            return
        self.filled += 1
        self.lists += isinstance(cell, list | tuple | dict)
        text = str(cell)
        self.characters += len(text)
        if len(self.counts) < _MOST_VALUES or text in self.counts:
            self.counts[text] += 1
        if self.numeric and not isinstance(cell, bool):
            try:
                number = float(text)
            except ValueError:
                self.numeric = False
                return
            self.least, self.most = min(self.least, number), max(self.most, number)

    @property
    def distinct(self) -> int:
        return len(self.counts)

    @property
    def unique(self) -> bool:
        """Whether no value stands twice, nearly."""
        return self.filled > 0 and self.distinct >= 0.98 * min(self.filled, _MOST_VALUES)

    @property
    def length(self) -> float:
        """Characters of a filled cell, on average."""
        return self.characters / max(self.filled, 1)


@dataclass(frozen=True)
class LookedAt:
    """A file that can be read as a table.

    Attributes:
        rows: how many were read.
        whole: whether these are all.
        notes: what was noticed about its form.
        address, copy: of what is not a file of this machine; `path` is that of its copy.
        query: of a database at the address.
        triples: which subjects of a file of triples are items.
        spaced: columns that the line of names types as lists of words, as atomic files do.
    """

    path: Path
    table: Table
    values: dict[str, Values]
    rows: int
    whole: bool
    notes: tuple[str, ...] = ()
    address: str = ""
    copy: LocalCopy | None = None
    spaced: tuple[str, ...] = ()
    query: str = ""
    triples: ItemSubjects | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        return self.table.columns

    @property
    def shown(self) -> str:
        """How people call it."""
        name = shown(self.address) if self.address else str(self.path)
        return f"{name} {self.query}" if self.query else name

    def varying(self, key: str, column: str) -> float | None:
        """Return of how many of the keys with several rows these differ in a column, as a share.

        None where hardly any key has several rows, among as many as are looked at.
        """
        found: dict[str, set[str]] = {}
        several: set[str] = set()
        for _, cells in itertools.islice(self.table.rows(lambda *_: None), _ROWS):
            one = str(cells.get(key))
            if one in found:
                several.add(one)
            found.setdefault(one, set()).add(str(cells.get(column)))
        if len(several) < _LEAST_SEVERAL:
            return None
        return sum(len(found[one]) > 1 for one in several) / len(several)

    @property
    def form(self) -> dict[str, Any]:
        """What a pipeline file must state of the form, since it is not found again by itself."""
        layout = self.table.layout
        form: dict[str, Any] = {"query": self.query} if self.query else {}
        if self.triples is not None and self.triples.type:
            base = {"base": self.triples.base} if self.triples.base else {}
            return {"triples": {"type": self.triples.type, **base}}
        if layout.encoding != "utf-8":
            form["encoding"] = layout.encoding
        if layout.delimiter == "::":
            form["delimiter"] = layout.delimiter
        if layout.header:
            form["header"] = list(layout.header)
        return form


def forms(values: Values) -> set[str]:
    """Return the values of a column, whole floats without their point as well."""
    return {*values.counts, *(one.removesuffix(".0") for one in values.counts)}


def look_at(place: Place, progress: Progress = SILENT, domain: Domain | None = None) -> LookedAt:
    """Read up to a hundred thousand rows of a file, or of a table of a database.

    Args:
        domain: by which predicates of triples, and their subjects that are items, are called.

    Raises:
        DataError: it is no table, or has no names of columns.
    """
    if isinstance(place, QueriedTable):
        copy = copy_query(place.address, place.query, place.name, progress, limit=_ROWS + 1)
        found = look_at(copy.path, progress)
        return replace(found, address=place.address, query=place.query, copy=copy)
    if isinstance(place, str):
        copy = copy_file(place, progress)
        return replace(look_at(copy.path, progress, domain), address=place, copy=copy)
    kind = format_of(place, TableFormat())
    return _table_at(place, progress) if kind is None else _triples(place, kind, domain, progress)


def _triples(path: Path, kind: str, domain: Domain | None, progress: Progress) -> LookedAt:
    """Look at the rows that the triples of a file become."""
    if kind == "kg":
        if not path.with_suffix(".entity").exists():
            raise DataError(
                f"what its entities are called is not known: there is no {path.stem}.entity",
                value=str(path),
                remedy="Load it by kgrec ingest catalog, with its ids as names.",
            )
        items = ItemSubjects("", "", f"the items of {path.stem}.link")
    else:
        domains = load_schema().domains.values() if domain is None else [domain]
        called = {word for one in domains for word in words_of(one)}
        items = item_subjects(path, kind, called)
    spec = {"type": items.type, "base": items.base}
    source = Source.model_validate({"kind": "catalog", "path": path, "triples": spec})
    rows = TripleRows(source, domain).copy(path, kind, progress)
    found = replace(_table_at(rows.path, progress), path=path, copy=rows, triples=items)
    return replace(found, notes=(items.why,))


def _table_at(path: Path, progress: Progress) -> LookedAt:
    encoding, notes = _encoding(path)
    step = 1 if path.stat().st_size < _LARGE else STEP
    text = unpacked_suffix(path) in _TEXTS and packing_of(path) is None
    wide = wide_delimiter(path, encoding) if text else None
    layout = TableFormat(encoding=encoding, delimiter=wide)
    try:
        table = open_table(path, layout).surveyed(step=step)
    except DataError:
        names = guessed_names(path, layout) if text else None
        if names is None:
            raise
        table = open_table(path, layout.model_copy(update={"header": names})).surveyed(step=step)
        notes += ("it has no line of names; these are by the values",)
    values = {column: Values() for column in table.columns}
    rows = 0
    with progress.task(f"look at {path.name}") as task:
        found = table.rows(lambda *_: None)
        for _, cells in itertools.islice(found, _ROWS):
            rows += 1
            for column, known in values.items():
                known.add(cells.get(column))
            if rows % 1000 == 0:
                task.advance(1000)
        whole = next(found, None) is None
    if not rows:
        raise DataError("the file has no rows below the names of its columns", value=str(path))
    spaced = _spaced(path, encoding) if text else ()
    return LookedAt(path, table, values, rows, whole, notes, spaced=spaced)


def _spaced(path: Path, encoding: str) -> tuple[str, ...]:
    with path.open(encoding=encoding, errors="replace") as file:
        return tuple(_TOKENS.findall(file.readline()))


def _encoding(path: Path) -> tuple[str, tuple[str, ...]]:
    """Return the encoding of a file by its bytes: UTF-8 where all are, else Latin-1."""
    if unpacked_suffix(path) in {".parquet", ".pq"} or packing_of(path):
        return "utf-8", ()
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with path.open("rb") as file:
            start = file.read(2)
            if start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
                return "utf-16", ("it begins with the mark of UTF-16",)
            decoder.decode(start)
            while block := file.read(_BLOCK):
                decoder.decode(block)
    except UnicodeDecodeError as error:
        return "latin-1", (f"it is not UTF-8 (byte {error.object[error.start]:#x}), so Latin-1",)
    except OSError as error:
        raise DataError(f"the file cannot be read ({error.strerror})", value=str(path)) from None
    return "utf-8", ()
