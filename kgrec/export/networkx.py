"""The graph for NetworkX: node-link JSON or GraphML.

A node is named by its label and id, such as `Item:42`; an edge's key is its relation type. A
property named like something that every node has, such as `label`, becomes `property_label`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import networkx as nx

from kgrec.errors import DataError
from kgrec.graph.pages import (
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

_NODE_KEY = "id"
"""What node-link JSON calls the name of a node."""
_RESERVED = frozenset({_NODE_KEY, "node_for_adding", "self"})
"""Attributes that a node cannot have when NetworkX reads it back."""


def to_networkx(
    store: GraphStore, *, domain: str | None = None, progress: Progress = SILENT
) -> nx.MultiDiGraph:
    """Return users, items and entities with interactions, facts and links, all as plain values.

    Args:
        domain: name of a domain or path of a domain file, or None for the items of all.
    """
    graph = nx.MultiDiGraph()
    users, items, entities = _add_nodes(graph, store, domain)
    labels, relations = load_schema().labels, load_schema().relations
    for page in interaction_pages(store, users, progress):
        columns = (page["users"], page["items"], page["kinds"], page["values"], page["times"])
        for user, item, kind, value, at in zip(*columns, strict=True):
            ends = f"{labels.user}:{users[user]}", f"{labels.item}:{item}"
            if ends[1] in graph:
                values = {"kind": kind, "value": value, "at": at}
                graph.add_edge(*ends, key=f"{relations.interacted}:{kind}:{at}", **values)
    ids: dict[NodeKind, list[str]] = {"user": users, "item": items, "entity": entities}
    types = relation_types(store, domain)
    for head, tail in ENDS:
        for page in fact_pages(store, ids[head], types, (head, tail), progress):
            _add_edges(graph, page, ids[head], load_schema().core.end_slots(head, tail))
    return graph


def write_node_link(graph: nx.MultiDiGraph, path: Path) -> None:
    """Write JSON that `networkx.node_link_graph(data, edges="edges")` reads back."""
    data = {
        "directed": True,
        "multigraph": True,
        "graph": {},
        "nodes": [{_NODE_KEY: node, **values} for node, values in graph.nodes(data=True)],
        "edges": [
            {"source": source, "target": target, "key": key, **values}
            for source, target, key, values in graph.edges(keys=True, data=True)
        ],
    }
    _written(path, lambda: path.write_text(json.dumps(data, ensure_ascii=False), "utf-8"))


def write_graphml(graph: nx.MultiDiGraph, path: Path) -> None:
    """Write GraphML, which Gephi, yEd and `networkx.read_graphml` read."""
    _written(path, lambda: nx.write_graphml(graph, path, named_key_ids=True))


def _add_edges(
    graph: nx.MultiDiGraph, page: Page, heads: Sequence[str], ends: Mapping[str, str]
) -> None:
    names = ("heads", "relations", "tails", "confidences", "sources", "evidence")
    for head, relation, tail, confidence, source, evidence in zip(
        *(page[name] for name in names), strict=True
    ):
        nodes = f"{ends['head']}:{heads[head]}", f"{ends['tail']}:{tail}"
        if nodes[1] in graph:
            # Node-link JSON calls the beginning of an edge "source".
            values = {"confidence": confidence, "origin": source, "evidence": evidence}
            graph.add_edge(*nodes, key=relation, **values)


def _add_nodes(
    graph: nx.MultiDiGraph, store: GraphStore, domain: str | None
) -> tuple[list[str], list[str], list[str]]:
    schema = load_schema()
    labels = schema.labels
    users: list[str] = []
    for page in user_pages(store):
        for user, values in zip(page["ids"], page["values"], strict=True):
            _add_node(graph, f"{labels.user}:{user}", {"label": labels.user}, values)
        users += page["ids"]
    items: list[str] = []
    label = None if domain is None else schema.domain(domain).item_label
    names = item_properties(domain)
    for page in item_pages(store, label=label, properties=names):
        columns = ("ids", "titles", "descriptions", "values", "labels")
        for item, title, description, values, types in zip(
            *(page[name] for name in columns), strict=True
        ):
            known = {"item_id": item, "title": title, "description": description}
            known |= {"label": labels.item, "type": type_of(types, labels.item)}
            properties = dict(zip(names, values, strict=True))
            _add_node(graph, f"{labels.item}:{item}", known, properties)
        items += page["ids"]
    entities: list[str] = []
    for page in entity_pages(store):
        wanted = ("ids", "names", "labels", "values")
        for entity, name, types, values in zip(*(page[one] for one in wanted), strict=True):
            known = {"entity_id": entity, "name": name, "label": labels.entity}
            known |= {"type": type_of(types, labels.entity)}
            properties = {one: values[one] for one in values.keys() - {"entity_id", "name"}}
            _add_node(graph, f"{labels.entity}:{entity}", known, properties)
        entities += page["ids"]
    return users, items, entities


def _add_node(
    graph: nx.MultiDiGraph, node: str, known: Mapping[str, Any], properties: Mapping[str, Any]
) -> None:
    """Add a node; a property whose name is in use, in kgrec or in the file, gets a prefix."""
    reserved = _RESERVED | known.keys()
    free = {
        f"property_{name}" if name in reserved else name: value
        for name, value in _plain(properties).items()
    }
    graph.add_nodes_from([(node, {**free, **known})])


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what is absent, and write what GraphML has no type for as text."""
    return {
        name: value if isinstance(value, str | int | float | bool) else str(value)
        for name, value in values.items()
        if value is not None
    }


def _written(path: Path, write: Any) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write()
    except OSError as error:
        raise DataError(f"the export cannot be written ({error})", value=str(path)) from None
