"""Which column is what: given by the user, else guessed from names, else from values."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from kgrec.config import FrozenModel
from kgrec.data import sources as guesses
from kgrec.data.availability import AVAILABILITY
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
_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


class ColumnRole(FrozenModel):
    """One column and what it becomes.

    Attributes:
        becomes: the role (`item_id`) or the property (`year`).
        type: type of a property; None for a role.
        guessed: whether it was not given.
    """

    column: str
    becomes: str
    type: str | None = None
    guessed: bool = False


class RelationColumn(FrozenModel):
    """One column whose values are entities.

    Attributes:
        separator: what stands between values; None where a cell holds one value or a list.
        table: what the source is called; two tables may have a column of the same name.
    """

    column: str
    table: str
    relation: str
    entity_type: str
    separator: str | None = None
    guessed: bool = False

    @property
    def source(self) -> str:
        """What facts of this column name as their source."""
        return f"column:{self.table}.{self.column}"


class ColumnPlan(FrozenModel):
    """What becomes of each column of a table.

    Attributes:
        roles: by role.
        interaction: kind of the interactions where no column names it.
        unused: columns that are not read.
    """

    kind: Kind
    roles: dict[str, ColumnRole]
    properties: tuple[ColumnRole, ...] = ()
    relations: tuple[RelationColumn, ...] = ()
    interaction: str = "view"
    unused: tuple[str, ...] = ()

    def column(self, role: str) -> str | None:
        """Return the column of a role, None where the table has none."""
        found = self.roles.get(role)
        return found.column if found else None

    def described(self) -> list[tuple[str, str, str]]:
        """Return (column, what it becomes, "given" or "guessed") of each column."""
        lines = [(r.column, r.becomes, _how(r.guessed)) for r in self.roles.values()]
        lines += [(p.column, f"{p.becomes} ({p.type})", _how(p.guessed)) for p in self.properties]
        for relation in self.relations:
            separator = f" split at {relation.separator!r}" if relation.separator else ""
            becomes = f"{relation.relation} → {relation.entity_type}{separator}"
            lines.append((relation.column, becomes, _how(relation.guessed)))
        return lines + [(column, "not used", "") for column in self.unused]


def plan_columns(table: Table, source: Source, domain: Domain, core: Core) -> ColumnPlan:
    """Decide what each column of a table is.

    Raises:
        ConfigError: the source names a column, relation or kind that there is not.
        DataError: the table lacks a column that it must have.
    """
    _check_given(table, source, domain, core)
    roles = _roles(table, source, domain)
    for role in REQUIRED[source.kind]:
        # An entity without a name is called by its id.
        if role not in roles and not (role == "name" and "entity_id" in roles):
            raise _lacking(table, role)
    _check_types(source, domain, roles)
    used = {role.column for role in roles.values()}
    relations = _relations(table, source, domain, used)
    used |= {relation.column for relation in relations}
    properties = _properties(table, source, domain, core, used)
    used |= {role.column for role in properties}
    value = roles.get("value")
    return ColumnPlan(
        kind=source.kind,
        roles=roles,
        properties=properties,
        relations=relations,
        interaction=source.interaction or guesses.interaction_kind(value.column if value else None),
        unused=tuple(column for column in table.columns if column not in used),
    )


def _roles(table: Table, source: Source, domain: Domain) -> dict[str, ColumnRole]:
    words = guesses.role_names(source, domain)
    given = {role: column for role, column in source.columns.items() if role in words}
    roles = {role: ColumnRole(column=column, becomes=role) for role, column in given.items()}
    used = {*source.columns.values(), *_given_relation_columns(source)}
    free = [column for column in table.columns if column not in used]
    for role, names in words.items():
        if role in roles:
            continue
        column = guesses.by_name(free, names) or guesses.by_values(role, free, table.sample)
        if column is not None and not (
            role == "description" and _relation_of(column, source, domain)
        ):
            roles[role] = ColumnRole(column=column, becomes=role, guessed=True)
            free.remove(column)
    missing = [role for role in REQUIRED[source.kind] if role not in roles]
    if source.kind == "relations" and len(missing) == len(free):
        # Nothing is left but the ends, and an edge is written from its head to its tail.
        pairs = zip(missing, free, strict=True)
        roles |= {r: ColumnRole(column=c, becomes=r, guessed=True) for r, c in pairs}
    return {role: roles[role] for role in words if role in roles}


def _relations(
    table: Table, source: Source, domain: Domain, used: set[str]
) -> tuple[RelationColumn, ...]:
    if source.kind not in ("catalog", "entities"):
        return ()
    found = []
    for relation, text in source.relations.items():
        if text:
            column, separator = _split_relation(text, table)
            found.append(_relation(source, domain, relation, column, separator, guessed=False))
    used |= {one.column for one in found} | set(source.columns.values())
    for column in table.columns:
        guess = _relation_of(column, source, domain)
        if column in used or guess is None or guess in source.relations:
            continue
        separator = guesses.separator([row.get(column) for row in table.sample])
        found.append(_relation(source, domain, guess, column, separator, guessed=True))
    return tuple(found)


def _relation(
    source: Source,
    domain: Domain,
    relation: str,
    column: str,
    separator: str | None,
    *,
    guessed: bool,
) -> RelationColumn:
    return RelationColumn(
        column=column,
        table=source.title,
        relation=relation,
        entity_type=domain.relations[relation].tail,
        separator=separator,
        guessed=guessed,
    )


def _split_relation(text: str, table: Table) -> tuple[str, str | None]:
    """Cut `genres:|` into column and separator; a column may itself hold a colon."""
    if text in table.columns:
        return text, guesses.separator([row.get(text) for row in table.sample])
    column, _, separator = text.rpartition(":")
    return column, separator or None


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
        _property(table, column, name, {**known, **always}, guessed=False)
        for column, name in named.items()
    ]
    wanted = source.properties
    for column in table.columns:
        if column in used or column in named:
            continue
        if guesses.snake(column) in always:  # under no name that merely ends like it
            found.append(_property(table, column, guesses.snake(column), always, guessed=True))
            continue
        guess = guesses.property_name(column, known, domain.columns)
        name = guess if wanted is None else guesses.snake(column)
        keep = (name in known or source.kind == "users") if wanted is None else column in wanted
        if keep and name not in {role.becomes for role in found}:
            found.append(_property(table, column, name, known, guessed=wanted is None))
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


def _property(
    table: Table, column: str, name: str, known: Mapping[str, str], *, guessed: bool
) -> ColumnRole:
    kind = known.get(name) or guesses.value_type([row.get(column) for row in table.sample])
    return ColumnRole(column=column, becomes=name, type=kind, guessed=guessed)


def _check_given(table: Table, source: Source, domain: Domain, core: Core) -> None:
    for column in source.columns.values():
        _check_column(table, column)
    for relation, text in source.relations.items():
        known = domain.relations_of(source.entity_type or "")
        if relation not in known:
            start = source.entity_type or domain.item_label
            raise ConfigError(
                f"domain {domain.name!r} has no such relation type from {start} to entities",
                value=relation,
                remedy=_near(relation, known),
            )
        if text:
            _check_column(table, _split_relation(text, table)[0])
    for column in source.properties or ():
        _check_column(table, column)
    if source.interaction is not None and source.interaction not in core.interactions:
        raise ConfigError(
            "there is no such kind of interaction",
            value=source.interaction,
            remedy=_near(source.interaction, core.interactions),
        )


def _check_column(table: Table, column: str) -> None:
    if column not in table.columns:
        raise ConfigError(
            f"{table.path} has no such column",
            value=column,
            remedy=_near(column, table.columns),
        )


def _given_relation_columns(source: Source) -> set[str]:
    texts = [text for text in source.relations.values() if text]
    return {*texts, *(text.rpartition(":")[0] for text in texts)}


def _relation_of(column: str, source: Source, domain: Domain) -> str | None:
    """Return the relation that a column of this name holds; none where rows differ in type."""
    if source.kind == "entities" and source.entity_type is None:
        return None
    return domain.relation_of_column(guesses.snake(column), head=source.entity_type or "")


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
        f"{table.path}: no column looks like {role}",
        value=columns,
        remedy=f"Name it with --column {role}=COLUMN, or in `columns` of a pipeline file. "
        "Is the delimiter right?",
    )


def _near(name: str, known: Sequence[str] | Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    return f"{hint}Known: {', '.join(known)}."


def _how(guessed: bool) -> str:
    return "guessed" if guessed else "given"
