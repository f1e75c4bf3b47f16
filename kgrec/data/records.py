"""Records of the rows of tables, and the parsing of their cells.

Ids are strings. The reader (`kgrec.data.columns`) creates valid records only: keys are not empty,
numbers are finite, times are in the past. An invalid cell is an error with a reason.
"""

from __future__ import annotations

import math
import re
import time
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

from kgrec.schema import NodeKind

Value = str | int | float | bool | datetime | tuple[str, ...]
"""What a property of a node may be."""

MAX_ID = 512
"""Maximum number of characters of an id; longer ids indicate a wrong delimiter."""

TABLE = "table"
"""The extractor of facts from tables."""

_SPACE = re.compile(r"\s+")
_ARTICLE = re.compile(
    r"^(?P<name>.+), (?P<article>The|A|An|Le|La|Les|L'|Il|Lo|I|Gli|El|Los|Las|Das|Der|Die|Det|Den)"
    r"(?P<rest>(?: \(.*\))?)$"
)


@dataclass(frozen=True, slots=True)
class UserRecord:
    """A user and their properties."""

    user_id: str
    properties: Mapping[str, Value] = field(default_factory=dict)


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


@dataclass(frozen=True, slots=True)
class FactRecord:
    """One relation from an item to an entity, with its origin.

    Attributes:
        relation: a relation type of the domain.
        entity_type, name: the entity; its id is `entity_id(entity_type, name)`.
        confidence: in (0, 1].
        source: the column (`column:films.genres`) or text that holds it.
        extractor: what found it; `table` for a column.
        evidence: the words that state it, empty for a column.
    """

    item_id: str
    relation: str
    entity_type: str
    name: str
    confidence: float = 1.0
    source: str = ""
    extractor: str = TABLE
    evidence: str = ""

    @property
    def entity_id(self) -> str:
        return entity_id(self.entity_type, self.name)

    @property
    def link(self) -> LinkRecord:
        """The same with both ends as nodes."""
        ends = (Node("item", self.item_id), self.relation, Node.entity(self.entity_type, self.name))
        return LinkRecord(*ends, self.confidence, self.source, self.extractor, self.evidence)


@dataclass(frozen=True, slots=True)
class LinkRecord:
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
    """

    node: Node
    properties: Mapping[str, Value] = field(default_factory=dict)
    links: tuple[LinkRecord, ...] = ()
    sources: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ItemRecord:
    """An item: title, description and other properties, and the facts that its columns hold.

    Attributes:
        properties: of the row; one that it leaves empty is not in it.
        facts: entities that its multi-valued columns name.
        sources: the columns with a value for this item, so that facts of an earlier file that are
            no longer in them can be withdrawn.
    """

    item_id: str
    properties: Mapping[str, Value] = field(default_factory=dict)
    facts: tuple[FactRecord, ...] = ()
    sources: frozenset[str] = frozenset()


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
    return _SPACE.sub(" ", text).strip()


def display_title(title: str) -> str:
    """Put an article that a catalogue moved behind the title back: `Godfather, The`."""
    found = _ARTICLE.match(title)
    if not found:
        return title
    space = "" if found["article"].endswith("'") else " "
    return f"{found['article']}{space}{found['name']}{found['rest']}"


MAX_VALUE = 1e15
"""Of an interaction: sums of such values and of their squares fit in single precision."""

NULL_KEYS = frozenset({"", "null", "nan", "none", "\\n", "<na>"})
_NULL_TEXTS = frozenset({"", "\\N", "NaN"})
MAX_AHEAD_MS = 300_000
"""How far a time may lie ahead: clocks differ, and what lies further would outlive later events."""
_WHOLE = re.compile(r"[+-]?[0-9]+")
_MOST_DIGITS, _INT64 = 19, 2**63
# Largest count of each unit that is still a time before the year 5138, coarsest first.
_UNITS = ((1e11, 1000.0), (1e14, 1.0), (1e17, 1e-3), (1e20, 1e-6))


class CellError(ValueError):
    """Why a cell is invalid."""

    def __init__(self, reason: str, value: object) -> None:
        super().__init__(reason)
        self.reason = reason
        self.value = value


def parse_id(value: Any, role: str) -> str:
    """Return an id as a string; raises CellError when there is none."""
    if isinstance(value, bool | dict | list | tuple):
        raise CellError(f"{role} is not one name or number", value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = "" if value is None else str(_decoded(value, role)).strip()
    if text.casefold() in NULL_KEYS:
        raise CellError(f"{role} is missing", value)
    if len(text) > MAX_ID:
        raise CellError(f"{role} is longer than {MAX_ID} characters", text[:80])
    if not text.isprintable():
        raise CellError(f"{role} has characters that cannot be printed", value)
    return text


def parse_number(value: Any, role: str) -> float | None:
    """Return a finite number, None for an empty cell."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, bool):
        return float(value)
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise CellError(f"{role} is not a number", value) from None
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise CellError(f"{role} is not a finite number", value)
    return number


