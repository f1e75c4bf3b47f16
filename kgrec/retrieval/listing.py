"""The list of a query: the best candidates reranked, as records with contributions and reasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from weakref import ref

import numpy as np

from kgrec.graph.store import GraphStore
from kgrec.model.scorer import Contributions
from kgrec.retrieval.declared import declared_reasons
from kgrec.retrieval.maker import QueryMaker
from kgrec.retrieval.meetings import best_paths
from kgrec.retrieval.paths import PathConfig
from kgrec.retrieval.query import Query
from kgrec.retrieval.reasons import places_of, reasons_of
from kgrec.retrieval.records import Reason, Recommendation, RecommendationList, signed_shares
from kgrec.retrieval.reranking import Pick, moves, picks
from kgrec.retrieval.state import titles_of

_TRIES = 3
"""So often a list is made anew where items left the graph meanwhile."""


class ListMaker:
    """Makes the lists of queries; safe to share between threads.

    Args:
        store: read for titles and paths where the catalogue is not in memory.
        queries: make a query anew where an item of it has left the graph.
        pool: how many of the best, for each that is shown, the rerankers choose from.
        paths: where reasons are looked for.
        sources: with so many history items of each item.
    """

    def __init__(
        self, store: GraphStore, queries: QueryMaker, *, pool: int, paths: PathConfig, sources: int
    ) -> None:
        self.store = store
        self.queries = queries
        self.pool = pool
        self.paths = paths
        self.sources = sources

    def of(self, query: Query) -> RecommendationList:
        """Return the list of a query."""
        for left in reversed(range(_TRIES)):
            shown = picks(query, self.pool)
            places = [pick.position for pick in shown]
            places += [position for pick in shown for position in pick.alike]
            ids = query.ids(places)
            titles = titles_of(self.store, list(dict.fromkeys(ids)), query.snapshot)
            if all(each in titles for each in ids[: len(shown)]) or not left:
                break
            query = self.queries.made_anew(query)  # an item has left the graph

        def make() -> tuple[Recommendation, ...]:
            named = {n: titles.get(each, each) for n, each in zip(places, ids, strict=True)}
            return self._items(query, shown, titles, named)

        if query.recent is None or query.snapshot is None:
            items = make()
        else:
            key = (query.scored.identity, ref(query.snapshot), query.knobs.offset, tuple(shown))
            items = query.recent.shown(key, make)
        return RecommendationList(
            items=items,
            model_id=query.live.model_id,
            vocabulary_hash=query.live.team.items.hash,
            request_id=query.request_id,
            cursor=query.cursor if len(shown) == query.knobs.k else None,
            user_id=query.user_id,
            history=len(query.history),
            candidates=len(query.candidates),
            shares=query.scorer.shares,
            filtered=query.filtered,
            fallback="profile" if len(query.declared) else None,
            context=query.context_used,
        )

    def _items(
        self,
        query: Query,
        shown: Sequence[Pick],
        titles: Mapping[str, str],
        named: Mapping[int, str],
    ) -> tuple[Recommendation, ...]:
        """Return the records of the items that are shown.

        Args:
            titles: by id; an item that has left the graph has none.
            named: titles of these items and of those that reranking names, by position.
        """
        offset, positions = query.knobs.offset, [pick.position for pick in shown]
        ids = query.ids(positions)
        parts = query.contributions(positions)
        if len(query.declared):
            reasons = [declared_reasons(query.declared, parts, n) for n in range(len(ids))]
        else:
            reasons = self._reasons(query, ids, titles, parts)
        return tuple(
            Recommendation(
                rank=offset + n + 1,
                item_id=item_id,
                title=named[pick.position],
                score=float(query.scored.scores[pick.position]),
                contributions=(by_agent := dict(zip(parts.agents, column, strict=True))),
                signed_shares=signed_shares(by_agent),
                expected_value=None if parts.expected is None else float(parts.expected[n]),
                reasons=reasons[n],
                moves=moves(pick, offset + n + 1, named),
            )
            for n, (pick, item_id, column) in enumerate(
                zip(shown, ids, parts.by_agent.T.tolist(), strict=True)
            )
        )

    def _reasons(
        self, query: Query, ids: Sequence[str], titles: Mapping[str, str], parts: Contributions
    ) -> list[tuple[Reason, ...]]:
        """Return the reasons of the items by the history.

        Args:
            parts: contributions to the items.
        """
        events = query.counted
        best = parts.strongest[:, : self.sources]
        helps = np.take_along_axis(parts.by_event.T, best, axis=1) > 0
        sources = [
            {events[n].item_id: events[n].title for n in row[positive].tolist()}
            for row, positive in zip(best, helps, strict=True)
        ]
        snapshot = query.snapshot
        paths = best_paths(
            (snapshot and snapshot.neighbourhood) or self.store,
            {item: title for each in sources for item, title in each.items()},
            {item: titles[item] for item in ids if item in titles},
            dict(zip(ids, sources, strict=True)),
            num_items=len(query.live.team.items),
            meanings=query.live.meanings,
            config=self.paths,
        )
        rejected, places = len(events) - len(query.history), places_of(events)
        return [
            reasons_of(events, parts, n, paths.get(each, {}), rejected=rejected, places=places)
            for n, each in enumerate(ids)
        ]
