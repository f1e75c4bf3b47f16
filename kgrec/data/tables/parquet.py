"""Parquet, some thousand rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kgrec.data.tables.files import WHOLE, Row, SetAside, TableFormat, check_distinct
from kgrec.errors import DataError

_BATCH = 8192


def look(path: Path, layout: TableFormat) -> tuple[TableFormat, tuple[str, ...]]:
    names = list(_open(path).schema_arrow.names)
    check_distinct(path, names)
    return layout, tuple(names)


def rows(
    path: Path,
    layout: TableFormat,
    columns: tuple[str, ...],
    set_aside: SetAside,
    *,
    step: int = 1,
) -> Iterator[Row]:
    import pyarrow as pa

    number = 0
    try:
        for batch in _open(path).iter_batches(batch_size=_BATCH, columns=list(columns)):
            if number >= WHOLE and step > 1:
                batch = batch.slice(0, max(1, len(batch) // step))
            for cells in _plain(batch).to_pylist():
                number += 1
                yield number, cells
    except pa.ArrowException as error:
        raise _broken(path, error) from None


def _plain(batch: Any) -> Any:
    """Return a batch whose times hold microseconds at most: Python's have nothing finer."""
    import pyarrow as pa

    fields = [
        field.with_type(pa.timestamp("us", field.type.tz))
        if pa.types.is_timestamp(field.type) and field.type.unit == "ns"
        else field
        for field in batch.schema
    ]
    return pa.Table.from_batches([batch]).cast(pa.schema(fields), safe=False)


def _open(path: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path)
    except pa.ArrowException as error:
        raise _broken(path, error) from None


def _broken(path: Path, error: Exception) -> DataError:
    reason = str(error).splitlines()[0]
    return DataError(f"the file is not a whole Parquet file ({reason})", value=str(path))
