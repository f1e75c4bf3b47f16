"""What the graph holds of items that came, or changed, after the training: texts and facts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kgrec.data.dataset import Dataset, Facts, Interactions
from kgrec.data.selection import Selection
from kgrec.data.vocabulary import Vocabulary
from kgrec.graph.pages import fact_pages, pages_of_items, relation_types
from kgrec.graph.store import GraphStore


def read_items(store: GraphStore, items: Sequence[str], selection: Selection) -> Dataset:
    """Read texts and facts of some items, as `read_dataset` reads them for a training.

    Facts that lead from an entity to an item, links, and names of entities are left out.
    """
    texts: dict[str, str] = {}
    for page in pages_of_items(store, list(items), label=selection.label):
        words = zip(page["titles"], page["descriptions"], strict=True)
        texts.update(
            zip(page["ids"], (". ".join(filter(None, pair)) for pair in words), strict=True)
        )
    ids = sorted(texts)
    found: list[tuple[int, str, str, float]] = []
    for page in fact_pages(store, ids, relation_types(store, selection.domain)):
        columns = (page["heads"], page["relations"], page["tails"], page["confidences"])
        found += zip(*columns, strict=True)
    entities = Vocabulary(sorted({entity for _, _, entity, _ in found}))
    relations = tuple(sorted({relation for _, relation, _, _ in found}))
    code = {relation: n for n, relation in enumerate(relations)}
    rows = sorted((item, code[r], entities.row(e), sure) for item, r, e, sure in found)
    item, relation, entity, sure = zip(*rows, strict=True) if rows else ((), (), (), ())
    return Dataset(
        Vocabulary(()),
        Vocabulary(ids),
        Interactions.empty(),
        entities,
        Facts(
            np.array(item, dtype=np.int64),
            np.array(relation, dtype=np.int64),
            np.array(entity, dtype=np.int64),
            np.array(sure, dtype=np.float32),
            relations,
        ),
        tuple(texts[each] for each in ids),
    )


def chosen_of(store: GraphStore, data: Dataset, ids: Sequence[str]) -> Dataset:
    """Return some of the items, in the given order, with the names of their entities."""
    rows = data.items.rows(ids)
    place = np.full(data.num_items, -1, dtype=np.int64)
    place[rows] = np.arange(len(rows))
    facts = data.facts
    kept = place[facts.item] >= 0
    used, entity = np.unique(facts.entity[kept], return_inverse=True)
    entities = data.entities.take(used)
    named = store.read("recommend/entity_names", entities=entities) if entities else []
    names = {row["entity_id"]: row["name"] for row in named}
    return Dataset(
        data.users,
        Vocabulary(ids),
        data.interactions,
        Vocabulary(entities),
        Facts(
            place[facts.item[kept]],
            facts.relation[kept],
            entity,
            facts.confidence[kept],
            facts.relations,
        ),
        tuple(data.item_texts[row] for row in rows.tolist()),
        tuple(names.get(each, "") for each in entities),
    )
