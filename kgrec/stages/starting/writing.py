"""The pipeline file: settings that run at once, with comments that teach the others."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kgrec.data.guesses import role_names
from kgrec.data.origins.address import SQLITE, is_address, sqlite_file
from kgrec.data.sources import Source
from kgrec.schema import Domain
from kgrec.stages.starting.deciding import GuessedSource
from kgrec.stages.starting.proposal import Proposal

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_WIDTH = 100


def pipeline_text(proposal: Proposal, folder: Path, domain: str) -> str:
    """Return the pipeline file of a proposal.

    Args:
        folder: where the file will stand; paths are relative to it.
        domain: name of the domain, or path of its file.
    """
    files = ", ".join(dict.fromkeys(one.file.path.name for one in proposal.sources))
    only = []
    if not any(one.kind == "interactions" for one in proposal.sources):
        only = [
            '# No file holds what users did: add a source of kind "interactions", and remove this.',
            'stages = ["ingest", "extract"]',
        ]
    lines = [
        f"# What `kgrec init` made of {files}.",
        "# Every line may be changed. `kgrec run` on this file loads, reads, trains and publishes;",
        "# running it again does only what is left to do. Paths are relative to this file.",
        f"name = {_toml(proposal.name)}",
        _noted(f"domain = {_toml(domain)}", f"`kgrec schema show --domain {domain}`"),
        *only,
        "",
    ]
    for guess in proposal.guesses:
        lines += _comment(f"{guess.what.capitalize()} {guess.value}: {guess.why}.")
    for source in proposal.sources:
        lines += ["", *_source(source, folder, proposal.domain)]
    for left in proposal.left_out:
        lines += ["", *_comment(f"Left out: {left.path}, for {left.why}")]
    return "\n".join([*lines, *_training(proposal), ""])


def skeleton(domain: Domain, name: str) -> str:
    """Return a pipeline file for a domain whose files are not there yet."""
    word = domain.plural
    lines = [
        f"# A pipeline for {word}. Change the paths, then `kgrec run` this file;",
        "# `kgrec init FILES` writes one that fits your files. Paths are relative to this file.",
        f"name = {_toml(name)}",
        _noted(f"domain = {_toml(name)}", f"`kgrec schema show --domain {name}`"),
        "",
        "[[sources]]",
        _noted('kind = "catalog"', f"each row is a {domain.item_word}"),
        f"path = {_toml(word.replace(' ', '_') + '.csv')}",
        "# Columns are found by their names; name those that are called otherwise:",
        '# columns = { item_id = "id", title = "name", description = "text" }',
        "# Columns of these names become relations (in a cell with several, cut at | ; or ,):",
    ]
    for relation, one in domain.facts.items():
        known = [*one.columns, *domain.columns.get(relation, ())]
        lines += _comment(f"  {relation} ({one.tail}): {', '.join(known) or 'from texts'}")
    lines += _comment("Properties that filters compare: " + ", ".join(domain.item_properties))
    names = role_names(Source(kind="interactions", path=Path("x")), domain)
    lines += [
        "",
        "[[sources]]",
        _noted('kind = "interactions"', "each row is what a user did with one"),
        'path = "interactions.csv"',
    ]
    for role in ("user_id", "item_id", "value", "at", "kind"):
        lines += _comment(f"  {role}: {', '.join(names[role][:8])}")
    lines += [
        '# interaction = "purchase"        # view, click, play, purchase, rating, like, ...',
        "",
        "[train]",
        "# at_least = { rating = 3 }         # a lower rating does not count for the item",
        "",
    ]
    return "\n".join(lines)


def _source(one: GuessedSource, folder: Path, domain: Domain) -> Iterator[str]:
    plan, settings = one.plan, dict(one.settings)
    row = {
        "catalog": f"each row is one {domain.item_word}",
        "facts": f"each row gives one {domain.item_word} one value; rows of one are joined",
        "users": "each row is a user",
        "interactions": f"each row is what a user did with one {domain.item_word}",
    }
    yield "[[sources]]"
    for guess in one.guesses:
        if guess.what == "kind":
            yield from _comment(f"{guess.why}.")
    facts = one.kind == "catalog" and "title" not in plan.roles and "relations" in settings
    yield _noted(f"kind = {_toml(one.kind)}", row.get("facts" if facts else one.kind, ""))
    file = one.file
    yield f"path = {_toml(_place(file.address or file.path, folder))}"
    for name, value in one.file.form.items():
        yield f"{name} = {_toml(value)}"
    columns = {role: column.column for role, column in plan.roles.items()}
    columns |= {column.becomes: column.column for column in plan.properties}
    settings.pop("columns", None)
    yield f"columns = {_toml(columns)}"
    relations = settings.pop("relations", None) or _relations(one)
    if "joins" in settings:
        joins = [{**one, "path": _place(one["path"], folder)} for one in settings["joins"]]
        settings["joins"] = joins
    if relations:
        yield _noted(f"relations = {_toml(relations)}", "column:separator")
    for name, value in settings.items():
        why = [guess.why for guess in one.guesses if guess.what == name]
        if name == "joins":
            yield from (line for each in why for line in _comment(f"{each}."))
            why = []
        yield _noted(f"{name} = {_toml(value)}", why[0] if why else "")
    for each in plan.guesses():
        if each.reason and each.becomes == "not used":
            yield from _comment(f"{each.column}: {each.reason}.")
    if plan.remarks.get(""):
        yield from _comment(f"{plan.remarks['']}.")
    if plan.unused:
        rest = ", ".join(plan.unused)
        yield from _comment(f"Not used: {rest}")
        if one.kind == "catalog":
            example = _toml([*plan.unused[:1]])
            yield from _comment(f"properties = {example} would keep such a column as a property.")


def _place(place: Path | str, folder: Path) -> str:
    """Return a path relative to the folder of the pipeline file, that of an SQLite file as well."""
    name = str(place)
    if (file := sqlite_file(name)) is not None:
        return SQLITE + _place(file, folder)
    if is_address(name):
        return name
    return os.path.relpath(Path(name).resolve(), folder.resolve())


def _relations(one: GuessedSource) -> dict[str, Any]:
    """Return the relations of a source, but those that only a guess can name: found again."""
    found: dict[str, list[str]] = {}
    whole = {column.relation for column in one.plan.relations if column.entity or column.key}
    for column in one.plan.relations:
        if column.relation not in whole:
            text = column.column + (f":{column.separator}" if column.separator else "")
            found.setdefault(column.relation, []).append(text)
    return {relation: texts[0] if len(texts) == 1 else texts for relation, texts in found.items()}


def _training(proposal: Proposal) -> Iterator[str]:
    limits = {
        one.plan.interaction: _middle(one.settings["value_range"])
        for one in proposal.sources
        if "value_range" in one.settings
    }
    yield ""
    yield "[train]"
    if limits:
        word = proposal.domain.item_word
        yield _noted(f"at_least = {_toml(limits)}", f"a lower one does not count for the {word}")
    yield from _comment('agents = ["linear"] trains one agent, in seconds; without it all six.')


def _middle(limits: tuple[float, float]) -> float:
    """Return the least value that counts for an item: 3 of 1 to 5, 6 of 1 to 10."""
    least, most = limits
    middle = least + (most - least) / 2
    return middle if middle < 2 else float(-(-middle // 1))


def _noted(line: str, note: str) -> str:
    return f"{f'{line} '.ljust(36)}# {note}" if note else line


def _comment(text: str) -> Iterator[str]:
    """Yield a text as lines of comment."""
    line = "#"
    for word in text.split(" "):
        if len(line) + len(word) + 1 > _WIDTH:
            yield line
            line = "#"
        line += f" {word}"
    yield line


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        inside = ", ".join(f"{_key(key)} = {_toml(one)}" for key, one in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, int | float):
        return str(value)
    return json.dumps(str(value), ensure_ascii=False)


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else json.dumps(key, ensure_ascii=False)
