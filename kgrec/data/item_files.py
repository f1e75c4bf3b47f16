"""Tab-separated files with a header of `name:type` columns.

The contents of `NAME.item`, `.kg`, `.link` and `.entity`: texts, facts, links, names of entities.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from kgrec.data.cells.values import CellError, parse_number
from kgrec.data.dataset import Facts, Links, LinkType
from kgrec.data.records import MAX_ID
from kgrec.data.vocabulary import Vocabulary
from kgrec.errors import DataError


@dataclass
class AtomicTable:
    """A tab-separated file: column names and types from its header, rows of equal length.

    Attributes:
        types: `token`, `token_seq`, `float`, … by column; empty strings in plain TSV.
        rows: fields of each usable row.
        lines: line number of each usable row.
        rejects: `file:line: reason` of the others.
    """

    path: Path
    columns: list[str]
    types: list[str]
    rows: list[list[str]] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    rejects: list[str] = field(default_factory=list)

    def find(self, names: Sequence[str]) -> int | None:
        """Return the position of the first column that has one of these names, in any case."""
        low = [column.lower() for column in self.columns]
        return next((low.index(name) for name in names if name in low), None)

    def reject(self, line: int, reason: str) -> None:
        self.rejects.append(f"{self.path.name}:{line}: {reason}")


def read_table(path: Path) -> AtomicTable:
    """Read a tab-separated file with a header; rows of another length are set aside.

    Raises:
        DataError: the file is missing, empty, not UTF-8, or its header has a single column.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError(
            "there is no such file", value=str(path), remedy="Check the path."
        ) from None
    except UnicodeDecodeError as error:
        raise DataError(
            f"the file is not UTF-8 (byte {error.start})",
            value=str(path),
            remedy="Convert it, for example with iconv -f latin1 -t utf-8.",
        ) from None
    except OSError as error:
        raise DataError(f"the file cannot be read ({error.strerror})", value=str(path)) from None
    lines = text.split("\n")
    header = lines[0].rstrip("\r").split("\t")
    if not lines[0].strip():
        raise DataError("the file is empty", value=str(path), remedy="Give a header and rows.")
    if len(header) < 2:
        raise DataError(
            "the file has a single column; columns must be separated by tabs",
            value=f"{path}: {lines[0][:80]}",
            remedy="Write the header as user_id:token<TAB>item_id:token, and rows likewise.",
        )
    columns, _, types = zip(*(column.strip().partition(":") for column in header), strict=True)
    table = AtomicTable(path, list(columns), list(types))
    _fill(table, lines)
    return table


def _fill(table: AtomicTable, lines: Sequence[str]) -> None:
    for number, line in enumerate(lines[1:], start=2):
        fields = line.rstrip("\r").split("\t")
        if fields == [""]:
            continue
        if len(fields) != len(table.columns):
            table.reject(number, f"{len(fields)} fields, expected {len(table.columns)}")
            continue
        table.rows.append(fields)
        table.lines.append(number)


def missing_column(table: AtomicTable, what: str, names: Sequence[str]) -> DataError:
    """Return the error that names the column that the file must have."""
    return DataError(
        f"the file has no {what} column",
        value=f"{table.path}: {', '.join(table.columns)}",
        remedy=f"Name it {names[0]}.",
    )


def column_of(table: AtomicTable, name: str) -> int:
    """Return the position of a column; raises DataError where there is none."""
    column = table.find((name,))
    if column is None:
        raise missing_column(table, name, (name,))
    return column


ITEM_COLUMNS = ("item_id", "item", "itemid", "iid", "artist_id", "movie_id", "product_id")
_PROSE = frozenset({"title", "name", "description", "overview", "summary", "text", "abstract"})


