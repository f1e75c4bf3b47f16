"""Candidates: every unseen item of the catalogue, or those that Cypher gathers from the graph."""

from __future__ import annotations

import hashlib
import threading
import time
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kgrec.config import FrozenModel
from kgrec.data.dataset import IntArray
from kgrec.graph.pages import item_id_pages
from kgrec.graph.store import GraphStore
from kgrec.model.profile import ProfileScorer
from kgrec.model.scorer import Scorer
from kgrec.retrieval.history import History
from kgrec.retrieval.live import LiveModel
from kgrec.retrieval.snapshot import Snapshot

MEMORY_ITEMS = 200_000
"""A catalogue of at most so many items is scored whole for each query."""
MASK_AGE_S = 300.0
"""Seconds after which it is read again which items the graph has."""

Retrieval = Literal["auto", "memory", "graph"]


class CandidateConfig(FrozenModel):
    """How many candidates are gathered from the graph.

    Attributes:
        neighbours: number requested from the vector index beside the seen items; far more than are
            shown, since an index is approximate and one engine's recall is low below 100.
        suggested: how many the suggestions of the history may add.
        history: at most so many items of a history, the newest, are followed in the graph.
        seen: the graph leaves out up to so many seen items; beyond, more is requested instead.
    """

    neighbours: int = 300
    suggested: int = 300
    history: int = 500
    seen: int = 1000


@dataclass(frozen=True, eq=False)
class Catalogue:
    """Which items of a model the graph has.

    Attributes:
        present: bool [I].
        fingerprint: eight hexadecimal digits over `present`.
        place: row of each item in the snapshot, int64 [I], -1 where it is not there;
            None where the graph was read.
    """

    present: NDArray[np.bool_]
    fingerprint: str
    place: IntArray | None = None

    @classmethod
    def of(cls, present: NDArray[np.bool_], place: IntArray | None = None) -> Catalogue:
        """Name a mask by what it holds."""
        fingerprint = hashlib.sha256(np.packbits(present).tobytes()).hexdigest()[:8]
        return cls(present, fingerprint, place)


class Catalogues:
    """Keeps which items the graph has for the models in use; safe to share between threads."""

    def __init__(self, store: GraphStore) -> None:
        self.store = store
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[float, int | None, Catalogue]] = {}

    def of(
        self, live: LiveModel, snapshot: Snapshot | None = None, *, anew: bool = False
    ) -> Catalogue:
        """Return which items of a model there are.

        Args:
            snapshot: decides where it is given; else the graph is read once in a while.
            anew: ask again, since an item turned out to be missing.
        """
        kept = self._kept.get(live.model_id)
        now, revision = time.monotonic(), None if snapshot is None else snapshot.revision
        if kept is not None and not anew:
            age, known, catalogue = now - kept[0], kept[1], kept[2]
            if known == revision and revision is not None:
                return catalogue
            if revision is None and age < MASK_AGE_S:
                return catalogue
        if snapshot is not None:
            place = snapshot.nodes["item"].rows(live.team.items.ids)
            catalogue = Catalogue.of(place >= 0, place)
        else:
            present = np.zeros(len(live.team.items), dtype=np.bool_)
            for page in item_id_pages(self.store):
                rows = live.team.items.rows(page["ids"])
                present[rows[rows >= 0]] = True
            catalogue = Catalogue.of(present)
        with self._lock:
            while len(self._kept) > 1 and live.model_id not in self._kept:
                self._kept.pop(next(iter(self._kept)))
            self._kept[live.model_id] = (now, revision, catalogue)
        return catalogue


def in_memory(retrieval: Retrieval, live: LiveModel) -> bool:
    """Tell whether the whole catalogue is scored; a model without an index has no other way."""
    if not live.slot:
        return True
    return retrieval == "memory" or (retrieval == "auto" and len(live.team.items) <= MEMORY_ITEMS)


def gather(
    store: GraphStore,
    live: LiveModel,
    history: History,
    scorer: Scorer,
    *,
    config: CandidateConfig,
    k: int,
) -> IntArray:
    """Return the rows of unseen candidates that the graph finds for a history, rising, int64 [C].

    An item that the graph has and the model does not know is no candidate.

    Args:
        k: how many will be shown; at least ten times as many are requested.
    """
    seen = sorted(history.seen_ids) if len(history.seen) <= config.seen else []
    found = _nearest(store, live, history, scorer, seen, max(config.neighbours, 10 * k))
    number = max(config.suggested, 10 * k)
    found += _suggested(store, live, history, scorer, seen, number, config.history)
    items = live.team.items
    ids = {item for row in found for item in row["items"]} - history.seen_ids
    rows = items.rows(ids)
    return np.sort(rows[rows >= 0])


def best_declared(
    store: GraphStore,
    live: LiveModel,
    scorer: ProfileScorer,
    left: NDArray[np.bool_],
    *,
    config: CandidateConfig,
    k: int,
) -> IntArray:
    """Return the rows of the best items by what is declared that the graph has, int64 [C].

    A profile has no vectors to look for in an index: all its scores are computed, and the graph
    is queried for those of the best that it still has.

    Args:
        left: which items may be candidates, bool [I].
    """
    scores, number = np.where(left, scorer.scores(), -np.inf), max(config.neighbours, 10 * k)
    best = np.argsort(-scores, kind="stable")[: min(number, int(left.sum()))]
    rows = store.read("recommend/titles", items=live.team.items.take(best.astype(np.int64)))
    return np.sort(live.team.items.rows(row["item_id"] for row in rows))


def _nearest(
    store: GraphStore,
    live: LiveModel,
    history: History,
    scorer: Scorer,
    seen: list[str],
    number: int,
) -> list[dict[str, list[str]]]:
    if live.index is None:
        return []
    vector = scorer.vector()
    if not np.any(vector):
        return []
    return store.read(
        "recommend/nearest",
        index=live.index,
        k=min(number + len(history.seen), len(live.team.items)),
        vector=(vector / np.linalg.norm(vector)).tolist(),
        seen=seen,
    )


def _suggested(
    store: GraphStore,
    live: LiveModel,
    history: History,
    scorer: Scorer,
    seen: list[str],
    number: int,
    newest: int,
) -> list[dict[str, list[str]]]:
    attention = {
        kernel.agent: alpha * len(history) ** -kernel.history_power
        for kernel, alpha in zip(live.team.kernels, scorer.alpha.tolist(), strict=True)
        if kernel.rows is not None and alpha > 0
    }
    if not attention:
        return []
    return store.read(
        "recommend/suggested",
        history=history.ids[:newest],
        seen=seen,
        model_id=live.model_id,
        attention=attention,
        limit=number if seen else number + len(history.seen),
    )
