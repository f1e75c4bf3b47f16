"""Writes the facts and links of tables to the graph, grouped by the node that they lead from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from kgrec.data.records import LinkRecord, Node
from kgrec.graph.pages import Ends
from kgrec.graph.store import GraphStore
from kgrec.schema import NodeKind
from kgrec.stages.loading.facts import (
    Head,
    Tally,
    created_entities,
    fact_changes,
)
from kgrec.stages.loading.items import OF_ANOTHER_DOMAIN, Refuse

LINKS_A_BATCH = 5_000

_Line = tuple[int, LinkRecord]


@dataclass(frozen=True)
class LinkLoader:
    """Writes edges that are sorted by head.

    Missing entities are created; missing items and users are not, and an edge with one of them is
    refused. An edge that an earlier version of the table held for a head that it still names, and
    that this version does not hold, is withdrawn.

    Args:
        item_type: the item label of the domain.
        run_id: the run whose edges these are.
        ends: kinds of node that the table's relations lead from and to.
        refuse: called for each record that cannot be written.
    """

    store: GraphStore
    item_type: str
    run_id: str
    ends: tuple[Ends, ...]
    refuse: Refuse

    def write(self, links: Iterable[_Line]) -> Iterator[Tally]:
        """Write edges, one transaction a batch of whole heads; yield the counts of each batch."""
        batch: list[_Line] = []
        for line, link in links:
            if len(batch) >= LINKS_A_BATCH and link.head != batch[-1][1].head:
                yield self._write_batch(batch)
                batch = []
            batch.append((line, link))
        if batch:
            yield self._write_batch(batch)

    def _write_batch(self, batch: Sequence[_Line]) -> Tally:
        usable = self._usable(batch)
        sources: dict[Head, set[str]] = {}
        for link in usable:
            sources.setdefault(link.head[:2], set()).add(link.source)
        withdraw = {head: frozenset(names) for head, names in sources.items()}
        changes = fact_changes(self.store, usable, self.run_id, withdraw=withdraw, ends=self.ends)
        tally = Tally(
            created=changes.created,
            updated=changes.updated,
            unchanged=len(usable) - changes.written,
            withdrawn=changes.withdrawn,
        )
        steps = list(changes.steps)
        items = sorted(node for kind, node in changes.losing if kind == "item")
        if items:
            # A withdrawn fact may have replaced one that the text states as well: read it again.
            steps.append(("ingest/read_again", {}, {"items": items}))
        if steps:
            tally.entities = created_entities(steps, self.store.write_all(steps))
        return tally

    def _usable(self, batch: Sequence[_Line]) -> list[LinkRecord]:
        nodes = [node for _, link in batch for node in (link.head, link.tail)]
        items = self._items(_ids(nodes, "item"))
        users = self._users(_ids(nodes, "user"))
        usable = []
        for line, link in batch:
            problems = (self._problem(node, items, users) for node in (link.head, link.tail))
            found = next((problem for problem in problems if problem is not None), None)
            if found is None:
                usable.append(link)
            else:
                self.refuse(line, *found)
        return usable

    def _problem(
        self, node: Node, items: dict[str, set[str]], users: set[str]
    ) -> tuple[str, str] | None:
        if node.kind == "user" and node.id not in users:
            return node.id, "there is no such user"
        if node.kind == "item" and node.id not in items:
            return node.id, "there is no such item"
        if node.kind == "item" and self.item_type not in items[node.id]:
            return node.id, OF_ANOTHER_DOMAIN
        return None

    def _items(self, ids: list[str]) -> dict[str, set[str]]:
        rows = self.store.read("ingest/items", items=ids, properties=[]) if ids else []
        return {row["item_id"]: set(row["labels"]) for row in rows}

    def _users(self, ids: list[str]) -> set[str]:
        rows = self.store.read("ingest/users", users=ids, properties=[]) if ids else []
        return {row["user_id"] for row in rows}


def _ids(nodes: Iterable[Node], kind: NodeKind) -> list[str]:
    return sorted({node.id for node in nodes if node.kind == kind})
