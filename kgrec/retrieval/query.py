"""One query: made once for each request, and everything that answers it reads it.

A query is frozen. It holds the live model, the context, the history or what is declared in its
place, the filters, k, the knobs, the shares and alpha of the agents, the candidates and their
scores. The list, its reasons, an explanation, a counterfactual and a batch all take the same
object, so they cannot disagree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kgrec.data.dataset import IntArray
from kgrec.errors import ConfigError
from kgrec.model.profile import ProfileScorer
from kgrec.model.scorer import Contributions, Scorer
from kgrec.retrieval.context import Context
from kgrec.retrieval.declared import NOTHING, Declared
from kgrec.retrieval.history import Event, History
from kgrec.retrieval.knobs import Knobs
from kgrec.retrieval.live import LiveModel
from kgrec.retrieval.recent import Recent
from kgrec.retrieval.request_id import Purpose, RequestId, user_hash
from kgrec.retrieval.scored import Scored
from kgrec.retrieval.snapshot import Snapshot
from kgrec.retrieval.traits import Traits


@dataclass(frozen=True, eq=False)
class Query:
    """One question to one model.

    Attributes:
        live: the model that answers.
        history: of the user, or without a name.
        knobs: k, filters, diversity.
        purpose: kind of history that it is for; see `RequestId`.
        user_id: None for a history without a name.
        scorer: the history as the agents read it: weights, shares, alpha; or what is declared, as
            the profile reads it.
        candidates: rows, rising, int64 [C].
        filtered: how many unseen items the filters took away.
        catalogue: fingerprint of the items that the graph had, or empty; see `RequestId`.
        with_priors: False leaves out what is added whatever the history.
        declared: what a user without a history declares; empty where a history is scored.
        context: what was known of the moment of asking.
        snapshot: the catalogue in memory, as of the revision that the query found; None where
            the graph is read.
        recent: what earlier requests computed for the same history; None where that is not kept.
        item_traits: what rules know of the items; None of a query without a graph, which no rule
            but diversity by the model can rerank.
    """

    live: LiveModel
    history: History
    knobs: Knobs
    purpose: Purpose
    user_id: str | None
    scorer: Scorer | ProfileScorer
    candidates: IntArray
    filtered: int = 0
    catalogue: str = ""
    with_priors: bool = True
    declared: Declared = NOTHING
    context: Context = field(default_factory=Context)
    snapshot: Snapshot | None = None
    item_traits: Traits | None = None
    recent: Recent | None = None

    @cached_property
    def scored(self) -> Scored:
        """The candidates with their scores, computed at the first use and kept."""
        if self.recent is None:
            return self._score()
        return self.recent.scored(self.candidates, self.with_priors, self._score)

    def _score(self) -> Scored:
        base = self.scorer.scores(with_priors=self.with_priors)[self.candidates]
        scores, reordered = self.scorer.rank(self.candidates, base, with_priors=self.with_priors)
        order = falling(scores)
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

    @cached_property
    def counted(self) -> tuple[Event, ...]:
        """The events that the score is a sum over: the history, and what was rejected and counts.

        `by_item` of `contributions` is in this order.
        """
        if not isinstance(self.scorer, Scorer):
            return self.history.events
        rejected = self.history.rejected
        return (*self.history.events, *(rejected[n] for n in self.scorer.counted.places.tolist()))

    def ids(self, positions: Sequence[int] | IntArray) -> list[str]:
        """Return the ids of the items at some positions of `scored`."""
        return self.live.team.items.take(self.scored.rows[np.asarray(positions, dtype=np.int64)])

    @property
    def context_used(self) -> tuple[str, ...]:
        """The fields of the context that the score depends on."""
        scorer, used = self.scorer, []
        if isinstance(scorer, Scorer) and any(
            k.attention is not None and k.attention.reads_time for k in scorer.kernels
        ):
            used.append("time")
        known = {event.item_id for event in self.context.events}
        if known & self.history.seen_ids:
            used.append("events")
        contexts = self.live.team.contexts
        if isinstance(scorer, Scorer) and contexts is not None:
            used += contexts.used(self.knobs.moment)
        return tuple(used)

    @property
    def request_id(self) -> str:
        """The token from which this query can be made again."""
        return self._token(self.knobs)

    @property
    def traits(self) -> Traits:
        """What rules know of the items; raises ConfigError of a query without a graph."""
        if self.item_traits is None:
            raise ConfigError("the query has no graph", remedy="Make it with a QueryMaker.")
        return self.item_traits

    @property
    def cursor(self) -> str | None:
        """The token of the next page; None where no candidate is left for it."""
        if self.knobs.offset + self.knobs.k >= len(self.candidates):
            return None
        return self._token(self.knobs.after)

    def _token(self, knobs: Knobs) -> str:
        return request_id(
            self.live,
            self.history,
            knobs,
            self.purpose,
            self.user_id,
            self.catalogue,
            self.declared,
        )

    def about(self, item_id: str) -> Query:
        """Return the query with an item as a candidate in any case, for its score and rank.

        A history item is removed from the history; an item that the filters exclude is included.
        """
        row = self.live.team.items.row(item_id)
        if row in self.candidates:  # a repeat that the knobs allow, too
            return self
        candidates = np.union1d(self.candidates, [row]).astype(np.int64)
        if item_id in self.history.seen_ids:
            history = self.history.without(item_id)
            scorer = self.scorer
            if not len(self.declared):
                scorer = self.live.team.scorer(history.histories, self.knobs.moment)
            return replace(self, history=history, scorer=scorer, candidates=candidates, recent=None)
        return replace(self, candidates=candidates, recent=None)


def falling(scores: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the order of falling scores, [C]; equal ones stay in theirs.

    A stable sort takes four times as long as one that is not, so only the equal ones, which are
    few, are brought into their order afterwards.
    """
    order = np.argsort(-scores)
    known = scores[order]
    equal = known[1:] == known[:-1]
    if equal.any():
        run = np.concatenate([[0], np.cumsum(~equal)])
        tied = np.concatenate([equal, [False]]) | np.concatenate([[False], equal])
        order[tied] = np.sort(run[tied] * len(scores) + order[tied]) % len(scores)
    return order


def request_id(
    live: LiveModel,
    history: History,
    knobs: Knobs,
    purpose: Purpose,
    user_id: str | None,
    catalogue: str = "",
    declared: Declared = NOTHING,
) -> str:
    """Return the token of a query, or of a list that no model could make; see `RequestId`."""
    return RequestId(
        model_id=live.model_id,
        query_time=history.query_time,
        **dict(knobs),
        purpose=purpose,
        user="" if user_id is None else user_hash(user_id),
        history=history.fingerprint,
        length=len(history.seen),
        catalogue=catalogue,
        declared=declared.fingerprint,
    ).encode()
