"""Filters: `genre=Comedy`, `year=1990..1999`. What passes is read from the graph."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kgrec.config import FrozenModel
from kgrec.data.records import entity_id
from kgrec.errors import ConfigError
from kgrec.graph.store import GraphStore
from kgrec.retrieval.snapshot import Snapshot
from kgrec.schema import Domain, load_schema

# Each part can match in one way only, so that no text takes longer than its length.
_FORM = re.compile(r"(?P<key>[^=<>]+)(?P<sign>>=|<=|=)(?P<value>.+)", re.DOTALL)
_FAR = 1e15
MAX_LENGTH = 200


class Filter(FrozenModel):
    """One condition on an item.

    Attributes:
        text: as it was given.
        relations: relation types, one of which must lead to one of `entities`.
        entities: ids of entities.
        property: property of the item that must lie from `least` to `most`, or None.
    """

    text: str
    relations: tuple[str, ...] = ()
    entities: tuple[str, ...] = ()
    property: str | None = None
    least: float | str | None = None
    most: float | str | None = None


def parse_filter(text: str, domain: str | None = None) -> Filter:
    """Read one filter.

    `KEY=NAME` selects an entity by a column name (`genre`), a relation type (`DIRECTED_BY`) or
    an entity type (`person`); `NAME|NAME` selects either. `KEY=VALUE`, `KEY=LEAST..MOST`,
    `KEY>=LEAST` and `KEY<=MOST` select by a property of the item (`year`).

    Args:
        domain: name of the domain whose words are meant; None takes those of all.

    Raises:
        ConfigError: the text is no filter, or no domain knows its key.
    """
    if len(text) > MAX_LENGTH:
        raise ConfigError(
            f"a filter has at most {MAX_LENGTH} characters, this one has {len(text)}",
            value=f"{text[:40]}…",
            remedy="Give several filters; an item must pass all of them.",
        )
    found = _FORM.fullmatch(text)
    key, sign, value = ("", "", "") if found is None else map(str.strip, found.groups())
    if not key or not value:
        raise ConfigError(
            "not a filter",
            value=text,
            remedy="Write KEY=VALUE, such as genre=Comedy or year>=1990.",
        )
    schema = load_schema()
    domains = list(schema.domains.values()) if domain is None else [schema.domain(domain)]
    kinds = {name: kind for each in domains for name, kind in each.item_properties.items()}
    if key.lower() in kinds:
        return _of_property(text, key.lower(), sign, value, kinds[key.lower()])
    relations = {name: tail for each in domains for name, tail in _relations(each, key)}
    if not relations or sign != "=":
        raise ConfigError(
            f"there is nothing to filter by {key!r}",
            value=text,
            remedy=f"Known: {', '.join(_known(domains))}.",
        )
    names = [name for name in value.split("|") if name.strip()]
    entities = {entity_id(tail, name) for tail in relations.values() for name in names}
    return Filter(text=text, relations=tuple(relations), entities=tuple(sorted(entities)))


def passing(store: GraphStore, filters: Sequence[Filter]) -> frozenset[str] | None:
    """Return the ids of the items that pass every filter; None when there is no filter."""
    passed: frozenset[str] | None = None
    for each in filters:
        if each.property is not None:
            rows = store.read(
                "recommend/items_with_value",
                {"property": each.property},
                least=each.least,
                most=each.most,
            )
        else:
            rows = store.read(
                "recommend/items_with_entity",
                relations=list(each.relations),
                entities=list(each.entities),
            )
        items = frozenset(item for row in rows for item in row["items"])
        passed = items if passed is None else passed & items
    return passed


def passing_of(snapshot: Snapshot, filters: Sequence[Filter]) -> NDArray[np.bool_] | None:
    """Return which items of a snapshot pass every filter, bool [I]; None without a filter."""
    passed: NDArray[np.bool_] | None = None
    for each in filters:
        if each.property is not None:
            items = snapshot.items_with_value(each.property, each.least, each.most)
        else:
            items = snapshot.items_with_entity(each.relations, each.entities)
        passed = items if passed is None else passed & items
    return passed


def _of_property(text: str, name: str, sign: str, value: str, kind: str) -> Filter:
    if kind not in ("integer", "float"):
        if sign != "=":
            raise ConfigError(f"{name!r} is no number", value=text, remedy=f"Write {name}=VALUE.")
        return Filter(text=text, property=name, least=value, most=value)
    low, dots, high = value.partition("..")
    if sign == ">=":
        low, high = value, ""
    elif sign == "<=":
        low, high = "", value
    elif not dots:
        high = low
    least, most = _number(low, -_FAR, text), _number(high, _FAR, text)
    if kind == "integer":  # what no integer lies between makes no difference
        least, most = math.ceil(least), math.floor(most)
    return Filter(text=text, property=name, least=least, most=most)


def _number(value: str, absent: float, text: str) -> float:
    if not value.strip():
        return absent
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ConfigError(f"{value!r} is no number", value=text, remedy="Such as year=1990..1999.")
    return number


def _relations(domain: Domain, key: str) -> Iterable[tuple[str, str]]:
    """Yield relation types with the entity types that they lead to."""
    wanted = key.lower().replace(" ", "_")
    column = domain.relation_of_column(key)
    for name, relation in domain.facts.items():
        if name == column or (column is None and relation.tail.lower() == wanted):
            yield name, relation.tail


def _known(domains: Sequence[Domain]) -> list[str]:
    words: dict[str, Any] = {}
    for domain in domains:
        words |= dict.fromkeys(domain.item_properties)
        words |= dict.fromkeys(r.columns[0] for r in domain.facts.values() if r.columns)
    return list(words)
