"""Makes queries: the history scored, its candidates gathered, the filters applied."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from kgrec.graph.store import GraphStore
from kgrec.model.profile import ProfileScorer, check_fields
from kgrec.model.scorer import Scorer
from kgrec.retrieval.candidates import (
    CandidateConfig,
    Catalogues,
    Retrieval,
    best_declared,
    gather,
    in_memory,
)
from kgrec.retrieval.context import Context
from kgrec.retrieval.declared import NOTHING, Declared
from kgrec.retrieval.filters import (
    Filter,
    parse_filter,
    parse_limit,
    passing,
    passing_rows,
    relations_of,
)
from kgrec.retrieval.history import History, current_time
from kgrec.retrieval.knobs import Knobs
from kgrec.retrieval.live import LiveModel
from kgrec.retrieval.query import Query
from kgrec.retrieval.recent import Recent, RecentHistories
from kgrec.retrieval.request_id import Purpose
from kgrec.retrieval.snapshot import Snapshot
from kgrec.retrieval.traits import Traits


class QueryMaker:
    """Makes queries; safe to share between threads.

    Args:
        store: the graph.
        retrieval: where candidates come from; see `RecommenderConfig`.
        config: how many come from the graph.
        rest_s: see `Catalogues`.
        recent: keeps what is computed for histories; None keeps nothing.
    """

    def __init__(
        self,
        store: GraphStore,
        retrieval: Retrieval = "auto",
        config: CandidateConfig | None = None,
        rest_s: float = 0.0,
        recent: RecentHistories | None = None,
    ) -> None:
        self.store = store
        self.recent = recent
        self.retrieval = retrieval
        self.config = config or CandidateConfig()
        self.catalogues = Catalogues(store, rest_s)

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
        declared: Declared = NOTHING,
        context: Context | None = None,
        snapshot: Snapshot | None = None,
        traits: Traits | None = None,
        now: int | None = None,
    ) -> Query:
        """Make the query of a history, or of what is declared where there is none.

        Args:
            passed: which items the filters let pass, bool [I], where it is known.
            with_priors, declared, context, snapshot, traits: see `Query`.
            now: candidates are available at this moment and at the query time; milliseconds since
                1970, the present when absent.

        Raises:
            ConfigError: a filter makes no sense, or the model has not learned a field of the
                context.
        """
        check_fields(live.team.contexts, knobs.moment)
        if passed is None:
            passed = self.passed(live, knobs, snapshot)
        kept, scorer = self._read(live, history, declared, knobs.moment)
        moments = (history.query_time, current_time() if now is None else now)
        if in_memory(self.retrieval, live):
            catalogue = self.catalogues.of(live, snapshot)
            present, named = catalogue.shown(moments), catalogue.fingerprint
        else:
            windows = self.catalogues.restrictions(snapshot).of_items(live.team.items)
            every = np.ones(len(live.team.items), dtype=np.bool_)
            present, named = every if windows is None else windows.open_at(moments), ""
        left = history.unseen(live.team.items, present)
        if knobs.repeats:
            left[history.rows] = present[history.rows]
        number = int(left.sum())
        excluded = live.team.items.rows(knobs.exclude)
        left[excluded[excluded >= 0]] = False
        if passed is not None:
            candidates = np.flatnonzero(left & passed)
        elif named:
            candidates = np.flatnonzero(left)
        elif isinstance(scorer, ProfileScorer):
            candidates = best_declared(
                self.store, live, scorer, left, config=self.config, k=knobs.k
            )
        else:
            # The same for each page, or an item that a larger number finds would shift them.
            found = gather(
                self.store,
                live,
                history,
                scorer,
                left,
                config=self.config,
                k=knobs.k,
                moments=moments,
            )
            repeated = history.rows if knobs.repeats else found[:0]
            candidates = np.union1d(found, repeated)
            candidates = candidates[left[candidates]]
        unlimited = passed is None and not named
        filtered = number - int(left.sum() if unlimited else len(candidates))
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
            declared,
            context or Context(time=history.query_time),
            snapshot,
            traits or Traits(self.store, live, snapshot),
            kept,
        )

    def _read(
        self, live: LiveModel, history: History, declared: Declared, moment: Mapping[str, str]
    ) -> tuple[Recent | None, Scorer | ProfileScorer]:
        """Have the agents read a history, or the profile what is declared, unless it is known."""

        def read() -> Scorer | ProfileScorer:
            profile = live.team.profile
            if len(declared) and profile is not None:
                return ProfileScorer(profile, declared.rows)
            return live.team.scorer(history.histories, moment)

        if self.recent is None or live.slot is None:
            return None, read()
        context = tuple(sorted(moment.items()))
        key = (history.fingerprint, history.now, declared.fingerprint, context)
        kept = self.recent.of(live.team, key, read)
        return kept, kept.scorer

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
            declared=query.declared,
            context=query.context,
        )

    def passed(
        self, live: LiveModel, knobs: Knobs, snapshot: Snapshot | None = None
    ) -> NDArray[np.bool_] | None:
        """Return which items of a model pass the filters, bool [I]; None without a filter."""
        if not knobs.filters:
            return None
        place = None if snapshot is None else self.catalogues.of(live, snapshot).place
        filters = self._filters(live, knobs)
        return passing_rows(self.store, live.team.items, filters, snapshot, place)

    def passing(self, live: LiveModel, knobs: Knobs) -> frozenset[str] | None:
        """Return the ids of all items that pass the filters; None without a filter."""
        return passing(self.store, self._filters(live, knobs))

    @staticmethod
    def _filters(live: LiveModel, knobs: Knobs) -> list[Filter]:
        domain = live.selection.domain
        if knobs.calibrate_by:
            relations_of(knobs.calibrate_by, domain)
        for text in knobs.quota:
            parse_limit(text, domain, each=True)
        for text in knobs.floor:
            parse_limit(text, domain)
        return [parse_filter(text, domain) for text in knobs.filters]
