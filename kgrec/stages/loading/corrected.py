"""What persons stated of facts, kept in the graph beside them: confirmed, or rejected.

A correction outlives the sources: a load or an extraction brings no rejected fact back, and
withdraws no confirmed one.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from kgrec.data.records import LinkRecord, Node
from kgrec.graph.redirects import Redirects
from kgrec.graph.store import GraphStore

CORRECTION = "correction"
"""The source and the extractor of facts that a person confirmed."""
CONFIRMED, REJECTED = "confirmed", "rejected"


@dataclass(frozen=True)
class CorrectedFacts:
    """Facts of some items that persons confirmed and rejected."""

    confirmed: tuple[LinkRecord, ...] = ()
    rejected: tuple[LinkRecord, ...] = ()


def corrections_of(
    store: GraphStore, items: Collection[str], redirects: Redirects
) -> CorrectedFacts:
    """Return what persons stated of the facts of some items, and of those merged into them.

    Args:
        redirects: where the ids of merged nodes lead; of two corrections that came to be about one
            fact, the confirmation counts.
    """
    if not items:
        return CorrectedFacts()
    former = {one for one, kept in redirects.items.items() if kept in items}
    found: dict[str, dict[Any, LinkRecord]] = {CONFIRMED: {}, REJECTED: {}}
    for row in store.read("corrections/of_items", items=sorted(former.union(items))):
        fact = redirects.link(corrected_fact(row))
        if fact is not None:
            found[row["verdict"]][fact.head.id, fact.relation, fact.tail.id] = fact
    confirmed = found[CONFIRMED]
    rejected = [fact for key, fact in found[REJECTED].items() if key not in confirmed]
    return CorrectedFacts(tuple(confirmed.values()), tuple(rejected))


def corrected_fact(row: dict[str, Any]) -> LinkRecord:
    """Return the fact that a row of a correction is about, as one that a person confirmed."""
    tail = Node("entity", row["entity_id"], row["entity_type"], row["name"])
    head = Node("item", row["item_id"])
    values = (1.0, CORRECTION, CORRECTION, row["evidence"] or "")
    return LinkRecord(head, row["relation"], tail, *values)
