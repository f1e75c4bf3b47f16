"""What a query reads of the graph: one statement for the user, the model and the revision."""

from __future__ import annotations

from dataclasses import dataclass

from kgrec.graph.store import CATALOGUE, GraphStore
from kgrec.retrieval.history import Event, interactions_of
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
    interactions: list[Event] | None
    snapshot: Snapshot | None


def read_state(
    store: GraphStore, models: LiveModels, resident: Resident | None, user_id: str = NOBODY
) -> GraphState:
    """Read what a query for a user, or for nobody, depends on.

    Raises:
        ModelError: no model is live, or it cannot be loaded.
    """
    [row] = store.read("recommend/state", user_id=user_id, revision=CATALOGUE)
    live = models.serve(row["model_id"], row["slot"], row["folded"])
    snapshot = None if resident is None else resident.at(int(row["revision"] or 0))
    interactions = None if row["user_id"] is None else interactions_of(row)
    return GraphState(live, interactions, snapshot)
