"""Candidates for a history, gathered from the graph by Cypher: neighbours and suggestions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kgrec.config import FrozenModel
from kgrec.graph.store import GraphStore
from kgrec.retrieval.history import History
from kgrec.retrieval.live import LiveModel


class CandidateConfig(FrozenModel):
    """How many candidates are gathered.

    Attributes:
        neighbours: how many the vector index is asked for beside what was seen. An index is
            approximate and one engine's recall is low below 100, so it is asked for far more
            than are shown.
        suggested: how many the suggestions of the history may add.
        history: at most so many items of a history, the newest, are followed in the graph; the
            score takes all of them.
        seen: the graph leaves out what was seen up to so many items; of a longer history it
            would compare every candidate with every item, so more is asked for instead.
    """

    neighbours: int = 300
    suggested: int = 300
    history: int = 500
    seen: int = 1000


def gather(
    store: GraphStore,
    live: LiveModel,
    history: History,
    *,
    config: CandidateConfig | None = None,
    k: int = 10,
    attention: NDArray[np.float64] | None = None,
) -> dict[str, str]:
    """Return unseen candidates of a history, id to title; a model without news is no candidate.

    Args:
        k: how many will be shown; at least ten times as many are asked for.
        attention: the team's for this history, where it is known.
    """
    config = config or CandidateConfig()
    found: dict[str, str] = {}
    seen = sorted(history.seen) if len(history.seen) <= config.seen else []
    taken = history.taken(len(live.team.items))
    active = live.team.attention(taken) if attention is None else attention
    rows = _nearest(store, live, history, active, seen, max(config.neighbours, 10 * k))
    suggested = max(config.suggested, 10 * k)
    rows += _suggested(store, live, history, active, seen, suggested, config.history)
    for row in rows:
        for item_id, title in zip(row["items"], row["titles"], strict=True):
            if item_id in live.team.items and item_id not in history.seen:
                found.setdefault(item_id, title or item_id)
    return found


def _nearest(
    store: GraphStore,
    live: LiveModel,
    history: History,
    attention: NDArray[np.float64],
    seen: list[str],
    number: int,
) -> list[dict[str, list[str]]]:
    if live.index is None:
        return []
    vector = live.team.query_vector(history.taken(len(live.team.items)), attention=attention)
    if not np.any(vector):
        return []
    wanted = min(number + len(history.seen), len(live.team.items))
    return store.read(
        "recommend/nearest",
        index=live.index,
        k=wanted,
        vector=(vector / np.linalg.norm(vector)).tolist(),
        seen=seen,
    )


def _suggested(
    store: GraphStore,
    live: LiveModel,
    history: History,
    attention: NDArray[np.float64],
    seen: list[str],
    number: int,
    newest: int,
) -> list[dict[str, list[str]]]:
    team = live.team
    active = {
        kernel.agent: weight * len(history) ** -kernel.history_power
        for kernel, weight in zip(team.kernels, attention.tolist(), strict=True)
        if kernel.rows is not None and weight > 0
    }
    if not active:
        return []
    return store.read(
        "recommend/suggested",
        history=history.ids[:newest],
        seen=seen,
        model_id=live.model_id,
        attention=active,
        limit=number if seen else number + len(history.seen),
    )
