"""Pieces that domains share: a file names them under `uses` and is completed by them.

A piece (`graph_schema/pieces/*.toml`) holds entity types, relations, words, patterns and rules, as
a domain does; a domain may use another domain as well, whose items are then its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from kgrec.config import load_toml
from kgrec.errors import SchemaError
from kgrec.resources import resource_dir


def completed(values: Mapping[str, Any], origin: Path) -> dict[str, Any]:
    """Return the content of a domain file with that of the pieces that it uses.

    What the file states itself stands over what a piece states; lists of words, columns and rules
    are joined, those of the file first for columns, last for words and rules.

    Raises:
        SchemaError: there is no such piece, or one uses itself.
    """
    return _completed(values, origin, ())


def _completed(values: Mapping[str, Any], origin: Path, under: tuple[str, ...]) -> dict[str, Any]:
    uses = values.get("uses", ())
    if not isinstance(uses, list | tuple):
        return dict(values)  # of the wrong type, which the check of types reports
    found: dict[str, Any] = {}
    for name in uses:
        if name in under:
            raise SchemaError(f"{origin}: the pieces use each other", value=name)
        path = _path(str(name), origin)
        found = _over(found, _completed(_read(path), path, (*under, name)))
    return _over(found, values)


@cache
def _read(path: Path) -> dict[str, Any]:
    return load_toml(path)


def _path(name: str, origin: Path) -> Path:
    root = resource_dir("graph_schema")
    folders = [root / "pieces", root / "domains"]
    for folder in folders:
        path = folder / f"{name}.toml"
        if path.is_file():
            return path
    known = sorted(path.stem for folder in folders for path in folder.glob("*.toml"))
    raise SchemaError(
        f"{origin}: `uses` names an unknown piece", value=name, remedy=f"Known: {', '.join(known)}."
    )


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return two contents as one."""
    merged = dict(below)
    for key, value in above.items():
        if key in (
            "reading",
            "item_mentions",
            "columns",
            "item_properties",
            "entity_properties",
            "examples",
        ):
            merged[key] = _joined(merged.get(key, {}), value, first=key == "columns")
        elif key in ("entity_types", "relations", "quantities") and isinstance(value, Mapping):
            merged[key] = {**merged.get(key, {}), **value}
        elif key == "rules" and isinstance(value, Sequence):
            merged[key] = [*merged.get(key, ()), *value]
        else:
            merged[key] = value
    return merged


def _joined(below: Any, above: Any, *, first: bool) -> Any:
    """Join tables by key, and lists without repeats."""
    if isinstance(below, Mapping) and isinstance(above, Mapping):
        joined = {key: _joined(below[key], above[key], first=first) for key in below.keys() & above}
        return {**below, **above, **joined}
    if isinstance(below, list) and isinstance(above, list):
        return list(dict.fromkeys([*above, *below] if first else [*below, *above]))
    return above
