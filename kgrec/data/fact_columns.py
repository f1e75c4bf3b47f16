"""Columns whose values are entities: given for a relation, or guessed from their names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import Field

from kgrec.config import FrozenModel
from kgrec.data import looks
from kgrec.data.cells.objects import Lookup
from kgrec.data.guesses import snake
from kgrec.data.sources import Columns, RelationSpec, Source
from kgrec.data.tables import Table
from kgrec.schema import Domain

_CLASSES = frozenset({"genre", "genres", "category", "categories", "cuisine", "cuisines"})
_LEAST_FLAGS = 4
_NUMBER = re.compile(r"_?\d+(?=_|$)")
_PEOPLE = frozenset(
    [
        "person",
        "people",
        "author",
        "artist",
        "actor",
        "director",
        "creator",
        "writer",
        "composer",
        "musician",
    ]
)


class RelationColumn(FrozenModel):
    """One column whose values are entities.

    Attributes:
        table: what the source is called; two tables may have a column of the same name.
        separator: what stands between values; None where a cell holds one value or a list.
        id, id_separator: the column of the ids of the values, and what stands between ids.
        is_list: whether most cells are lists or objects written as text.
        key, id_key, where: of objects, as of `RelationSpec`.
        entity: the entity that every row leads to whose cell is true, of a one-hot column.
        split_guessed: whether the separator was guessed.
        reason: why it was guessed to be of this relation.
    """

    column: str
    table: str
    relation: str
    entity_type: str
    separator: str | None = None
    guessed: bool = False
    id: str | None = None
    id_separator: str | None = None
    is_list: bool = False
    key: str = ""
    id_key: str = ""
    where: dict[str, str] = Field(default_factory=dict)
    entity: str = ""
    split_guessed: bool = False
    reason: str = ""

    @property
    def source(self) -> str:
        """What facts of this column name as their source."""
        return f"column:{self.table}.{self.column}"

    @property
    def is_alone(self) -> bool:
        """Whether what a cell holds does not depend on other cells of its row."""
        return self.id is None and not self.where

    @property
    def lookup(self) -> Lookup:
        """Which part of an object counts."""
        return Lookup(self.key, self.id_key, self.where)

    @property
    def becomes(self) -> str:
        """What the column becomes, for people."""
        text = f"{self.relation} → {self.entity_type}"
        if self.entity:
            return f"{text} {self.entity!r}"
        if self.separator:
            text += f" split at {self.separator!r}"
            text += " (guessed)" if self.split_guessed and not self.guessed else ""
        if self.is_list:
            text += ", lists"
        return f"{text}, ids in {self.id}" if self.id else text


def given_specs(source: Source) -> Iterator[tuple[str, RelationSpec | str]]:
    """Yield relation and column of every relation that a source gives, one for each column."""
    for relation, given in source.relations.items():
        for one in given if isinstance(given, tuple) else (given,):
            if one:
                yield relation, one


def named_columns(spec: RelationSpec | str, table: Table) -> tuple[str, ...]:
    """Return the columns that a relation is read from, ids included."""
    if isinstance(spec, str):
        return (_split(spec, table)[0],)
    return (*spec.names, *((spec.id,) if spec.id else ()))


def possible_columns(source: Source) -> set[str]:
    """Return every column that a relation may name; one may itself hold a colon."""
    found = set()
    for _, spec in given_specs(source):
        if isinstance(spec, str):
            found |= {spec, spec.rpartition(":")[0]}
        else:
            found |= {*spec.names, *((spec.id,) if spec.id else ())}
    return found


def relation_of(column: str, source: Source, domain: Domain) -> str | None:
    """Return the relation that a column of this name holds; none where rows differ in type."""
    if source.kind == "entities" and source.entity_type is None:
        return None
    return domain.relation_of_column(snake(column), head=source.entity_type or "")


def relation_columns(
    table: Table, source: Source, domain: Domain, used: set[str]
) -> tuple[RelationColumn, ...]:
    """Return the columns of a table that hold entities, the given ones first."""
    if source.kind not in ("catalog", "entities"):
        return ()
    planner = _Planner(table, source, domain)
    found = [one for relation, spec in given_specs(source) for one in planner.given(relation, spec)]
    used = used | {one.column for one in found} | set(source.columns.values())
    used |= {one.id for one in found if one.id}
    numbered = _numbered(table.columns, source, domain)
    for column in table.columns:
        guess = relation_of(column, source, domain) or numbered.get(column)
        if column not in used and guess is not None and guess not in source.relations:
            one = planner.guessed(guess, column)
            if one.separator or not looks.is_long_text([row.get(column) for row in table.sample]):
                found.append(one)
    if source.kind == "catalog":
        used |= {one.column for one in found}
        found += planner.one_hot([column for column in table.columns if column not in used])
    return tuple(found)


def _numbered(columns: Sequence[str], source: Source, domain: Domain) -> dict[str, str]:
    """Return the relations of columns that share a name but for a number: `star1`, `star2`."""
    found: dict[str, str] = {}
    for column in columns:
        stem = _NUMBER.sub("", snake(column))
        names = (stem, stem.removesuffix("_name"), f"{stem}s")
        relations = (relation_of(name, source, domain) for name in names if stem != snake(column))
        if relation := next(filter(None, relations), None):
            found[column] = relation
    counts = Counter(found.values())
    return {column: relation for column, relation in found.items() if counts[relation] > 1}


class _Planner:
    def __init__(self, table: Table, source: Source, domain: Domain) -> None:
        self.table, self.source, self.domain = table, source, domain
        person = domain.reading.ner.get("PERSON")
        self.people = {kind for kind in domain.entity_types if kind.lower() in _PEOPLE}
        self.people |= {person} if person else set()

    def given(self, relation: str, spec: Columns) -> Iterator[RelationColumn]:
        """Yield what a relation is read from."""
        if isinstance(spec, str):
            column, separator = _split(spec, self.table)
            yield self._column(
                relation, column, separator, guess=separator is None and column == spec
            )
            return
        options: dict[str, Any] = {
            "id": spec.id,
            "key": spec.key,
            "id_key": spec.id_key,
            "where": spec.where,
        }
        for column in spec.names:
            guess = spec.separator is None
            one = self._column(relation, column, spec.separator or None, guess=guess)
            flag = {"entity": self._label(relation, column)} if spec.one_hot else {}
            if spec.id:
                flag["id_separator"] = looks.separator(self._values(spec.id)) or ""
            yield one.model_copy(update=options | flag)

    def guessed(self, relation: str, column: str) -> RelationColumn:
        """Return a column whose name is one of the relation."""
        one = self._column(relation, column, None, guess=True)
        reason = f"{self.domain.name} calls {relation} so"
        return one.model_copy(update={"guessed": True, "reason": reason})

    def one_hot(self, columns: list[str]) -> list[RelationColumn]:
        """Return columns that hold 0 and 1 and are named as the classes of an item.

        They share the beginning `genre_`, say, or stand side by side, four at least.
        """
        found = []
        for column in columns:
            prefix, _, name = snake(column).partition("_")
            usable = name and not name.startswith(("is_", "has_"))  # host_is_superhost is no host
            relation = relation_of(prefix, self.source, self.domain) if usable else None
            if relation is None or not looks.are_marks(self._values(column)):
                continue
            if relation is not None and relation not in self.source.relations:
                found.append(self._flag(relation, column))
        if found:
            return found
        flags = [column for column in columns if looks.are_flags(self._values(column))]
        classes = [name for name, one in self.domain.facts.items() if {*one.columns} & _CLASSES]
        free = [name for name in classes if name not in self.source.relations]
        positions = [self.table.columns.index(column) for column in flags]
        beside = bool(positions) and positions[-1] - positions[0] == len(positions) - 1
        plain = [column for column in flags if not snake(column).startswith(("is_", "has_", "in_"))]
        if free and beside and len(plain) == len(flags) >= _LEAST_FLAGS:
            return [self._flag(free[0], column) for column in flags]
        return []

    def _label(self, relation: str, column: str) -> str:
        """Return the entity that a one-hot column is named after: `genre_Film_Noir`."""
        prefix, _, name = snake(column).partition("_")
        begins = name and relation_of(prefix, self.source, self.domain) == relation
        text = column[len(prefix) + 1 :] if begins else column
        return text.strip(" _.-").replace("_", " ")

    def _flag(self, relation: str, column: str) -> RelationColumn:
        one = self._column(relation, column, None, guess=False)
        reason = "one of several columns of 0 and 1"
        entity = self._label(relation, column)
        return one.model_copy(update={"guessed": True, "entity": entity, "reason": reason})

    def _column(
        self, relation: str, column: str, separator: str | None, *, guess: bool
    ) -> RelationColumn:
        kind, values = self.domain.relations[relation].tail, self._values(column)
        is_list = looks.is_list(values)
        found = looks.separator(values, names=kind in self.people) if guess else separator
        given_flag = guess and not is_list and looks.are_flags(values)
        return RelationColumn(
            column=column,
            table=self.source.title,
            relation=relation,
            entity_type=kind,
            separator=found,
            is_list=is_list,
            split_guessed=guess and found is not None,
            entity=self._label(relation, column) if given_flag else "",
        )

    def _values(self, column: str) -> list[Any]:
        return [row.get(column) for row in self.table.sample]


def _split(text: str, table: Table) -> tuple[str, str | None]:
    """Cut `genres:|` into column and separator; a column may itself hold a colon."""
    if text in table.columns:
        return text, None
    column, _, separator = text.rpartition(":")
    return column, separator or None


def unsplit_remarks(columns: tuple[RelationColumn, ...], table: Table) -> Mapping[str, str]:
    """Return, by column, what a separator that was not chosen would have cut."""
    found = {}
    for one in columns:
        if one.entity or one.is_list:
            continue
        counts = looks.unsplit([row.get(one.column) for row in table.sample], one.separator)
        for mark, count in counts.most_common(1):
            found[one.column] = (
                f"{count:,} of {len(table.sample):,} cells looked at hold {mark!r} and are not cut "
                f"there; {one.relation}={one.column}:{mark} cuts them"
            )
    return found
