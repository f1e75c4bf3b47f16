"""One query: made once for each request, and everything that answers it reads it.

A query is frozen. It holds the live model, the history, the moment, the filters, k, the knobs, the
shares and alpha of the agents, the candidates and their scores. The list, its reasons, an
explanation, a counterfactual and a batch all take the same object, so they cannot disagree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kgrec.config import FrozenModel
from kgrec.data.dataset import IntArray
from kgrec.errors import ConfigError
from kgrec.graph.store import GraphStore
from kgrec.model.scorer import Contributions, Scorer
from kgrec.retrieval.candidates import (
    CandidateConfig,
    Catalogues,
    Retrieval,
    gather,
    in_memory,
    unseen,
)
from kgrec.retrieval.filters import Filter, parse_filter, passing
from kgrec.retrieval.history import History
from kgrec.retrieval.live import LiveModel
from kgrec.retrieval.request_id import Purpose, RequestId, user_hash

Filters = Sequence[Filter | str]


class Knobs(FrozenModel):
    """What a caller may choose.

    Attributes:
        k: how many items are shown.
        filters: conditions that all must hold, as `parse_filter` reads them.
        diversity: from 0, the order of the scores, to 1.
    """

    k: int = 10
    filters: tuple[str, ...] = ()
    diversity: float = 0.0

    @classmethod
    def of(cls, k: int, filters: Filters = (), diversity: float = 0.0) -> Knobs:
        """Check the values; raises ConfigError for a `k` or a `diversity` of no use."""
        if k < 1:
            raise ConfigError("k must be 1 or more", value=k)
        if not 0.0 <= diversity <= 1.0:
            raise ConfigError("diversity must lie between 0 and 1", value=diversity)
        texts = tuple(each if isinstance(each, str) else each.text for each in filters)
        return cls(k=k, filters=texts, diversity=float(diversity))


@dataclass(frozen=True, eq=False)
class Scored:
    """The candidates of a query in the order of their scores; ties go by row.

    Attributes:
        rows: int64 [C].
        scores: float64 [C], falling.
        reordered: which the ranker reordered, bool [C].
    """

    rows: IntArray
    scores: NDArray[np.float64]
    reordered: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.rows)

    def position(self, row: int) -> int:
        """Return the place of an item, from 0; raises ValueError where it is no candidate."""
        return int(np.flatnonzero(self.rows == row)[0])


@dataclass(frozen=True, eq=False)
class Query:
    """One question to one model.

    Attributes:
        live: the model that answers.
        history: of the user, or without a name.
        knobs: k, filters, diversity.
        purpose: whom it is for; see `RequestId`.
        user_id: None for a history without a name.
        scorer: the history as the agents read it: weights, shares, alpha.
        candidates: rows, rising, int64 [C].
        filtered: how many unseen items the filters took away.
        catalogue: fingerprint of the items that the graph had, or empty; see `RequestId`.
        with_priors: False leaves out what is added whatever the history.
    """

    live: LiveModel
    history: History
    knobs: Knobs
    purpose: Purpose
    user_id: str | None
    scorer: Scorer
    candidates: IntArray
    filtered: int = 0
    catalogue: str = ""
    with_priors: bool = True

    @cached_property
    def scored(self) -> Scored:
        """The candidates with their scores, computed at the first use and kept."""
        base = self.scorer.scores(with_priors=self.with_priors)[self.candidates]
        scores, reordered = self.scorer.rank(self.candidates, base, with_priors=self.with_priors)
        order = np.argsort(-scores, kind="stable")
        return Scored(self.candidates[order], scores[order], reordered[order])

    def contributions(self, positions: Sequence[int] | IntArray) -> Contributions:
        """Take the scores at some positions of `scored` apart, [C] of them."""
        place = np.asarray(positions, dtype=np.int64)
        scored = self.scored
        return self.scorer.contributions(
            scored.rows[place],
            scored.scores[place],
            scored.reordered[place],
            with_priors=self.with_priors,
        )

    def ids(self, positions: Sequence[int] | IntArray) -> list[str]:
        """Return the ids of the items at some positions of `scored`."""
        return self.live.team.items.take(self.scored.rows[np.asarray(positions, dtype=np.int64)])

    @property
    def request_id(self) -> str:
        """The token from which this query can be made again."""
        return request_id(
            self.live, self.history, self.knobs, self.purpose, self.user_id, self.catalogue
        )

    def about(self, item_id: str) -> Query:
        """Return the query that says where an item stands: it is a candidate in any case.

        An item of the history is taken out of it; one that the filters leave out comes back in.
        """
        row = self.live.team.items.row(item_id)
        candidates = np.union1d(self.candidates, [row]).astype(np.int64)
        if item_id in self.history.seen_ids:
            history = self.history.without(item_id)
            scorer = self.live.team.scorer(history.histories)
            return replace(self, history=history, scorer=scorer, candidates=candidates)
        if len(candidates) == len(self.candidates):
            return self
        return replace(self, candidates=candidates)


class QueryMaker:
    """Makes queries; safe to share between threads.

    Args:
        store: the graph.
        retrieval: where candidates come from; see `RecommenderConfig`.
        config: how many come from the graph.
    """

    def __init__(
        self,
        store: GraphStore,
        retrieval: Retrieval = "auto",
        config: CandidateConfig | None = None,
    ) -> None:
        self.store = store
        self.retrieval = retrieval
        self.config = config or CandidateConfig()
        self.catalogues = Catalogues(store)

    def make(
        self,
        live: LiveModel,
        history: History,
        knobs: Knobs,
        purpose: Purpose = "user",
        user_id: str | None = None,
        *,
        passed: NDArray[np.bool_] | None = None,
        with_priors: bool = True,
    ) -> Query:
        """Make the query of a history.

        Args:
            passed: which items the filters let pass, bool [I], where it is known.
            with_priors: see `Query`.

        Raises:
            ConfigError: a filter makes no sense.
        """
        if passed is None:
            passed = self.passed(live, knobs)
        scorer = live.team.scorer(history.histories)
        if in_memory(self.retrieval, live):
            catalogue = self.catalogues.of(live)
            left = unseen(live, history, catalogue.present)
            named = catalogue.fingerprint
        else:
            every = np.ones(len(live.team.items), dtype=np.bool_)
            left, named = unseen(live, history, every), ""
        if passed is not None:
            candidates = np.flatnonzero(left & passed)
        elif named:
            candidates = np.flatnonzero(left)
        else:
            candidates = gather(self.store, live, history, scorer, config=self.config, k=knobs.k)
        filtered = 0 if passed is None else int(left.sum()) - len(candidates)
        return Query(
            live,
            history,
            knobs,
            purpose,
            user_id,
            scorer,
            candidates.astype(np.int64),
            filtered,
            named,
            with_priors,
        )

    def made_anew(self, query: Query) -> Query:
        """Make a query again over the items that the graph has now."""
        self.catalogues.of(query.live, anew=True)
        return self.make(
            query.live,
            query.history,
            query.knobs,
            query.purpose,
            query.user_id,
            with_priors=query.with_priors,
        )

    def passed(self, live: LiveModel, knobs: Knobs) -> NDArray[np.bool_] | None:
        """Return which items of a model pass the filters, bool [I]; None without a filter."""
        ids = self.passing(live, knobs)
        if ids is None:
            return None
        passed = np.zeros(len(live.team.items), dtype=np.bool_)
        rows = live.team.items.rows(ids)
        passed[rows[rows >= 0]] = True
        return passed

    def passing(self, live: LiveModel, knobs: Knobs) -> frozenset[str] | None:
        """Return the ids of all items that pass the filters; None without a filter."""
        domain = live.selection.domain
        return passing(self.store, [parse_filter(text, domain) for text in knobs.filters])


def request_id(
    live: LiveModel,
    history: History,
    knobs: Knobs,
    purpose: Purpose,
    user_id: str | None,
    catalogue: str = "",
) -> str:
    """Return the token of a query, or of a list that no model could make; see `RequestId`."""
    return RequestId(
        model_id=live.model_id,
        query_time=history.query_time,
        k=knobs.k,
        filters=knobs.filters,
        diversity=knobs.diversity,
        purpose=purpose,
        user="" if user_id is None else user_hash(user_id),
        history=history.fingerprint,
        length=len(history.seen),
        catalogue=catalogue,
    ).encode()
