"""What `NAME.item`, `.kg`, `.link` and `.entity` say of items: texts, facts, names of entities."""

from __future__ import annotations

import numpy as np

from kgrec.data.dataset import Facts
from kgrec.data.tsv import Table, column_of, missing_column
from kgrec.data.values import CellError, parse_number
from kgrec.data.vocabulary import Vocabulary

ITEM_COLUMNS = ("item_id", "item", "itemid", "iid", "artist_id", "movie_id", "product_id")
_PROSE = frozenset({"title", "name", "description", "overview", "summary", "text", "abstract"})


class Knowledge:
    """Collects facts, texts and entity names of known items."""

    def __init__(self, items: Vocabulary) -> None:
        self._items = items
        self._texts = [""] * len(items)
        self._names: dict[str, str] = {}
        self._relations: dict[str, int] = {}
        self._facts: dict[tuple[int, int, str], float] = {}

    def add_items(self, table: Table) -> None:
        """Take prose columns as text, and every other list of tokens as facts."""
        key = table.find(ITEM_COLUMNS)
        if key is None:
            raise missing_column(table, "item", ITEM_COLUMNS)
        lists = [column for column, kind in enumerate(table.types) if kind == "token_seq"]
        for line, row in zip(table.lines, table.rows, strict=True):
            if not row[key]:
                table.reject(line, "the item is empty")
                continue
            item = self._items.row(row[key])
            words = []
            for column in lists:
                name, value = table.columns[column], row[column].strip()
                if not value:
                    continue
                words.append(value)
                if not _is_prose(name):
                    for token in value.split():
                        entity = f"{name}:{token}"
                        self._names[entity] = token
                        self._add(item, name, entity)
            self._texts[item] = ". ".join(words)

    def add_graph(self, kg: Table, link: Table) -> None:
        """Take the triples that touch an item; those that point at it get the suffix `~`.

        An entity may stand for several items, as editions of one work do: each has its facts.
        A column `confidence` says how far a triple can be trusted; without one it is 1.
        """
        head, relation, tail = (
            column_of(kg, name) for name in ("head_id", "relation_id", "tail_id")
        )
        confidence = kg.find(("confidence",))
        item, entity = column_of(link, "item_id"), column_of(link, "entity_id")
        linked: dict[str, list[int]] = {}
        for row in link.rows:
            if row[item] in self._items and row[entity]:
                linked.setdefault(row[entity], []).append(self._items.row(row[item]))
        for line, row in zip(kg.lines, kg.rows, strict=True):
            if not (row[head] and row[relation] and row[tail]):
                kg.reject(line, "the head, the relation or the tail is empty")
                continue
            try:
                sure = 1.0 if confidence is None else parse_number(row[confidence], "confidence")
            except CellError as error:
                kg.reject(line, f"{error.reason}: {row}")
                continue
            if sure is None or not 0 < sure <= 1:
                kg.reject(line, f"a confidence lies above 0 and at most at 1: {row}")
                continue
            for one in linked.get(row[head], ()):
                self._add(one, row[relation], row[tail], sure)
            for one in linked.get(row[tail], ()):
                self._add(one, f"{row[relation]}~", row[head], sure)

    def add_names(self, table: Table) -> None:
        """Take the names of entities, of any number of words."""
        entity, name = column_of(table, "entity_id"), column_of(table, "name")
        for row in table.rows:
            if row[entity] and row[name].strip():
                self._names[row[entity]] = row[name].strip()

    def build(self) -> tuple[Vocabulary, Facts, tuple[str, ...], tuple[str, ...]]:
        """Return entities, facts, item texts and entity names."""
        entities = Vocabulary.of(entity for _, _, entity in self._facts)
        facts = Facts(
            np.fromiter((item for item, _, _ in self._facts), dtype=np.int64),
            np.fromiter((relation for _, relation, _ in self._facts), dtype=np.int64),
            entities.rows(entity for _, _, entity in self._facts),
            np.fromiter(self._facts.values(), dtype=np.float32),
            tuple(self._relations),
        )
        names = tuple(self._names.get(entity, "") for entity in entities.ids)
        return entities, facts, tuple(self._texts), names

    def _add(self, item: int, relation: str, entity: str, confidence: float = 1.0) -> None:
        number = self._relations.setdefault(relation, len(self._relations))
        key = item, number, entity
        self._facts[key] = max(confidence, self._facts.get(key, 0.0))


def _is_prose(column: str) -> bool:
    return any(part in _PROSE for part in column.lower().split("_"))
