"""A domain file for tables that no shipped domain knows: types and relations from the columns."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kgrec.config import load_toml
from kgrec.data import looks
from kgrec.data.guesses import snake
from kgrec.data.origins.triples.rows import local
from kgrec.data.records import folded
from kgrec.resources import resource_dir
from kgrec.schema import load_schema
from kgrec.stages.starting.looking import LookedAt, Values
from kgrec.stages.starting.naming import label_of, singular

_PIECES = ("genres", "categories", "keywords")
_PEOPLE = ("author", "director", "creator", "artist", "writer", "maker", "owner", "teacher", "host")
_NO_NAMES = ("_id", "_url", "url", "link", "image", "_uri", "uri", "guid")
_LONG = 60
_REPEATS = 0.7


@dataclass(frozen=True)
class Draft:
    """A domain file that was written for some tables.

    Attributes:
        values: its content, as of a file.
        text: the file with comments.
    """

    values: dict[str, Any]
    text: str


def item_word_of(files: Sequence[LookedAt]) -> str:
    """Return what one item may be called: by a column `car_id`, else by the name of the file."""
    for file in files:
        if file.triples is not None and file.triples.type:
            return snake(local(file.triples.type)).replace("_", " ")
        for column in file.columns:
            name = snake(column)
            if name.endswith("_id") and file.values[column].unique and len(file.columns) > 2:
                return name.removesuffix("_id").replace("_", " ")
    longest = max(files, key=lambda file: len(file.columns))
    stems = [one for one in snake(longest.path.name.split(".")[0]).split("_") if one.isalpha()]
    return singular(stems[-1]) if stems else "item"


def draft_domain(word: str, files: Sequence[LookedAt], name: str = "") -> Draft:
    """Return a domain whose items are called by a word, for the columns of some catalogues."""
    label = _free_label(label_of(word))
    used, known = _pieces(files)
    types: dict[str, str] = {}
    relations: dict[str, dict[str, Any]] = {}
    properties: dict[str, str] = {}
    reserved = load_schema().core.properties[load_schema().core.labels.item]
    for file in files:
        for column, values in file.values.items():
            key = snake(column)
            kind = _what(key, values, [row.get(column) for row in file.table.sample])
            if key in known or key in reserved or kind is None or _is_role(key, word):
                continue
            if kind != "entity":
                properties.setdefault(key, kind)
                continue
            tail = "Person" if any(one in key for one in _PEOPLE) else label_of(singular(key))
            tail = tail if tail != label else f"{tail}Value"
            types.setdefault(tail, f"What the column {column} names.")
            meaning = f"{{item}} has the {key.replace('_', ' ')} {{entity}}."
            relation = {"tail": tail, "meaning": meaning, "columns": [key]}
            relations.setdefault(f"HAS_{singular(key).upper()}", relation)
    domain: dict[str, Any] = {
        "name": name or snake(word) or "mine",
        "uses": used,
        "item_label": label,
        "item_word": word,
        "item_properties": properties,
        "entity_types": types,
        "relations": relations,
        "reading": {"item_nouns": [word]},
    }
    return Draft(domain, _text(domain))


def _what(key: str, values: Values, cells: Sequence[Any]) -> str | None:
    """Return what a column is: the type of a property, `entity`, or None for what is left out."""
    if not values.filled or key == "id" or key.endswith(_NO_NAMES):
        return None
    number = looks.value_type(cells)  # with decimal commas, and words for nothing among them
    if number in ("integer", "float") and not values.lists:
        return number
    if looks.is_time(cells):
        return "string"
    separated = sum(count for text, count in values.counts.items() if set(text) & set("|;"))
    if values.lists or separated > 0.1 * values.filled:
        return "entity"
    if looks.separator(cells) is not None and not looks.is_long_text(cells):
        return "entity"
    if values.length > _LONG:
        return None
    repeated = values.distinct < _REPEATS * values.filled
    return "entity" if repeated and values.distinct > 1 else "string"


def _is_role(key: str, word: str) -> bool:
    own = {f"{snake(word)}_{end}" for end in ("id", "name", "title")}
    return key in own | {"name", "title", "description", "summary", "text", "overview"}


def _pieces(files: Sequence[LookedAt]) -> tuple[list[str], set[str]]:
    """Return the pieces whose relations the columns name, and the columns that these know."""
    there = {snake(column) for file in files for column in file.columns}
    used, known = [], set()
    for name in _PIECES:
        piece = load_toml(resource_dir("graph_schema") / "pieces" / f"{name}.toml")
        further = piece.get("columns", {})
        for relation, one in piece["relations"].items():
            columns = {*one.get("columns", ()), *further.get(relation, ())}
            if "head" not in one and columns & there:
                used.append(name)
                known |= columns
    return [*dict.fromkeys(used), "users"], known


def _free_label(label: str) -> str:
    """Return a label that neither kgrec nor a shipped domain has."""
    schema = load_schema()
    if label == schema.labels.item:
        return "Thing"
    core = {folded(one) for one in schema.labels.model_dump().values()}
    own = {folded(one.item_label) for one in schema.domains.values()}
    return f"{label}Item" if folded(label) in core | own else label


def _text(domain: dict[str, Any]) -> str:
    """Return a domain as a file whose comments say what each part is for."""
    lines = [
        "# What is known of these items; `kgrec schema check FILE` reports what is wrong in it.",
        f"name = {_quoted(domain['name'])}",
        f"uses = {json.dumps(domain['uses'])}".ljust(34)
        + "# pieces of graph_schema/pieces: types, relations, rules",
        f"item_label = {_quoted(domain['item_label'])}".ljust(34) + "# the label of the nodes",
        f"item_word = {_quoted(domain['item_word'])}".ljust(34) + "# what a person calls one",
        "",
        "[item_properties]                 # numbers and words that filters compare",
        *(f"{name} = {_quoted(kind)}" for name, kind in domain["item_properties"].items()),
        "",
        "[entity_types]                    # what items have in common: label = one sentence",
        *(f"{name} = {_quoted(meaning)}" for name, meaning in domain["entity_types"].items()),
        "",
        "# A relation leads from items to entities of the type `tail`. Its meaning is the sentence",
        "# that explanations show; `columns` are names of columns that hold it.",
        "[relations]",
    ]
    for name, one in domain["relations"].items():
        parts = f"tail = {_quoted(one['tail'])}, meaning = {_quoted(one['meaning'])}"
        lines.append(f"{name} = {{ {parts}, columns = {json.dumps(one['columns'])} }}")
    lines += [
        "",
        "# Words of prose. With rules, texts state relations too: graph_schema/domains/books.toml",
        "# shows how; `kgrec extract --dry-run --text ... --domain FILE` shows what is found.",
        "[reading]",
        f"item_nouns = {json.dumps(domain['reading']['item_nouns'])}",
        "",
    ]
    return "\n".join(lines)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
