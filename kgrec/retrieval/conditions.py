"""Conditions on items: `genre=Comedy`, `year=1990..1999`, `directed_by.country=France`.

A condition is checked against the words of the domains here; what passes it is read elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

from kgrec.config import FrozenModel
from kgrec.data.records import entity_id
from kgrec.errors import ConfigError
from kgrec.schema import Domain, load_schema

_FAR = 1e15
Sign = Literal["=", "!=", ">=", "<=", ">", "<"]


class Filter(FrozenModel):
    """A condition on an item, or an expression of such conditions.

    Attributes:
        text: as it was given.
        rule: how `parts` are combined; None of a single condition, which has none.
        parts: the operands of `rule`; `not` has one.
        relations: relation types, one of which must lead to one of `entities`.
        entities: ids of entities.
        through: relation types, one of which must lead from the item to the entity that
            `relations` lead from; empty where they lead from the item itself.
        property: property that must lie from `least` to `most`, or None: of the item, or of an
            entity that `through` leads to.
    """

    text: str
    rule: Literal["and", "or", "not"] | None = None
    parts: tuple[Filter, ...] = ()
    relations: tuple[str, ...] = ()
    entities: tuple[str, ...] = ()
    through: tuple[str, ...] = ()
    property: str | None = None
    least: float | str | None = None
    most: float | str | None = None


def condition(
    key: str, sign: Sign, values: Sequence[str], text: str, domain: str | None = None
) -> Filter:
    """Return the condition of a key, a sign and values of which any may hold.

    Args:
        text: of the condition, for errors.
        domain: name of the domain whose words are meant; None stands for all of them.

    Raises:
        ConfigError: no domain knows the key, or the values do not fit it.
    """
    if sign == "!=":
        inner = condition(key, "=", values, text, domain)
        return Filter(text=text, rule="not", parts=(inner,))
    schema = load_schema()
    domains = list(schema.domains.values()) if domain is None else [schema.domain(domain)]
    kinds = {name: kind for each in domains for name, kind in each.item_properties.items()}
    if key.lower() in kinds:
        name, kind = key.lower(), kinds[key.lower()]
        found = [_of_property(text, name, sign, value, kind) for value in values]
        return found[0] if len(found) == 1 else Filter(text=text, rule="or", parts=tuple(found))
    first, dot, second = (part.strip() for part in key.partition("."))
    through: tuple[str, ...] = ()
    pairs = [pair for each in domains for pair in relations_of_key(each, first)]
    kinds = {name: kind for each in domains for name, kind in each.entity_properties.items()}
    if dot and second.lower() != "name" and pairs:
        through = tuple(dict.fromkeys(name for name, _ in pairs))
        heads = {tail for _, tail in pairs}
        pairs = [pair for each in domains for pair in _onward(each, second, heads)]
        if not pairs and second.lower() in kinds:
            name, kind = second.lower(), kinds[second.lower()]
            every = [_of_property(text, name, sign, value, kind, through) for value in values]
            return every[0] if len(every) == 1 else Filter(text=text, rule="or", parts=tuple(every))
    relations = dict(pairs)
    if not relations or sign != "=":
        remedy = f"Known: {', '.join(_known(domains))}."
        if through and not relations:
            onward = sorted({word for each in domains for word in _columns_of(each, heads)})
            remedy = f"After {first}. there is: {', '.join(['name', *onward, *sorted(kinds)])}."
        elif relations:
            remedy = f"Relations are compared with = and !=, such as {key}=NAME."
        raise ConfigError(f"there is nothing to filter by {key!r}", value=text, remedy=remedy)
    names = [name for name in values if name.strip()]
    entities = {entity_id(tail, name) for _, tail in pairs for name in names}
    return Filter(
        text=text,
        relations=tuple(relations),
        entities=tuple(sorted(entities)),
        through=through,
    )


def relations_of_key(domain: Domain, key: str, head: str = "") -> Iterator[tuple[str, str]]:
    """Yield relation types with the entity types that they lead to.

    Args:
        key: a relation type, a column name that stands for one, or an entity type.
        head: entity type that they lead from; empty for items.
    """
    wanted = key.lower().replace(" ", "_")
    column = domain.relation_of_column(key, head=head)
    for name, relation in domain.relations_of(head).items():
        if name == column or (column is None and relation.tail.lower() == wanted):
            yield name, relation.tail


def _onward(domain: Domain, key: str, heads: Iterable[str]) -> Iterator[tuple[str, str]]:
    for head in sorted({*heads, load_schema().labels.entity}):
        yield from relations_of_key(domain, key, head)


def _columns_of(domain: Domain, heads: Iterable[str]) -> Iterator[str]:
    for head in heads:
        for name, relation in domain.relations_of(head).items():
            yield relation.columns[0] if relation.columns else name.lower()


def _of_property(
    text: str, name: str, sign: Sign, value: str, kind: str, through: tuple[str, ...] = ()
) -> Filter:
    if kind not in ("integer", "float"):
        if sign != "=":
            raise ConfigError(f"{name!r} is no number", value=text, remedy=f"Write {name}=VALUE.")
        return Filter(text=text, through=through, property=name, least=value, most=value)
    low, dots, high = value.partition("..") if sign == "=" else (value, "", value)
    if sign in (">=", ">"):
        high = ""
    elif sign in ("<=", "<"):
        low = ""
    elif not dots:
        high = low
    least, most = _number(low, -_FAR, text), _number(high, _FAR, text)
    if sign == ">":
        least = math.nextafter(least, math.inf)
    if sign == "<":
        most = math.nextafter(most, -math.inf)
    if kind == "integer":  # what no integer lies between makes no difference
        least, most = math.ceil(least), math.floor(most)
    return Filter(text=text, through=through, property=name, least=least, most=most)


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


def _known(domains: Sequence[Domain]) -> list[str]:
    words: dict[str, Any] = {}
    for domain in domains:
        words |= dict.fromkeys(domain.item_properties)
        words |= dict.fromkeys(r.columns[0] for r in domain.facts.values() if r.columns)
    return list(words)
