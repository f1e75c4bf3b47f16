"""What is wrong in a domain, with the key that it stands under and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import product
from string import Formatter
from typing import Any, NamedTuple, get_args

from kgrec.schema.domain import (
    ENDS,
    IDENTIFIER,
    Core,
    Domain,
    FactRole,
    LinkRole,
    Relation,
    Rule,
)
from kgrec.schema.quantities import compiled

Key = tuple[str | int, ...]
"""The keys that lead to a value of a file, with the number of an entry of a list."""


class Fault(NamedTuple):
    """One thing that is wrong.

    Attributes:
        key: where in the file it is.
        value: the value that is wrong; None where one is missing.
        remedy: what to do, empty where `what` states it.
        fatal: whether the domain cannot be used; otherwise it is advice.
    """

    key: Key
    what: str
    value: object = None
    remedy: str = ""
    fatal: bool = True


def faults_of(domain: Domain, core: Core) -> Iterator[Fault]:
    """Yield what is wrong in a domain, in the order of its parts."""
    yield from _names(domain, core)
    for name, relation in domain.relations.items():
        yield from _relation(name, relation, domain, core)
    yield from _reading(domain)
    yield from _quantities(domain)
    yield from _further_columns(domain)


def advice_on(domain: Domain) -> Iterator[Fault]:
    """Yield what works and is hardly meant: words that are missing, or meant twice."""
    if domain.item_word == "item":
        what = "a person reads `item` wherever the domain's own word could stand"
        remedy = 'Give it, such as item_word = "book".'
        yield Fault(("item_word",), what, remedy=remedy, fatal=False)
    ruled = {rule.relation for rule in domain.rules} | set(domain.reading.known)
    seen: dict[tuple[str, str], str] = {}
    for name, relation in domain.relations.items():
        if not relation.head and relation.tail in domain.entity_types:
            columns = (*relation.columns, *domain.columns.get(name, ()))
            if not columns and name not in ruled:
                what = f"{name} has neither `columns` nor a rule, so nothing finds it by itself"
                remedy = 'Name columns that hold it, such as columns = ["genre", "genres"].'
                yield Fault(("relations", name), what, remedy=remedy, fatal=False)
        for column in relation.columns:
            first = seen.setdefault((relation.head, column), name)
            if first != name:
                what = f"a column of this name is read as {first}, which stands before {name}"
                key: Key = ("relations", name, "columns")
                yield Fault(key, what, column, "Name it in one of the two.", fatal=False)
    used = {end for one in domain.relations.values() for end in (one.head, one.tail)}
    for kind in domain.entity_types:
        if kind not in used:
            what, remedy = "no relation leads to this entity type", "Add one, or remove the type."
            yield Fault(("entity_types", kind), what, kind, remedy, fatal=False)


def _names(domain: Domain, core: Core) -> Iterator[Fault]:
    reserved = _core_names(core)
    names: list[Key] = [("item_label",)]
    names += [("entity_types", name) for name in domain.entity_types]
    names += [("relations", name) for name in domain.relations]
    for key in names:
        name = domain.item_label if len(key) == 1 else str(key[-1])
        if not IDENTIFIER.fullmatch(name):
            remedy = "Use letters, digits and underscores, a letter first."
            yield Fault(key, "not a usable name", name, remedy)
        if name in reserved:
            yield Fault(key, "the name is reserved by kgrec", name, "Take another one.")
    kinds = (("item", domain.item_properties), ("entity", domain.entity_properties))
    for label, known in kinds:
        for name in known:
            place: Key = (f"{label}_properties", name)
            if not IDENTIFIER.fullmatch(name):
                yield Fault(place, "not a usable name of a property", name)
            if name in core.properties[getattr(core.labels, label)]:
                what = f"the property is one that every {label} has"
                yield Fault(place, what, name, "Remove the line.")


def _relation(name: str, relation: Relation, domain: Domain, core: Core) -> Iterator[Fault]:
    labels = core.labels
    known = [*domain.entity_types, labels.entity, labels.item, labels.user]
    unknown = False
    for side in ("head", "tail"):
        end = getattr(relation, side)
        if end and end not in known:
            unknown = True
            what = f"the {side} of {name} is an unknown entity type"
            yield Fault(("relations", name, side), what, end, f"Known: {', '.join(known)}.")
    ends = core.ends_of(relation)
    if ends not in ENDS:
        allowed = ", ".join(f"{head} to {tail}" for head, tail in ENDS)
        remedy = f"A relation leads from {allowed}. What users do with items is an interaction."
        what = f"{name} cannot lead from {ends[0]} to {ends[1]}"
        yield Fault(("relations", name), what, name, remedy)
        return
    one_item = set(ends) == {"item", "entity"}
    wanted = ["entity", "item"] if one_item else ["head", "tail"]
    if not unknown and places(relation.meaning) != wanted:
        either = "{item} and {entity}, or {head} and {tail}" if one_item else "{head} and {tail}"
        what = f"the meaning of {name} must name {either}, each once"
        key = ("relations", name, "meaning")
        yield Fault(key, what, relation.meaning, 'Such as "{head} is a sequel of {tail}."')


def places(meaning: str) -> list[str]:
    """Return the names in braces of a meaning, sorted; None of them where it cannot be read."""
    try:
        return sorted(part[1] for part in Formatter().parse(meaning) if part[1] is not None)
    except ValueError:
        return []


def _reading(domain: Domain) -> Iterator[Fault]:
    reading = domain.reading
    for name in reading.known:
        if name in domain.relations and name not in domain.facts:
            what = "a known relation does not lead from an item to an entity type"
            remedy = f"These do: {', '.join(domain.facts)}."
            yield Fault(("reading", "known"), what, name, remedy)
        elif name not in domain.relations:
            remedy = f"Known: {', '.join(domain.relations)}."
            yield Fault(("reading", "known"), "a rule is for an unknown relation", name, remedy)
    for number, rule in enumerate(domain.rules):
        yield from _rule(number, rule, domain)
    types = (
        *(("ner", name, kind) for name, kind in reading.ner.items()),
        *(("phrases", "", kind) for kind in reading.phrases),
        *(("patterns", kind, kind) for kind in reading.patterns),
    )
    for part, name, kind in types:
        if kind not in domain.entity_types:
            what, remedy = "[reading] names an unknown entity type", ", ".join(domain.entity_types)
            key: Key = ("reading", part, name) if name else ("reading", part)
            yield Fault(key, what, kind, f"Known: {remedy}.")
    for kind, patterns in reading.patterns.items():
        for pattern in patterns:
            try:
                re.compile(pattern)
            except re.error as error:
                what = f"[reading] has a pattern that is no regular expression ({error})"
                yield Fault(("reading", "patterns", kind), what, pattern)


def _quantities(domain: Domain) -> Iterator[Fault]:
    for name, quantity in domain.quantities.items():
        key: Key = ("quantities", name)
        if domain.item_properties.get(name) not in ("integer", "float", "string"):
            what = "[quantities] names no property of items that is an integer, a float or a string"
            remedy = (
                f"Declare it under [item_properties]. Known: {', '.join(domain.item_properties)}."
            )
            yield Fault(key, what, name, remedy)
        for pattern in quantity.patterns:
            try:
                compiled(pattern, quantity.unit)
            except (re.error, ValueError) as error:
                what = f"[quantities] has a pattern that cannot be used ({error})"
                yield Fault((*key, "patterns"), what, pattern)


def _rule(number: int, rule: Rule, domain: Domain) -> Iterator[Fault]:
    key: Key = ("rules", number, "relation")
    if rule.relation not in domain.relations:
        remedy = f"Known: {', '.join(domain.relations)}."
        yield Fault(key, "a rule is for an unknown relation", rule.relation, remedy)
        return
    relation = domain.relations[rule.relation]
    ends = {("", ""), *product(("", *domain.entity_types), domain.entity_types)}
    if (relation.head, relation.tail) not in ends:
        what = "a rule is for a relation whose ends no text can name"
        remedy = "A rule may lead from items to items, or from items or an entity type to one."
        yield Fault(key, what, rule.relation, remedy)
        return
    between = bool(relation.head)
    roles = get_args(LinkRole if between else FactRole)
    if rule.role not in roles:
        start = "an entity" if between else "an item"
        what = f"a rule for {rule.relation}, which leads from {start}, cannot have this role"
        remedy = f"Take one of {', '.join(roles)}."
        yield Fault(("rules", number, "role"), what, rule.role, remedy)


ROLES = frozenset(
    {"item_id", "user_id", "title", "description", "value", "at", "kind", "device", "scenario"}
)
"""What a column may be beside a property or a relation."""


def _further_columns(domain: Domain) -> Iterator[Fault]:
    known = {*ROLES, *domain.item_properties, *domain.relations}
    for name in domain.columns:
        if name not in known:
            what = "[columns] names neither a role, a property nor a relation"
            remedy = f"Roles: {', '.join(sorted(ROLES))}."
            yield Fault(("columns", name), what, name, remedy)


def _core_names(core: Core) -> set[str]:
    parts: list[Mapping[str, Any]] = [core.labels.model_dump(), core.relations.model_dump()]
    return {str(value) for part in parts for value in part.values()}
