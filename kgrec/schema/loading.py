"""Domain files, read, completed by what they use, and checked."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from kgrec.config import FrozenModel, load_toml, parse_config
from kgrec.errors import SchemaError
from kgrec.schema.checks import Fault, Key, advice_on, faults_of, places
from kgrec.schema.domain import Core, Domain, Reading, Relation, Rule
from kgrec.schema.pieces import completed

_FILLING: dict[str, Any] = {
    "name": "domain",
    "item_label": "KGRecItem",
    "item_word": "item",
    "entity_types": {},
    "relations": {},
}
"""Stands for what a file lacks, so that the rest of it can be checked."""


def load_domain(path: Path, core: Core) -> Domain:
    """Read and check one domain file.

    Raises:
        SchemaError: a name is not an identifier, shadows a name of the core, or a tail is unknown.
        ConfigError: a key is unknown, or a value is invalid, such as an unknown type.
    """
    values = completed(load_toml(path), path)
    domain = _normalised(parse_config(Domain, values, origin=str(path)), core)
    for fault in faults_of(domain, core):
        raise SchemaError(f"{path}: {fault.what}", value=fault.value, remedy=fault.remedy)
    return domain


def examine_domain(path: Path, core: Core) -> tuple[Domain | None, list[Fault]]:
    """Return a domain file as far as it can be read, and all that is wrong in it.

    Raises:
        ConfigError: the file is missing, no TOML, or uses an unknown piece.
    """
    values = completed(load_toml(path), path)
    try:
        domain = Domain.model_validate(values)
    except ValidationError as error:
        errors = error.errors(include_url=False)
        found = [
            Fault(tuple(one["loc"]), _words(one["type"], one["msg"]), _given(one), _near(one))
            for one in errors
        ]
        return None, found + _behind(values, [fault.key for fault in found], core)
    domain = _normalised(domain, core)
    found = list(faults_of(domain, core)) or list(advice_on(domain))
    own = load_toml(path).get("rules", [])
    return domain, [_in_file(fault, len(domain.rules) - len(own)) for fault in found]


def _behind(values: Mapping[str, Any], wrong: Sequence[Key], core: Core) -> list[Fault]:
    """Return what else is wrong in a file that cannot be read whole: in what can be read of it.

    Args:
        wrong: keys of the values that are missing or cannot be read.
    """
    kept = deepcopy({**_FILLING, **values})
    for key in sorted(wrong, key=len, reverse=True):
        if key[0] in ("relations", "rules") and len(key) > 1:
            key = key[:1] if key[0] == "rules" else key[:2]  # without one of its parts, no relation
        inside: Any = kept
        for part in key[:-1]:
            inside = inside.get(part, {}) if isinstance(inside, dict) else {}
        if isinstance(inside, dict):
            inside.pop(key[-1], None)
            if key[0] == "entity_types" and len(key) > 1:
                inside[key[-1]] = ""
    try:
        domain = _normalised(Domain.model_validate({**_FILLING, **kept}), core)
    except ValidationError:
        return []
    return [fault for fault in faults_of(domain, core) if not _is_below(fault.key, wrong)]


def _is_below(key: Key, wrong: Sequence[Key]) -> bool:
    return any(key[: len(one)] == one for one in wrong)


def _in_file(fault: Fault, before: int) -> Fault:
    """Count rules as the file does, behind those of the pieces that it uses."""
    if fault.key[0] != "rules" or len(fault.key) < 2 or int(fault.key[1]) < before:
        return fault
    return fault._replace(key=("rules", int(fault.key[1]) - before, *fault.key[2:]))


def _words(kind: str, message: str) -> str:
    words = {"missing": "the key is missing", "extra_forbidden": "there is no such key"}
    return words.get(kind, message)


def _near(error: object) -> str:
    """Return which key an unknown one may be meant for."""
    if not isinstance(error, dict) or error["type"] != "extra_forbidden":
        return ""
    models: dict[str, type[FrozenModel]] = {
        "rules": Rule,
        "relations": Relation,
        "reading": Reading,
    }
    known = [*models.get(str(error["loc"][0]), Domain).model_fields]
    near = difflib.get_close_matches(str(error["loc"][-1]), known, n=1)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    return f"{hint}Known: {', '.join(known)}."


def _given(error: object) -> object:
    kind, value = (error["type"], error["input"]) if isinstance(error, dict) else ("", None)
    return None if kind == "missing" else value


def _normalised(domain: Domain, core: Core) -> Domain:
    own = domain.item_label
    relations = {name: _with_ends(one, own, core) for name, one in domain.relations.items()}
    return domain.model_copy(update={"relations": relations})


def _with_ends(relation: Relation, item_label: str, core: Core) -> Relation:
    """Return a relation whose ends that are items are empty, and named `{item}` in its meaning.

    With `{item}` in the meaning go entities; ends of one kind stay `{head}` and `{tail}`.
    """
    own = {item_label: "", core.labels.item: ""}
    head, tail = own.get(relation.head, relation.head), own.get(relation.tail, relation.tail)
    changed = relation.model_copy(update={"head": head, "tail": tail})
    ends, meaning = core.ends_of(changed), relation.meaning
    if set(ends) == {"item", "entity"} and places(meaning) == ["head", "tail"]:
        names = {end: f"{{{kind}}}" for end, kind in zip(("head", "tail"), ends, strict=True)}
        meaning = meaning.format(**names)
    return changed.model_copy(update={"meaning": meaning})
