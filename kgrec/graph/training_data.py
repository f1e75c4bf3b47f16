"""The graph as a `Dataset`: vocabularies in the order of ids, edges as columns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kgrec.data.dataset import Dataset, Facts, IntArray, Interactions
from kgrec.data.selection import Selection, kind_codes, standing
from kgrec.data.vocabulary import Vocabulary
from kgrec.errors import DataError
from kgrec.graph.pages import (
    entity_pages,
    fact_pages,
    interaction_pages,
    item_pages,
    user_pages,
)
from kgrec.graph.store import GraphStore
from kgrec.progress import SILENT, Progress


def read_dataset(
    store: GraphStore, selection: Selection | None = None, *, progress: Progress = SILENT
) -> Dataset:
    """Read what the agents learn from.

    Vocabularies are in the order of ids, so the same graph gives the same hashes. Interactions
    that do not speak for their item (`Selection`) are left out, and so are pairs whose last
    interaction is such a one.

    Args:
        store: the graph.
        selection: domain and kinds of interaction.

    Raises:
        DataError: the graph holds no item of the domain.
    """
    selection = selection or Selection()
    items, texts = _read_items(store, selection.label)
    if not len(items):
        raise DataError(
            "the graph holds no items",
            value=selection.domain,
            remedy="Ingest a catalogue first: kgrec run PIPELINE, or kgrec ingest catalog FILE.",
        )
    users = Vocabulary(sorted(i for page in user_pages(store) for i in page["ids"]))
    interactions = _read_interactions(store, users, items, selection, progress)
    facts, entities, names = _read_facts(store, items, progress)
    return Dataset(users, items, interactions, entities, facts, texts, names)


def _read_items(store: GraphStore, label: str | None) -> tuple[Vocabulary, tuple[str, ...]]:
    texts: dict[str, str] = {}
    for page in item_pages(store, label=label):
        words = zip(page["titles"], page["descriptions"], strict=True)
        lines = (". ".join(filter(None, pair)) for pair in words)
        texts.update(zip(page["ids"], lines, strict=True))
    ids = sorted(texts)
    return Vocabulary(ids), tuple(texts[i] for i in ids)


def _read_interactions(
    store: GraphStore,
    users: Vocabulary,
    items: Vocabulary,
    selection: Selection,
    progress: Progress,
) -> Interactions:
    parts, positive = [Interactions.empty()], [np.empty(0, dtype=np.bool_)]
    for page in interaction_pages(store, users.ids, progress):
        rows = items.rows(page["items"])
        part = Interactions(
            np.asarray(page["users"], dtype=np.int64),
            rows,
            np.asarray(page["values"], dtype=np.float32),
            np.asarray(page["times"], dtype=np.int64),
            kind_codes(page["kinds"]),
        )
        parts.append(part.take(rows >= 0))
        positive.append(selection.positive(page["kinds"], page["values"])[rows >= 0])
    columns = parts[0].concat(*parts[1:])
    keys = columns.user * len(items) + columns.item
    columns = columns.take(standing(keys, columns.at, np.concatenate(positive)))
    return columns.take(np.lexsort((columns.item, columns.at, columns.user)))


def _read_facts(
    store: GraphStore, items: Vocabulary, progress: Progress
) -> tuple[Facts, Vocabulary, tuple[str, ...]]:
    relations, entities = _Codes(), _Codes()
    parts = [(np.empty(0, dtype=np.int64),) * 3 + (np.empty(0, dtype=np.float32),)]
    for page in fact_pages(store, items.ids, progress):
        part = (
            np.asarray(page["items"], dtype=np.int64),
            relations.of(page["relations"]),
            entities.of(page["entities"]),
            np.asarray(page["confidences"], dtype=np.float32),
        )
        parts.append(part)
    item, relation, entity, confidence = (
        np.concatenate(column) for column in zip(*parts, strict=True)
    )
    types, relation = relations.in_order(relation)
    vocabulary, entity = entities.in_order(entity)
    order = np.lexsort((entity, relation, item))
    facts = Facts(item[order], relation[order], entity[order], confidence[order], types.ids)
    names = _entity_names(store) if len(vocabulary) else {}
    return facts, vocabulary, tuple(names.get(i, "") for i in vocabulary.ids)


def _entity_names(store: GraphStore) -> dict[str, str]:
    return {
        i: name
        for page in entity_pages(store)
        for i, name in zip(page["ids"], page["names"], strict=True)
    }


class _Codes:
    """Numbers for strings that stream by, so that no column of strings is kept."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}

    def of(self, names: Sequence[str]) -> IntArray:
        codes = self._codes
        return np.fromiter((codes.setdefault(name, len(codes)) for name in names), dtype=np.int64)

    def in_order(self, column: IntArray) -> tuple[Vocabulary, IntArray]:
        """Return the strings sorted, and the column renumbered to their rows."""
        vocabulary = Vocabulary(sorted(self._codes))
        return vocabulary, vocabulary.rows(self._codes)[column]
