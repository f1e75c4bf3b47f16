"""Rows as records: a row without its keys is an error, an odd cell that can be spared is not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kgrec.data.columns import ColumnPlan
from kgrec.data.records import (
    FactRecord,
    InteractionRecord,
    ItemRecord,
    UserRecord,
    Value,
    display_title,
    tidy,
)
from kgrec.data.sources import Source
from kgrec.data.values import (
    CellError,
    parse_id,
    parse_property,
    parse_text,
    parse_time,
    parse_value,
    split_values,
)

Report = Callable[[object, str], None]
"""Takes the value and the reason of a cell that the record goes without."""

_WITHOUT = "; the row is kept without it"


@dataclass(frozen=True)
class RowParser:
    """Turns rows of one table into records.

    Args:
        kinds: the kinds of interaction that there are.
    """

    plan: ColumnPlan
    source: Source
    kinds: frozenset[str]

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
        """Return the interaction of a row; raises CellError when any of its cells is of no use."""
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
        )

    def _cell(self, cells: Mapping[str, Any], role: str) -> Any:
        column = self.plan.column(role)
        return None if column is None else cells.get(column)

    def _properties(self, cells: Mapping[str, Any], report: Report) -> dict[str, Value]:
        properties: dict[str, Value] = {}
        for role in self.plan.properties:
            cell = cells.get(role.column)
            value = _spared(parse_property, report, cell, role.becomes, role.type or "string")
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
                kind = (relation.relation, relation.entity_type)
                facts.append(FactRecord(item_id, *kind, name, source=relation.source))
        return tuple(facts), frozenset(sources)

    def _kind(self, cells: Mapping[str, Any]) -> str:
        if "kind" not in self.plan.roles:
            return self.plan.interaction
        cell = self._cell(cells, "kind")
        kind = (parse_text(cell, "kind") or self.plan.interaction).casefold()
        if kind not in self.kinds:
            raise CellError(f"kind is none of {', '.join(sorted(self.kinds))}", cell)
        return kind

    def _in_range(self, value: float) -> float:
        limits = self.source.value_range
        if limits is not None and not limits[0] <= value <= limits[1]:
            raise CellError(f"value lies outside {limits[0]:g} to {limits[1]:g}", value)
        return value


def _spared(parse: Callable[..., Any], report: Report, *given: Any) -> Any:
    """Parse a cell that the record can go without; report one that is of no use."""
    try:
        return parse(*given)
    except CellError as error:
        report(error.value, error.reason + _WITHOUT)
        return None
