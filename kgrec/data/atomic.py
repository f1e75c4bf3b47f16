"""Data sets in files: RecBole's atomic files, and plain TSV files of interactions.

An atomic file is tab-separated with a header of `name:type` columns. A folder holds the parts of a
split, `NAME.train.inter`, `NAME.valid.inter` and `NAME.test.inter`, or all interactions in
`NAME.inter`, and, where there is knowledge, `NAME.kg` (head, relation, tail), `NAME.link` (item,
entity), `NAME.entity` (names of entities), `NAME.item` (text and lists) and `NAME.user`, whose
users are known even without an interaction and whose columns are properties of users.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from kgrec.data.cells.times import parse_time
from kgrec.data.cells.values import CellError, parse_number, parse_value
from kgrec.data.dataset import Column, Dataset, IntArray, Interactions
from kgrec.data.item_files import (
    ITEM_COLUMNS,
    AtomicTable,
    ItemKnowledge,
    missing_column,
    read_table,
)
from kgrec.data.records import MAX_ID
from kgrec.data.vocabulary import Vocabulary
from kgrec.errors import DataError

_USERS = ("user_id", "user", "userid", "uid")
_VALUES = ("rating", "value", "weight", "count", "score")
_TIMES = ("timestamp", "time", "at")
_PARTS = ("train", "valid", "test")
_KNOWLEDGE = ("item", "link", "kg", "entity", "user")


@dataclass(frozen=True)
class SplitDataset:
    """A data set with a split; the vocabularies span all parts.

    Attributes:
        train: catalogue, facts, texts and the interactions to learn from.
        valid, test: targets of the validation and of the test part.
        valid_given, test_given: histories beside `train` at the query times of these parts.
        cold: rows of the items that only `test` has, where the split holds items out.
        user_columns: values of each column of `NAME.user` in row order of the users, empty
            where there is none.
        rejects: rows that could not be used, as `file:line: reason`.
        in_time: whether the histories of all users precede their targets.
    """

    name: str
    train: Dataset
    valid: Interactions
    test: Interactions
    rejects: tuple[str, ...] = ()
    valid_given: Interactions = field(default_factory=Interactions.empty)
    test_given: Interactions = field(default_factory=Interactions.empty)
    cold: IntArray | None = None
    user_columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    in_time: bool = False

    def requests(self, part: Interactions) -> IntArray | None:
        """Return the times of requests for `valid` or `test`, int64 [U], 0 where unknown.

        The time of a user's first interaction in it; None where the split is not in time.
        """
        return part.first_times(self.train.num_users) if self.in_time else None


def read_folder(folder: Path) -> SplitDataset:
    """Read a folder of atomic files in the split that they give.

    Raises:
        DataError: the folder or one of its three interaction files is missing, unreadable, or
            holds no usable row.
    """
    name = _name_of(folder, split=True)
    parts = [read_table(folder / f"{name}.{part}.inter") for part in _PARTS]
    return _assemble(name, parts, _knowledge(folder, name))


def read_whole(folder: Path) -> SplitDataset:
    """Read a folder of atomic files with all interactions in `train`, to be split anew.

    They are those of `NAME.inter`, or else of the three parts together.

    Raises:
        DataError: the folder holds neither, or nothing usable.
    """
    name = _name_of(folder, split=False)
    path = folder / f"{name}.inter"
    if not path.is_file():
        return merged(read_folder(folder))
    return _assemble(name, [read_table(path)], _knowledge(folder, name))


def read_parts(train: Path, valid: Path, test: Path) -> SplitDataset:
    """Read three interaction files that have a user and an item column; see `read_folder`."""
    return _assemble(train.stem.split(".")[0], [read_table(p) for p in (train, valid, test)], {})


def merged(data: SplitDataset) -> SplitDataset:
    """Return the data set with all interactions in `train`."""
    interactions = data.train.interactions.concat(data.valid, data.test)
    train = data.train.with_interactions(interactions)
    none = Interactions.empty()
    return SplitDataset(data.name, train, none, none, data.rejects, user_columns=data.user_columns)


def _name_of(folder: Path, *, split: bool) -> str:
    if not folder.is_dir():
        raise DataError("there is no such folder", value=str(folder), remedy="Check the path.")
    parts = tuple(f".{part}.inter" for part in _PARTS)
    names = [path.name for path in folder.glob("*.inter")]
    whole = sorted(name.removesuffix(".inter") for name in names if not name.endswith(parts))
    trains = sorted(name.removesuffix(parts[0]) for name in names if name.endswith(parts[0]))
    if not split and len(whole) == 1:
        return whole[0]
    if split and not trains and whole:
        raise DataError(
            "the folder holds no split",
            value=str(folder),
            remedy="Give a protocol: --protocol warm, temporal, cold-item or cold-user.",
        )
    if len(trains) != 1:
        raise DataError(
            f"the folder must hold one file NAME.train.inter, it holds {len(trains)}",
            value=str(folder),
            remedy="Or name the files with --train, --valid and --test.",
        )
    return trains[0]


def _knowledge(folder: Path, name: str) -> dict[str, AtomicTable]:
    paths = {kind: folder / f"{name}.{kind}" for kind in _KNOWLEDGE}
    return {kind: read_table(path) for kind, path in paths.items() if path.is_file()}


def _assemble(
    name: str, parts: Sequence[AtomicTable], more: Mapping[str, AtomicTable]
) -> SplitDataset:
    pairs = [list(_interaction_rows(table)) for table in parts]
    for table, rows in zip(parts, pairs, strict=True):
        if not rows:
            raise DataError(
                "no row of the file is usable",
                value=str(table.path),
                remedy=f"First problem: {table.rejects[0]}" if table.rejects else "It has no rows.",
            )
    known = _ids(more.get("user"), "user", _USERS)
    users = Vocabulary.of([row[0] for rows in pairs for row in rows] + known)
    named = _ids(more.get("item"), "item", ITEM_COLUMNS)
    items = Vocabulary.of([row[1] for rows in pairs for row in rows] + named)
    found = [_interactions(rows, users, items) for rows in pairs]
    train, valid, test = [*found, Interactions.empty(), Interactions.empty()][:3]
    columns = _user_columns(more["user"], users) if "user" in more else {}
    dataset = Dataset(users, items, train, *_facts(items, more).build(), _typed(columns, more))
    rejects = tuple(reject for table in [*parts, *more.values()] for reject in table.rejects)
    return SplitDataset(name, dataset, valid, test, rejects, user_columns=columns)


def _facts(items: Vocabulary, more: Mapping[str, AtomicTable]) -> ItemKnowledge:
    knowledge = ItemKnowledge(items)
    if "item" in more:
        knowledge.add_items(more["item"])
    if "kg" in more and "link" in more:
        knowledge.add_graph(more["kg"], more["link"])
    elif "kg" in more:
        path = more["kg"].path
        missing = path.with_suffix(".link").name
        more["kg"].rejects.append(f"{path.name}: no row is read, as there is no {missing}")
    if "entity" in more:
        knowledge.add_names(more["entity"])
    return knowledge


def _ids(table: AtomicTable | None, what: str, names: Sequence[str]) -> list[str]:
    """Return the ids that a table of users or items lists, none of them empty."""
    if table is None:
        return []
    column = table.find(names)
    if column is None:
        raise missing_column(table, what, names)
    return [row[column] for row in table.rows if row[column] and len(row[column]) <= MAX_ID]


def _user_columns(table: AtomicTable, users: Vocabulary) -> dict[str, tuple[str, ...]]:
    key = table.find(_USERS)
    values = {row[key]: row for row in table.rows if key is not None and row[key]}
    nothing = [""] * len(table.columns)
    return {
        name: tuple(values.get(user, nothing)[column] for user in users.ids)
        for column, name in enumerate(table.columns)
        if column != key
    }


def _typed(
    columns: Mapping[str, tuple[str, ...]], more: Mapping[str, AtomicTable]
) -> tuple[Column, ...]:
    """Return the columns of users that can be features: numbers and categories."""
    kinds = dict(zip(more["user"].columns, more["user"].types, strict=True)) if columns else {}
    found = []
    for name, texts in columns.items():
        if kinds[name].endswith("_seq"):
            continue
        values: Sequence[object] = texts
        if kinds[name] == "float":
            values = [_number_or_none(text, name) for text in texts]
        column = Column.of(name, values)
        if column is not None:
            found.append(column)
    return tuple(found)


def _number_or_none(text: str, name: str) -> float | None:
    try:
        return parse_number(text, name)
    except CellError:
        return None


def _interaction_rows(table: AtomicTable) -> Iterator[tuple[str, str, float, int]]:
    user, item = table.find(_USERS), table.find(ITEM_COLUMNS)
    if user is None:
        raise missing_column(table, "user", _USERS)
    if item is None:
        raise missing_column(table, "item", ITEM_COLUMNS)
    value, time = table.find(_VALUES), table.find(_TIMES)
    for line, row in zip(table.lines, table.rows, strict=True):
        if not row[user] or not row[item]:
            table.reject(line, "the user or the item is empty")
            continue
        if max(len(row[user]), len(row[item])) > MAX_ID:
            table.reject(line, f"the user or the item is longer than {MAX_ID} characters")
            continue
        try:
            number = 1.0 if value is None else parse_value(row[value], table.columns[value])
            at = 0 if time is None else parse_time(row[time], table.columns[time])
        except CellError as error:
            table.reject(line, f"{error.reason}: {row}")
            continue
        if number is None:
            table.reject(line, f"a number is expected: {row}")
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
