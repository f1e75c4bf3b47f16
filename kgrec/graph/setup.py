"""Constraints and indexes, created before anything is written, and removal of all content."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

from kgrec.errors import GraphError, GraphTimeoutError, SchemaError
from kgrec.graph.dialects import index_of, indexed_property
from kgrec.graph.store import GraphStore
from kgrec.progress import SILENT, Progress
from kgrec.schema import Domain, load_schema

logger = logging.getLogger("kgrec.graph")

_BATCH = 2_000
_INDEX_TIMEOUT = 600.0
"""Seconds that the filling of new indexes may take."""


IMPORT = "import"
"""The `Revision` that counts the rows of an import while it is unfinished."""


@dataclass(frozen=True)
class UnfinishedImport:
    """An import into a graph that was begun: how many rows are loaded, and of which dump."""

    done: int
    dump: str


def unfinished_import(store: GraphStore) -> UnfinishedImport | None:
    """Return the import into this graph that has not come to its end, if there is one."""
    rows = store.read("dump/import_state", name=IMPORT)
    return UnfinishedImport(int(rows[0]["done"]), str(rows[0]["dump"])) if rows else None


def check_whole(store: GraphStore) -> None:
    """Raise GraphError where an import into this graph has not come to its end."""
    if unfinished_import(store) is not None:
        raise GraphError(
            "an import into this graph is not finished, so it lacks a part",
            value=store.info().uri,
            remedy="Run the same `kgrec graph import` again: it goes on where it was stopped. "
            "Or empty the graph: `kgrec graph reset`.",
        )


def ensure_schema(store: GraphStore) -> None:
    """Create the constraints and full-text indexes of `core.toml` where they are missing.

    Raises:
        GraphError: an import into the graph is unfinished.
    """
    check_whole(store)
    make_schema(store)


def make_schema(store: GraphStore) -> None:
    """Do what `ensure_schema` does in a graph whose import is unfinished as well."""
    core = load_schema().core
    for label, key in core.keys.items():
        name = f"{label.lower()}_{key}"
        store.write("setup/unique_node", {"name": name, "label": label, "property": key})
    fulltext = [key for key, index in core.indexes.items() if index.properties]
    for key in fulltext:
        store.dialect.create_fulltext_index(store, key)
    _wait_for_indexes(store, fulltext)


def ensure_property_indexes(store: GraphStore, domain: str | None) -> None:
    """Create indexes for the numbers that items are filtered by; without them filters read all.

    Args:
        domain: name or path of a domain; None means all known ones.
    """
    schema = load_schema()
    domains = list(schema.domains.values()) if domain is None else [schema.domain(domain)]
    release_properties(store, domains)
    for name, kind in {n: k for one in domains for n, k in one.item_properties.items()}.items():
        if kind not in ("integer", "float"):
            continue
        try:
            store.dialect.create_property_index(store, schema.labels.item, name, kind)
        except GraphError as error:  # such as values of another type; filters work without it
            logger.info("there is no index of %r: %s", name, error)


def release_properties(store: GraphStore, domains: Sequence[Domain]) -> None:
    """Drop the indexes of item properties that these domains know as another kind of value.

    A domain that was used before may have declared the property, and the engine would turn the
    values into that kind: 3.5 pages into 3.
    """
    kinds = {name: kind for one in domains for name, kind in one.item_properties.items()}
    if kinds:
        store.dialect.release_properties(store, load_schema().labels.item, kinds)


def ensure_vector_index(store: GraphStore, slot: str, dimensions: int) -> None:
    """Make the vector index of a slot hold vectors of this length.

    An index of another length is removed, with its vectors.

    Args:
        slot: `vector_a` or `vector_b`.
        dimensions: length of the vectors, at least 1.

    Raises:
        SchemaError: there is no such slot, or the length is below 1.
        GraphError: an index of another name covers the property already.
    """
    if index_of(slot).property is None or dimensions < 1:
        raise SchemaError("not a vector index that can be made", value=f"{slot}, {dimensions}")
    present = store.dialect.vector_dimensions(store, slot)
    if present == dimensions:
        return
    if present is not None:
        store.dialect.drop_index(store, slot)
    _remove_vectors(store, slot)
    store.dialect.create_vector_index(store, slot, dimensions)
    if store.dialect.vector_dimensions(store, slot) != dimensions:
        # Neo4j ignores the statement when an index of another name covers the same property.
        raise GraphError(
            f"the vector index {slot!r} cannot be made: another one covers its property",
            value=f"{index_of(slot).label}.{indexed_property(slot)}",
            remedy="Find its name with SHOW VECTOR INDEXES, and drop it.",
        )
    _wait_for_indexes(store, [slot])


@dataclass(frozen=True)
class GraphCounts:
    """How many nodes each label has, and how many relations each type."""

    nodes: dict[str, int]
    relations: dict[str, int]


def count_graph(store: GraphStore) -> GraphCounts:
    """Count what the graph holds."""
    names = (str(one["name"]) for one in store.read("admin/labels"))
    labels = [name for name in names if name != load_schema().labels.revision]
    types = [str(one["name"]) for one in store.read("admin/relation_types")]
    nodes = {
        name: int(store.read("admin/count_nodes", {"label": name})[0]["count"]) for name in labels
    }
    relations = {
        name: int(store.read("admin/count_relations", {"type": name})[0]["count"]) for name in types
    }
    return GraphCounts(
        nodes={name: count for name, count in nodes.items() if count},
        relations={name: count for name, count in relations.items() if count},
    )


def clear_graph(store: GraphStore) -> int:
    """Delete all nodes of kgrec in the graph, in batches; constraints and indexes stay.

    Nodes of labels that are not in `core.toml` stay too, so a database may be shared.

    Returns:
        How many nodes were deleted.
    """
    total = clear_nodes(store)
    store.write("dump/forget_import", name=IMPORT)
    return total


def clear_nodes(store: GraphStore, progress: Progress = SILENT) -> int:
    """Do what `clear_graph` does, and leave the note of an unfinished import."""
    total = 0
    labels = _counted_labels()
    with progress.task("empty the graph") as task:
        for label in labels:
            slots = {"label": label}
            while store.write("admin/delete_relations", slots, limit=_BATCH)[0]["deleted"]:
                task.advance(_BATCH)
            while n := int(store.write("admin/delete_nodes", slots, limit=_BATCH)[0]["deleted"]):
                total += n
                task.advance(n)
    return total


def _counted_labels() -> list[str]:
    """Return the labels of nodes that hold data: all but that of the revisions."""
    core = load_schema().core
    return [label for label in core.keys if label != core.labels.revision]


def _remove_vectors(store: GraphStore, slot: str) -> None:
    slots = {"label": index_of(slot).label, "property": indexed_property(slot)}
    while store.write("setup/remove_property", slots, limit=_BATCH)[0]["removed"]:
        continue


def _wait_for_indexes(store: GraphStore, keys: Sequence[str]) -> None:
    names = {store.dialect.index_name(key) for key in keys}
    deadline = time.monotonic() + _INDEX_TIMEOUT
    while True:
        pending = [one for one in store.read("setup/pending_indexes") if one["name"] in names]
        if not pending:
            return
        listed = ", ".join(f"{one['name']} ({one['state']})" for one in pending)
        if any(one["state"] == "FAILED" for one in pending):
            raise GraphError("the graph database could not fill an index", value=listed)
        if time.monotonic() > deadline:
            raise GraphTimeoutError("indexes are not ready", value=listed)
        time.sleep(0.1)
