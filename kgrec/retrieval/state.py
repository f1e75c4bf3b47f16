"""What a query reads of the graph: one statement for the user, the model and the revision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kgrec.graph.store import CATALOGUE, GraphStore
from kgrec.retrieval.history import UserInteractions, interactions_of
from kgrec.retrieval.known_users import KnownUsers
from kgrec.retrieval.live import LiveModel, LiveModels
from kgrec.retrieval.resident import Resident
from kgrec.retrieval.snapshot import Snapshot

NOBODY = ""
"""The id of no user."""


@dataclass(frozen=True, eq=False)
class GraphState:
    """The graph as a query finds it.

    Attributes:
        live: the live model.
        interactions: of the user, newest first; None where there is no such user.
        snapshot: the catalogue in memory, where it is as of the revision that was read.
    """

    live: LiveModel
    interactions: UserInteractions | None
    snapshot: Snapshot | None


def read_state(
    store: GraphStore,
    models: LiveModels,
    resident: Resident | None,
    user_id: str = NOBODY,
    known: KnownUsers | None = None,
) -> GraphState:
    """Read what a query for a user, or for nobody, depends on.

    Args:
        known: what was read of users before, where that is kept.

    Raises:
        ModelError: no model is live, or it cannot be loaded.
    """
    [row] = store.read("recommend/state", user_id=user_id, revision=CATALOGUE)
    live = models.serve(row["model_id"], row["slot"], row["folded"])
    snapshot = None if resident is None else resident.at(int(row["revision"] or 0))
    if row["user_id"] is None:
        if known is not None:
            known.forget(user_id)
        return GraphState(live, None, snapshot)
    if known is not None and snapshot is not None:
        return GraphState(live, known.interactions(user_id, row, snapshot), snapshot)
    titles = titles_of(store, row["items"], snapshot)
    named = [titles.get(item, item) for item in row["items"]]
    return GraphState(live, interactions_of({**row, "titles": named}), snapshot)


def titles_of(
    store: GraphStore, ids: Sequence[str], snapshot: Snapshot | None = None
) -> dict[str, str]:
    """Return the titles of items, by id, or the id of one without; unknown ids are left out."""
    if snapshot is not None:
        return snapshot.titles(ids)
    if not ids:
        return {}
    rows = store.read("recommend/titles", items=list(ids))
    return {row["item_id"]: row["title"] or row["item_id"] for row in rows}
