"""What the driver returns, as plain Python: no type of the driver leaves `kgrec.graph`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from typing import Any

from neo4j.graph import Node, Path, Relationship
from neo4j.spatial import Point
from neo4j.time import Date, DateTime, Duration, Time

_PLAIN = (str, int, float, bool, bytes, type(None))


def row(keys: Sequence[str], values: Sequence[Any]) -> dict[str, Any]:
    """Return one record as a dict of plain values."""
    return {key: plain(value) for key, value in zip(keys, values, strict=True)}


def plain(value: Any) -> Any:
    """Return a value without the driver's types.

    Times become aware `datetime`s in UTC, nodes and relations become dicts, paths become lists. A
    list is taken as it is when its first element is plain, for lists from the database hold one
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
