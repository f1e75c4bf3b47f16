"""Recommendation: query → scores → rules → records with reasons, or a marked fallback."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Unpack

from pydantic import Field

from kgrec.config import FrozenModel
from kgrec.errors import NotFoundError
from kgrec.graph.store import GraphStore
from kgrec.retrieval.candidates import CandidateConfig, Retrieval, in_memory
from kgrec.retrieval.context import Context
from kgrec.retrieval.continuation import history_then, page_token, similar_token
from kgrec.retrieval.declared import NOTHING, Declared, read_declared
from kgrec.retrieval.fallbacks import popular, related
from kgrec.retrieval.history import (
    Event,
    as_history,
    at_moment,
    current_time,
    with_session,
)
from kgrec.retrieval.knobs import Filters, KnobOptions, Knobs
from kgrec.retrieval.known_users import KnownUsers
from kgrec.retrieval.listing import ListMaker
from kgrec.retrieval.live import LiveModel, LiveModels
from kgrec.retrieval.maker import QueryMaker
from kgrec.retrieval.paths import PathConfig
from kgrec.retrieval.recent import RecentHistories
from kgrec.retrieval.records import (
    Fallback,
    RecommendationList,
)
from kgrec.retrieval.resident import Resident
from kgrec.retrieval.snapshot import Snapshot
from kgrec.retrieval.state import NOBODY, GraphState, read_state, titles_of
from kgrec.retrieval.visitor import Visitor


class RecommenderConfig(FrozenModel):
    """Settings of the recommender.

    Attributes:
        retrieval: where candidates come from. `memory` scores every unseen item of the catalogue,
            `graph` gathers a few hundred by Cypher, `auto` does the first while the catalogue has
            at most `kgrec.retrieval.candidates.MEMORY_ITEMS` items.
        candidates: how many candidates are gathered from the graph.
        paths: where reasons are looked for.
        pool: how many of the best, for each that is shown, the diversity rule chooses from.
        sources: reasons are looked for with so many history items of each recommendation.
        fallback_degree: entities of more items than these do not tie an untrained item to others.
    """

    retrieval: Retrieval = "auto"
    candidates: CandidateConfig = CandidateConfig()
    paths: PathConfig = PathConfig(max_degree=300)
    pool: int = Field(default=10, ge=1)
    sources: int = Field(default=15, ge=0)
    fallback_degree: int = 300


class Recommender:
    """Recommends from the graph; safe to share between threads.

    Args:
        store: the graph.
        models: folder of the trained models, `<home>/models`.
        config: numbers of candidates and reasons.
        resident: whether the catalogue is kept in memory, which pays for a process that answers
            many requests; one that answers a few reads the graph.

    Attributes:
        recent: what is kept of the last requests; None where nothing is.
    """

    def __init__(
        self,
        store: GraphStore,
        models: Path,
        config: RecommenderConfig | None = None,
        *,
        resident: bool = False,
    ) -> None:
        self.store = store
        self.live = LiveModels(store, models, behind=resident)
        self.resident = Resident(store) if resident else None
        self.config = config or RecommenderConfig()
        self.recent = RecentHistories() if resident else None
        self._known = KnownUsers() if resident else None
        self.queries = QueryMaker(
            store, self.config.retrieval, self.config.candidates, recent=self.recent
        )
        self.lists = ListMaker(
            store,
            self.queries,
            pool=self.config.pool,
            paths=self.config.paths,
            sources=self.config.sources,
        )

    def recommend(
        self,
        user_id: str,
        k: int = 10,
        *,
        filters: Filters = (),
        diversity: float = 0.0,
        context: Context | None = None,
        **more: Unpack[KnobOptions],
    ) -> RecommendationList:
        """Recommend items that a user has not seen.

        One without a history that the model knows gets items by what they declare, where the model
        has a profile that knows it; else the most popular items; `fallback` is set then.

        Args:
            k: how many.
            filters: conditions, or their text as of `parse_filter`.
            diversity: from 0, the order of the scores, to 1.
            context: the query time, and events that the graph does not hold.
            more: other knobs: `novelty`, `calibration` with `calibrate_by`, `diversity_by`,
                `exclude`, `repeats`, `quota` and `floor`, as `Knobs` describes them.

        Raises:
            ModelError: no model is live, or it cannot be loaded.
            ConfigError: `k`, a filter or another knob makes no sense.
        """
        moment = at_moment(context)
        knobs = Knobs.of(k, filters, diversity, {**moment.places, **more})

        def answer(state: GraphState) -> RecommendationList:
            live, done = state.live, state.interactions
            events = self.with_session(done or (), moment, state.snapshot)
            history = as_history(events, live.team.items, live.selection, query_time=moment.time)
            declared = NOTHING if len(history) else self.declared(live, user_id)
            if not len(history) and not len(declared):
                why: Fallback = "unknown_user" if done is None else "empty_history"
                return popular(self.queries, live, history, knobs, why, "user", user_id)
            return self.lists.of(
                self.queries.make(
                    live,
                    history,
                    knobs,
                    "user",
                    user_id,
                    declared=declared,
                    context=moment,
                    snapshot=state.snapshot,
                )
            )

        return self._timed(answer, user_id)

    def recommend_for(
        self,
        visitor: Visitor | Sequence[str],
        k: int = 10,
        *,
        filters: Filters = (),
        diversity: float = 0.0,
        **more: Unpack[KnobOptions],
    ) -> RecommendationList:
        """Recommend to a visitor, who is not in the graph.

        Without an item that the model knows, as `recommend` does without a history.

        Args:
            visitor: or the ids of a history, newest first; unknown ids are ignored.

        Raises what `recommend` raises.
        """
        given = Visitor.of(visitor)
        knobs, query_time = Knobs.of(k, filters, diversity, more), current_time()

        def answer(state: GraphState) -> RecommendationList:
            live, snapshot = state.live, state.snapshot
            events = self.events(given, query_time, snapshot)
            known = as_history(events, live.team.items, live.selection, query_time=query_time)
            declared = NOTHING if len(known) else self.declared(live, given, snapshot)
            if not len(known) and not len(declared):
                return popular(self.queries, live, known, knobs, "empty_history", "history")
            context = Context(time=query_time, events=given.events)
            return self.lists.of(
                self.queries.make(
                    live,
                    known,
                    knobs,
                    "history",
                    declared=declared,
                    context=context,
                    snapshot=snapshot,
                )
            )

        return self._timed(answer)

    def next_page(
        self, cursor: str, user_id: str | None = None, *, visitor: Visitor | Sequence[str] = ()
    ) -> RecommendationList:
        """Recommend the items after those of a page, which none of the pages before has.

        The query is that of the page; what the user has done since is left out.

        Args:
            cursor: of the page.
            user_id: of the page; None where it was for `visitor`.

        Raises:
            ConfigError: the cursor is broken, or of a list for somebody else.
            ModelError: the model that made the page is gone.
        """
        token, given = page_token(cursor, user_id), Visitor.of(visitor)
        knobs = Knobs.restored(token)

        def answer(state: GraphState) -> RecommendationList:
            live = self.live.of(token, state.live)
            done: list[Event] | None = state.interactions
            if user_id is None:
                done = self.events(given, token.query_time, state.snapshot)
            then, _ = history_then(done or (), token, live.team.items, live.selection)
            who = given if user_id is None else user_id
            declared = NOTHING if len(then) else self.declared(live, who, state.snapshot)
            if not len(then) and not len(declared):
                why: Fallback = "unknown_user" if done is None else "empty_history"
                return popular(self.queries, live, then, knobs, why, token.purpose, user_id)
            return self.lists.of(
                self.queries.make(
                    live,
                    then,
                    knobs,
                    token.purpose,
                    user_id,
                    declared=declared,
                    snapshot=state.snapshot,
                )
            )

        return self._timed(answer, NOBODY if user_id is None else user_id)

    def similar(
        self, item_id: str, k: int = 10, *, filters: Filters = (), cursor: str | None = None
    ) -> RecommendationList:
        """Return the items that an item contributes to most, whatever their popularity.

        One that came after the training is compared by the entities that it shares, and
        `fallback` is set then. With the `cursor` of a page the next one is as that page was.

        Raises NotFoundError where the graph has no such item, and what `next_page` raises.
        """
        token = None if cursor is None else similar_token(cursor, item_id)
        knobs = Knobs.of(k, filters) if token is None else Knobs.restored(token)
        query_time = current_time() if token is None else token.query_time

        def answer(state: GraphState) -> RecommendationList:
            live, snapshot = self.live.of(token, state.live), state.snapshot
            events = self.events(Visitor(history=(item_id,)), query_time, snapshot)
            if not events:
                raise NotFoundError("there is no such item", value=item_id)
            history = as_history(events, live.team.items, query_time=query_time)
            if len(history):
                return self.lists.of(
                    self.queries.make(
                        live, history, knobs, "similar", with_priors=False, snapshot=snapshot
                    )
                )
            return related(self.queries, live, history, knobs, item_id, self.config.fallback_degree)

        return self._timed(answer)

    def declared(
        self, live: LiveModel, who: str | Visitor, snapshot: Snapshot | None = None
    ) -> Declared:
        """Return what a user, by id, or a visitor declares, as far as a model knows it."""
        if isinstance(who, Visitor):
            return who.declared(self.store, live, snapshot)
        return read_declared(self.store, live.team.profile, [who]).get(who, NOTHING)

    def state(self, user_id: str = NOBODY) -> GraphState:
        """Read what a query depends on; raises ModelError where no model can answer."""
        return read_state(self.store, self.live, self.resident, user_id, self._known)

    def warm_up(self) -> None:
        """Read the catalogue into memory, where it is kept there, before the first request."""
        if self.resident is not None:
            self.resident.load()

    def with_session(
        self, done: Sequence[Event], context: Context, snapshot: Snapshot | None = None
    ) -> list[Event]:
        """Return interactions, newest first, with the events of a session before them."""
        if not context.events:
            return done if isinstance(done, list) else list(done)
        ids = list(dict.fromkeys(event.item_id for event in context.events))
        titles = self.titles(ids, snapshot)
        return with_session(done, context, titles)

    def events(
        self, visitor: Visitor, query_time: int, snapshot: Snapshot | None = None
    ) -> list[Event]:
        """Return what a visitor did with the items that the graph has, newest first."""
        return visitor.interactions(self.titles(visitor.item_ids, snapshot), query_time)

    def titles(self, ids: Sequence[str], snapshot: Snapshot | None = None) -> dict[str, str]:
        """Return the titles of items, by id; an id that the graph lacks is left out."""
        return titles_of(self.store, ids, snapshot)

    def _timed(
        self, answer: Callable[[GraphState], RecommendationList], user_id: str = NOBODY
    ) -> RecommendationList:
        """Answer from the state of the graph, which is read once.

        Everything that is scored comes from that one object, so an answer never mixes two models.
        Only candidates that come from the graph can belong to another one, when it went live
        meanwhile; then the answer is made anew.
        """
        begun = time.perf_counter()
        state = self.state(user_id)
        found = answer(state)
        if not in_memory(self.config.retrieval, state.live):
            while (now := self.state(user_id)).live is not state.live:
                state, found = now, answer(now)
        spent = (time.perf_counter() - begun) * 1000
        return found.model_copy(update={"milliseconds": round(spent, 2)})
