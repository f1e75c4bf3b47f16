"""Rows to records: a row without its keys is an error, an invalid optional cell is not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

from kgrec.data.availability import AVAILABILITY, parse_availability
from kgrec.data.cells.lists import all_entries, entries, may_be_written, one_text, written
from kgrec.data.cells.markup import one_line, plain_text
from kgrec.data.cells.numbers import read_number, read_stars
from kgrec.data.cells.objects import Entry
from kgrec.data.cells.properties import parse_property
from kgrec.data.cells.times import parse_time, year_of
from kgrec.data.cells.values import (
    NONE_GIVEN,
    UNSEEN,
    CellError,
    checked_value,
    is_nothing,
    null_words,
    parse_id,
    parse_number,
    parse_text,
    parse_value,
)
from kgrec.data.fact_columns import RelationColumn
from kgrec.data.guesses import event_of, known_events
from kgrec.data.plan import ColumnPlan
from kgrec.data.records import (
    MAX_ID,
    TABLE,
    EntityRecord,
    FactRecord,
    InteractionRecord,
    ItemRecord,
    LinkRecord,
    Node,
    UserRecord,
    Value,
    display_title,
    tidy,
)
from kgrec.data.selection import MAX_CONTEXT
from kgrec.data.sources import EventKind, Source
from kgrec.schema import Core, Domain

Report = Callable[[object, str], None]
"""Called with the value and the reason of a cell that is left out of its record."""

_WITHOUT = "; the row is kept without it"
_MOST_KNOWN = 20_000
_TRUE = frozenset({"1", "1.0", "true", "t", "yes", "y", "x", "✓", "✔"})


@dataclass(frozen=True)
class RowParser:
    """Turns rows of one table into records.

    Args:
        core: the shared vocabulary, for kinds of interaction and of node.

    Attributes:
        nulls: how many cells held each word for nothing.
    """

    plan: ColumnPlan
    source: Source
    domain: Domain
    core: Core
    nulls: Counter[str] = field(default_factory=Counter, compare=False)

    @cached_property
    def _columns(self) -> dict[str, str]:
        return {name: role.column for name, role in self.plan.roles.items()}

    @cached_property
    def _forms(self) -> dict[str, str]:
        return {name: role.form for name, role in self.plan.roles.items() if role.form}

    @cached_property
    def _whole(self) -> frozenset[str]:
        return frozenset(name for name, role in self.plan.roles.items() if role.whole)

    @cached_property
    def _relations(self) -> list[tuple[RelationColumn, str, dict[str, list[Entry]]]]:
        """Columns of relations, what they are called, and what cells of them were found to hold."""
        return [(one, one.source, {}) for one in self.plan.relations]

    @cached_property
    def _nulls(self) -> frozenset[str]:
        return null_words(self.source.nulls)

    @cached_property
    def _events(self) -> dict[str, EventKind]:
        """The kinds of events: those of the source, kinds themselves, usual names of kinds."""
        return known_events(self.core.interactions, self.source.events)

    def item_id(self, cells: Mapping[str, Any]) -> str:
        """Return the id of an item's row; raises CellError when it has none."""
        return self._item_id(self._cell(cells, "item_id"), "item_id")

    def item(self, cells: Mapping[str, Any], report: Report) -> ItemRecord:
        """Return the item of a row; raises CellError when it has no id."""
        item_id = self.item_id(cells)
        properties = self._properties(cells, report)
        title = _spared(parse_text, report, one_text(self._cell(cells, "title"), "title"), "title")
        none = title is None or (self.source.nulls and self._is_null(title))
        if title := "" if none else tidy(one_line(title)).strip(UNSEEN):
            properties["title"] = display_title(title) if self.source.move_article else title
        cell = _paragraphs(self._cell(cells, "description"))
        text = _spared(parse_text, report, cell, "description")
        if text is not None and not self._is_null(text) and (text := plain_text(text)):
            properties["description"] = text
        properties |= self._aliases(cells, report, properties.get("title"))
        facts, sources = self._facts(item_id, cells, report)
        return ItemRecord(item_id, properties, facts, sources)

    def user(self, cells: Mapping[str, Any], report: Report) -> UserRecord:
        """Return the user of a row; raises CellError when it has no id."""
        user_id = self._id(self._cell(cells, "user_id"), "user_id")
        return UserRecord(user_id, self._properties(cells, report))

    def interaction(self, cells: Mapping[str, Any]) -> InteractionRecord:
        """Return the interaction of a row; raises CellError when any of its cells is invalid."""
        found = {role: read(self._cell(cells, role)) for role, read in self.roles.items()}
        kind, weight = found["kind"]
        value = weight if found["value"] is None else found["value"]
        return InteractionRecord(**found | {"kind": kind, "value": value})

    @cached_property
    def roles(self) -> dict[str, Callable[[Any], Any]]:
        """What reads the cells of an interaction by role; it raises CellError for invalid ones."""
        return {
            "kind": self._kind,
            "value": self._value,
            "user_id": partial(self._id, role="user_id"),
            "item_id": partial(self._item_id, role="item_id"),
            "at": self._time,
            "device": partial(_place, role="device"),
            "scenario": partial(_place, role="scenario"),
        }

    def entity(self, cells: Mapping[str, Any], report: Report) -> EntityRecord:
        """Return the entity of a row; raises CellError when it has no name or no known type."""
        kind = self.source.entity_type or parse_text(self._cell(cells, "type"), "type") or ""
        if kind not in self.domain.entity_types:
            raise CellError(f"type is none of {', '.join(self.domain.entity_types)}", kind)
        name = tidy(one_line(parse_text(self._cell(cells, "name"), "name") or ""))
        key = self._cell(cells, "entity_id")
        node = _entity(kind, self._id(key if key is not None else name, "entity_id"), "entity_id")
        own = self._properties(cells, report) | self._aliases(cells, report)
        facts, sources = self._facts(node.id, cells, report)
        links = [fact.link._replace(head=node) for fact in facts if fact.entity_id != node.id]
        if len(links) < len(facts):
            report(node.id, "an entity is related to itself" + _WITHOUT)
        return EntityRecord(node, {"name": name or node.name, **own}, tuple(links), sources)

    def _aliases(self, cells: Mapping[str, Any], report: Report, own: Any = None) -> dict[str, Any]:
        """Return the other names of a row, as a property."""
        cell = self._cell(cells, "aliases")
        found = _spared(parse_property, report, cell, "aliases", "strings") or ()
        return {"aliases": rest} if (rest := tuple(one for one in found if one != own)) else {}

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
        kind = self.core.kind_of(end)
        if kind == "item":
            return Node(kind, self._item_id(cell, role))
        text = self._id(cell, role)
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
        column = self._columns.get(role)
        return None if column is None else cells.get(column)

    def _id(self, cell: Any, role: str) -> str:
        return parse_id(cell, role, whole=role in self._whole)

    def _item_id(self, cell: Any, role: str) -> str:
        text = self._id(cell, role)
        if self.source.namespace:
            text = f"{self.source.namespace}:{text}"
            if len(text) > MAX_ID:
                raise CellError(f"{role} is longer than {MAX_ID} characters", text[:80])
        return text

    def _is_null(self, cell: Any) -> bool:
        """Count a cell that holds a word for nothing."""
        if not is_nothing(cell, self._nulls):
            return False
        word = cell.strip().strip(UNSEEN).casefold()
        self.nulls[word if word in self._nulls or not word else NONE_GIVEN] += 1
        return True

    def _value(self, cell: Any) -> float | None:
        """Return the value of an interaction, None where the table has no column of values."""
        if "value" not in self._columns:
            return None
        number = self._number(read_stars(cell))
        if number is None:
            raise CellError("value is missing", "")
        limits = self.source.value_range
        if limits is not None and not limits[0] <= number <= limits[1]:
            raise CellError(f"value lies outside {limits[0]:g} to {limits[1]:g}", number)
        return number

    def _number(self, cell: Any) -> float | None:
        form = self._forms.get("value", ".")
        try:
            return parse_value(cell, "value") if form == "." else self._styled(cell, form)
        except CellError as error:
            if error.reason.endswith("finite number"):
                raise
            return None if self._is_null(cell) else self._styled(cell, form)

    def _styled(self, cell: Any, form: str) -> float | None:
        return checked_value(read_number(cell, "value", decimal=form), cell, "value")

    def _time(self, cell: Any) -> int:
        try:
            return parse_time(cell, "at", self._forms.get("at"))
        except CellError:
            if self._is_null(cell):
                return 0
            raise

    def _properties(self, cells: Mapping[str, Any], report: Report) -> dict[str, Value]:
        properties: dict[str, Value] = {}
        for role in self.plan.properties:
            cell, name = cells.get(role.column), role.becomes
            # What a user calls nothing is one of their answers: an occupation of none.
            answer = self.source.kind == "users" and role.type == "string"
            if not (answer and self.source.nulls is None) and self._is_null(cell):
                continue
            if self.source.kind == "catalog" and name in AVAILABILITY:
                value = _spared(parse_availability, report, cell, name, role.form)
            else:
                parse = partial(parse_property, decimal=role.form or ".")
                whole = year_of(cell) if name == "year" else cell
                value = _spared(parse, report, whole, name, role.type or "string")
            if value is not None:
                properties[role.becomes] = value
        return properties

    def _facts(
        self, item_id: str, cells: Mapping[str, Any], report: Report
    ) -> tuple[tuple[FactRecord, ...], frozenset[str]]:
        facts, sources = [], set()
        for relation, source, known in self._relations:
            cell = cells.get(relation.column)
            names = known.get(cell) if isinstance(cell, str) else None
            if names is None:
                names = _spared(self._entries, report, cells, relation) or []
                if names and isinstance(cell, str) and relation.is_alone:
                    if len(known) >= _MOST_KNOWN:
                        known.clear()
                    known[cell] = names
            if names:
                sources.add(source)
            for name, key in names:
                kind = (relation.relation, relation.entity_type)
                fact = FactRecord(item_id, *kind, name, source=source, key=key)
                if len(fact.entity_id) > MAX_ID:
                    report(name, f"an id is longer than {MAX_ID} characters{_WITHOUT}")
                    continue
                facts.append(fact)
        return tuple(facts), frozenset(sources)

    def _entries(self, cells: Mapping[str, Any], relation: RelationColumn) -> list[Entry]:
        """Return the entities that a cell names, with the ids that another column gives them."""
        cell, where = cells.get(relation.column), relation.where
        if self._is_null(cell) or cell is None or cell == "":
            return []
        if relation.entity:
            applies = str(cell).strip().casefold() in _TRUE
            return [Entry(relation.entity)] if applies else []
        if where.keys() <= cells.keys():
            if any(str(cells[name]).strip() != wanted for name, wanted in where.items()):
                return []
            relation = relation.model_copy(update={"where": {}}) if where else relation
        how: dict[str, Any] = {
            "separator": relation.separator,
            "is_list": relation.is_list,
            "lookup": relation.lookup,
        }
        if relation.id is None:
            return entries(cell, relation.column, nulls=self._nulls, **how)
        names = all_entries(cell, relation.column, **how)
        keys = _keys(cells.get(relation.id), relation, len(names))
        pairs = zip(names, keys, strict=True)
        return [
            Entry(one.name, "" if is_nothing(key, self._nulls) else key)
            for one, key in pairs
            if one.name and not is_nothing(one.name, self._nulls)
        ]

    def _kind(self, cell: Any) -> tuple[str, float]:
        """Return the kind of an interaction and the value of one without a column of values."""
        if "kind" not in self._columns:
            return self.plan.interaction, 1.0
        found = event_of(parse_text(cell, "kind") or self.plan.interaction, self._events)
        if found is None and self._is_null(cell):
            found = self._events.get(self.plan.interaction)
        if found is None:
            raise CellError(unknown_kind(self.core), cell)
        if not found.kind:
            raise CellError("rows of this kind are left out by `kinds`", cell)
        return found.kind, found.weight


