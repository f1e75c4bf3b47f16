"""Nodes that were merged into others: whoever names one by its old id or name reaches the kept one.

What is merged is read once and again when it has changed, so a load costs one short read a batch.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import Any
from weakref import WeakKeyDictionary

from kgrec.data.records import EntityRecord, ItemRecord, LinkRecord, Node
from kgrec.graph.store import GraphStore

MERGES = "merges"
"""The `Revision` that counts merges and what is undone of them."""
_A_PAGE = 5_000


@dataclass(frozen=True, slots=True)
class MergeRecord:
    """A node that was merged into another.

    Attributes:
        kind: `entity` or `item`.
        type: the label that its domain gave it.
        kept, merged: ids of the node that stands for both, and of the other one.
        name: of the other one.
        score: probability that they are one; 1 where a person confirmed it.
        reasons: why they are one.
        former: ids that lead to the kept node by it.
        aliases: what the kept node is also called by it.
        number: their order.
    """

    merge_id: str
    kind: str
    type: str
    kept: str
    merged: str
    name: str
    score: float
    reasons: tuple[str, ...]
    former: tuple[str, ...]
    aliases: tuple[str, ...]
    number: int
    at: datetime


def merges(store: GraphStore) -> Iterator[MergeRecord]:
    """Yield all merges in the order of their ids."""
    after = ""
    while True:
        rows = store.read("resolve/merge_page", after=after, limit=_A_PAGE)
        if not rows or not rows[0]["ids"]:
            return
        for *known, reasons, former, aliases, number, time in zip(*rows[0].values(), strict=True):
            lists = [tuple(names or ()) for names in (reasons, former, aliases)]
            values = [*known, *lists, number, datetime.fromtimestamp(time / 1000, UTC)]
            names = [field.name for field in fields(MergeRecord)]
            yield MergeRecord(**dict(zip(names, values, strict=True)))
        after = max(rows[0]["ids"])


@dataclass(frozen=True)
class Redirects:
    """Where ids lead by now.

    Attributes:
        items, entities: id of a merged node, or one that its names would have, to the kept node.
        aliases: what entities are called beside their own names because others were merged into
            them.
    """

    items: Mapping[str, str] = field(default_factory=dict)
    entities: Mapping[str, str] = field(default_factory=dict)
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.items or self.entities)

    def of(self, kind: str, node: str) -> str:
        """Return the id that stands for a node."""
        known = {"item": self.items, "entity": self.entities}.get(kind, {})
        return known.get(node, node)

    def node(self, node: Node) -> Node:
        """Return the end of a fact that stands for another one."""
        now = self.of(node.kind, node.id)
        return node if now == node.id else node._replace(id=now)

    def link(self, record: LinkRecord) -> LinkRecord | None:
        """Return a fact with the ends that it has by now; None where both are one."""
        head, tail = self.node(record.head), self.node(record.tail)
        if head[:2] == tail[:2]:
            return None
        return record._replace(head=head, tail=tail)

    def item(self, record: ItemRecord) -> ItemRecord:
        """Return an item, or what a row of a merged one adds to the item that stands for it."""
        now = self.items.get(record.item_id)
        if now is None:
            return record
        given = {name: value for name, value in record.properties.items() if name != "title"}
        facts = tuple(fact._replace(item_id=now) for fact in record.facts)
        return replace(
            record,
            item_id=now,
            properties=given,
            facts=facts,
            filling=frozenset(given),
            merged=True,
        )

    def entity(self, record: EntityRecord) -> EntityRecord:
        """Return an entity with the aliases that it got by merges, or what a row of a merged one
        adds to the entity that stands for it."""
        now = self.entities.get(record.node.id)
        if now is not None:
            own = ("name", "aliases")
            given = {name: value for name, value in record.properties.items() if name not in own}
            node = record.node._replace(id=now)
            filling = frozenset(given)
            return replace(record, node=node, properties=given, filling=filling, merged=True)
        more = self.aliases.get(record.node.id)
        held = record.properties.get("aliases")
        if not more or not isinstance(held, tuple):
            return record
        every = tuple(dict.fromkeys([*held, *more]))
        return replace(record, properties={**record.properties, "aliases": every})


_known: WeakKeyDictionary[GraphStore, tuple[Any, Redirects]] = WeakKeyDictionary()
_NONE = Redirects()


def redirects_of(store: GraphStore) -> Redirects:
    """Return where the ids of merged nodes lead, read anew only where that has changed."""
    (state,) = store.read("resolve/state", revision=MERGES)
    if not state["merges"]:
        return _NONE
    mark = state["merges"], state["number"]
    before = _known.get(store)
    if before is not None and before[0] == mark:
        return before[1]
    found = _made(list(merges(store)))
    _known[store] = mark, found
    return found


def _made(every: list[MergeRecord]) -> Redirects:
    to: dict[str, dict[str, str]] = {"item": {}, "entity": {}}
    aliases: dict[str, list[str]] = defaultdict(list)
    every.sort(key=lambda one: one.number)
    for one in every:
        to[one.kind] |= dict.fromkeys(one.former, one.kept)
    for known in to.values():
        for node in known:
            known[node] = _end(known, node)
    for one in every:
        kept = to[one.kind].get(one.kept, one.kept)
        if one.kind == "entity":
            aliases[kept] += [each for each in one.aliases if each not in aliases[kept]]
    named = {node: tuple(names) for node, names in aliases.items()}
    return Redirects(to["item"], to["entity"], named)


def _end(known: Mapping[str, str], node: str) -> str:
    """Return where a chain of merges ends."""
    passed = {node}
    while (following := known.get(known[node])) is not None and following not in passed:
        passed.add(known[node])
        node = known[node]
    return known[node]
