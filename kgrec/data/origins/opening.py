"""The table of a source, wherever it comes from."""

from __future__ import annotations

from pathlib import Path

from kgrec.data.origins.address import is_database, shown
from kgrec.data.origins.query import copy_query
from kgrec.data.origins.remote import copy_file
from kgrec.data.public import dataset_table
from kgrec.data.sources import Source
from kgrec.data.tables import Table, TableFormat, open_table
from kgrec.errors import ConfigError
from kgrec.progress import SILENT, Progress

_ROWS = TableFormat(format="jsonl")


def open_origin(source: Source, *, cache: Path, progress: Progress = SILENT) -> Table:
    """Find the table of a source and look at it; what is not on this machine is copied first.

    Args:
        cache: folder for public data sets.

    Raises:
        ConfigError: the address is none, or a package for it is not installed.
        DataError: there is no such table, or it cannot be read.
    """
    if source.dataset is not None:
        path = dataset_table(source.dataset, source.kind, cache=cache, progress=progress)
        return open_table(path, source.layout)
    if source.address is None:
        return open_table(Path(str(source.path)), source.layout)
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
    layout = source.layout
    return open_table(copy.path, layout, origin=name, copy=copy)
