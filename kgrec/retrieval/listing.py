"""The items that a list shows, as records: scores, contributions and reasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from kgrec.graph.store import GraphStore
from kgrec.model.scorer import Contributions
from kgrec.retrieval.declared import declared_reasons
from kgrec.retrieval.meetings import best_paths
from kgrec.retrieval.paths import PathConfig
from kgrec.retrieval.query import Query
from kgrec.retrieval.reasons import places_of, reasons_of
from kgrec.retrieval.records import Reason, Recommendation, signed_shares
from kgrec.retrieval.reranking import Pick, moves


def listed_items(
    store: GraphStore,
    query: Query,
    shown: Sequence[Pick],
    titles: Mapping[str, str],
    *,
    paths: PathConfig,
    sources: int,
) -> tuple[Recommendation, ...]:
    """Return the records of the items that are shown.

    Args:
        store: read for paths where the catalogue is not in memory.
        titles: of these items, and of those that reranking names, by id.
        paths: where reasons are looked for.
        sources: with so many history items of each item.
    """
    offset, positions = query.knobs.offset, [pick.position for pick in shown]
    ids = query.ids(positions)
    parts = query.contributions(positions)
    if len(query.declared):
        reasons = [declared_reasons(query.declared, parts, n) for n in range(len(ids))]
    else:
        reasons = _reasons(store, query, ids, titles, parts, paths, sources)
    places = [*positions, *(position for pick in shown for position in pick.alike)]
    named = {n: titles.get(i, i) for n, i in zip(places, query.ids(places), strict=True)}
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
    store: GraphStore,
    query: Query,
    ids: Sequence[str],
    titles: Mapping[str, str],
    parts: Contributions,
    config: PathConfig,
    number: int,
) -> list[tuple[Reason, ...]]:
    """Return the reasons of the items by the history.

    Args:
        parts: contributions to the items.
        number: so many history items of each item are looked at for paths.
    """
    events = query.counted
    by_event = parts.by_item.sum(axis=0).T  # [C, H]
    best = np.argsort(-by_event, axis=1, kind="stable")[:, :number]
    sources = [
        {events[n].item_id: events[n].title for n in row.tolist() if column[n] > 0}
        for row, column in zip(best, by_event, strict=True)
    ]
    snapshot = query.snapshot
    paths = best_paths(
        (snapshot and snapshot.neighbourhood) or store,
        {item: title for each in sources for item, title in each.items()},
        {item: titles[item] for item in ids if item in titles},
        dict(zip(ids, sources, strict=True)),
        num_items=len(query.live.team.items),
        meanings=query.live.meanings,
        config=config,
    )
    rejected, places = len(events) - len(query.history), places_of(events)
    return [
        reasons_of(events, parts, n, paths.get(each, {}), rejected=rejected, places=places)
        for n, each in enumerate(ids)
    ]