class ItemKnowledge:
    """Collects facts, links, texts and entity names around known items."""

    def __init__(self, items: Vocabulary) -> None:
        self._items = items
        self._texts = [""] * len(items)
        self._names: dict[str, str] = {}
        self._relations: dict[str, int] = {}
        self._facts: dict[tuple[int, int, str], float] = {}
        self._links: dict[tuple[str, str, str], float] = {}

    def add_items(self, table: AtomicTable) -> None:
        """Add prose columns as texts, and every other list of tokens as facts."""
        key = table.find(ITEM_COLUMNS)
        if key is None:
            raise missing_column(table, "item", ITEM_COLUMNS)
        lists = [column for column, kind in enumerate(table.types) if kind == "token_seq"]
        for line, row in zip(table.lines, table.rows, strict=True):
            if not row[key]:
                table.reject(line, "the item is empty")
                continue
            if len(row[key]) > MAX_ID:
                table.reject(line, f"the item is longer than {MAX_ID} characters")
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

    def add_graph(self, kg: AtomicTable, link: AtomicTable) -> None:
        """Add triples: facts where one end is an item, links between entities otherwise.

        Triples of items that are in `.link` and not in the catalogue, for lack of interactions, are
        left out. A fact that leads to its item gets the suffix `~`. An entity may stand for several
        items, such as editions of one work: each gets its facts. A column `confidence` holds the
        confidence of a triple, 1 by default.
        """
        head, relation, tail = (
            column_of(kg, name) for name in ("head_id", "relation_id", "tail_id")
        )
        confidence = kg.find(("confidence",))
        item, entity = column_of(link, "item_id"), column_of(link, "entity_id")
        linked: dict[str, list[int]] = {}
        absent = {row[entity] for row in link.rows if row[item] not in self._items}
        for row in link.rows:
            if row[item] in self._items and row[entity]:
                linked.setdefault(row[entity], []).append(self._items.row(row[item]))
        for line, row in zip(kg.lines, kg.rows, strict=True):
            if not (row[head] and row[relation] and row[tail]):
                kg.reject(line, "the head, the relation or the tail is empty")
                continue
            if max(len(row[head]), len(row[tail])) > MAX_ID:
                kg.reject(line, f"the head or the tail is longer than {MAX_ID} characters")
                continue
            try:
                sure = 1.0 if confidence is None else parse_number(row[confidence], "confidence")
            except CellError as error:
                kg.reject(line, f"{error.reason}: {row}")
                continue
            if sure is None or not 0 < sure <= 1:
                kg.reject(line, f"a confidence must be above 0 and at most 1: {row}")
                continue
            for one in linked.get(row[head], ()):
                self._add(one, row[relation], row[tail], sure)
            for one in linked.get(row[tail], ()):
                self._add(one, f"{row[relation]}~", row[head], sure)
            triple = row[head], row[relation], row[tail]
            of_item = any(end in linked or end in absent for end in (row[head], row[tail]))
            if not of_item and row[head] != row[tail]:
                self._links[triple] = max(sure, self._links.get(triple, 0.0))

    def add_names(self, table: AtomicTable) -> None:
        """Add the names of entities, of any number of words."""
        entity, name = column_of(table, "entity_id"), column_of(table, "name")
        for row in table.rows:
            if row[entity] and row[name].strip():
                self._names[row[entity]] = row[name].strip()

    def build(self) -> tuple[Vocabulary, Facts, tuple[str, ...], tuple[str, ...], Links]:
        """Return entities, facts, item texts, entity names and links.

        Entities that only links reach come after those of the facts.
        """
        of_links = (entity for head, _, tail in self._links for entity in (head, tail))
        entities = Vocabulary.of([*(entity for _, _, entity in self._facts), *of_links])
        facts = Facts(
            np.fromiter((item for item, _, _ in self._facts), dtype=np.int64),
            np.fromiter((relation for _, relation, _ in self._facts), dtype=np.int64),
            entities.rows(entity for _, _, entity in self._facts),
            np.fromiter(self._facts.values(), dtype=np.float32),
            tuple(self._relations),
        )
        names = tuple(self._names.get(entity, "") for entity in entities.ids)
        links = Links.distinct(
            {
                (LinkType("entity", relation, "entity"), entities.row(head), entities.row(tail)): c
                for (head, relation, tail), c in self._links.items()
            }
        )
        return entities, facts, tuple(self._texts), names, links

    def _add(self, item: int, relation: str, entity: str, confidence: float = 1.0) -> None:
        number = self._relations.setdefault(relation, len(self._relations))
        key = item, number, entity
        self._facts[key] = max(confidence, self._facts.get(key, 0.0))


def _is_prose(column: str) -> bool:
    return any(part in _PROSE for part in column.lower().split("_"))
