"""Recommendation: history → candidates (Cypher) → exact score → rules → records with reasons."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypedDict, Unpack

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from kgrec.config import FrozenModel
from kgrec.errors import ConfigError, NotFoundError
from kgrec.graph.store import GraphStore
from kgrec.retrieval.candidates import CandidateConfig, gather
from kgrec.retrieval.diversity import in_order, varied
from kgrec.retrieval.fallbacks import popular, related
from kgrec.retrieval.filters import Filter, parse_filter, passing
from kgrec.retrieval.history import Event, History, as_history, read_history
from kgrec.retrieval.live import LiveModel, LiveModels
from kgrec.retrieval.paths import KnowledgePath, PathConfig, read_paths
from kgrec.retrieval.records import Fallback, Recommendation, RecommendationList
from kgrec.retrieval.scoring import Scored, score, take_apart
from kgrec.retrieval.words import short_reasons

Filters = Sequence[Filter | str]


class _Options(TypedDict):
    attention: NDArray[np.float64]
    with_priors: bool


class _Facts(TypedDict, total=False):
    """What a list says beside its items; see `RecommendationList`."""

    fallback: Fallback
    history: int
    candidates: int
    weights: dict[str, float]
    filtered: int


class RecommenderConfig(FrozenModel):
    """Settings of the recommender.

    Attributes:
        candidates: how many candidates are gathered.
        paths: where reasons are looked for.
        pool: how many of the best, for each that is shown, the diversity rule chooses from.
        speakers: how many history items of each recommendation reasons are looked for with.
        fallback_degree: entities of more items than these do not tie an untrained item to others.
    """

    candidates: CandidateConfig = CandidateConfig()
    paths: PathConfig = PathConfig(max_degree=300)
    pool: int = Field(default=10, ge=1)
    speakers: int = Field(default=15, ge=0)
    fallback_degree: int = 300


class Recommender:
    """Recommends from the graph; safe to share between threads.

    Args:
        store: the graph.
        models: folder of the trained models, `<home>/models`.
        config: numbers of candidates and reasons.
    """

    def __init__(
        self, store: GraphStore, models: Path, config: RecommenderConfig | None = None
    ) -> None:
        self.store = store
        self.live = LiveModels(store, models)
        self.config = config or RecommenderConfig()

    def recommend(
        self, user_id: str, k: int = 10, *, filters: Filters = (), diversity: float = 0.0
    ) -> RecommendationList:
        """Recommend items that a user has not met.

        A user that the graph lacks, or one without a history that the model knows, gets the most
        popular items, and `fallback` says so.

        Args:
            k: how many.
            filters: conditions, or their text as of `parse_filter`.
            diversity: from 0, the order of the scores, to 1.

        Raises:
            ModelError: no model is live, or it cannot be loaded.
            ConfigError: `k`, `diversity` or a filter makes no sense.
        """

        def answer(live: LiveModel) -> RecommendationList:
            history = read_history(self.store, user_id, live.team.items, live.selection)
            if history is None:
                found = self._popular(live, History(), k, filters, "unknown_user")
            elif not len(history):
                found = self._popular(live, history, k, filters, "empty_history")
            else:
                found = self._personal(live, history, k, filters, diversity)
            return found.model_copy(update={"user_id": user_id})

        return self._consistently(answer, k, diversity)

    def recommend_for(
        self, history: Sequence[str], k: int = 10, *, filters: Filters = (), diversity: float = 0.0
    ) -> RecommendationList:
        """Recommend to somebody unnamed, by ids of items, newest first; unknown ids are ignored.

        Raises what `recommend` raises.
        """

        def answer(live: LiveModel) -> RecommendationList:
            known = as_history(self._events(history), live.team.items)
            if not len(known):
                return self._popular(live, known, k, filters, "empty_history")
            return self._personal(live, known, k, filters, diversity)

        return self._consistently(answer, k, diversity)

    def similar(self, item_id: str, k: int = 10, *, filters: Filters = ()) -> RecommendationList:
        """Return the items that an item speaks for most, whatever their popularity.

        One that came after the training is compared by the entities that it shares, and
        `fallback` says so.

        Raises:
            NotFoundError: the graph has no such item.
        """

        def answer(live: LiveModel) -> RecommendationList:
            events = self._events([item_id])
            if not events:
                raise NotFoundError("there is no such item", value=item_id)
            history = as_history(events, live.team.items)
            if len(history):
                return self._personal(live, history, k, filters, 0.0, with_priors=False)
            passed = self._passing(live, filters)
            items, looked_at = related(self.store, item_id, passed, k, self.config.fallback_degree)
            return _list(live, items, fallback="untrained_item", candidates=looked_at)

        return self._consistently(answer, k, 0.0)

    def candidates(
        self,
        live: LiveModel,
        history: History,
        k: int,
        filters: Filters = (),
        attention: NDArray[np.float64] | None = None,
    ) -> tuple[dict[str, str], int]:
        """Gather unseen candidates of a history from the graph.

        Args:
            attention: the team's for this history, where it is known.

        Returns:
            id to title, and how many unseen items the filters took away. Under filters every
            item that passes them is a candidate.
        """
        passed = self._passing(live, filters)
        if passed is None:
            config = self.config.candidates
            return gather(self.store, live, history, config=config, k=k, attention=attention), 0
        known = sorted(i for i in passed if i in live.team.items and i not in history.seen)
        rows = self.store.read("recommend/titles", items=known)
        titles = {row["item_id"]: row["title"] or row["item_id"] for row in rows}
        met = sum(item in live.team.items for item in history.seen)
        return titles, len(live.team.items) - met - len(titles)

    def _consistently(
        self, answer: Callable[[LiveModel], RecommendationList], k: int, diversity: float
    ) -> RecommendationList:
        """Answer from one model, again when another went live meanwhile."""
        if k < 1:
            raise ConfigError("k must be 1 or more", value=k)
        if not 0.0 <= diversity <= 1.0:
            raise ConfigError("diversity must lie between 0 and 1", value=diversity)
        begun = time.perf_counter()
        live = self.live.current()
        found = answer(live)
        while (now := self.live.current()) is not live:
            live, found = now, answer(now)
        spent = (time.perf_counter() - begun) * 1000
        return found.model_copy(update={"milliseconds": round(spent, 2)})

    def _personal(
        self,
        live: LiveModel,
        history: History,
        k: int,
        filters: Filters,
        diversity: float,
        *,
        with_priors: bool = True,
    ) -> RecommendationList:
        taken = history.taken(len(live.team.items))
        blend = live.team.blend(taken)
        active = blend.alpha[:, 0]
        options: _Options = {"attention": active, "with_priors": with_priors}
        candidates, filtered = self.candidates(live, history, k, filters, active)
        scored = score(live.team, history, candidates, **options)
        pool = k * self.config.pool
        picks = varied(live.team, scored, k, diversity, pool) if diversity else in_order(scored, k)
        positions = [pick.position for pick in picks]
        shown = take_apart(live.team, history, scored, positions, **options)
        expected = live.team.expected_values(taken, scored.rows[positions])
        speakers = {pick.position: shown.by_event(n) for n, pick in enumerate(picks)}
        paths = self._paths(live, scored, speakers)
        items = tuple(
            Recommendation(
                rank=rank,
                item_id=scored.ids[pick.position],
                title=scored.titles[pick.position],
                score=float(scored.scores[pick.position]),
                contributions=shown.by_agent(rank - 1),
                expected_value=None if expected is None else float(expected[rank - 1]),
                reasons=short_reasons(
                    speakers[pick.position], paths.get(scored.ids[pick.position], {})
                ),
                moves=pick.moves,
            )
            for rank, pick in enumerate(picks, start=1)
        )
        shares = map(float, blend.shares[:, 0])
        return _list(
            live,
            items,
            history=len(history),
            candidates=len(candidates),
            weights=dict(zip(live.team.agents, shares, strict=True)),
            filtered=filtered,
        )

    def _passing(self, live: LiveModel, filters: Filters) -> frozenset[str] | None:
        domain = live.selection.domain
        read = [parse_filter(f, domain) if isinstance(f, str) else f for f in filters]
        return passing(self.store, read)

    def _paths(
        self, live: LiveModel, scored: Scored, shares: Mapping[int, Sequence[tuple[Event, float]]]
    ) -> dict[str, dict[str, KnowledgePath]]:
        """Return the best path of each recommended item from each of its speakers."""
        speakers: dict[str, dict[str, str]] = {}
        for position, parts in shares.items():
            best = [event for event, share in parts[: self.config.speakers] if share > 0]
            speakers[scored.ids[position]] = {event.item_id: event.title for event in best}
        history = {i: title for each in speakers.values() for i, title in each.items()}
        items = {scored.ids[p]: scored.titles[p] for p in shares}
        found = read_paths(
            self.store,
            history,
            items,
            num_items=len(live.team.items),
            meanings=live.meanings,
            config=self.config.paths,
        )
        paths: dict[str, dict[str, KnowledgePath]] = {}
        for path in found:
            if path.history.item_id in speakers[path.item.item_id]:
                paths.setdefault(path.item.item_id, {}).setdefault(path.history.item_id, path)
        return paths

    def _popular(
        self, live: LiveModel, history: History, k: int, filters: Filters, why: Fallback
    ) -> RecommendationList:
        passed = self._passing(live, filters)
        items, looked_at = popular(self.store, history.seen, passed, k, live.selection.label)
        return _list(live, items, fallback=why, candidates=looked_at)

    def _events(self, ids: Sequence[str]) -> list[Event]:
        distinct = list(dict.fromkeys(ids))
        rows = self.store.read("recommend/titles", items=distinct)
        titles = {row["item_id"]: row["title"] for row in rows}
        return [Event(i, titles[i] or i) for i in distinct if i in titles]


def _list(
    live: LiveModel, items: tuple[Recommendation, ...], **facts: Unpack[_Facts]
) -> RecommendationList:
    return RecommendationList(
        items=items, model_id=live.model_id, vocabulary_hash=live.team.items.hash, **facts
    )
