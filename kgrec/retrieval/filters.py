"""Filters: expressions of conditions on items, and which items pass them; groups that knobs name.

`genre=Comedy and (year>=1990 or not director=X)`; see `kgrec.retrieval.expressions`. What passes is
read from the graph, or from the catalogue in memory; both combine the same conditions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, reduce
from operator import and_, or_
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from kgrec.data.dataset import IntArray
from kgrec.data.vocabulary import Vocabulary
from kgrec.errors import ConfigError
from kgrec.graph.pages import item_id_pages
from kgrec.graph.store import GraphStore
from kgrec.retrieval.conditions import Filter, Sign, condition, relations_of_key
from kgrec.retrieval.expressions import parse_expression
from kgrec.retrieval.snapshot import Snapshot
from kgrec.schema import load_schema

__all__ = [
    "MAX_LENGTH",
    "Filter",
    "Limit",
    "parse_filter",
    "parse_limit",
    "passing",
    "passing_of",
    "passing_rows",
    "relations_of",
]

MAX_LENGTH = 1000
"""Characters that a filter may have."""

_Set = TypeVar("_Set", frozenset[str], NDArray[np.bool_])


@lru_cache(maxsize=1024)
def parse_filter(text: str, domain: str | None = None) -> Filter:
    """Read one filter.

    `KEY=NAME` selects an entity by a column name (`genre`), a relation type (`DIRECTED_BY`) or
    an entity type (`person`), `KEY.KEY=NAME` one that such an entity leads to
    (`directed_by.country`); `NAME|NAME` selects either. `KEY=VALUE`, `KEY=LEAST..MOST`,
    `KEY>=LEAST` and `KEY<=MOST`, `>` and `<` select by a property of the item (`year`) or of an
    entity (`directed_by.birth_year`), `!=` all other items. Conditions are combined by
    `and`, `or`, `not` and parentheses.

    Args:
        domain: name of the domain whose words are meant; None stands for all of them.

    Raises:
        ConfigError: the text is no filter, or no domain knows one of its keys.
    """
    if len(text) > MAX_LENGTH:
        raise ConfigError(
            f"a filter has at most {MAX_LENGTH} characters, this one has {len(text)}",
            value=f"{text[:40]}…",
            remedy="Give several filters; an item must pass all of them.",
        )

    def read(key: str, sign: Sign, values: list[str], part: str) -> Filter:
        return condition(key, sign, values, part, domain)

    return parse_expression(text, read)


def passing(store: GraphStore, filters: Sequence[Filter]) -> frozenset[str] | None:
    """Return the ids of the items that pass every filter; None when there is no filter."""
    reader = _OfGraph(store)
    passed = [_combined(each, reader.items, lambda one: reader.every - one) for each in filters]
    return reduce(and_, passed) if passed else None


def passing_of(snapshot: Snapshot, filters: Sequence[Filter]) -> NDArray[np.bool_] | None:
    """Return which items of a snapshot pass every filter, bool [I]; None without a filter."""

    def items(one: Filter) -> NDArray[np.bool_]:
        if one.property is not None:
            bounds = one.property, one.least, one.most
            return snapshot.items_with_value(*bounds, through=one.through)
        return snapshot.items_with_entity(one.relations, one.entities, one.through)

    passed = [_combined(each, items, np.logical_not) for each in filters]
    return reduce(and_, passed) if passed else None


def passing_rows(
    store: GraphStore,
    items: Vocabulary,
    filters: Sequence[Filter],
    snapshot: Snapshot | None = None,
    place: IntArray | None = None,
) -> NDArray[np.bool_] | None:
    """Return which items of a vocabulary pass every filter, bool [I]; None without a filter.

    Args:
        snapshot: the catalogue in memory; else, or without its relations, the graph is read.
        place: rows of the items in the snapshot, -1 where it lacks them, where that is known.
    """
    if snapshot is not None and snapshot.ties:
        every = passing_of(snapshot, filters)
        if every is None:
            return None
        rows = snapshot.nodes["item"].rows(items.ids) if place is None else place
        return np.append(every, False)[rows]  # -1, of an item that is gone, is the last
    ids = passing(store, filters)
    if ids is None:
        return None
    passed, rows = np.zeros(len(items), dtype=np.bool_), items.rows(ids)
    passed[rows[rows >= 0]] = True
    return passed


class _OfGraph:
    """Reads what passes single conditions."""

    def __init__(self, store: GraphStore) -> None:
        self.store = store

    @cached_property
    def every(self) -> frozenset[str]:
        """All items, which only `not` needs."""
        return frozenset(item for page in item_id_pages(self.store) for item in page["ids"])

    def items(self, one: Filter) -> frozenset[str]:
        """Return the ids of the items that pass a condition."""
        read = self.store.read
        if one.property is not None:
            slots, bounds = {"property": one.property}, {"least": one.least, "most": one.most}
            if one.through:
                through = list(one.through)
                rows = read("recommend/items_with_entity_value", slots, through=through, **bounds)
            else:
                rows = read("recommend/items_with_value", slots, **bounds)
        elif one.through:
            rows = read(
                "recommend/items_with_distant_entity",
                through=list(one.through),
                relations=list(one.relations),
                entities=list(one.entities),
            )
        else:
            rows = read(
                "recommend/items_with_entity",
                relations=list(one.relations),
                entities=list(one.entities),
            )
        return frozenset(item for row in rows for item in row["items"])


def _combined(one: Filter, items: Callable[[Filter], _Set], others: Callable[[_Set], _Set]) -> _Set:
    """Return what passes an expression.

    Args:
        items: returns what passes a condition.
        others: returns all other items.
    """
    if one.rule is None:
        return items(one)
    parts = [_combined(part, items, others) for part in one.parts]
    return (
        others(parts[0]) if one.rule == "not" else reduce(and_ if one.rule == "and" else or_, parts)
    )


@dataclass(frozen=True)
class Limit:
    """A quota or a floor.

    Attributes:
        text: as it was given.
        number: at most, or at least, so many.
        relations: each of the entities that these lead to is a group.
        group: what passes this is the group; None where `relations` are given.
    """

    text: str
    number: int
    relations: tuple[str, ...] = ()
    group: Filter | None = None


@lru_cache(maxsize=1024)
def parse_limit(text: str, domain: str | None = None, *, each: bool = False) -> Limit:
    """Read `GROUP:n`, where the group is a filter.

    Args:
        domain: name of the domain whose words are meant.
        each: `RELATION:n` may stand for each of its entities, as in a quota.

    Raises:
        ConfigError: the text is no limit, or the group makes no sense.
    """
    group, _, number = (part.strip() for part in text.rpartition(":"))
    count = int(number) if number.isascii() and number.isdigit() and len(number) < 5 else 0
    if not group or count < 1:
        example = "director:1 or genre=Drama:3" if each else "genre=Drama:3"
        raise ConfigError("not a limit", value=text, remedy=f"Write GROUP:n, such as {example}.")
    if each and not set(group) & set("=<>"):
        return Limit(text, count, relations_of(group, domain))
    return Limit(text, count, group=parse_filter(group, domain))


def relations_of(key: str, domain: str | None) -> tuple[str, ...]:
    """Return the relation types of a key; raises ConfigError where no domain knows it."""
    schema = load_schema()
    domains = list(schema.domains.values()) if domain is None else [schema.domain(domain)]
    found = tuple({name: None for each in domains for name, _ in relations_of_key(each, key)})
    if not found:
        known = {r.columns[0] for each in domains for r in each.facts.values() if r.columns}
        raise ConfigError(
            "there is no such relation", value=key, remedy=f"Known: {', '.join(sorted(known))}."
        )
    return found