def parse_value(value: Any, role: str) -> float | None:
    """Return the value of an interaction; its square must be finite in single precision."""
    number = parse_number(value, role)
    if number is not None and abs(number) > MAX_VALUE:
        raise CellError(f"{role} is too large a number", value)
    return number


def parse_time(value: Any, role: str) -> int:
    """Return `parse_moment` of a time that must not lie in the future."""
    at = parse_moment(value, role)
    if at > time.time() * 1000 + MAX_AHEAD_MS:
        raise CellError(f"{role} lies in the future (without a zone it is read as UTC)", value)
    return at


def parse_moment(value: Any, role: str) -> int:
    """Return milliseconds since 1970 in UTC, 0 for an empty cell or 0: unknown.

    Numbers count seconds, or milliseconds, microseconds or nanoseconds when they are that large.
    Other text is read as ISO 8601; without a zone it is UTC.
    """
    if value is None or value == 0:
        return 0
    if isinstance(value, date):
        at = value if isinstance(value, datetime) else datetime(value.year, value.month, value.day)
        return _checked(_milliseconds(at), value, role)
    text = str(value).strip()
    if text in {"", "0"}:
        return 0
    try:
        number = float(text)
    except ValueError:
        return _checked(_from_iso(text, role), value, role)
    if not math.isfinite(number):
        raise CellError(f"{role} is not a time", value)
    for limit, factor in _UNITS:
        if abs(number) < limit:
            return _checked(round(number * factor), value, role)
    raise CellError(f"{role} is not a time of this world", value)


def parse_text(value: Any, role: str) -> str | None:
    """Return text without spaces at its ends, None for an empty cell."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, dict | list | tuple):
        raise CellError(f"{role} is a list or an object, not one value", value)
    text = str(_decoded(value, role)).strip()
    if not text.isascii() or "\0" in text:
        _check_characters(text, role)
    return None if text in _NULL_TEXTS else text


def parse_property(value: Any, role: str, kind: str) -> Value | None:
    """Return a property of the kind that the vocabulary gives it, None for an empty cell.

    Args:
        kind: `string`, `integer`, `float` or `strings`.

    Raises:
        CellError: the cell holds something else, or an integer of more than 64 bits.
    """
    if kind == "strings":
        return tuple(split_values(value, "|", role)) or None
    if kind == "string":
        return parse_text(value, role)
    return parse_number(value, role) if kind == "float" else _whole_number(value, role)


def _whole_number(value: Any, role: str) -> int | None:
    """Return an integer; text and integers do not become a float, which holds 15 digits only."""
    text = value.strip() if isinstance(value, str) else ""
    if isinstance(value, int):
        number = int(value)
    elif _WHOLE.fullmatch(text) and len(text.lstrip("+-0")) <= _MOST_DIGITS:
        number = int(text)
    else:
        parsed = parse_number(value, role)
        if parsed is None:
            return None
        if not parsed.is_integer():
            raise CellError(f"{role} is not a whole number", value)
        number = int(parsed)
    if not -_INT64 <= number < _INT64:
        raise CellError(f"{role} is too large a whole number", value)
    return number


def _decoded(value: Any, role: str) -> Any:
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise CellError(f"{role} holds bytes that are not UTF-8", value) from None


def split_values(value: Any, separator: str | None, role: str) -> list[str]:
    """Return the distinct values of a multi-valued cell, in their order.

    A list, as JSON lines and Parquet have it, needs no separator.
    """
    if isinstance(value, list | tuple):
        parts = [parse_text(part, role) for part in value]
    else:
        text = parse_text(value, role)
        parts = [] if text is None else [*(text.split(separator) if separator else [text])]
    names = [tidy(part) for part in parts if part]
    for name in names:
        if len(name) > MAX_ID:
            raise CellError(f"a value of {role} is longer than {MAX_ID} characters", name[:80])
    return list(dict.fromkeys(filter(None, names)))


def _check_characters(text: str, role: str) -> None:
    if "\0" in text:
        raise CellError(f"{role} holds a NUL byte", text)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise CellError(f"{role} holds half a character", text) from None


def _from_iso(text: str, role: str) -> int:
    try:
        return _milliseconds(datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        raise CellError(f"{role} is not a time", text) from None


def _milliseconds(moment: datetime) -> int:
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return round(aware.timestamp() * 1000)


def _checked(at: int, value: object, role: str) -> int:
    if at < 0:
        raise CellError(f"{role} lies before 1970", value)
    return at
