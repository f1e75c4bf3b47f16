"""Writes edges to the graph, grouped by head: interactions, and the facts and links of tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from kgrec.data.records import InteractionRecord, LinkRecord, Node
from kgrec.data.spool import Spooled
from kgrec.graph.pages import Ends
from kgrec.graph.store import GraphStore, Step
from kgrec.schema import NodeKind
from kgrec.stages.loading.facts import (
    Head,
    Tally,
    batched,
    created_entities,
    fact_changes,
)
from kgrec.stages.loading.items import OF_ANOTHER_DOMAIN, Refuse

INTERACTIONS_A_BATCH = 5_000

_Interaction = tuple[str, str, str]
"""User, item and key."""


@dataclass
class InteractionLoader:
    """Writes interactions that are sorted by user.

    Args:
        item_type: the item label of the domain, for items that are created.
        create_items: whether an unknown item is created; without it the interaction is refused.
        refuse: called for each record that cannot be written.
        source: what interactions are marked with, so that it is known when a complete source no
            longer holds them; empty for others.
    """

    store: GraphStore
    item_type: str
    create_items: bool
    refuse: Refuse
    source: str = ""
    _fresh: frozenset[str] = frozenset()

    def write(self, interactions: Iterable[Spooled]) -> Iterator[Tally]:
        """Write interactions, one transaction a batch; yield the counts of each batch."""
        for batch in batched(interactions, INTERACTIONS_A_BATCH):
            yield self._write_batch(batch)

    def _write_batch(self, batch: Sequence[Spooled]) -> Tally:
        items = sorted({one.item_id for _, one in batch})
        labels = self._labels(items)
        new_items = [item for item in items if item not in labels] if self.create_items else []
        usable = self._usable(batch, labels | {item: {self.item_type} for item in new_items})
        wanted: dict[str, list[str]] = {}
        for one in usable:
            wanted.setdefault(one.user_id, []).append(one.item_id)
        new_users, known = self._read_users(wanted)
        tally = Tally(users=len(new_users), items=len(new_items))
        changed = []
        for one in usable:
            before = known.get((one.user_id, one.item_id, one.key))
            if before is None:
                tally.created += 1
            elif before[:3] != (one.value, one.device, one.scenario) or (
                self.source not in ("", before[3])
            ):
                tally.updated += 1
            else:
                tally.unchanged += 1
                continue
            changed.append(one)
        steps = self._steps(new_items, new_users, changed)
        if steps:
            self.store.write_all(steps)
        return tally

    def _labels(self, items: list[str]) -> dict[str, set[str]]:
        rows = self.store.read("ingest/items", items=items, properties=[])
        return {row["item_id"]: set(row["labels"]) for row in rows}

    def _usable(
        self, batch: Sequence[Spooled], labels: Mapping[str, set[str]]
    ) -> list[InteractionRecord]:
        usable = []
        for line, one in batch:
            if one.item_id not in labels:
                self.refuse(line, one.item_id, "there is no such item")
            elif self.item_type not in labels[one.item_id]:
                self.refuse(line, one.item_id, OF_ANOTHER_DOMAIN)
            else:
                usable.append(one)
        return usable

    def _read_users(
        self, wanted: Mapping[str, list[str]]
    ) -> tuple[list[str], dict[_Interaction, tuple[float, str, str, str]]]:
        """Return the users that are not in the graph, and what the wanted interactions hold.

        A user may span two batches. Where the batch before created the user, all their
        interactions in the graph are of this load, whose keys are distinct, so none is read.
        """
        unread = [user for user in wanted if user not in self._fresh]
        there = {r["user_id"] for r in self.store.read("ingest/users", users=unread, properties=[])}
        new = [user for user in unread if user not in there]
        self._fresh = frozenset(user for user in wanted if user not in there)
        present = [user for user in unread if user in there]
        known: dict[_Interaction, tuple[float, str, str, str]] = {}
        items = [dict.fromkeys(wanted[user], True) for user in present]
        rows = self.store.read("ingest/interactions", users=present, items=items) if present else ()
        for row in rows:
            names = ("users", "items", "keys", "values", "devices", "scenarios", "sources")
            for user, item, key, *held in zip(*(row[name] for name in names), strict=True):
                known[present[user], item, key] = (held[0], held[1], held[2], held[3])
        return new, known

    def _steps(
        self, items: Sequence[str], users: Sequence[str], changed: Sequence[InteractionRecord]
    ) -> list[Step]:
        steps: list[Step] = []
        if items:
            labels = {"item_type": self.item_type}
            steps.append(("ingest/create_items", labels, {"items": items}))
        if users:
            named = [{"user_id": user, "properties": {}} for user in users]
            steps.append(("ingest/upsert_users", {}, {"rows": named}))
        if changed:
            steps.append(
                (
                    "ingest/upsert_interactions",
                    {},
                    {"groups": _groups(changed), "source": self.source or None},
                )
            )
        return steps


def _groups(interactions: Iterable[InteractionRecord]) -> list[dict[str, Any]]:
    """Return columns for each user: the driver sends lists of scalars much faster than maps."""
    groups = []
    for user_id, own in groupby(interactions, key=lambda one: one.user_id):
        rows = list(own)
        groups.append(
            {
                "user_id": user_id,
                "items": [one.item_id for one in rows],
                "keys": [one.key for one in rows],
                "kinds": [one.kind for one in rows],
                "values": [one.value for one in rows],
                "times": [one.at for one in rows],
                "devices": [one.device for one in rows],
                "scenarios": [one.scenario for one in rows],
            }
        )
    return groups


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
