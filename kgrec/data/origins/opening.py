"""The table of a source, wherever it comes from."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from kgrec.data.origins.address import is_database, shown
from kgrec.data.origins.joins import joined
from kgrec.data.origins.query import copy_query
from kgrec.data.origins.remote import copy_file
from kgrec.data.origins.triples.reading import format_of
from kgrec.data.origins.triples.rows import TripleRows
from kgrec.data.public import dataset_table
from kgrec.data.sources import Source
from kgrec.data.tables import Table, TableFormat, open_table
from kgrec.data.tables.copies import LocalCopy, unwritable
from kgrec.data.tables.files import readable
from kgrec.errors import ConfigError
from kgrec.progress import SILENT, Progress
from kgrec.schema import Domain

_ROWS = TableFormat(format="jsonl")


def open_origin(
    source: Source, domain: Domain | None = None, *, cache: Path, progress: Progress = SILENT
) -> Table:
    """Find the table of a source, with what is joined to it; what lies elsewhere is copied first.

    Args:
        domain: by which the columns of triples are called.
        cache: folder for public data sets.

    Raises:
        ConfigError: the address is none, or a package for it is not installed.
        DataError: there is no such table, or it cannot be read.
    """
    return joined(_open(source, domain, cache, progress), source.joins, progress)


def _open(source: Source, domain: Domain | None, cache: Path, progress: Progress) -> Table:
    if source.dataset is not None:
        path = dataset_table(source.dataset, source.kind, cache=cache, progress=progress)
        return open_table(path, source.layout)
    if source.path == Path("-"):
        copy, layout = _copy_input(), source.layout
        with copy.path.open("rb") as file:  # there is no name to tell the format by
            if layout.format is None and file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{":
                layout = layout.model_copy(update={"format": "jsonl"})
        return open_table(copy.path, layout, origin="standard input", copy=copy)
    if source.address is None:
        return _read(Path(str(source.path)), source, domain, progress)
    name = shown(source.address)
    if source.query is not None:
        copy = copy_query(source.address, source.query, source.title, progress)
        return open_table(copy.path, _ROWS, origin=name, copy=copy)
    if is_database(source.address):
        raise ConfigError(
            "a database needs a query",
            value=name,
            remedy="Give the name of a table, or SQL: --query films, or `query` of a source.",
        )
    copy = copy_file(source.address, progress)
    return _read(copy.path, source, domain, progress, origin=name, copy=copy)


def _read(
    path: Path,
    source: Source,
    domain: Domain | None,
    progress: Progress,
    origin: str = "",
    copy: LocalCopy | None = None,
) -> Table:
    """Open a file, whose triples become rows where it holds any."""
    kind = format_of(path, source.layout) if source.kind == "catalog" else None
    if kind is None:
        return open_table(path, source.layout, origin=origin, copy=copy)
    with readable(path, origin):
        rows = TripleRows(source, domain).copy(path, kind, progress)
    return open_table(rows.path, _ROWS, origin=origin or str(path), copy=rows)


def _copy_input() -> LocalCopy:
    copy = LocalCopy("standard_input")
    try:
        with copy.path.open("wb") as target:
            shutil.copyfileobj(sys.stdin.buffer, target, 1 << 20)
    except OSError as error:
        raise unwritable(error) from None
    return copy
