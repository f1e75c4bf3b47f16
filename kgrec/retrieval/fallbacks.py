"""What is shown when the model cannot speak: popular items, or items that share entities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kgrec.graph.store import GraphStore
from kgrec.retrieval.records import Recommendation


def popular(
    store: GraphStore,
    seen: frozenset[str],
    passed: frozenset[str] | None,
    k: int,
    label: str | None = None,
) -> tuple[tuple[Recommendation, ...], int]:
    """Return the unseen items of the most interactions, and how many were looked at.

    Args:
        passed: ids that the filters let pass; None when there is no filter.
        label: only items that carry it; None takes all.
    """
    if passed is None:
        rows = store.read("recommend/popular", seen=list(seen), limit=k, label=label)
    else:
        rows = store.read("recommend/popularity_of", items=sorted(passed - seen), label=label)
        rows.sort(key=lambda row: (-row["interactions"], row["item_id"]))
    best = rows[:k]
    reasons = [(f"popular: {row['interactions']} interactions",) for row in best]
    return _ranked(best, "interactions", reasons), len(rows)


def related(
    store: GraphStore, item_id: str, passed: frozenset[str] | None, k: int, max_degree: int
) -> tuple[tuple[Recommendation, ...], int]:
    """Return the items that share the rarest entities with one, and how many were looked at."""
    limit = k if passed is None else 100 * k
    rows = store.read(
        "recommend/related_by_entities", item_id=item_id, max_degree=max_degree, limit=limit
    )
    kept = [row for row in rows if passed is None or row["item_id"] in passed][:k]
    reasons = [("shares " + ", ".join(row["entities"][:3]),) for row in kept]
    return _ranked(kept, "weight", reasons), len(rows)


def _ranked(
    rows: Sequence[dict[str, Any]], score: str, reasons: Sequence[tuple[str, ...]]
) -> tuple[Recommendation, ...]:
    return tuple(
        Recommendation(
            rank=rank,
            item_id=row["item_id"],
            title=row["title"] or row["item_id"],
            score=float(row[score]),
            reasons=why,
        )
        for rank, (row, why) in enumerate(zip(rows, reasons, strict=True), start=1)
    )
