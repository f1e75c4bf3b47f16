"""What the driver returns, as plain Python: no type of the driver leaves `kgrec.graph`.

Holds the statement files to their headers and to the vocabulary.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from neo4j.graph import Node, Path, Relationship
from neo4j.spatial import Point
from neo4j.time import Date, DateTime, Duration, Time

from kgrec.schema import UNCHANGED, Schema, Statement

MakeRow = Callable[[Sequence[str], Sequence[Any]], dict[str, Any]]
_PLAIN = (str, int, float, bool, bytes, type(None))


def row(keys: Sequence[str], values: Sequence[Any]) -> dict[str, Any]:
    """Return one record as a dict of plain values."""
    return {key: plain(value) for key, value in zip(keys, values, strict=True)}


def exact_row(keys: Sequence[str], values: Sequence[Any]) -> dict[str, Any]:
    """Return one record as a dict of values as the driver has them."""
    return dict(zip(keys, values, strict=True))


def plain(value: Any) -> Any:
    """Return a value without the driver's types.

    Times become aware `datetime`s in UTC, nodes and relations become dicts, paths become lists. A
    list is returned unchanged when its first element is plain, since lists of a database hold one
    type and may be long.
    """
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, list):
        return value if value and isinstance(value[0], _PLAIN) else [plain(v) for v in value]
    if isinstance(value, dict):
        return {key: plain(v) for key, v in value.items()}
    return _from_driver(value)


def _from_driver(value: Any) -> Any:
    if isinstance(value, DateTime):
        native = value.to_native()
        return native.astimezone(UTC) if native.tzinfo else native
    if isinstance(value, Date | Time):
        return value.to_native()
    if isinstance(value, Duration):
        return value.iso_format()
    if isinstance(value, Point):
        return list(value)
    if isinstance(value, Node):
        return {"labels": sorted(value.labels), **_properties(value)}
    if isinstance(value, Relationship):
        return {"type": value.type, **_properties(value)}
    if isinstance(value, Path):
        return _steps(value)
    return value


def _steps(path: Path) -> list[Any]:
    steps: list[Any] = []
    for node, relation in zip(path.nodes, path.relationships, strict=False):
        steps += [plain(node), plain(relation)]
    return [*steps, plain(path.nodes[-1])]


def _properties(entity: Node | Relationship) -> dict[str, Any]:
    return {key: plain(value) for key, value in entity.items()}


_DOCUMENTED = re.compile(r"(\$[a-z_][a-z0-9_]*|__[A-Z][A-Z_]*?__): ?(.*)")
_NODE = re.compile(r"\(\s*(\w*)((?::\w+)+)\s*(?:\{([^}]*)\})?")
_RELATION = re.compile(r"\[\s*(\w*):(\w+(?:\|\w+)*)\s*(?:\*[\d.]*)?\s*(?:\{([^}]*)\})?")
_KEY = re.compile(r"(?:^|,)\s*(\w+)\s*:")
_STRING = re.compile(r"'(?:[^'\\]|\\.)*'")
_RETURN = re.compile(
    r"\bRETURN\b(?!.*\bRETURN\b)(.*?)(?:\bORDER BY\b|\bSKIP\b|\bLIMIT\b|$)", re.DOTALL
)
_ALIAS = re.compile(r"\bAS\s+(\w+)\s*$")
_OPENING, _CLOSING = "([{", ")]}"


@dataclass(frozen=True)
class Header:
    """The parsed header of a statement file.

    Attributes:
        purpose: what the statement is for.
        described: parameters (`$name`) and slots (`__NAME__`), with their types or meanings.
        returns: the columns; None when the header does not name them.
    """

    purpose: str
    described: dict[str, str]
    returns: tuple[str, ...] | None


def header_of(statement: Statement) -> Header:
    """Parse a header."""
    purpose: list[str] = []
    described: dict[str, str] = {}
    returns: list[str] = []
    for line in statement.header.splitlines():
        found = _DOCUMENTED.match(line)
        if returns or line.startswith("returns:"):
            returns.append(line.removeprefix("returns:"))
        elif found:
            described[found[1]] = found[2].strip()
        elif not described and line != UNCHANGED:
            purpose.append(line)
    return Header(" ".join(purpose), described, _columns(" ".join(returns)) if returns else None)


def returned_columns(body: str) -> tuple[str, ...]:
    """Return the column names of a statement, in order; empty when it returns nothing."""
    found = _RETURN.search(body)
    if found is None:
        return ()
    text = found[1].strip().removeprefix("DISTINCT ")
    columns = []
    for part in _split_at_commas(text):
        alias = _ALIAS.search(part)
        columns.append(alias[1] if alias else part.strip())
    return tuple(columns)


def check_statements(schema: Schema) -> list[str]:
    """Return what is wrong with the statement files, one sentence each; empty when all is well.

    Each parameter and slot must be described and each description be of one; the columns must be
    those returned; labels, relation types and the keys in patterns must be in the vocabulary.
    """
    return [
        f"{name}: {problem}"
        for name, statement in schema.statements.items()
        for problem in dict.fromkeys(_problems(statement, schema))
    ]


def _problems(statement: Statement, schema: Schema) -> Iterator[str]:
    header = header_of(statement)
    if not header.purpose:
        yield "the header does not name the purpose of the statement"
    used = {f"${name}" for name in statement.parameters} | set(statement.slots)
    for name in sorted(used - header.described.keys()):
        yield f"{name} is not described in the header"
    for name in sorted(header.described.keys() - used):
        yield f"{name} is described in the header and not used"
    for name in sorted(key for key, text in header.described.items() if not text):
        yield f"{name} is described by nothing"
    columns = returned_columns(statement.body)
    if header.returns != columns:
        documented = "none named" if header.returns is None else ", ".join(header.returns)
        yield f"the header's columns ({documented}) are not those returned ({', '.join(columns)})"
    if ";" in _STRING.sub("", statement.body):
        yield "a file holds one statement and no semicolon"
    yield from _unknown_names(_STRING.sub("''", statement.body), schema)


def _unknown_names(body: str, schema: Schema) -> Iterator[str]:
    labels = set(schema.labels.model_dump().values())
    types = set(schema.relations.model_dump().values())
    for _, names, keys in _NODE.findall(body):
        known = [name for name in names.split(":") if name]
        yield from _unknown("label", known, labels)
        yield from _unknown_keys(known, keys, schema)
    for _, names, keys in _RELATION.findall(body):
        yield from _unknown("relation type", names.split("|"), types)
        yield from _unknown_keys(names.split("|"), keys, schema)


def _unknown(kind: str, names: Iterable[str], known: set[str]) -> Iterator[str]:
    for name in names:
        if name not in known and not name.startswith("__"):
            yield f"{name} is no {kind} of core.toml"


def _unknown_keys(names: Iterable[str], text: str, schema: Schema) -> Iterator[str]:
    tables = [schema.core.properties[name] for name in names if name in schema.core.properties]
    known = {key for table in tables for key in table}
    for key in _KEY.findall(text):
        if tables and key not in known:
            yield f"{key} is no property of {', '.join(names)} in core.toml"


def _columns(text: str) -> tuple[str, ...]:
    plain = re.sub(r"\([^)]*\)", "", text).partition(";")[0]
    names = tuple(part.strip() for part in plain.split(",") if part.strip())
    return () if names == ("nothing",) else names


def _split_at_commas(text: str) -> Iterator[str]:
    depth, part = 0, ""
    for sign in text:
        depth += (sign in _OPENING) - (sign in _CLOSING)
        if sign == "," and depth == 0:
            yield part
            part = ""
        else:
            part += sign
    if part.strip():
        yield part
