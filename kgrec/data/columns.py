"""Which column is what: given by the user, else guessed from names, else from values.

`kgrec.data.guess_file` returns the same for a file alone, with its kind.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from kgrec.data import guesses, looks
from kgrec.data.availability import AVAILABILITY
from kgrec.data.cells import times
from kgrec.data.fact_columns import (
    given_specs,
    named_columns,
    possible_columns,
    relation_columns,
    relation_of,
)
from kgrec.data.plan import ColumnPlan, ColumnRole
from kgrec.data.remarks import remarks_on
from kgrec.data.sources import Kind, Source
from kgrec.data.tables import Table
from kgrec.errors import ConfigError, DataError
from kgrec.schema import Core, Domain, NodeKind

REQUIRED: dict[Kind, tuple[str, ...]] = {
    "catalog": ("item_id",),
    "users": ("user_id",),
    "interactions": ("user_id", "item_id"),
    "entities": ("name",),
    "relations": ("head", "tail"),
}
_IDS = frozenset({"item_id", "user_id", "entity_id", "head", "tail"})
_TIMES = frozenset({"at", "available_from", "expires_at"})
_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def plan_columns(table: Table, source: Source, domain: Domain, core: Core) -> ColumnPlan:
    """Decide what each column of a table is.

    Raises:
        ConfigError: the source names a column, relation or kind that there is not.
        DataError: the table lacks a column that it must have.
    """
    _check_given(table, source, domain, core)
    remarks: dict[str, str] = {}
    roles = _roles(table, source, domain, remarks)
    for role in REQUIRED[source.kind]:
        # An entity without a name is called by its id.
        if role not in roles and not (role == "name" and "entity_id" in roles):
            raise _lacking(table, role)
    _check_types(source, domain, roles)
    used = {role.column for role in roles.values()}
    relations = relation_columns(table, source, domain, used)
    used |= {relation.column for relation in relations}
    used |= {relation.id for relation in relations if relation.id}
    properties = tuple(
        role
        for role in _properties(table, source, domain, core, used)
        if not _is_doubted(role, table, remarks)
    )
    used |= {role.column for role in properties}
    value = roles.get("value")
    unused = tuple(column for column in table.columns if column not in used)
    remarks |= remarks_on(table, source, roles, relations, unused, core)
    return ColumnPlan(
        kind=source.kind,
        roles=roles,
        properties=properties,
        relations=relations,
        interaction=source.interaction or guesses.interaction_kind(value.column if value else None),
        unused=unused,
        remarks=remarks,
    )


def _roles(
    table: Table, source: Source, domain: Domain, remarks: dict[str, str]
) -> dict[str, ColumnRole]:
    words = guesses.role_names(source, domain)
    given = {role: column for role, column in source.columns.items() if role in words}
    roles = {role: ColumnRole(column=column, becomes=role) for role, column in given.items()}
    used = {*source.columns.values(), *possible_columns(source)}
    free = [column for column in table.columns if column not in used]
    for role, names in words.items():
        if role in roles:
            continue
        column, reason = guesses.by_name(free, names), ""
        weak = column is not None and role == "title" and "title" not in guesses.words(column)
        if column is not None and weak and _differs_in_rows(table, roles, column):
            remarks[column] = "is no title, since rows of one item differ in it"
            free.remove(column)
            column = guesses.by_name(free, names)
        values = [row.get(column) for row in table.sample] if column is not None else []
        given_kinds = role == "kind" and bool(source.kinds)
        doubted = column is not None and not source.at_format and not given_kinds
        if column is not None and doubted and (why := looks.doubt(role, None, values)):
            remarks[column] = f"is called like {role}, but {why}"
            free.remove(column)
            column = None
        if column is not None:
            reason = f"called {column}"
        else:
            column, reason = guesses.by_value(role, free, table.sample) or (None, "")
        if column is not None and not (
            role == "description"
            and relation_of(column, source, domain)
            and looks.separator([row.get(column) for row in table.sample]) is not None
        ):
            roles[role] = ColumnRole(column=column, becomes=role, guessed=True, reason=reason)
            free.remove(column)
    missing = [role for role in REQUIRED[source.kind] if role not in roles]
    if source.kind == "relations" and len(missing) == len(free):
        # Nothing is left but the ends, and an edge is written from its head to its tail.
        pairs = zip(missing, free, strict=True)
        reason = "what is left, in this order"
        roles |= {r: ColumnRole(column=c, becomes=r, guessed=True, reason=reason) for r, c in pairs}
    return {role: _formed(roles[role], source, table) for role in words if role in roles}


def _differs_in_rows(table: Table, roles: Mapping[str, ColumnRole], column: str) -> bool:
    """Return whether most items with several rows have several values in a column."""
    if "item_id" not in roles:
        return False
    key = roles["item_id"].column
    values: dict[str, list[Any]] = {}
    for row in table.sample:
        values.setdefault(str(row.get(key)), []).append(row.get(column))
    several = [one for one in values.values() if len(one) > 1]
    return sum(len(set(map(str, one))) > 1 for one in several) * 2 > len(several)


def _formed(role: ColumnRole, source: Source, table: Table) -> ColumnRole:
    """Return a role with the form that the values of its column have."""
    values = [row.get(role.column) for row in table.sample]
    update: dict[str, Any] = {}
    if role.becomes in _TIMES:
        update["form"] = source.at_format or times.time_form(looks.filled(values))
    elif role.becomes == "value" or role.type in ("integer", "float"):
        update["form"] = looks.number_form(values)
    elif role.becomes in _IDS and source.whole_ids:
        update["whole"] = looks.were_whole(values)
    return role.model_copy(update=update) if any(update.values()) else role


def _properties(
    table: Table, source: Source, domain: Domain, core: Core, used: set[str]
) -> tuple[ColumnRole, ...]:
    if source.kind in ("interactions", "relations"):
        return ()
    known = domain.item_properties if source.kind == "catalog" else {}
    known = domain.entity_properties if source.kind == "entities" else known
    always = AVAILABILITY if source.kind == "catalog" else {}
    words = guesses.role_names(source, domain)
    named = {column: role for role, column in source.columns.items() if role not in words}
    found = [
        _property(table, column, name, {**known, **always}, source, guessed=False)
        for column, name in named.items()
    ]
    wanted = source.properties
    for column in table.columns:
        if column in used or column in named:
            continue
        if guesses.snake(column) in always:  # under no name that merely ends like it
            name = guesses.snake(column)
            found.append(_property(table, column, name, always, source, guessed=True))
            continue
        guess = guesses.property_name(column, known, domain.columns)
        name = guess if wanted is None else guesses.snake(column)
        keep = (name in known or source.kind == "users") if wanted is None else column in wanted
        if keep and name not in {role.becomes for role in found}:
            found.append(_property(table, column, name, known, source, guessed=wanted is None))
    kinds: dict[Kind, NodeKind] = {"catalog": "item", "entities": "entity"}
    label = core.label_of(kinds.get(source.kind, "user"))
    reserved = {core.keys[label], *core.properties[label]} - always.keys()
    usable = []
    for role in found:
        if _IDENTIFIER.fullmatch(role.becomes) and role.becomes not in reserved:
            usable.append(role)
        elif not role.guessed:
            raise ConfigError(
                "a column cannot become a property of this name",
                value=role.becomes,
                remedy="Give it another one with --column NAME=COLUMN.",
            )
    return tuple(usable)


def _is_doubted(role: ColumnRole, table: Table, remarks: dict[str, str]) -> bool:
    """Return whether a guessed property does not fit its values, and note why."""
    values = [row.get(role.column) for row in table.sample] if role.guessed else []
    why = looks.doubt(role.becomes, role.type, values)
    if why:
        remarks[role.column] = f"is called like {role.becomes}, but {why}"
    return bool(why)


def _property(
    table: Table,
    column: str,
    name: str,
    known: Mapping[str, str],
    source: Source,
    *,
    guessed: bool,
) -> ColumnRole:
    kind = known.get(name) or looks.value_type([row.get(column) for row in table.sample])
    reason = f"{name} is a property of the domain" if guessed and name in known else ""
    role = ColumnRole(column=column, becomes=name, type=kind, guessed=guessed, reason=reason)
    return _formed(role, source, table)


def _check_given(table: Table, source: Source, domain: Domain, core: Core) -> None:
    for column in source.columns.values():
        _check_column(table, column)
    known = domain.relations_of(source.entity_type or "")
    for relation in source.relations:
        if relation not in known:
            start = source.entity_type or domain.item_label
            raise ConfigError(
                f"domain {domain.name!r} has no such relation type from {start} to entities",
                value=relation,
                remedy=_near(relation, known),
            )
    for _, spec in given_specs(source):
        for column in named_columns(spec, table):
            _check_column(table, column)
    for column in source.properties or ():
        _check_column(table, column)
    kinds = [one.kind for one in source.events.values() if one.kind]
    for kind in [*([source.interaction] if source.interaction is not None else []), *kinds]:
        if kind not in core.interactions:
            raise ConfigError(
                "there is no such kind of interaction",
                value=kind,
                remedy=_near(kind, core.interactions),
            )


def _check_column(table: Table, column: str) -> None:
    if column not in table.columns:
        raise ConfigError(
            f"{table.shown} has no such column",
            value=column,
            remedy=_near(column, table.columns),
        )


def _check_types(source: Source, domain: Domain, roles: Mapping[str, ColumnRole]) -> None:
    """Check that the relation of edges and the type of entities are known."""
    kinds: dict[str, tuple[str, str | None, Mapping[str, Any]]] = {
        "relations": ("relation", source.relation, domain.relations),
        "entities": ("type", source.entity_type, domain.entity_types),
    }
    if source.kind not in kinds:
        return
    role, given, known = kinds[source.kind]
    what = "relation type" if role == "relation" else "entity type"
    if given is not None and given not in known:
        raise ConfigError(
            f"domain {domain.name!r} has no such {what}", value=given, remedy=_near(given, known)
        )
    if given is None and role not in roles:
        raise ConfigError(
            f"the {what} of the rows is not given",
            value=source.title,
            remedy=f"Give it with --{role}, or name the column with --column {role}=COLUMN. "
            f"Known: {', '.join(known)}.",
        )


def _lacking(table: Table, role: str) -> DataError:
    columns = ", ".join(table.columns)
    return DataError(
        f"{table.shown}: no column looks like {role}",
        value=columns,
        remedy=f"Name it with --column {role}=COLUMN, or in `columns` of a pipeline file. "
        "Is the delimiter right?",
    )


def _near(name: str, known: Sequence[str] | Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    return f"{hint}Known: {', '.join(known)}."
