"""The graph as Parquet: one file a node type, one file a relation type, edges streamed."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from kgrec.errors import DataError
from kgrec.graph.pages import (
    Page,
    entity_pages,
    fact_pages,
    interaction_pages,
    item_pages,
    item_properties,
    type_of,
    user_pages,
)
from kgrec.graph.store import GraphStore
from kgrec.progress import SILENT, Progress
from kgrec.schema import load_schema

_INTERACTIONS = pa.schema(
    [
        ("user_id", pa.string()),
        ("item_id", pa.string()),
        ("kind", pa.string()),
        ("value", pa.float64()),
        ("at", pa.timestamp("ms", tz="UTC")),
    ]
)
_FACTS = pa.schema(
    [
        ("item_id", pa.string()),
        ("entity_id", pa.string()),
        ("confidence", pa.float64()),
        ("source", pa.string()),
        ("evidence", pa.string()),
    ]
)


def write_parquet(
    store: GraphStore, folder: Path, *, domain: str | None = None, progress: Progress = SILENT
) -> dict[str, int]:
    """Write users, items, entities by type, interactions and facts by type.

    Args:
        domain: name of a domain or path of a domain file, or None for the items of all.

    Returns:
        Rows written by name of the file.

    Raises:
        DataError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return _write(store, folder, domain, progress)
    except OSError as error:
        raise DataError(f"the export cannot be written ({error})", value=str(folder)) from None


def _write(
    store: GraphStore, folder: Path, domain: str | None, progress: Progress
) -> dict[str, int]:
    schema = load_schema()
    label = None if domain is None else schema.domain(domain).item_label
    users = _concat(map(_user_table, user_pages(store)), "user_id")
    names = item_properties(domain)
    pages = item_pages(store, label=label, properties=names)
    items = _concat((_item_table(page, names) for page in pages), "item_id")
    tables = {schema.labels.user: users, schema.labels.item: items, **_entities(store)}
    for name, table in tables.items():
        pq.write_table(table, folder / f"{name}.parquet")
    counts = {name: table.num_rows for name, table in tables.items()}
    user_ids = users.column("user_id").to_pylist()
    item_ids = items.column("item_id").to_pylist()
    with ExitStack() as stack:
        writers = _Writers(folder, stack)
        known = set(item_ids)
        for page in interaction_pages(store, user_ids, progress):
            rows = [n for n, item in enumerate(page["items"]) if item in known]
            writers.write(
                schema.relations.interacted, _interaction_table(page, rows, user_ids), _INTERACTIONS
            )
        for page in fact_pages(store, item_ids, progress):
            for relation, rows in _by_relation(page):
                writers.write(relation, _fact_table(page, rows, item_ids), _FACTS)
        return counts | writers.counts


class _Writers:
    """One open file for each type of edge."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self._open: dict[str, pq.ParquetWriter] = {}
        self.counts: dict[str, int] = {}

    def write(self, name: str, columns: Mapping[str, Sequence[Any]], schema: pa.Schema) -> None:
        if name not in self._open:
            writer = pq.ParquetWriter(self._folder / f"{name}.parquet", schema)
            self._open[name] = self._stack.enter_context(writer)
        table = pa.table(dict(columns), schema=schema)
        self._open[name].write_table(table)
        self.counts[name] = self.counts.get(name, 0) + table.num_rows


def _user_table(page: Page) -> pa.Table:
    names = sorted({name for values in page["values"] for name in values} - {"user_id"})
    columns = {name: _array([values.get(name) for values in page["values"]]) for name in names}
    return pa.table({"user_id": pa.array(page["ids"], pa.string()), **columns})


def _item_table(page: Page, names: Sequence[str]) -> pa.Table:
    columns = {name: _array([row[n] for row in page["values"]]) for n, name in enumerate(names)}
    shared = load_schema().labels.item
    return pa.table(
        {
            "item_id": pa.array(page["ids"], pa.string()),
            "type": pa.array([type_of(labels, shared) for labels in page["labels"]], pa.string()),
            "title": pa.array(page["titles"], pa.string()),
            "description": pa.array(page["descriptions"], pa.string()),
            **columns,
        }
    )


def _entities(store: GraphStore) -> dict[str, pa.Table]:
    shared = load_schema().labels.entity
    rows: dict[str, list[tuple[str, str]]] = {}
    for page in entity_pages(store):
        for entity, name, labels in zip(page["ids"], page["names"], page["labels"], strict=True):
            rows.setdefault(type_of(labels, shared), []).append((entity, name))
    return {
        kind: pa.table({"entity_id": [row[0] for row in found], "name": [row[1] for row in found]})
        for kind, found in rows.items()
    }


def _interaction_table(
    page: Page, rows: Sequence[int], users: Sequence[str]
) -> dict[str, list[Any]]:
    return {
        "user_id": [users[page["users"][n]] for n in rows],
        "item_id": [page["items"][n] for n in rows],
        "kind": [page["kinds"][n] for n in rows],
        "value": [page["values"][n] for n in rows],
        "at": [page["times"][n] or None for n in rows],
    }


def _fact_table(page: Page, rows: Sequence[int], items: Sequence[str]) -> dict[str, list[Any]]:
    return {
        "item_id": [items[page["items"][n]] for n in rows],
        "entity_id": [page["entities"][n] for n in rows],
        "confidence": [page["confidences"][n] for n in rows],
        "source": [page["sources"][n] for n in rows],
        "evidence": [page["evidence"][n] for n in rows],
    }


def _by_relation(page: Page) -> Iterator[tuple[str, list[int]]]:
    relations = page["relations"]
    order = sorted(range(len(relations)), key=relations.__getitem__)
    for relation, rows in itertools.groupby(order, key=relations.__getitem__):
        yield relation, list(rows)


def _concat(tables: Iterable[pa.Table], key: str) -> pa.Table:
    found = list(tables)
    if not found:
        return pa.table({key: pa.array([], pa.string())})
    mixed = _mixed(found)
    return pa.concat_tables(
        [_as_text(table, mixed) for table in found], promote_options="permissive"
    )


def _mixed(tables: Sequence[pa.Table]) -> set[str]:
    """Return the columns whose types in the pages have none in common."""
    types: dict[str, set[pa.DataType]] = {}
    for table in tables:
        for field in table.schema:
            types.setdefault(field.name, set()).add(field.type)
    return {name for name, found in types.items() if not _agree(found)}


def _agree(types: Iterable[pa.DataType]) -> bool:
    try:
        pa.unify_schemas([pa.schema([("", one)]) for one in types], promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return False
    return True


def _as_text(table: pa.Table, names: Iterable[str]) -> pa.Table:
    for name in set(names) & set(table.column_names):
        texts = _texts(table.column(name).to_pylist())
        table = table.set_column(table.column_names.index(name), name, texts)
    return table


def _array(values: Sequence[Any]) -> pa.Array:
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return _texts(values)


def _texts(values: Sequence[Any]) -> pa.Array:
    return pa.array([None if value is None else str(value) for value in values], pa.string())
