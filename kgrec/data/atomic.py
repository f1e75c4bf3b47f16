"""Data sets in files: RecBole's atomic files, and plain TSV files of interactions.

An atomic file is tab-separated with a header of `name:type` columns. A folder holds
`NAME.train.inter`, `NAME.valid.inter`, `NAME.test.inter` and, where there is knowledge,
`NAME.kg` (head, relation, tail), `NAME.link` (item, entity), `NAME.item` (text and lists) and
`NAME.user`, whose users are known even without an interaction.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from kgrec.data.dataset import Dataset, Facts, Interactions
from kgrec.data.values import CellError, parse_number, parse_time
from kgrec.data.vocabulary import Vocabulary
from kgrec.errors import DataError

_PROSE = frozenset({"title", "name", "description", "overview", "summary", "text", "abstract"})
_USERS = ("user_id", "user", "userid", "uid")
_ITEMS = ("item_id", "item", "itemid", "iid", "artist_id", "movie_id", "product_id")
_VALUES = ("rating", "value", "weight", "count", "score")
_TIMES = ("timestamp", "time", "at")


@dataclass(frozen=True)
class SplitDataset:
    """A data set with a fixed split; the vocabularies span all parts.

    Attributes:
        train: catalogue, facts, texts and the interactions to learn from.
        valid, test: the other parts.
        rejects: rows that could not be used, as `file:line: reason`.
    """

    name: str
    train: Dataset
    valid: Interactions
    test: Interactions
    rejects: tuple[str, ...] = ()


@dataclass
class Table:
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


def read_folder(folder: Path) -> SplitDataset:
    """Read a folder of atomic files.

    Raises:
        DataError: the folder or one of its three interaction files is missing, unreadable, or
            holds no usable row.
    """
    name = _name_of(folder)
    parts = [read_table(folder / f"{name}.{part}.inter") for part in ("train", "valid", "test")]
    optional = [folder / f"{name}.{kind}" for kind in ("item", "link", "kg", "user")]
    item, link, kg, user = (read_table(path) if path.is_file() else None for path in optional)
    return _assemble(name, parts, item=item, link=link, kg=kg, user=user)


def read_parts(train: Path, valid: Path, test: Path) -> SplitDataset:
    """Read three interaction files that have a user and an item column; see `read_folder`."""
    return _assemble(train.stem.split(".")[0], [read_table(p) for p in (train, valid, test)])


def read_table(path: Path) -> Table:
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
    table = Table(path, list(columns), list(types))
    _fill(table, lines)
    return table


def _fill(table: Table, lines: Sequence[str]) -> None:
    for number, line in enumerate(lines[1:], start=2):
        fields = line.rstrip("\r").split("\t")
        if fields == [""]:
            continue
        if len(fields) != len(table.columns):
            table.reject(number, f"{len(fields)} fields, expected {len(table.columns)}")
            continue
        table.rows.append(fields)
        table.lines.append(number)


def _name_of(folder: Path) -> str:
    if not folder.is_dir():
        raise DataError("there is no such folder", value=str(folder), remedy="Check the path.")
    found = sorted(path.name for path in folder.glob("*.train.inter"))
    if len(found) != 1:
        raise DataError(
            f"the folder must hold one file NAME.train.inter, it holds {len(found)}",
            value=str(folder),
            remedy="Or name the files with --train, --valid and --test.",
        )
    return found[0].removesuffix(".train.inter")


def _assemble(
    name: str,
    parts: Sequence[Table],
    *,
    item: Table | None = None,
    link: Table | None = None,
    kg: Table | None = None,
    user: Table | None = None,
) -> SplitDataset:
    pairs = [list(_interaction_rows(table)) for table in parts]
    for table, rows in zip(parts, pairs, strict=True):
        if not rows:
            raise DataError(
                "no row of the file is usable",
                value=str(table.path),
                remedy=f"First problem: {table.rejects[0]}" if table.rejects else "It has no rows.",
            )
    known = _ids(user, "user", _USERS)
    users = Vocabulary.of([row[0] for rows in pairs for row in rows] + known)
    named = _ids(item, "item", _ITEMS)
    items = Vocabulary.of([row[1] for rows in pairs for row in rows] + named)
    train, valid, test = (_interactions(rows, users, items) for rows in pairs)
    knowledge = _Knowledge(items)
    if item is not None:
        knowledge.add_items(item)
    if kg is not None and link is not None:
        knowledge.add_graph(kg, link)
    dataset = Dataset(users, items, train, *knowledge.build())
    tables = [*parts, *(table for table in (item, link, kg, user) if table is not None)]
    rejects = tuple(reject for table in tables for reject in table.rejects)
    return SplitDataset(name, dataset, valid, test, rejects)


def _ids(table: Table | None, what: str, names: Sequence[str]) -> list[str]:
    """Return the ids that a table of users or items lists, none of them empty."""
    if table is None:
        return []
    column = table.find(names)
    if column is None:
        raise _missing(table, what, names)
    return [row[column] for row in table.rows if row[column]]


def _item_column(table: Table) -> int:
    column = table.find(_ITEMS)
    if column is None:
        raise _missing(table, "item", _ITEMS)
    return column


def _missing(table: Table, what: str, names: Sequence[str]) -> DataError:
    return DataError(
        f"the file has no {what} column",
        value=f"{table.path}: {', '.join(table.columns)}",
        remedy=f"Name it {names[0]}.",
    )


def _interaction_rows(table: Table) -> Iterator[tuple[str, str, float, int]]:
    user, item = table.find(_USERS), table.find(_ITEMS)
    if user is None:
        raise _missing(table, "user", _USERS)
    if item is None:
        raise _missing(table, "item", _ITEMS)
    value, time = table.find(_VALUES), table.find(_TIMES)
    for line, row in zip(table.lines, table.rows, strict=True):
        if not row[user] or not row[item]:
            table.reject(line, "the user or the item is empty")
            continue
        try:
            number = 1.0 if value is None else parse_number(row[value], table.columns[value])
            at = 0 if time is None else parse_time(row[time], table.columns[time])
        except CellError as error:
            table.reject(line, f"{error.reason}: {row}")
            continue
        if number is None:
            table.reject(line, f"no number where one belongs: {row}")
            continue
        yield row[user], row[item], number, at


def _interactions(
    rows: Sequence[tuple[str, str, float, int]], users: Vocabulary, items: Vocabulary
) -> Interactions:
    return Interactions(
        users.rows(row[0] for row in rows),
        items.rows(row[1] for row in rows),
        np.array([row[2] for row in rows], dtype=np.float32),
        np.array([row[3] for row in rows], dtype=np.int64),
    )


class _Knowledge:
    """Collects facts, texts and entity names of known items."""

    def __init__(self, items: Vocabulary) -> None:
        self._items = items
        self._texts = [""] * len(items)
        self._names: dict[str, str] = {}
        self._relations: dict[str, int] = {}
        self._facts: dict[tuple[int, int, str], None] = {}

    def add_items(self, table: Table) -> None:
        """Take prose columns as text, and every other list of tokens as facts."""
        key = _item_column(table)
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
        """Take the triples that touch an item; those that point at it get the suffix `~`."""
        head, relation, tail = (_column(kg, name) for name in ("head_id", "relation_id", "tail_id"))
        item, entity = _column(link, "item_id"), _column(link, "entity_id")
        rows = {row[entity]: row[item] for row in link.rows if row[item] in self._items}
        for row in kg.rows:
            if row[head] in rows:
                self._add(self._items.row(rows[row[head]]), row[relation], row[tail])
            if row[tail] in rows:
                self._add(self._items.row(rows[row[tail]]), f"{row[relation]}~", row[head])

    def build(self) -> tuple[Vocabulary, Facts, tuple[str, ...], tuple[str, ...]]:
        """Return entities, facts, item texts and entity names."""
        entities = Vocabulary.of(entity for _, _, entity in self._facts)
        facts = Facts(
            np.fromiter((item for item, _, _ in self._facts), dtype=np.int64),
            np.fromiter((relation for _, relation, _ in self._facts), dtype=np.int64),
            entities.rows(entity for _, _, entity in self._facts),
            np.ones(len(self._facts), dtype=np.float32),
            tuple(self._relations),
        )
        names = tuple(self._names.get(entity, "") for entity in entities.ids)
        return entities, facts, tuple(self._texts), names

    def _add(self, item: int, relation: str, entity: str) -> None:
        number = self._relations.setdefault(relation, len(self._relations))
        self._facts[item, number, entity] = None


def _column(table: Table, name: str) -> int:
    column = table.find((name,))
    if column is None:
        raise _missing(table, name, (name,))
    return column


def _is_prose(column: str) -> bool:
    return any(part in _PROSE for part in column.lower().split("_"))
