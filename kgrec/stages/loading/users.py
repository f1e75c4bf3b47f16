"""Users with their properties into the graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kgrec.data.records import UserRecord
from kgrec.graph.store import GraphStore
from kgrec.stages.loading.items import differs, sendable
from kgrec.stages.loading.tally import Tally

USERS_A_BATCH = 5_000


@dataclass(frozen=True)
class UserLoader:
    """Writes users."""

    store: GraphStore

    def write(self, batch: Sequence[tuple[int, UserRecord]]) -> Tally:
        """Write users with distinct ids in one transaction; what is there already is left alone.

        Args:
            batch: line and user.
        """
        users = [user for _, user in batch]
        names = sorted({name for user in users for name in user.properties})
        ids = [user.user_id for user in users]
        known: dict[str, dict[str, Any]] = {
            row["user_id"]: dict(zip(names, row["values"], strict=True))
            for row in self.store.read("ingest/users", users=ids, properties=names)
        }
        changed = [user for user in users if differs(user.properties, known.get(user.user_id))]
        if changed:
            rows = [
                {"user_id": user.user_id, "properties": sendable(user.properties)}
                for user in changed
            ]
            self.store.write("ingest/upsert_users", rows=rows)
        created = len(users) - len(known)
        updated = len(changed) - created
        return Tally(created=created, updated=updated, unchanged=len(known) - updated)
