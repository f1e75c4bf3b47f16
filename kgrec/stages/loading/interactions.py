"""Interactions into the graph, user by user, each key once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from kgrec.data.records import InteractionRecord
from kgrec.data.spool import Spooled
from kgrec.graph.store import GraphStore, Step
from kgrec.stages.loading.items import Refuse
from kgrec.stages.loading.tally import Tally, batched

INTERACTIONS_A_BATCH = 5_000

_Pair = tuple[str, str]
"""Item and key."""


@dataclass
class InteractionLoader:
    """Writes interactions that come in the order of their users.

    Args:
        item_type: the item label of the domain, for items that are created.
        create_items: whether an unknown item is created; without it the interaction is refused.
        refuse: takes what cannot be written.
    """

    store: GraphStore
    item_type: str
    create_items: bool
    refuse: Refuse
    _known: dict[str, dict[_Pair, float]] = field(default_factory=dict)

    def write(self, interactions: Iterable[Spooled]) -> Iterator[Tally]:
        """Write interactions, a transaction a batch; yields what each batch did."""
        for batch in batched(interactions, INTERACTIONS_A_BATCH):
            yield self._write_batch(batch)

    def _write_batch(self, batch: Sequence[Spooled]) -> Tally:
        items = sorted({one.item_id for _, one in batch})
        there = {r["item_id"] for r in self.store.read("ingest/items", items=items, properties=[])}
        new_items = [item for item in items if item not in there] if self.create_items else []
        usable = self._usable(batch, there | set(new_items))
        users = list(dict.fromkeys(one.user_id for one in usable))
        new_users = self._read_users(users)
        tally = Tally(users=len(new_users), items=len(new_items))
        changed = []
        for one in usable:
            before = self._known[one.user_id].get((one.item_id, one.key))
            if before is None:
                tally.created += 1
            elif before != one.value:
                tally.updated += 1
            else:
                tally.unchanged += 1
                continue
            changed.append(one)
        steps = self._steps(new_items, new_users, changed)
        if steps:
            self.store.write_all(steps)
        return tally

    def _usable(self, batch: Sequence[Spooled], items: set[str]) -> list[InteractionRecord]:
        usable = []
        for line, one in batch:
            if one.item_id in items:
                usable.append(one)
            else:
                self.refuse(line, one.item_id, "there is no such item")
        return usable

    def _read_users(self, users: list[str]) -> list[str]:
        """Learn what the graph holds of users; returns those that it does not know.

        The batch before may have ended within the first of them, who is known already.
        """
        self._known = {user: known for user, known in self._known.items() if user in users}
        asked = [user for user in users if user not in self._known]
        self._known |= {user: {} for user in asked}
        there = {r["user_id"] for r in self.store.read("ingest/users", users=asked, properties=[])}
        present = [user for user in asked if user in there]
        for row in self.store.read("ingest/interactions", users=present) if present else ():
            columns = (row["users"], row["items"], row["keys"], row["values"])
            for user, item, key, value in zip(*columns, strict=True):
                self._known[present[user]][item, key] = value
        return [user for user in asked if user not in there]

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
            steps.append(("ingest/upsert_interactions", {}, {"groups": _groups(changed)}))
        return steps


def _groups(interactions: Iterable[InteractionRecord]) -> list[dict[str, Any]]:
    """Return columns for each user: lists of strings and numbers travel much faster than maps."""
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
            }
        )
    return groups
