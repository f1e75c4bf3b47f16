"""Lists that no model made: what is popular, and what shares entities with an untrained item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kgrec.model.profile import check_fields
from kgrec.retrieval.availability import span
from kgrec.retrieval.history import History, current_time
from kgrec.retrieval.knobs import Knobs
from kgrec.retrieval.live import LiveModel
from kgrec.retrieval.maker import QueryMaker
from kgrec.retrieval.query import request_id
from kgrec.retrieval.records import Fallback, Reason, Recommendation, RecommendationList
from kgrec.retrieval.request_id import Purpose


def popular(
    queries: QueryMaker,
    live: LiveModel,
    history: History,
    knobs: Knobs,
    why: Fallback,
    purpose: Purpose,
    user_id: str | None = None,
) -> RecommendationList:
    """Return the unseen items of the most interactions."""
    check_fields(live.team.contexts, knobs.moment)
    passed, label = queries.passing(live, knobs), live.selection.label
    seen = history.seen_ids | set(knobs.exclude)
    if knobs.repeats:
        seen -= set(history.ids) - set(knobs.exclude)
    end, moments = knobs.offset + knobs.k, span((history.query_time, current_time()))
    if passed is None:
        rows = queries.store.read(
            "recommend/popular", seen=list(seen), limit=end + 1, label=label, **moments
        )
    else:
        rows = queries.store.read(
            "recommend/popular_among", items=sorted(passed - seen), label=label, **moments
        )
        rows.sort(key=lambda row: (-row["interactions"], row["item_id"]))
    best = rows[knobs.offset : end]
    words = [f"popular: {row['interactions']} interactions" for row in best]
    found = _fallback(live, history, knobs, why, purpose, user_id, best, "interactions", words)
    cursor = request_id(live, history, knobs.after, purpose, user_id) if rows[end:] else None
    return found.model_copy(update={"candidates": len(rows), "cursor": cursor})


def related(
    queries: QueryMaker,
    live: LiveModel,
    history: History,
    knobs: Knobs,
    item_id: str,
    max_degree: int,
) -> RecommendationList:
    """Return the items that share the rarest entities with one.

    Args:
        max_degree: entities of more items than these say too little.
    """
    passed = queries.passing(live, knobs)
    rows = queries.store.read(
        "recommend/related_by_entities",
        item_id=item_id,
        max_degree=max_degree,
        among=None if passed is None else sorted(passed),
        limit=knobs.k,
        **span((history.query_time, current_time())),
    )
    words = ["shares " + ", ".join(row["entities"][:3]) for row in rows]
    found = _fallback(
        live, history, knobs, "untrained_item", "similar", None, rows, "weight", words
    )
    return found.model_copy(update={"candidates": len(rows)})


def _fallback(
    live: LiveModel,
    history: History,
    knobs: Knobs,
    why: Fallback,
    purpose: Purpose,
    user_id: str | None,
    rows: Sequence[Mapping[str, Any]],
    score: str,
    words: Sequence[str],
) -> RecommendationList:
    """Return a list that no model made: its scores are counts, and each reason is all of one."""
    kind = "fact" if why == "untrained_item" else "popularity"
    items = tuple(
        Recommendation(
            rank=rank,
            item_id=row["item_id"],
            title=row["title"] or row["item_id"],
            score=float(row[score]),
            reasons=(
                Reason.model_validate(
                    {"kind": kind, "contribution": row[score], "share": 1.0, "words": text}
                ),
            ),
        )
        for rank, (row, text) in enumerate(zip(rows, words, strict=True), start=knobs.offset + 1)
    )
    return RecommendationList(
        items=items,
        model_id=live.model_id,
        vocabulary_hash=live.team.items.hash,
        request_id=request_id(live, history, knobs, purpose, user_id),
        user_id=user_id,
        fallback=why,
    )
