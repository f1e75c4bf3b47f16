"""Taking nodes, facts and interactions out of the graph, and keeping them there to be brought back.

What is kept and what is removed are steps of one transaction, so a kill loses neither.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from kgrec.data.records import LinkRecord, Node
from kgrec.graph.pages import HELD_BY, fact_pages, relation_types, type_of
from kgrec.graph.store import GraphStore, Step
from kgrec.schema import NodeKind, load_schema
from kgrec.stages.loading.facts import batched

_PARTS = 2_000
"""Facts or interactions that are kept as one node."""
_KINDS: tuple[NodeKind, ...] = ("item", "entity", "user")
_VECTORS = frozenset({"vector_a", "vector_b"})


class Interaction(NamedTuple):
    """One interaction as the graph holds it; times in milliseconds since 1970, 0 where unknown."""

    user: str
    item: str
    key: str
    kind: str
    value: float
    time: int
    device: str
    scenario: str
    source: str

    @classmethod
    def of_rows(cls, rows: Iterable[Mapping[str, Sequence[Any]]]) -> Iterator[Interaction]:
        """Yield the interactions of columns."""
        names = [f"{name}s" for name in cls._fields]
        for row in rows:
            yield from map(cls._make, zip(*(row[name] for name in names), strict=True))


class Retirer:
    """Makes the steps that retire what a run finds gone.

    Args:
        store: the graph.
        run_id: the run.
        source: the table that held it.
    """

    def __init__(self, store: GraphStore, run_id: str, source: str) -> None:
        self.store, self.source = store, source
        self._run = run_id

    def facts(self, gone: Sequence[LinkRecord]) -> list[Step]:
        """Return the steps that keep facts which other steps withdraw, and remove orphans."""
        if not gone:
            return []
        return [*self._kept("ties", _tie_rows(self._named(gone))), *_without_orphans(gone)]

    def items(self, ids: Sequence[str]) -> list[Step]:
        """Return the steps that retire items with all that is tied to them."""
        ties = list(self._ties("item", ids))
        found = self.store.read("retiring/interactions_of_items", items=list(ids))
        interactions = [list(one) for one in Interaction.of_rows(found)]
        return [
            *self._kept("items", self._nodes("item", ids), size=1),
            *self._kept("ties", _tie_rows(self._named(ties))),
            *self._kept("interactions", interactions),
            ("retiring/delete_items", {}, {"items": list(ids)}),
            *_without_orphans(ties),
        ]

    def users(self, ids: Sequence[str]) -> list[Step]:
        """Return the steps that retire users with what they did and all that is tied to them."""
        ties = list(self._ties("user", ids))
        found = self.store.read("retiring/interactions_of_users", users=list(ids))
        return [
            *self._kept("users", self._nodes("user", ids), size=1),
            *self._kept("ties", _tie_rows(self._named(ties))),
            *self._kept("interactions", [list(one) for one in Interaction.of_rows(found)]),
            ("retiring/delete_users", {}, {"users": list(ids)}),
            *_without_orphans(ties),
        ]

    def entities(self, ids: Sequence[str]) -> list[Step]:
        """Return the steps that retire entities with all facts and links that are tied to them."""
        ties = list(self._ties("entity", ids))
        return [
            *self._kept("entities", self._nodes("entity", ids), size=1),
            *self._kept("ties", _tie_rows(self._named(ties))),
            ("retiring/delete_entities", {}, {"entities": list(ids)}),
            *_without_orphans(ties),
        ]

    def descriptions(self, ids: Sequence[str], properties: Sequence[str]) -> list[Step]:
        """Return the steps that empty entities, and remove those that nothing leads to then."""
        empty = dict.fromkeys([*properties, HELD_BY])
        rows = [{"entity_id": one, "properties": empty} for one in ids]
        return [
            *self._kept("entities", self._nodes("entity", ids), size=1),
            ("ingest/set_entities", {}, {"rows": rows}),
            ("retiring/delete_orphans", {}, {"entities": list(ids)}),
        ]

    def interactions(self, gone: Sequence[Interaction]) -> list[Step]:
        """Return the steps that retire interactions."""
        rows = [{"user_id": one.user, "item_id": one.item, "key": one.key} for one in gone]
        kept = self._kept("interactions", [list(one) for one in gone])
        return [*kept, ("retiring/delete_interactions", {}, {"rows": rows})]

    def _kept(self, kind: str, contents: Sequence[Any], size: int = _PARTS) -> list[Step]:
        rows = []
        for part in batched(contents, size):
            text = json.dumps(part[0] if size == 1 else part, ensure_ascii=False)
            name = hashlib.sha256(text.encode()).hexdigest()[:16]  # the same after a kill
            rows.append(
                {
                    "retired_id": f"{self._run}/{kind}/{name}",
                    "run_id": self._run,
                    "source": self.source,
                    "kind": kind,
                    "count": len(part),
                    "content": text,
                }
            )
        return [("retiring/keep", {}, {"rows": rows, "at": datetime.now(UTC)})] if rows else []

    def _nodes(self, kind: NodeKind, ids: Sequence[str]) -> list[dict[str, Any]]:
        label = load_schema().core.label_of(kind)
        slots = {"label": label, "key": load_schema().core.keys[label]}
        rows = self.store.read("retiring/contents", slots, keys=list(ids))
        return [_content_of(row, slots["key"], label) for row in rows]

    def _ties(self, kind: NodeKind, ids: Sequence[str]) -> Iterator[LinkRecord]:
        """Yield the facts and links of nodes of one kind, in both directions."""
        types = relation_types(self.store)
        for tail in _KINDS:
            for page in fact_pages(self.store, ids, types, (kind, tail)):
                heads = [Node(kind, ids[row]) for row in page["heads"]]
                yield from _links(page, heads, [Node(tail, one) for one in page["tails"]])
        core = load_schema().core
        for head in _KINDS:
            if names := types.between(head, kind):
                slots = core.end_slots(head, kind) | {"relations": "|".join(names)}
                for page in self.store.read("retiring/ties_to", slots, tails=list(ids)):
                    heads = [Node(head, one) for one in page["heads"]]
                    yield from _links(page, heads, [Node(kind, one) for one in page["tails"]])

    def _named(self, ties: Sequence[LinkRecord]) -> list[LinkRecord]:
        """Return ties whose entities have types and names, from which orphans come back."""
        ids = sorted({node.id for one in ties for node in (one.head, one.tail)})
        label = load_schema().labels.entity
        known: dict[str, Node] = {}
        for part in batched(ids, _PARTS):
            for page in self.store.read("finding/entity_names", ids=part):
                for each, name, labels in zip(*(page[c] for c in _COLUMNS), strict=True):
                    known[each] = Node("entity", each, type_of(labels, label), name)
        return [
            LinkRecord(
                _as(one.head, known),
                one.relation,
                _as(one.tail, known),
                one.confidence,
                one.source,
                one.extractor,
                one.evidence,
            )
            for one in ties
        ]


_COLUMNS = ("ids", "names", "labels")


def _as(node: Node, known: Mapping[str, Node]) -> Node:
    return known.get(node.id, node) if node.kind == "entity" else node


def _tie_rows(ties: Sequence[LinkRecord]) -> list[list[Any]]:
    return [
        [
            list(one.head),
            one.relation,
            list(one.tail),
            one.confidence,
            one.source,
            one.extractor,
            one.evidence,
        ]
        for one in ties
    ]


def _links(
    page: Mapping[str, Sequence[Any]], heads: Sequence[Node], tails: Sequence[Node]
) -> Iterator[LinkRecord]:
    values = ("confidences", "sources", "extractors", "evidence")
    rows = zip(heads, page["relations"], tails, *(page[name] for name in values), strict=True)
    yield from (LinkRecord(*row) for row in rows)


def _without_orphans(ties: Sequence[LinkRecord]) -> list[Step]:
    ends = {node.id for one in ties for node in (one.head, one.tail) if node.kind == "entity"}
    if not ends:
        return []
    return [("retiring/delete_orphans", {}, {"entities": sorted(ends)})]


def _content_of(row: Mapping[str, Any], key: str, label: str) -> dict[str, Any]:
    values = {name: value for name, value in row["values"].items() if name not in _VECTORS}
    times = {name: one.isoformat() for name, one in values.items() if isinstance(one, datetime)}
    return {
        key: row["id"],
        "type": type_of(row["labels"], label),
        "properties": {name: one for name, one in values.items() if name not in times},
        "times": times,
    }
