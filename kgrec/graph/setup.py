"""What a graph must have before anything is written: constraints and indexes, created once."""

from __future__ import annotations

import time
from dataclasses import dataclass

from kgrec.errors import GraphTimeoutError, SchemaError
from kgrec.graph.dialects import index_of, indexed_property
from kgrec.graph.store import GraphStore
from kgrec.schema import load_schema

_BATCH = 2_000
_INDEX_TIMEOUT = 600.0
"""Seconds that the filling of new indexes may take."""


def ensure_schema(store: GraphStore) -> None:
    """Create the constraints and full-text indexes of `core.toml` where they are missing."""
    core = load_schema().core
    for label, key in core.keys.items():
        name = f"{label.lower()}_{key}"
        store.write("setup/unique_node", {"name": name, "label": label, "property": key})
    for key, index in core.indexes.items():
        if index.properties:
            store.dialect.create_fulltext_index(store, key)
    _wait_for_indexes(store)


def ensure_vector_index(store: GraphStore, slot: str, dimensions: int) -> None:
    """Make the vector index of a slot hold vectors of this length.

    An index of another length goes, and the vectors under it with it.

    Args:
        slot: `vector_a` or `vector_b`.
        dimensions: length of the vectors, at least 1.

    Raises:
        SchemaError: there is no such slot, or the length is below 1.
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
    _wait_for_indexes(store)


@dataclass(frozen=True)
class GraphCounts:
    """How many nodes each label has, and how many relations each type."""

    nodes: dict[str, int]
    relations: dict[str, int]


def count_graph(store: GraphStore) -> GraphCounts:
    """Count what the graph holds."""
    labels = [str(one["name"]) for one in store.read("admin/labels")]
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
    """Delete every relation and node, in batches; constraints and indexes stay.

    Returns:
        How many nodes were deleted.
    """
    while store.write("admin/delete_relations", limit=_BATCH)[0]["deleted"]:
        continue
    total = 0
    while deleted := int(store.write("admin/delete_nodes", limit=_BATCH)[0]["deleted"]):
        total += deleted
    return total


def _remove_vectors(store: GraphStore, slot: str) -> None:
    slots = {"label": index_of(slot).label, "property": indexed_property(slot)}
    while store.write("setup/remove_property", slots, limit=_BATCH)[0]["removed"]:
        continue


def _wait_for_indexes(store: GraphStore) -> None:
    deadline = time.monotonic() + _INDEX_TIMEOUT
    while pending := store.read("setup/pending_indexes"):
        if time.monotonic() > deadline:
            names = ", ".join(f"{one['name']} ({one['state']})" for one in pending)
            raise GraphTimeoutError("indexes are not ready", value=names)
        time.sleep(0.1)
