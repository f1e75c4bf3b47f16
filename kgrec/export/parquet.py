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
    Ends,
    Page,
    entity_pages,
    fact_pages,
    interaction_pages,
    item_pages,
    item_properties,
    relation_types,
    type_of,
    user_pages,
)
from kgrec.graph.store import GraphStore
from kgrec.progress import SILENT, Progress
from kgrec.schema import ENDS, NodeKind, load_schema

_INTERACTIONS = pa.schema(
    [
        ("user_id", pa.string()),
        ("item_id", pa.string()),
        ("kind", pa.string()),
        ("value", pa.float64()),
        ("at", pa.timestamp("ms", tz="UTC")),
    ]
)
_FACT = (("confidence", pa.float64()), ("source", pa.string()), ("evidence", pa.string()))


def write_parquet(
    store: GraphStore, folder: Path, *, domain: str | None = None, progress: Progress = SILENT
) -> dict[str, int]:
    """Write users, items, entities by type, interactions, facts and links by type.

    A table of edges has the ids of both ends, such as `item_id` and `entity_id`, or `head_id` and
    `tail_id` where both are of one kind. A relation that leads from items to entities keeps its
    name; where it also leads elsewhere, both kinds of node come after it in the file's name.

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
        ids: dict[NodeKind, list[str]] = {"user": user_ids, "item": item_ids}
        ids["entity"] = [i for page in entity_pages(store) for i in page["ids"]]
        types = relation_types(store, domain)
        for ends in ENDS:
            columns = _fact_columns(ends)
            known = set(ids[ends[1]])
            for page in fact_pages(store, ids[ends[0]], types, ends, progress):
                for relation, found in _by_relation(page):
                    if rows := [row for row in found if page["tails"][row] in known]:
                        table = _fact_table(page, rows, ids[ends[0]], columns.names)
                        writers.write(writers.name_of(relation, ends), table, columns)
        return counts | writers.counts


class _Writers:
    """One open file for each type of edge."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self._open: dict[str, pq.ParquetWriter] = {}
        self._ends: dict[str, Ends] = {}
        self.counts: dict[str, int] = {}

    def name_of(self, relation: str, ends: Ends) -> str:
        """Return the name of the file for a relation type between these kinds of node."""
        if self._ends.setdefault(relation, ends) == ends:
            return relation
        return f"{relation}.{ends[0]}.{ends[1]}"

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
    rows: dict[str, list[tuple[str, str, Mapping[str, Any]]]] = {}
    for page in entity_pages(store):
        columns = ("ids", "names", "values", "labels")
        for entity, name, values, labels in zip(*(page[one] for one in columns), strict=True):
            rows.setdefault(type_of(labels, shared), []).append((entity, name, values))
    return {kind: _entity_table(found) for kind, found in rows.items()}


def _entity_table(rows: Sequence[tuple[str, str, Mapping[str, Any]]]) -> pa.Table:
    columns = {
        "entity_id": pa.array([entity for entity, _, _ in rows], pa.string()),
        "name": pa.array([name for _, name, _ in rows], pa.string()),
    }
    further = sorted({name for _, _, values in rows for name in values} - columns.keys())
    return pa.table(columns | {n: _array([row[2].get(n) for row in rows]) for n in further})


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


def _fact_columns(ends: Ends) -> pa.Schema:
    keys = load_schema().core.end_slots(*ends)
    same = ends[0] == ends[1]
    head, tail = ("head_id", "tail_id") if same else (keys["head_key"], keys["tail_key"])
    return pa.schema([(head, pa.string()), (tail, pa.string()), *_FACT])


def _fact_table(
    page: Page, rows: Sequence[int], heads: Sequence[str], names: Sequence[str]
) -> dict[str, list[Any]]:
    known = ("tails", "confidences", "sources", "evidence")
    columns = [[heads[page["heads"][n]] for n in rows]]
    columns += [[page[name][n] for n in rows] for name in known]
    return dict(zip(names, columns, strict=True))


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