def unknown_kind(core: Core) -> str:
    """Return why rows of unknown events are set aside; the cell is their value."""
    return f"kind is none of {', '.join(sorted(core.interactions))}"


def _paragraphs(cell: Any) -> Any:
    """Return a list of texts, or one written as text, as the paragraphs of one text."""
    cell = one_text(cell, "description")
    try:
        read = written(cell, "description") if isinstance(cell, str) else cell
    except CellError:  # prose may begin with a bracket
        return cell
    if isinstance(read, list | tuple) and all(isinstance(one, str) for one in read):
        return "\n\n".join(filter(None, map(str.strip, read)))
    return cell


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


def _keys(cell: Any, relation: RelationColumn, count: int) -> list[str]:
    """Return the ids beside as many names, empty strings where there is none."""
    if cell is None or cell == "":
        return [""] * count
    role = str(relation.id)
    if count == 1 and not isinstance(cell, list | tuple) and not may_be_written(str(cell)):
        return [parse_id(cell, role, whole=True)]
    separator = relation.id_separator or relation.separator
    found = [one.name for one in all_entries(cell, role, separator=separator, is_list=True)]
    if len(found) != count:
        raise CellError(f"{relation.column} has {count} names and {role} {len(found)} ids", cell)
    return [parse_id(one, role, whole=True) if one else "" for one in found]


def _spared(parse: Callable[..., Any], report: Report, *given: Any) -> Any:
    """Parse an optional cell; report an invalid one and return nothing."""
    try:
        return parse(*given)
    except CellError as error:
        report(error.value, error.reason + _WITHOUT)
        return None
