"""The graph as pages of columns: one row a page, so that millions of edges stream through.

Nodes come in the order of their ids, which makes pages stable without a cursor; edges come by the
nodes they begin at, so that the server holds one page at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from kgrec.graph.store import GraphStore
from kgrec.progress import SILENT, Progress
from kgrec.schema import NodeKind, load_schema

NODES_A_PAGE = 10_000
EDGES_A_PAGE = 20_000
ITEMS_A_PAGE = 1_000

Page = Mapping[str, Sequence[Any]]
Ends = tuple[NodeKind, NodeKind]
"""Kinds of node that a relation leads from and to."""

HELD_BY = "held_by"
"""The property of users and entities that names the complete source which holds them."""
_FACT: frozenset[Ends] = frozenset({("item", "entity")})


def item_properties(domain: str | None = None) -> list[str]:
    """Return the properties that items have by the known domains and by `domain`.

    Args:
        domain: name of a domain, or path of a domain file that is not among the known ones.

    Raises:
        SchemaError: there is no such domain.
    """
    schema = load_schema()
    domains = [*schema.domains.values(), *([schema.domain(domain)] if domain is not None else [])]
    return sorted({name for one in domains for name in one.item_properties})


def properties_in(store: GraphStore) -> list[str]:
    """Return the properties of a graph's items: those of its known domains, and others it has.

    The domains are known by the labels of the items. A domain file of the user's own is not; what
    its items have is found in the first of them.
    """
    core = load_schema().core
    labels = {row["name"] for row in store.read("admin/labels")}
    domains = [one for one in load_schema().domains.values() if one.item_label in labels]
    names = {name for one in domains for name in one.item_properties}
    for row in store.read("export/item_keys", limit=ITEMS_A_PAGE):
        names |= set(row["names"]) - core.properties[core.labels.item].keys()
    return sorted(names)


def type_of(labels: Sequence[str], shared: str) -> str:
    """Return the label that a domain gave beside the shared one."""
    return next((label for label in sorted(labels) if label != shared), shared)


def item_pages(
    store: GraphStore, *, label: str | None = None, properties: Sequence[str] = ()
) -> Iterator[Page]:
    """Yield items: `ids`, `titles`, `descriptions`, `values` (of `properties`), `labels`."""
    options = {"label": label, "properties": list(properties)}
    return _node_pages(store, "export/item_page", options)


def pages_of_items(
    store: GraphStore,
    items: Sequence[str],
    *,
    label: str | None = None,
    properties: Sequence[str] = (),
) -> Iterator[Page]:
    """Yield the items of some ids as `item_pages` does; what the graph lacks is left out."""
    for first in range(0, len(items), ITEMS_A_PAGE):
        chosen = list(items[first : first + ITEMS_A_PAGE])
        options: dict[str, Any] = {"label": label, "properties": list(properties)}
        yield from store.read("export/items_of", items=chosen, **options)


def item_id_pages(store: GraphStore, *, label: str | None = None) -> Iterator[Page]:
    """Yield the ids of all items, or of those that carry a label: `ids`."""
    return _node_pages(store, "recommend/item_ids", {"label": label})


def key_pages(store: GraphStore, label: str) -> Iterator[list[str]]:
    """Yield the keys of all nodes of a label of core.toml, in their order."""
    key = load_schema().core.keys[label]
    for page in _node_pages(store, "dump/keys", {}, label=label, key=key):
        yield sorted(page["ids"])


def user_pages(store: GraphStore) -> Iterator[Page]:
    """Yield users: `ids` and `values`, the map of all properties of each."""
    return map(_without_mark, _node_pages(store, "export/user_page", {}))


def entity_properties() -> dict[str, str]:
    """Return the properties that entities have by the known domains, with their types."""
    domains = load_schema().domains.values()
    return {name: kind for one in domains for name, kind in one.entity_properties.items()}


def entity_pages(store: GraphStore) -> Iterator[Page]:
    """Yield entities: `ids`, `names`, `labels` and `values`, the map of all properties of each."""
    return map(_without_mark, _node_pages(store, "export/entity_page", {}))


def _without_mark(page: Page) -> Page:
    """Return a page whose nodes do not name the source that holds them, which is ours alone."""
    values = [{key: one for key, one in each.items() if key != HELD_BY} for each in page["values"]]
    return {**page, "values": values}


def vector_pages(store: GraphStore, slot: str) -> Iterator[Page]:
    """Yield the items that have a vector in a property: `ids`, `sizes`."""
    return _node_pages(store, "publish/vector_page", {}, slot=slot)


def interaction_pages(
    store: GraphStore, users: Sequence[str], progress: Progress = SILENT
) -> Iterator[Page]:
    """Yield the interactions of users: `users` (rows), `items`, `kinds`, `values`, `times`."""
    with progress.task("read interactions", len(users)) as task:
        for number, page in _edge_pages(store, "export/interactions_of", "users", users):
            yield page
            task.advance(number)


@dataclass(frozen=True)
class RelationTypes:
    """The relation types in a graph that a domain may declare: all but those of kgrec itself.

    Attributes:
        names: in alphabetical order.
        declared: the ends that the known domains give to those that they declare.
    """

    names: tuple[str, ...]
    declared: Mapping[str, frozenset[Ends]]

    def between(self, head: NodeKind, tail: NodeKind) -> tuple[str, ...]:
        """Return the types that may lead from one kind of node to another.

        What no known domain declares may lead anywhere; anything may lead from item to entity.
        """
        ends = (head, tail)
        anywhere = frozenset({ends})
        return tuple(
            name for name in self.names if ends in self.declared.get(name, anywhere) | _FACT
        )


def relation_types(store: GraphStore, domain: str | None = None) -> RelationTypes:
    """Return the relation types that facts and links of a graph have.

    Args:
        domain: name of a domain, or path of a domain file that is not among the known ones.

    Raises:
        SchemaError: there is no such domain.
    """
    schema = load_schema()
    own = set(schema.relations.model_dump().values())
    names = sorted({str(row["name"]) for row in store.read("admin/relation_types")} - own)
    domains = [*schema.domains.values(), *([schema.domain(domain)] if domain is not None else [])]
    declared: dict[str, set[Ends]] = {}
    for one in domains:
        for name, relation in one.relations.items():
            declared.setdefault(name, set()).add(schema.core.ends_of(relation))
    return RelationTypes(tuple(names), {name: frozenset(ends) for name, ends in declared.items()})


def fact_pages(
    store: GraphStore,
    heads: Sequence[str],
    types: RelationTypes,
    ends: Ends = ("item", "entity"),
    progress: Progress = SILENT,
) -> Iterator[Page]:
    """Yield facts or links: `heads` (rows), `relations`, `tails` (ids) and their columns.

    The other columns are `confidences`, `sources`, `extractors` and `evidence`.

    Args:
        heads: ids of the nodes that they lead from.
        types: relation types of the graph.
        ends: kinds of node that they lead from and to.
    """
    names = types.between(*ends)
    if not names or not heads:
        return
    slots = {**load_schema().core.end_slots(*ends), "relations": "|".join(names)}
    title = "read facts" if ends == ("item", "entity") else f"read links of {ends[0]} and {ends[1]}"
    with progress.task(title, len(heads)) as task:
        for number, page in _edge_pages(store, "export/facts", "heads", heads, slots):
            yield page
            task.advance(number)


def _node_pages(
    store: GraphStore, statement: str, options: Mapping[str, Any], **slots: str
) -> Iterator[Page]:
    after = ""
    while True:
        rows = store.read(statement, slots, after=after, limit=NODES_A_PAGE, **options)
        if not rows or not rows[0]["ids"]:
            return
        page = rows[0]
        yield page
        after = max(page["ids"])


def _edge_pages(
    store: GraphStore,
    statement: str,
    starts: str,
    ids: Sequence[str],
    slots: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[tuple[int, Page]]:
    first, number = 0, 50
    while first < len(ids):
        chosen = list(ids[first : first + number])
        edges = 0
        parameters: dict[str, Any] = {starts: chosen}
        for page in store.read(statement, slots, **parameters):
            edges = len(page[starts])
            yield len(chosen), {**page, starts: [row + first for row in page[starts]]}
        first += len(chosen)
        wanted = int(len(chosen) * EDGES_A_PAGE / max(edges, 1))
        number = min(max(wanted, 1), 4 * number, NODES_A_PAGE)
