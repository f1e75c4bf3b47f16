"""Items cut out of a data set, as the graph would give them after the training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from kgrec.data.dataset import Dataset, IntArray, Interactions
from kgrec.data.vocabulary import Vocabulary


def alone(data: Dataset, rows: list[int], prefix: str = "") -> Dataset:
    """Return some items with their texts and facts, without interactions."""
    place = np.full(data.num_items, -1, dtype=np.int64)
    place[rows] = np.arange(len(rows))
    facts = data.facts
    kept = place[facts.item] >= 0
    used = np.unique(facts.entity[kept])
    of = np.full(len(data.entities), -1, dtype=np.int64)
    of[used] = np.arange(len(used))
    return Dataset(
        Vocabulary(()),
        Vocabulary(f"{prefix}{data.items.id(row)}" for row in rows),
        Interactions.empty(),
        Vocabulary(data.entities.take(used)),
        replace(
            facts,
            item=place[facts.item[kept]],
            relation=facts.relation[kept],
            entity=of[facts.entity[kept]],
            confidence=facts.confidence[kept],
        ),
        tuple(data.item_texts[row] for row in rows) if data.item_texts else (),
        tuple(data.entity_names[row] for row in used) if data.entity_names else (),
    )


def without(data: Dataset, rows: Sequence[int] | IntArray) -> Dataset:
    """Return a data set without some items, and without what is known of them.

    Where items are linked to items, links between entities alone stay.
    """
    kept = np.setdiff1d(np.arange(data.num_items), rows)
    place = np.full(data.num_items, -1, dtype=np.int64)
    place[kept] = np.arange(len(kept))
    facts, done, links = data.facts, data.interactions, data.links
    if len(links.of("item", "item")):
        links = links.of("entity", "entity")
    of_kept = place[facts.item] >= 0
    done = done.take(place[done.item] >= 0)
    return replace(
        data,
        items=Vocabulary(data.items.take(kept)),
        interactions=replace(done, item=place[done.item]),
        facts=replace(
            facts,
            item=place[facts.item[of_kept]],
            relation=facts.relation[of_kept],
            entity=facts.entity[of_kept],
            confidence=facts.confidence[of_kept],
        ),
        item_texts=tuple(data.item_texts[row] for row in kept) if data.item_texts else (),
        links=links,
    )
