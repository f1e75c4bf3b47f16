"""Tables of one value a row: the tags of films, the skills of jobs, by names or by codes.

Such a table is a catalogue without titles: rows of one item are joined, and each gives it one fact.
Codes are read as the names that another file has for them, and items that are called by another id
than the catalogue's as the catalogue calls them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kgrec.config import parse_config
from kgrec.data import looks
from kgrec.data.guesses import ID_WORDS, snake, words
from kgrec.data.origins.joins import joined
from kgrec.data.sources import JoinSpec
from kgrec.errors import KGRecError
from kgrec.schema import Domain
from kgrec.stages.starting.deciding import Guess, GuessedSource, planned
from kgrec.stages.starting.looking import LookedAt, Values, forms
from kgrec.stages.starting.naming import words_in

_SHARE = 0.5
"""Of the values of a column, how many must stand in another that it refers to."""
_LONGEST_NAME = 80
_MOST_COLUMNS = 8
_NAME_WORDS = frozenset({"name", "title", "label", "value", "text"})
_PLAIN = _NAME_WORDS | ID_WORDS | {"type"}


@dataclass(frozen=True)
class _Join:
    """A column that is read of another file by a column of this one."""

    file: LookedAt
    on: str
    key: str
    take: str
    why: str

    @property
    def settings(self) -> dict[str, Any]:
        place = self.file.address or str(self.file.path.resolve())
        key = {} if self.key == self.on else {"key": self.key}
        return {"path": place, "on": self.on, **key, "take": [self.take], **self.file.form}


def one_value_a_row(
    file: LookedAt,
    catalogs: Sequence[GuessedSource],
    others: Sequence[LookedAt],
    domain: Domain,
    skip: Collection[str] = (),
) -> tuple[GuessedSource, list[LookedAt]] | None:
    """Return how a table of one value a row is read, and the files that are joined to it for that.

    Args:
        catalogs: where the items have their titles.
        others: files that may hold the names of codes.
        skip: columns that are no values, such as that of the users.
    """
    if len(file.columns) > _MOST_COLUMNS:
        return None
    item = _item_column(file, catalogs)
    if item is None:
        return None
    column, by_catalog, why = item
    values = list(_value_columns(file, {column, *skip}, others, domain))
    if not values:
        return None
    joins = [one for one in (by_catalog, *(one for _, _, one in values)) if one is not None]
    relations = {relation: f"{name}:" for name, relation, _ in values}
    settings = {
        "columns": {"item_id": column if by_catalog is None else by_catalog.take},
        "relations": relations,
        "properties": [],  # a year is that of the tag
        **({"joins": [one.settings for one in joins]} if joins else {}),
    }
    whole = _joined(file, joins)
    plan = None if whole is None else planned(whole, "catalog", domain, **settings)
    if plan is None:
        return None
    named = ", ".join(f"{name} as {relation}" for name, relation, _ in values)
    what = f"each row gives {column} one value: {named}"
    guesses = [Guess("kind", "catalog", f"{what}; {why}")]
    guesses += [Guess("joins", one.file.path.name, one.why) for one in joins]
    used = [one.file for one in joins if one is not by_catalog]
    return GuessedSource(file, "catalog", plan, settings, tuple(guesses)), used


def _joined(file: LookedAt, joins: Sequence[_Join]) -> LookedAt | None:
    """Return a file whose table has the columns of others as well, in some of its rows."""
    specs = [parse_config(JoinSpec, one.settings | _at(one), origin="joins") for one in joins]
    try:
        return replace(file, table=joined(file.table, specs))
    except KGRecError:
        return None


def _at(join: _Join) -> dict[str, Any]:
    return {"path": str(join.file.path), "query": ""}  # the copy that there is of an address


def _item_column(
    file: LookedAt, catalogs: Sequence[GuessedSource]
) -> tuple[str, _Join | None, str] | None:
    """Return the column of the items, how it is read as their ids, and why."""
    fits: list[tuple[bool, int, str, _Join | None, str]] = []
    for catalog in catalogs:
        key = catalog.plan.roles["item_id"].column
        name = catalog.file.path.name
        for other, there in catalog.file.values.items():
            if not there.unique:
                continue
            known = forms(there)
            about = {snake(other)} | _called(catalog, other)
            for column, values in file.values.items():
                hits = sum(value in known for value in values.counts)
                enough = hits >= _SHARE * max(values.distinct, 1) or not catalog.file.whole
                if snake(column) not in about or not enough or not hits:
                    continue
                if other != key and catalog.file.triples is not None:
                    continue
                why = f"{hits:,} of its {values.distinct:,} values stand in {other} of {name}"
                join = None
                if other != key:
                    why += f", where {key} is the id"
                    join = _Join(catalog.file, column, other, key, why)
                fits.append((other == key, hits, column, join, why))
    best = max(fits, key=lambda one: one[:2], default=None)
    return None if best is None else best[2:]


def _called(catalog: GuessedSource, column: str) -> set[str]:
    """Return how else a bare `id` of a catalogue is called: `artist_id` of artists.dat."""
    if words(column) - ID_WORDS:
        return set()
    return {f"{word}_id" for word in words_in(catalog.file.path.name)}


def _value_columns(
    file: LookedAt, skip: Collection[str], others: Sequence[LookedAt], domain: Domain
) -> Iterator[tuple[str, str, _Join | None]]:
    """Yield columns of values, the relations that they are, and where codes have their names."""
    seen: set[str] = set()
    for column, values in file.values.items():
        if column in skip or not values.filled:
            continue
        by_code = _by_code(column, values, others)
        name = column if by_code is None else by_code.take
        if by_code is None and (values.numeric or values.length > _LONGEST_NAME):
            continue
        if by_code is None and looks.is_time([row.get(column) for row in file.table.sample]):
            continue
        relation = _relation(name, domain) or _relation(column, domain)
        if relation is not None and relation not in seen:
            seen.add(relation)
            yield name, relation, by_code


def _by_code(column: str, values: Values, others: Sequence[LookedAt]) -> _Join | None:
    """Return the file that names the codes of a column: it has a row for each, and their names."""
    for other in others:
        for key, there in other.values.items():
            if snake(key) != snake(column) or not there.unique:
                continue
            known = forms(there)
            hits = sum(value in known for value in values.counts)
            name = _name_column(other, key)
            if name is not None and hits >= _SHARE * max(values.distinct, 1):
                where = f"{hits:,} of the {values.distinct:,} values of {column}"
                why = f"{where} have a {name} in {other.path.name}"
                return _Join(other, column, key, name, why)
    return None


def _name_column(file: LookedAt, key: str) -> str | None:
    texts = {
        column: values
        for column, values in file.values.items()
        if column != key and not values.numeric and 0 < values.length <= _LONGEST_NAME
    }
    named = [one for one in texts if words(one) & _NAME_WORDS]
    return next(iter(named), None) or (next(iter(texts)) if len(texts) == 1 else None)


def _relation(column: str, domain: Domain) -> str | None:
    """Return the relation that a column is called like: `tag_name` and `skill_abr`, by one word."""
    exact = domain.relation_of_column(snake(column), head="")
    if exact is not None and exact in domain.facts:
        return exact
    own = words_in(column.replace("_", " ")) - _PLAIN
    for relation, one in domain.facts.items():
        names = [*one.columns, *domain.columns.get(relation, ()), one.tail]
        if own and any(own & (words_in(name) - _PLAIN) for name in names if len(words(name)) == 1):
            return relation
    return None
