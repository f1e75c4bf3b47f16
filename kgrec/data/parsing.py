"""Rows to records: a row without its keys is an error, an invalid optional cell is not."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from kgrec.data.availability import AVAILABILITY, parse_availability
from kgrec.data.columns import ColumnPlan
from kgrec.data.records import (
    MAX_ID,
    TABLE,
    CellError,
    EntityRecord,
    FactRecord,
    InteractionRecord,
    ItemRecord,
    LinkRecord,
    Node,
    UserRecord,
    Value,
    display_title,
    entity_id,
    parse_id,
    parse_number,
    parse_property,
    parse_text,
    parse_time,
    parse_value,
    split_values,
    tidy,
)
from kgrec.data.selection import MAX_CONTEXT
from kgrec.data.sources import Source
from kgrec.schema import Core, Domain

_YEARS = re.compile(r"(?<![\d.])[12]\d{3}(?![\d.])")

Report = Callable[[object, str], None]
"""Called with the value and the reason of a cell that is left out of its record."""

_WITHOUT = "; the row is kept without it"


@dataclass(frozen=True)
class RowParser:
    """Turns rows of one table into records.

    Args:
        core: the shared vocabulary, for kinds of interaction and of node.
    """

    plan: ColumnPlan
    source: Source
    domain: Domain
    core: Core

    def item(self, cells: Mapping[str, Any], report: Report) -> ItemRecord:
        """Return the item of a row; raises CellError when it has no id."""
        item_id = parse_id(self._cell(cells, "item_id"), "item_id")
        properties = self._properties(cells, report)
        for role in ("title", "description"):
            text = _spared(parse_text, report, self._cell(cells, role), role)
            if text is not None:
                properties[role] = text
        if "title" in properties:
            title = tidy(str(properties["title"]))
            properties["title"] = display_title(title) if self.source.move_article else title
        facts, sources = self._facts(item_id, cells, report)
        return ItemRecord(item_id, properties, facts, sources)

    def user(self, cells: Mapping[str, Any], report: Report) -> UserRecord:
        """Return the user of a row; raises CellError when it has no id."""
        user_id = parse_id(self._cell(cells, "user_id"), "user_id")
        return UserRecord(user_id, self._properties(cells, report))

    def interaction(self, cells: Mapping[str, Any]) -> InteractionRecord:
        """Return the interaction of a row; raises CellError when any of its cells is invalid."""
        value = 1.0
        if "value" in self.plan.roles:
            number = parse_value(self._cell(cells, "value"), "value")
            if number is None:
                raise CellError("value is missing", "")
            value = self._in_range(number)
        return InteractionRecord(
            user_id=parse_id(self._cell(cells, "user_id"), "user_id"),
            item_id=parse_id(self._cell(cells, "item_id"), "item_id"),
            kind=self._kind(cells),
            value=value,
            at=parse_time(self._cell(cells, "at"), "at"),
            device=_place(self._cell(cells, "device"), "device"),
            scenario=_place(self._cell(cells, "scenario"), "scenario"),
        )

    def entity(self, cells: Mapping[str, Any], report: Report) -> EntityRecord:
        """Return the entity of a row; raises CellError when it has no name or no known type."""
        kind = self.source.entity_type or parse_text(self._cell(cells, "type"), "type") or ""
        if kind not in self.domain.entity_types:
            raise CellError(f"type is none of {', '.join(self.domain.entity_types)}", kind)
        name = tidy(parse_text(self._cell(cells, "name"), "name") or "")
        key = self._cell(cells, "entity_id")
        node = _entity(kind, parse_id(key if key is not None else name, "entity_id"), "entity_id")
        properties = {"name": name or node.name, **self._properties(cells, report)}
        aliases = _spared(
            parse_property, report, self._cell(cells, "aliases"), "aliases", "strings"
        )
        if aliases:
            properties["aliases"] = aliases
        facts, sources = self._facts(node.id, cells, report)
        links = [replace(fact.link, head=node) for fact in facts if fact.entity_id != node.id]
        if len(links) < len(facts):
            report(node.id, "an entity is related to itself" + _WITHOUT)
        return EntityRecord(node, properties, tuple(links), sources)

    def link(self, cells: Mapping[str, Any]) -> LinkRecord:
        """Return the edge of a row; raises CellError when any of its cells is invalid."""
        name = self.source.relation or parse_text(self._cell(cells, "relation"), "relation") or ""
        if name not in self.domain.relations:
            raise CellError(f"relation is none of {', '.join(self.domain.relations)}", name)
        relation = self.domain.relations[name]
        head = self._end(self._cell(cells, "head"), "head", relation.head)
        tail = self._end(self._cell(cells, "tail"), "tail", relation.tail)
        if head[:2] == tail[:2]:
            raise CellError("head and tail are the same", head.id)
        confidence = parse_number(self._cell(cells, "confidence"), "confidence")
        if confidence is not None and not 0 < confidence <= 1:
            raise CellError("confidence is not above 0 and at most 1", confidence)
        return LinkRecord(
            head,
            name,
            tail,
            1.0 if confidence is None else confidence,
            source=f"{TABLE}:{self.source.title}",
            evidence=parse_text(self._cell(cells, "evidence"), "evidence") or "",
        )

    def _end(self, cell: Any, role: str, end: str) -> Node:
        """Return one end of an edge: an id; of an entity also its name, or `Type:name`."""
        text = parse_id(cell, role)
        kind = self.core.kind_of(end)
        if kind != "entity":
            return Node(kind, text)
        prefix, colon, name = text.partition(":")
        if not colon or prefix not in self.domain.entity_types:
            prefix, name = end, text
        if prefix not in self.domain.entity_types:
            raise CellError(f"{role} must name its type, as Type:name", text)
        if end not in (prefix, self.core.labels.entity):
            raise CellError(f"{role} is of type {prefix} and must be of type {end}", text)
        return _entity(prefix, name, role)

    def _cell(self, cells: Mapping[str, Any], role: str) -> Any:
        column = self.plan.column(role)
        return None if column is None else cells.get(column)

    def _properties(self, cells: Mapping[str, Any], report: Report) -> dict[str, Value]:
        properties: dict[str, Value] = {}
        for role in self.plan.properties:
            cell, name = cells.get(role.column), role.becomes
            if self.source.kind == "catalog" and name in AVAILABILITY:
                value = _spared(parse_availability, report, cell, name)
            else:
                whole = _year(cell) if name == "year" else cell
                value = _spared(parse_property, report, whole, name, role.type or "string")
            if value is not None:
                properties[role.becomes] = value
        return properties

    def _facts(
        self, item_id: str, cells: Mapping[str, Any], report: Report
    ) -> tuple[tuple[FactRecord, ...], frozenset[str]]:
        facts, sources = [], set()
        for relation in self.plan.relations:
            cell = cells.get(relation.column)
            names = _spared(split_values, report, cell, relation.separator, relation.column) or []
            if names:
                sources.add(relation.source)
            for name in names:
                if len(entity_id(relation.entity_type, name)) > MAX_ID:
                    report(name, f"an id is longer than {MAX_ID} characters{_WITHOUT}")
                    continue
                kind = (relation.relation, relation.entity_type)
                facts.append(FactRecord(item_id, *kind, name, source=relation.source))
        return tuple(facts), frozenset(sources)

    def _kind(self, cells: Mapping[str, Any]) -> str:
        if "kind" not in self.plan.roles:
            return self.plan.interaction
        cell = self._cell(cells, "kind")
        kind = (parse_text(cell, "kind") or self.plan.interaction).casefold()
        if kind not in self.core.interactions:
            raise CellError(f"kind is none of {', '.join(sorted(self.core.interactions))}", cell)
        return kind

    def _in_range(self, value: float) -> float:
        limits = self.source.value_range
        if limits is not None and not limits[0] <= value <= limits[1]:
            raise CellError(f"value lies outside {limits[0]:g} to {limits[1]:g}", value)
        return value


def _year(cell: Any) -> Any:
    """Return the year of a date that stands where a year is wanted; other cells as they are."""
    if isinstance(cell, date):
        return cell.year
    found = _YEARS.findall(cell) if isinstance(cell, str) and not cell.strip().isdigit() else []
    return found[0] if len(found) == 1 else cell


def _place(cell: Any, role: str) -> str:
    """Return a device or a scenario; raises CellError for one that is too long."""
    text = tidy(parse_text(cell, role) or "")
    if len(text) > MAX_CONTEXT:
        raise CellError(f"{role} is longer than {MAX_CONTEXT} characters", text[:80])
    return text


def _entity(entity_type: str, name: str, role: str) -> Node:
    node = Node.entity(entity_type, tidy(name))
    if not node.name:
        raise CellError(f"{role} is missing", name)
    if len(node.id) > MAX_ID:
        raise CellError(f"{role} is longer than {MAX_ID} characters", name[:80])
    return node


def _spared(parse: Callable[..., Any], report: Report, *given: Any) -> Any:
    """Parse an optional cell; report an invalid one and return nothing."""
    try:
        return parse(*given)
    except CellError as error:
        report(error.value, error.reason + _WITHOUT)
        return None
