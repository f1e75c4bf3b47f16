"""Records of the rows of tables.

Ids are strings. The reader (`kgrec.data.parsing`) creates valid records only: keys are not empty,
numbers are finite, times are in the past.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple, TypeVar

from kgrec.schema import NodeKind

Value = str | int | float | bool | datetime | tuple[str, ...]
"""What a property of a node may be."""

MAX_ID = 512
"""Maximum number of characters of an id; longer ids indicate a wrong delimiter."""

TABLE = "table"
"""The extractor of facts from tables."""

TEXT_SOURCE = "text:description"
"""The source of what the description of an item states."""

_ARTICLE = re.compile(
    r"^(?P<name>.+), (?P<article>The|A|An|Le|La|Les|L'|Il|Lo|I|Gli|El|Los|Las|Das|Der|Die|Det|Den)"
    r"(?P<rest>(?: \(.*\))?)$"
)


@dataclass(frozen=True, slots=True)
class UserRecord:
    """A user and their properties."""

    user_id: str
    properties: Mapping[str, Value] = field(default_factory=dict)

    def joined(self, later: UserRecord) -> UserRecord | None:
        """Return None, since a later row adds nothing to a user."""
        return None


class Node(NamedTuple):
    """One end of a fact or a link.

    Attributes:
        type, name: of an entity, from which a missing one is created; empty for other kinds.
    """

    kind: NodeKind
    id: str
    type: str = ""
    name: str = ""

    @classmethod
    def entity(cls, entity_type: str, name: str) -> Node:
        """Return the entity of this type and name."""
        return cls("entity", entity_id(entity_type, name), entity_type, name)


class FactRecord(NamedTuple):
    """One relation from an item to an entity, with its origin.

    Attributes:
        relation: a relation type of the domain.
        entity_type, name: the entity; its id is `entity_id(entity_type, name)`.
        confidence: in (0, 1].
        source: the column (`column:films.genres`) or text that holds it.
        extractor: what found it; `table` for a column.
        evidence: the words that state it, empty for a column.
        key: id of the entity in the source, where two of one name must stay two; else empty.
    """

    item_id: str
    relation: str
    entity_type: str
    name: str
    confidence: float = 1.0
    source: str = ""
    extractor: str = TABLE
    evidence: str = ""
    key: str = ""

    @property
    def entity_id(self) -> str:
        return entity_id(self.entity_type, self.key or self.name)

    @property
    def link(self) -> LinkRecord:
        """The same with both ends as nodes."""
        item, relation, kind, name, confidence, source, extractor, evidence, key = self
        tail = Node("entity", entity_id(kind, key or name), kind, name)
        values = (confidence, source, extractor, evidence)
        return LinkRecord(Node("item", item), relation, tail, *values)


class LinkRecord(NamedTuple):
    """One relation between any two nodes that a domain lets it lead from and to.

    Attributes:
        relation, confidence, source, extractor, evidence: as of `FactRecord`.
    """

    head: Node
    relation: str
    tail: Node
    confidence: float = 1.0
    source: str = ""
    extractor: str = TABLE
    evidence: str = ""


@dataclass(frozen=True, slots=True)
class EntityRecord:
    """An entity, its properties and the links that the columns of its table hold.

    Attributes:
        node: id, type and name.
        properties: name, aliases and others; one that the row leaves empty is not in it.
        links: to entities that its columns name.
        sources: the columns with a value for this entity.
        filling: properties that only count where the graph holds none: those of an entity that was
            merged into this one.
        merged: whether the row is of such an entity.
    """

    node: Node
    properties: Mapping[str, Value] = field(default_factory=dict)
    links: tuple[LinkRecord, ...] = ()
    sources: frozenset[str] = frozenset()
    filling: frozenset[str] = frozenset()
    merged: bool = False

    def joined(self, later: EntityRecord) -> EntityRecord | None:
        """Return the entity with what a later row adds; None where that is nothing."""
        links = _added(self.links, later.links)
        sources = self.sources | later.sources
        if self.merged or later.merged:
            one = _filled(self, later)
            return replace(one, links=self.links if links is None else links, sources=sources)
        return None if links is None else replace(self, links=links, sources=sources)


@dataclass(frozen=True, slots=True)
class ItemRecord:
    """An item: title, description and other properties, and the facts that its columns hold.

    Attributes:
        properties: of the row; one that it leaves empty is not in it.
        facts: entities that its multi-valued columns name.
        sources: the columns with a value for this item, so that facts of an earlier file that are
            no longer in them can be withdrawn.
        filling: properties that only count where the graph holds none of another source: those of
            an item that was merged into this one.
        merged: whether the row is of such an item.
    """

    item_id: str
    properties: Mapping[str, Value] = field(default_factory=dict)
    facts: tuple[FactRecord, ...] = ()
    sources: frozenset[str] = frozenset()
    filling: frozenset[str] = frozenset()
    merged: bool = False

    def joined(self, later: ItemRecord) -> ItemRecord | None:
        """Return the item with the facts that a later row adds; None where it adds none.

        Of a property the first row counts.
        """
        facts = _added(self.facts, later.facts)
        sources = self.sources | later.sources
        if self.merged or later.merged:
            one = _filled(self, later)
            return replace(one, facts=self.facts if facts is None else facts, sources=sources)
        return None if facts is None else replace(self, facts=facts, sources=sources)


RowT = TypeVar("RowT", EntityRecord, ItemRecord)


def _filled(first: RowT, later: RowT) -> RowT:
    """Return a record with the properties of two rows; those of a merged node come second."""
    own, other = (later, first) if first.merged and not later.merged else (first, later)
    held = {name for name, value in own.properties.items() if value is not None}
    more = {name: value for name, value in other.properties.items() if name not in held}
    filling = own.filling | (other.filling & more.keys())
    return replace(own, properties={**own.properties, **more}, filling=filling)


EdgeT = TypeVar("EdgeT", FactRecord, LinkRecord)


def _added(before: tuple[EdgeT, ...], later: tuple[EdgeT, ...]) -> tuple[EdgeT, ...] | None:
    new = tuple(one for one in later if one not in before)
    return before + new if new else None


@dataclass(frozen=True, slots=True)
class InteractionRecord:
    """One interaction of a user with an item.

    Attributes:
        kind: one of `[interactions]` in core.toml.
        value: rating, count or 1.
        at: milliseconds since 1970 in UTC; 0 where unknown, as device and scenario are empty.
    """

    user_id: str
    item_id: str
    kind: str
    value: float = 1.0
    at: int = 0
    device: str = ""
    scenario: str = ""

    @property
    def key(self) -> str:
        return interaction_key(self.kind, self.at)


def interaction_key(kind: str, at: int) -> str:
    """Return what distinguishes an interaction from others of its user and item: kind and time.

    Args:
        at: milliseconds since 1970 in UTC; 0 where the time is unknown.
    """
    return f"{kind}@{at}"


@lru_cache(maxsize=1 << 16)  # a catalogue names its directors and genres again and again
def entity_id(entity_type: str, name: str) -> str:
    """Return the id of an entity: the same from a column and from text.

    Case, width, composition and spacing make no difference: `Person:tom hanks`.
    """
    return f"{entity_type}:{folded(name)}"


def folded(name: str) -> str:
    """Return a name for comparison: NFKC, case folded, single spaces."""
    once = unicodedata.normalize("NFKC", name).casefold()
    return tidy(unicodedata.normalize("NFKC", once))


def tidy(text: str) -> str:
    """Return text on one line, with single spaces and none at the ends."""
    return " ".join(text.split())


def display_title(title: str) -> str:
    """Put an article that a catalogue moved behind the title back: `Godfather, The`."""
    found = _ARTICLE.match(title)
    if not found:
        return title
    space = "" if found["article"].endswith("'") else " "
    return f"{found['article']}{space}{found['name']}{found['rest']}"
