"""Candidates: every unseen item of the catalogue, or those that Cypher gathers from the graph."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kgrec.config import FrozenModel
from kgrec.data.dataset import IntArray
from kgrec.data.vocabulary import Vocabulary
from kgrec.graph.pages import item_id_pages
from kgrec.graph.store import GraphStore
from kgrec.model.profile import ProfileScorer
from kgrec.model.scorer import Scorer
from kgrec.retrieval.availability import Restrictions, Windows, read_restrictions, span
from kgrec.retrieval.history import History
from kgrec.retrieval.live import LiveModel
from kgrec.retrieval.snapshot import Snapshot, read_revision

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
        fingerprint: eight hexadecimal digits over `present` and the windows.
        place: row of each item in the snapshot, int64 [I], -1 where it is not there;
            None where the graph was read.
        restrictions: what `windows` come from.
        windows: when the items may be shown; None where no item has a limit.
    """

    present: NDArray[np.bool_]
    fingerprint: str
    place: IntArray | None
    restrictions: Restrictions
    windows: Windows | None

    @classmethod
    def of(
        cls,
        present: NDArray[np.bool_],
        place: IntArray | None,
        restrictions: Restrictions,
        items: Vocabulary,
    ) -> Catalogue:
        """Name a catalogue by what it holds."""
        windows = restrictions.of_items(items)
        content = np.packbits(present).tobytes() + (b"" if windows is None else windows.digest)
        fingerprint = hashlib.sha256(content).hexdigest()[:8]
        return cls(present, fingerprint, place, restrictions, windows)

    def shown(self, moments: Sequence[int]) -> NDArray[np.bool_]:
        """Return which items there are and may be shown at all of some moments, bool [I]."""
        if self.windows is None:
            return self.present
        return self.present & self.windows.open_at(moments)


class Catalogues:
    """Keeps which items the graph has for the models in use; safe to share between threads.

    Args:
        store: the graph.
        rest_s: seconds in which it is not read again which items are available; a batch of many
            queries is one request.
    """

    def __init__(self, store: GraphStore, rest_s: float = 0.0) -> None:
        self.store = store
        self.rest_s = rest_s
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[float, int | None, Catalogue]] = {}
        self._restrictions: tuple[float, int, Restrictions] | None = None

    def restrictions(self, snapshot: Snapshot | None = None) -> Restrictions:
        """Return the items that are not shown at all times, as of now or of a snapshot."""
        if snapshot is not None:
            return snapshot.restrictions
        kept, now = self._restrictions, time.monotonic()
        if kept is not None and now - kept[0] < self.rest_s:
            return kept[2]
        revision = read_revision(self.store)
        if kept is not None and kept[1] == revision and now - kept[0] < MASK_AGE_S:
            return kept[2]
        found = read_restrictions(self.store)
        self._restrictions = (now, revision, found)
        return found

    def of(
        self, live: LiveModel, snapshot: Snapshot | None = None, *, anew: bool = False
    ) -> Catalogue:
        """Return which items of a model there are.

        Args:
            snapshot: decides where it is given; else the graph is read once in a while.
            anew: ask again, since an item turned out to be missing.
        """
        restrictions = self.restrictions(snapshot)
        kept, items = self._kept.get(live.version), live.team.items
        now, revision = time.monotonic(), None if snapshot is None else snapshot.revision
        if kept is not None and not anew:
            age, known, catalogue = now - kept[0], kept[1], kept[2]
            if known == revision if revision is not None else age < MASK_AGE_S:
                if catalogue.restrictions is restrictions:
                    return catalogue
                if snapshot is None:  # which items there are is not read again
                    present = catalogue.present
                    catalogue = Catalogue.of(present, None, restrictions, items)
                    return self._keep(live, now - age, None, catalogue)
        if snapshot is not None:
            place = snapshot.nodes["item"].rows(items.ids)
            catalogue = Catalogue.of(place >= 0, place, restrictions, items)
        else:
            present = np.zeros(len(items), dtype=np.bool_)
            for page in item_id_pages(self.store):
                rows = items.rows(page["ids"])
                present[rows[rows >= 0]] = True
            catalogue = Catalogue.of(present, None, restrictions, items)
        return self._keep(live, now, revision, catalogue)

    def _keep(
        self, live: LiveModel, now: float, revision: int | None, catalogue: Catalogue
    ) -> Catalogue:
        with self._lock:
            while len(self._kept) > 1 and live.version not in self._kept:
                self._kept.pop(next(iter(self._kept)))
            self._kept[live.version] = (now, revision, catalogue)
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
    left: NDArray[np.bool_],
    *,
    config: CandidateConfig,
    k: int,
    moments: Sequence[int],
) -> IntArray:
    """Return the rows of unseen candidates that the graph finds for a history, rising, int64 [C].

    An item that the graph has and the model does not know is no candidate.

    Args:
        left: which items may be candidates, bool [I].
        k: how many will be shown; at least ten times as many are requested.
        moments: at which items must be available, milliseconds since 1970.
    """
    seen = sorted(history.seen_ids) if len(history.seen) <= config.seen else []
    items, number = live.team.items, max(config.suggested, 10 * k)
    suggested = _suggested(store, live, history, scorer, seen, number, config.history, moments)
    number = max(config.neighbours, 10 * k)
    while True:
        near = _nearest(store, live, history, scorer, seen, number)
        rows = items.rows({item for row in (*suggested, *near) for item in row["items"]})
        rows = np.sort(rows[rows >= 0])
        rows = rows[left[rows]]
        if live.index is None or not near or number >= len(items):
            return rows
        # Many items with one vector, as those that nobody chose, cut an approximate index into
        # parts of which a search reaches one: then all of it is read.
        if sum(len(row["items"]) for row in near) < number:
            number = len(items)
        # Items that are not available are near as well: look further where they take the places.
        elif len(rows) < min(k, int(left.sum())):
            number *= 4
        else:
            return rows


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
    moments: Sequence[int],
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
        **span(moments),
    )
