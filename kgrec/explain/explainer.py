"""Explanations: the score taken apart, what would change it, and the facts behind it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from pydantic import Field

from kgrec.config import FrozenModel
from kgrec.errors import NotFoundError
from kgrec.explain.attribution import Rescoring, attribute, moments_of
from kgrec.explain.counterfactual import CounterfactualConfig, smallest_removal
from kgrec.explain.records import (
    Counterfactual,
    Explanation,
    HistoryShare,
    NamedItem,
    PathReason,
)
from kgrec.explain.sentences import sentences
from kgrec.model.moments import Moments
from kgrec.retrieval.history import Event, History, read_history
from kgrec.retrieval.live import LiveModel
from kgrec.retrieval.paths import KnowledgePath, PathConfig, read_paths
from kgrec.retrieval.recommender import Recommender
from kgrec.retrieval.scoring import Scored, score
from kgrec.retrieval.words import path_words


class ExplainerConfig(FrozenModel):
    """Settings of the explainer.

    Attributes:
        k: the counterfactual asks what keeps the item off the first so many.
        speakers: paths are looked for from so many history items, those that say most.
        num_paths, paths_an_entity: at most so many paths are told, in all and over one entity.
    """

    k: int = Field(default=10, ge=1)
    speakers: int = Field(default=50, ge=0)
    num_paths: int = Field(default=10, ge=0)
    paths_an_entity: int = Field(default=3, ge=1)
    paths: PathConfig = PathConfig()
    counterfactual: CounterfactualConfig = CounterfactualConfig()


class Explainer:
    """Explains what a recommender recommends; safe to share between threads.

    Args:
        recommender: gives the live model, the history and the candidates.
        config: how much is told.
    """

    def __init__(self, recommender: Recommender, config: ExplainerConfig | None = None) -> None:
        self.recommender = recommender
        self.store = recommender.store
        self.config = config or ExplainerConfig()

    def explain(self, user_id: str, item_id: str) -> Explanation:
        """Say why an item is, or would be, recommended to a user.

        Raises:
            NotFoundError: there is no such user or item, or the live model does not know the item.
            ModelError: no model is live, or it cannot be loaded.
        """
        begun = time.perf_counter()
        live = self.recommender.live.current()
        found = self._explain(live, user_id, item_id)
        while (now := self.recommender.live.current()) is not live:
            live, found = now, self._explain(now, user_id, item_id)
        spent = round((time.perf_counter() - begun) * 1000, 2)
        return found.model_copy(update={"milliseconds": spent})

    def _explain(self, live: LiveModel, user_id: str, item_id: str) -> Explanation:
        history = read_history(self.store, user_id, live.team.items, live.selection)
        if history is None:
            raise NotFoundError("there is no such user", value=user_id)
        title = self._title(live, item_id)
        seen = item_id in history.seen
        history = history.without(frozenset([item_id]))
        candidates, _ = self.recommender.candidates(live, history, self.config.k)
        scored = score(live.team, history, {**candidates, item_id: title})
        moments = moments_of(live.team, history.taken(len(live.team.items)))
        rank = scored.ids.index(item_id) + 1
        total, agents, events = attribute(live.team, history, scored, rank - 1, moments)
        counterfactual = self._counterfactual(live, history, scored, item_id, moments)
        paths = self._paths(live, history, events, NamedItem(item_id=item_id, title=title))
        words = sentences(title, total, rank, len(scored), agents, events, paths, counterfactual)
        return Explanation(
            user_id=user_id,
            item_id=item_id,
            title=title,
            model_id=live.model_id,
            vocabulary_hash=live.team.items.hash,
            score=total,
            rank=rank,
            candidates=len(scored),
            seen=seen,
            agents=agents,
            history=events,
            counterfactual=counterfactual,
            paths=paths,
            words=words,
        )

    def find_item(self, text: str) -> str:
        """Return the id of an item by its id, its title, or the beginning of its title.

        Raises:
            NotFoundError: none is meant, or several may be.
        """
        if self.store.read("recommend/titles", items=[text]):
            return text
        found = self.store.read("explain/find_items", title=text.strip().lower(), limit=6)
        if not found:
            raise NotFoundError(
                "there is no such item", value=text, remedy="Give an id or a title."
            )
        exact = [row for row in found if row["title"].lower() == text.strip().lower()]
        chosen = exact or found
        if len(chosen) > 1:
            several = ", ".join(f"{row['title']} ({row['item_id']})" for row in chosen[:5])
            raise NotFoundError("several items may be meant", value=text, remedy=several)
        return str(chosen[0]["item_id"])

    def _title(self, live: LiveModel, item_id: str) -> str:
        rows = self.store.read("recommend/titles", items=[item_id])
        if not rows:
            raise NotFoundError("there is no such item", value=item_id)
        if item_id not in live.team.items:
            raise NotFoundError(
                f"the live model {live.model_id!r} does not know the item",
                value=item_id,
                remedy="It came after the training: train and publish again.",
            )
        return str(rows[0]["title"] or item_id)

    def _counterfactual(
        self,
        live: LiveModel,
        history: History,
        scored: Scored,
        item_id: str,
        moments: tuple[Moments, ...],
    ) -> Counterfactual | None:
        k = self.config.k
        position = scored.ids.index(item_id)
        others = [n for n in range(len(scored)) if n != position]
        most = max(self.config.counterfactual.others, 2 * k)
        chosen, rest = [position, *others[:most]], others[most:]
        taken, rows = history.taken(len(live.team.items)), scored.rows
        rescoring = Rescoring.of(live.team, taken, rows[chosen], moments, rows[rest])
        removal = smallest_removal(rescoring, k=k, config=self.config.counterfactual)
        if removal is None:
            return None
        after = rescoring.scores(np.array([removal.positions], dtype=np.int64))[0]
        passing = [n for n in range(1, len(after)) if after[n] > after[0] and chosen[n] > position]
        best = chosen[max(passing, key=lambda n: after[n])] if passing else None
        return Counterfactual(
            removed=tuple(_named(history.events[n]) for n in removal.positions),
            k=k,
            rank_after=int((after > after[0]).sum()) + 1,
            score_after=float(after[0]),
            replaced_by=None
            if best is None
            else NamedItem(item_id=scored.ids[best], title=scored.titles[best]),
            minimal=removal.minimal,
        )

    def _paths(
        self,
        live: LiveModel,
        history: History,
        events: Sequence[HistoryShare],
        item: NamedItem,
    ) -> tuple[PathReason, ...]:
        speaking = [e for e in events[: self.config.speakers] if e.contribution > 0]
        shares = {event.item_id: event.contribution for event in speaking}
        found = read_paths(
            self.store,
            {event.item_id: event.title for event in speaking},
            {item.item_id: item.title},
            num_items=len(live.team.items),
            meanings=live.meanings,
            config=self.config.paths,
        )
        found.sort(key=lambda path: -path.weight * shares[path.history.item_id])
        by_id: Mapping[str, Event] = {event.item_id: event for event in history.events}
        return tuple(
            PathReason(
                path=path,
                share=shares[path.history.item_id],
                words=path_words(path, by_id[path.history.item_id]),
            )
            for path in self._spread(found)
        )

    def _spread(self, paths: Sequence[KnowledgePath]) -> list[KnowledgePath]:
        """Keep the first paths, not too many of them over one entity."""
        kept: list[KnowledgePath] = []
        told: Counter[str] = Counter()
        for path in paths:
            entity = path.item.entity_id
            if len(kept) < self.config.num_paths and told[entity] < self.config.paths_an_entity:
                kept.append(path)
                told[entity] += 1
        return kept


def _named(event: Event) -> NamedItem:
    return NamedItem(item_id=event.item_id, title=event.title)
