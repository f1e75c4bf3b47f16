"""Explanations: attribution of the score, counterfactuals, and the facts behind it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from pydantic import Field

from kgrec.config import FrozenModel
from kgrec.errors import ConfigError, ModelError, NotFoundError
from kgrec.explain.attribution import agent_shares, declared_shares, history_shares
from kgrec.explain.changes import history_changes
from kgrec.explain.counterfactual import CounterfactualConfig, as_record, smallest_removal
from kgrec.explain.deletion import deletion_effects
from kgrec.explain.records import Change, Explanation, HistoryShare, NamedItem
from kgrec.explain.rescoring import Rescoring
from kgrec.explain.sentences import (
    change_words,
    contribution_words,
    counterfactual_words,
    declared_words,
    fact_words,
    rejection_words,
    standing_words,
)
from kgrec.model.scorer import Contributions
from kgrec.retrieval.continuation import history_then
from kgrec.retrieval.declared import NOTHING, declared_reasons
from kgrec.retrieval.finding.finder import find
from kgrec.retrieval.history import Event, History, as_history, current_time
from kgrec.retrieval.knobs import Knobs
from kgrec.retrieval.live import LiveModel
from kgrec.retrieval.paths import FoundPath, PathConfig, find_paths
from kgrec.retrieval.query import Query
from kgrec.retrieval.reasons import fact_reason, reasons_of
from kgrec.retrieval.recommender import Recommender
from kgrec.retrieval.records import Move, Reason
from kgrec.retrieval.request_id import Purpose, RequestId, user_hash
from kgrec.retrieval.reranking import moves, picks
from kgrec.retrieval.state import GraphState
from kgrec.retrieval.visitor import Visitor


class ExplainerConfig(FrozenModel):
    """Settings of the explainer.

    Attributes:
        k: of the default query, which is explained without a request id.
        sources: paths are looked for from so many history items, those that contribute most.
        num_paths, paths_an_entity: at most so many paths are shown, in all and over one entity.
    """

    k: int = Field(default=10, ge=1)
    sources: int = Field(default=50, ge=0)
    num_paths: int = Field(default=10, ge=0)
    paths_an_entity: int = Field(default=3, ge=1)
    paths: PathConfig = PathConfig()
    counterfactual: CounterfactualConfig = CounterfactualConfig()


@dataclass(frozen=True, eq=False)
class _Request:
    """The subject of an explanation: user, item, and the list that it was part of."""

    state: GraphState
    interactions: list[Event]
    purpose: Purpose
    user_id: str | None
    token: RequestId | None
    visitor: Visitor = field(default_factory=Visitor)

    @property
    def knobs(self) -> Knobs | None:
        token = self.token
        if token is None:
            return None
        return Knobs.restored(token)


class Explainer:
    """Explains what a recommender recommends; safe to share between threads.

    Args:
        recommender: makes the query.
        config: how much is shown.
    """

    def __init__(self, recommender: Recommender, config: ExplainerConfig | None = None) -> None:
        self.recommender = recommender
        self.store = recommender.store
        self.config = config or ExplainerConfig()

    def explain(
        self,
        user_id: str,
        item_id: str,
        request_id: str | None = None,
        *,
        counterfactual: bool = True,
    ) -> Explanation:
        """Explain why an item is, or would be, recommended to a user.

        Args:
            request_id: of the list that showed the item: the explanation is of that very list, its
                model, filters, k, diversity and hour. Without one it is of the default query, no
                filters and `ExplainerConfig.k`, at the current time.
            counterfactual: whether to search for the history items without which the item would
                not be on the list, which takes most of the time.

        Raises:
            NotFoundError: there is no such user or item, or the model does not know the item.
            ModelError: no model is live, or it cannot be loaded.
            ConfigError: the request id is broken, or of another user or another kind of list.
        """
        begun = time.perf_counter()
        query, changed = self.query(user_id, request_id)
        return self._explained(query, changed, item_id, begun, counterfactual)

    def query(
        self, user_id: str, request_id: str | None = None
    ) -> tuple[Query, tuple[Change, ...]]:
        """Make the query of a list again, or the default one, and say what has changed since.

        Raises what `explain` raises.
        """
        token = None if request_id is None else RequestId.decode(request_id)
        if token is not None and (token.purpose, token.user) != ("user", user_hash(user_id)):
            raise ConfigError(
                "the request id is of a list for somebody else",
                value=user_id,
                remedy="Give the request id of a list for this user.",
            )
        state = self.recommender.state(user_id)
        if state.interactions is None:
            raise NotFoundError("there is no such user", value=user_id)
        return self._query(_Request(state, state.interactions, "user", user_id, token))

    def explain_for(
        self,
        visitor: Visitor | Sequence[str],
        item_id: str,
        request_id: str | None = None,
        *,
        counterfactual: bool = True,
    ) -> Explanation:
        """Say why an item is recommended for a history without a name; see `explain`.

        Args:
            visitor: as `Recommender.recommend_for` takes it.
        """
        begun = time.perf_counter()
        token = None if request_id is None else RequestId.decode(request_id)
        if token is not None and token.purpose != "history":
            raise ConfigError(
                "the request id is not of a list for a history without a name",
                remedy="Give `request_id` of the list that was made for this history.",
            )
        state = self.recommender.state()
        given = Visitor.of(visitor)
        then = current_time() if token is None else token.query_time
        events = self.recommender.events(given, then, state.snapshot)
        query, changed = self._query(_Request(state, events, "history", None, token, given))
        return self._explained(query, changed, item_id, begun, counterfactual)

    def find_item(self, text: str) -> str:
        """Return the id of an item by its id, its title, or words of its title.

        A title may be unfinished or have an error of one letter, where one item is meant by it.

        Raises:
            NotFoundError: none is meant, or several may be.
        """
        if self.recommender.titles([text]):
            return text
        matches = find(self.store, "item", text, self.recommender.resident)
        held = [one for one in matches if one.found.held]
        levels = (
            [one for one in held if one.name.casefold() == text.strip().casefold()],
            [one for one in held if one.found.same],
            [one for one in held if one.found.begins],
            [one for one in held if one.found.near],
            held,
        )
        chosen = next(filter(None, levels), [])
        if not chosen:
            near = ", ".join(one.name for one in matches[:3])
            remedy = f"Did you mean {near}?" if near else "Give an id or a title."
            raise NotFoundError("there is no such item", value=text, remedy=remedy)
        if len(chosen) > 1:
            several = ", ".join(f"{one.name} ({one.id})" for one in chosen[:5])
            raise NotFoundError("several items may be meant", value=text, remedy=several)
        return chosen[0].id

    def _explained(
        self,
        query: Query,
        changed: tuple[Change, ...],
        item_id: str,
        begun: float,
        counterfactual: bool,
    ) -> Explanation:
        live = query.live
        if item_id not in live.team.items:
            if not self.recommender.titles([item_id]):
                raise NotFoundError("there is no such item", value=item_id)
            raise NotFoundError(
                f"the model {live.model_id!r} does not know the item",
                value=item_id,
                remedy="It came after the training: train and publish again.",
            )
        found = self._explanation(query, item_id, changed, counterfactual)
        spent = round((time.perf_counter() - begun) * 1000, 2)
        return found.model_copy(update={"milliseconds": spent})

    def _query(self, request: _Request) -> tuple[Query, tuple[Change, ...]]:
        """Make the query of a list again, or the default one; and say what has changed since."""
        token = request.token
        if token is None:
            live = request.state.live
            history = as_history(request.interactions, live.team.items, live.selection)
            knobs = Knobs(k=self.config.k)
            return self._made(live, history, knobs, request), ()
        live, changed = self._model(token, request.state.live)
        events, selection = request.interactions, live.selection
        history, later = history_then(events, token, live.team.items, selection)
        changed += history_changes(history, later, token)
        query = self._made(live, history, request.knobs or Knobs(k=self.config.k), request)
        if query.declared.fingerprint != token.declared and not len(history):
            detail = "the user declares other properties or liked entities than then"
            changed += (Change(what="profile", detail=detail),)
        if token.catalogue and query.catalogue and query.catalogue != token.catalogue:
            detail = "items have come or gone, so other candidates stand beside this one"
            changed += (Change(what="catalogue", detail=detail),)
        return query, changed

    def _made(self, live: LiveModel, history: History, knobs: Knobs, request: _Request) -> Query:
        queries, declared, snapshot = self.recommender.queries, NOTHING, request.state.snapshot
        if not len(history):
            who = request.visitor if request.user_id is None else request.user_id
            declared = self.recommender.declared(live, who, snapshot)
        return queries.make(
            live,
            history,
            knobs,
            request.purpose,
            request.user_id,
            declared=declared,
            snapshot=snapshot,
            now=history.query_time,  # what has expired since the list was made is part of it
        )

    def _model(self, token: RequestId, live: LiveModel) -> tuple[LiveModel, tuple[Change, ...]]:
        """Return the model that made a list, or the live one where it is gone."""
        if live.model_id == token.model_id:
            return live, ()
        try:
            older = self.recommender.live.get(token.model_id)
        except ModelError:
            detail = (
                f"the list was made by model {token.model_id}, which is gone; "
                f"this explanation is by {live.model_id}"
            )
            return live, (Change(what="model", detail=detail),)
        detail = f"model {token.model_id} then, which this explanation is by; {live.model_id} now"
        return older, (Change(what="model", detail=detail),)

    def _explanation(
        self, listed: Query, item_id: str, changed: tuple[Change, ...], search: bool
    ) -> Explanation:
        query = listed.about(item_id)
        live, knobs, scored = query.live, query.knobs, query.scored
        position = scored.position(live.team.items.row(item_id))
        parts = query.contributions([position])
        reach = knobs.offset + knobs.k  # the page, and those before it
        removal, rescoring = None, None
        if search:
            others = max(self.config.counterfactual.others, 2 * reach)
            rescoring = Rescoring.of_query(query, position, others)
        if rescoring is None:
            effects = None if search else deletion_effects(query, position)
        else:
            removal = smallest_removal(rescoring, k=reach, config=self.config.counterfactual)
            effects = rescoring.deletion_effects
        personal = len(query.history) or len(query.declared)
        shown = picks(query, self.recommender.config.pool) if query is listed and personal else []
        place = next((n for n, pick in enumerate(shown) if pick.position == position), None)
        # Place n among the candidates of the rescoring, whose first is the item, as a position.
        passing = [n - (n <= position) for n in removal.passing] if removal else []
        wanted = [position, *passing]
        wanted += [] if place is None else shown[place].alike
        titles = self._titles(query, wanted)
        item = NamedItem(item_id=item_id, title=titles[position])
        agents = agent_shares(parts, query.scorer.shares)
        history: tuple[HistoryShare, ...] = ()
        if effects is not None:
            history = history_shares(query.counted, parts, effects)
        declared = declared_shares(query.declared, parts) if len(query.declared) else ()
        counterfactual = as_record(query, removal, passing, titles)
        list_rank = None if place is None else knobs.offset + place + 1
        moved: tuple[Move, ...] = ()
        if place is not None and list_rank is not None:
            moved = moves(shown[place], list_rank, titles)
        reasons, paths = self._reasons(query, parts, item)
        score, rank = float(scored.scores[position]), position + 1
        words = [
            *change_words(changed),
            *standing_words(item.title, score, rank, len(scored), moved),
            *declared_words(declared),
            *contribution_words(agents, history),
            *rejection_words(query.counted[len(query.history) :], history),
            *fact_words(paths, query.counted),
            *counterfactual_words(item.title, counterfactual),
        ]
        return Explanation(
            user_id=query.user_id,
            item_id=item_id,
            title=item.title,
            model_id=live.model_id,
            vocabulary_hash=live.team.items.hash,
            request_id=listed.request_id,
            k=knobs.k,
            filters=knobs.filters,
            diversity=knobs.diversity,
            changed=changed,
            score=score,
            rank=rank,
            list_rank=list_rank,
            moves=moved,
            candidates=len(scored),
            candidate=query is listed,
            seen=item_id in listed.history.seen_ids,
            agents=agents,
            history=history,
            declared=declared,
            counterfactual=counterfactual,
            counterfactual_searched=search and rescoring is not None,
            reasons=reasons,
            paths=paths,
            words=tuple(words),
        )

    def _titles(self, query: Query, positions: Sequence[int]) -> dict[int, str]:
        """Return titles by position; raises NotFoundError where the first is not in the graph."""
        ids = query.ids(positions)
        titles = self.recommender.titles(list(dict.fromkeys(ids)), query.snapshot)
        if ids[0] not in titles:
            raise NotFoundError("there is no such item", value=ids[0])
        return {n: titles.get(i, i) for n, i in zip(positions, ids, strict=True)}

    def _reasons(
        self, query: Query, parts: Contributions, item: NamedItem
    ) -> tuple[tuple[Reason, ...], tuple[Reason, ...]]:
        """Return the short reasons, and those that are facts, the weightiest first."""
        if len(query.declared):
            return declared_reasons(query.declared, parts, 0), ()
        events, item_parts = query.counted, parts.by_item[:, :, 0].sum(axis=0)
        total = float(parts.absolute_sums[0])
        order = [n for n in np.argsort(-item_parts, kind="stable") if item_parts[n] > 0]
        sources = {events[n].item_id: int(n) for n in order[: self.config.sources]}
        snapshot = query.snapshot
        found = find_paths(
            (snapshot and snapshot.neighbourhood) or self.store,
            {i: events[n].title for i, n in sources.items()},
            {item.item_id: item.title},
            num_items=len(query.live.team.items),
            meanings=query.live.meanings,
            config=self.config.paths,
        )
        recommended = self.recommender.config
        nearest = set(list(sources)[: recommended.sources])
        best: dict[str, FoundPath] = {}
        for path in found:
            start = path.history_id
            if start in nearest and path.degree <= recommended.paths.max_degree:
                best.setdefault(start, path)
        found.sort(key=lambda path: -path.weight * item_parts[sources[path.history_id]])
        facts = []
        for path in self._spread(found):
            n = sources[path.history_id]
            through = float(parts.from_facts[n, 0])
            facts.append(
                fact_reason(events[n], path.record(), float(item_parts[n]), through, total)
            )
        rejected = len(events) - len(query.history)
        return reasons_of(events, parts, 0, best, rejected=rejected), tuple(facts)

    def _spread(self, paths: Sequence[FoundPath]) -> list[FoundPath]:
        """Keep the first paths, not too many of them over one entity."""
        kept: list[FoundPath] = []
        over: Counter[str] = Counter()
        for path in paths:
            entity = path.last_id
            if len(kept) < self.config.num_paths and over[entity] < self.config.paths_an_entity:
                kept.append(path)
                over[entity] += 1
        return kept
