"""Interactions into the graph, user by user, each key once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from kgrec.data.records import InteractionRecord
from kgrec.data.spool import Spooled
from kgrec.graph.store import GraphStore, Step
from kgrec.stages.loading.facts import Tally, batched
from kgrec.stages.loading.items import OF_ANOTHER_DOMAIN, Refuse

INTERACTIONS_A_BATCH = 5_000

_Interaction = tuple[str, str, str]
"""User, item and key."""


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
    _fresh: frozenset[str] = frozenset()

    def write(self, interactions: Iterable[Spooled]) -> Iterator[Tally]:
        """Write interactions, a transaction a batch; yields what each batch did."""
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
    ) -> tuple[list[str], dict[_Interaction, float]]:
        """Return the users that the graph does not know, and what it holds of the wanted pairs.

        The batch before may have ended within the first user. Where it created them, all that the
        graph holds of them is of this load, whose keys are distinct, so nothing is asked.
        """
        asked = [user for user in wanted if user not in self._fresh]
        there = {r["user_id"] for r in self.store.read("ingest/users", users=asked, properties=[])}
        new = [user for user in asked if user not in there]
        self._fresh = frozenset(user for user in wanted if user not in there)
        present = [user for user in asked if user in there]
        known: dict[_Interaction, float] = {}
        items = [dict.fromkeys(wanted[user], True) for user in present]
        rows = self.store.read("ingest/interactions", users=present, items=items) if present else ()
        for row in rows:
            columns = (row["users"], row["items"], row["keys"], row["values"])
            for user, item, key, value in zip(*columns, strict=True):
                known[present[user], item, key] = value
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
