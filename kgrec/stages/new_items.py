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

    Facts that lead from an entity to an item, and links, are left out.
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
    names = {
        row["entity_id"]: row["name"]
        for row in store.read("recommend/entity_names", entities=list(entities.ids))
    }
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
        tuple(names.get(each, "") for each in entities.ids),
    )


def chosen_of(data: Dataset, ids: Sequence[str]) -> Dataset:
    """Return some of the items, in the given order."""
    rows = data.items.rows(ids)
    place = np.full(data.num_items, -1, dtype=np.int64)
    place[rows] = np.arange(len(rows))
    facts = data.facts
    kept = place[facts.item] >= 0
    return Dataset(
        data.users,
        Vocabulary(ids),
        data.interactions,
        data.entities,
        Facts(
            place[facts.item[kept]],
            facts.relation[kept],
            facts.entity[kept],
            facts.confidence[kept],
            facts.relations,
        ),
        tuple(data.item_texts[row] for row in rows.tolist()),
        data.entity_names,
    )
