"""A source: one table, what it holds, and how its columns are to be read.

Guesses at what a column is, from its name and from its first values.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from kgrec.data.records import CellError, parse_number, parse_time
from kgrec.data.tables import TableFormat
from kgrec.schema import Domain

Kind = Literal["catalog", "users", "interactions", "entities", "relations"]


class Source(TableFormat):
    """One entry of `[[sources]]`, or one file of `kgrec ingest`.

    Other settings are guessed from names and values of the columns, and shown.

    Attributes:
        kind: what a row is: an item, a user, an interaction, an entity, or an edge of the graph.
        name: how summaries, runs and facts call it; the name of the file without its endings. A
            table withdraws facts that an earlier one of the same name held.
        path: the file; this or `dataset`.
        dataset: a public data set, fetched at first use; see `kgrec.data.public`.
        optional: whether the pipeline continues where the file is missing.
        columns: role or property to column, such as `item_id = "movie_id"`.
        relations: relation type to column and separator, such as `HAS_GENRE = "genres:|"`; an
            empty string keeps a relation from being guessed.
        relation: relation type of all rows of `relations`, where no column names it.
        entity_type: type of all rows of `entities`, where no column names it.
        properties: further columns to keep as properties; None keeps those that the domain
            knows of an item, and all of a user.
        interaction: kind of the interactions, where no column names it.
        value_range: least and largest value that an interaction may have.
        create_items: whether interactions with unknown items create them; without it they are
            set aside.
        move_article: whether `Godfather, The` becomes `The Godfather`.
    """

    kind: Kind
    name: str = ""
    path: Path | None = None
    dataset: str | None = None
    optional: bool = False
    columns: dict[str, str] = Field(default_factory=dict)
    relations: dict[str, str] = Field(default_factory=dict)
    relation: str | None = None
    entity_type: str | None = None
    properties: tuple[str, ...] | None = None
    interaction: str | None = None
    value_range: tuple[float, float] | None = None
    create_items: bool = False
    move_article: bool = False

    @model_validator(mode="after")
    def _sound(self) -> Source:
        if (self.path is None) == (self.dataset is None):
            raise ValueError("a source has either a path or a dataset")
        if self.relation is not None and self.kind != "relations":
            raise ValueError('`relation` is of a source of kind "relations"')
        if self.entity_type is not None and self.kind != "entities":
            raise ValueError('`entity_type` is of a source of kind "entities"')
        if self.value_range is not None and not self.value_range[0] <= self.value_range[1]:
            raise ValueError("value_range is [least, largest]")
        return self

    @property
    def title(self) -> str:
        """The name to show."""
        if self.name:
            return self.name
        origin = self.path.name.split(".")[0] if self.path else self.dataset
        return f"{origin} {self.kind}" if self.dataset else str(origin)

    @property
    def layout(self) -> TableFormat:
        """How the file is laid out."""
        return TableFormat(**{name: getattr(self, name) for name in TableFormat.model_fields})


_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_OTHER = re.compile(r"[^a-z0-9]+")
_USER_IDS = ("user_id", "user", "userid", "uid", "customer_id", "customer", "reviewer_id")
_ITEM_IDS = ("item_id", "item", "itemid", "iid", "product_id", "product", "asin", "sku")
_KIND_OF_VALUE = {
    "rating": ("rating", "ratings", "stars", "score", "overall", "user_rating", "review_score"),
    "play": ("plays", "play_count", "listens", "listen_count"),
}
_TIMES = (
    *("at", "timestamp", "time", "datetime", "date", "ts", "created_at", "event_time"),
    *("unix_review_time", "review_time"),
)
_SEPARATORS = ("|", ";", ",")
_LONGEST = 10**15
_CODE = re.compile(r"0\d|[+-]?\d{16,}$")
_LONG_TEXT = 80
_LONG_NAME = 40
_SECONDS = (1e8, 4e9)


def snake(name: str) -> str:
    """Return a name in lower case with underscores: `movieId` is `movie_id`."""
    return _OTHER.sub("_", _CAMEL.sub("_", name.strip()).lower()).strip("_")


def role_names(source: Source, domain: Domain) -> dict[str, tuple[str, ...]]:
    """Return the roles of the columns of a table, and how columns that play them are called.

    What the domain names itself stands behind the usual names, and a bare `id` behind all.
    """
    roles = _usual_names(source, domain)
    if source.kind not in ("catalog", "interactions"):
        return roles
    named = {role: (*names, *domain.columns.get(role, ())) for role, names in roles.items()}
    return {
        role: (*(one for one in names if one != "id"), *(one for one in names if one == "id"))
        for role, names in named.items()
    }


def _usual_names(source: Source, domain: Domain) -> dict[str, tuple[str, ...]]:
    words = {snake(domain.item_label), snake(domain.item_word)}
    item_ids = (*_ITEM_IDS, *(f"{word}_id" for word in sorted(words)))
    if source.kind == "users":
        return {"user_id": (*_USER_IDS, "id")}
    if source.kind == "interactions":
        return {
            "user_id": _USER_IDS,
            "item_id": (*item_ids, *sorted(words)),
            "value": (
                "value",
                *(name for names in _KIND_OF_VALUE.values() for name in names),
                *(f"{word}_rating" for word in sorted(words)),
            ),
            "at": _TIMES,
            "kind": ("kind", "event", "event_type", "action", "behavior", "behaviour"),
            "device": ("device", "device_type", "platform"),
            "scenario": ("scenario", "surface", "placement"),
        }
    if source.kind == "entities":
        return _entity_roles(source)
    if source.kind == "relations":
        return _edge_roles(source, domain, (*item_ids, *sorted(words)))
    titles = tuple(f"{word}_{end}" for word in sorted(words) for end in ("title", "name"))
    return {
        "item_id": (*item_ids, "id"),
        "title": ("title", "name", "item_title", "item_name", "product_name", *titles),
        "description": ("description", "overview", "summary", "plot", "synopsis", "abstract"),
    }


def _entity_roles(source: Source) -> dict[str, tuple[str, ...]]:
    word = snake(source.entity_type or "entity")
    roles = {
        "entity_id": ("entity_id", f"{word}_id", "id", "key"),
        "name": ("name", f"{word}_name", "entity", word, "label", "title"),
        "aliases": ("aliases", "alias", "synonyms", "also_known_as"),
    }
    return roles if source.entity_type else roles | {"type": ("type", "entity_type", "kind")}


def _edge_roles(source: Source, domain: Domain, items: Sequence[str]) -> dict[str, tuple[str, ...]]:
    names: dict[str, tuple[str, ...]] = {
        "head": ("head", "head_id", "from", "from_id", "source", "source_id", "subject"),
        "tail": ("tail", "tail_id", "to", "to_id", "target", "target_id", "object"),
    }
    if source.relation is None:
        names["relation"] = ("relation", "relation_id", "relation_type", "predicate", "type")
    elif source.relation in domain.relations:
        one = domain.relations[source.relation]
        for role, end in (("head", one.head), ("tail", one.tail)):
            word = snake(end)
            own = (f"{word}_id", f"{word}_name", word) if end else tuple(items)
            names[role] += (*own, *(one.columns if role == "tail" else ()))
    names["confidence"] = ("confidence", "probability")
    names["evidence"] = ("evidence", "sentence", "quote")
    return names


def by_name(columns: Sequence[str], names: Sequence[str]) -> str | None:
    """Return the column that is called by the first name that any is called by."""
    known = {snake(column): column for column in reversed(columns)}
    return next((known[name] for name in names if name in known), None)


def by_values(role: str, columns: Sequence[str], sample: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the only column whose values look like a time or a text, for these two roles."""
    looks = {"at": _is_time, "description": _is_long_text}.get(role)
    if looks is None or not sample:
        return None
    found = [column for column in columns if looks([row.get(column) for row in sample])]
    return found[0] if len(found) == 1 else None


def separator(values: Sequence[Any]) -> str | None:
    """Return what stands between the values of cells, None where each holds one or a list."""
    texts = [value for value in values if isinstance(value, str) and value.strip()]
    for mark in _SEPARATORS:
        holding = [text for text in texts if mark in text]
        parts = [part for text in holding for part in text.split(mark)]
        short = not parts or sum(map(len, parts)) / len(parts) <= _LONG_NAME
        if len(holding) * 10 >= max(len(texts), 1) and holding and short:
            return mark
    return None


def property_name(
    column: str, known: Mapping[str, str], columns: Mapping[str, Sequence[str]]
) -> str:
    """Return the property of the domain that a column holds: `release_year` is `year`.

    Args:
        columns: further names of columns that hold a property.
    """
    name = snake(column)
    for one in known:
        if name == one or name in columns.get(one, ()):
            return one
    return next((one for one in known if name.endswith(f"_{one}")), name)


def value_type(values: Sequence[Any]) -> str:
    """Return the type of a property by its values: integer, float or string."""
    filled = [value for value in values if str(value if value is not None else "").strip()]
    if not filled or any(_is_code(value) for value in filled):
        return "string"
    try:
        numbers = [parse_number(value, "") for value in filled]
    except CellError:
        return "string"
    whole = all(n is None or (n.is_integer() and abs(n) < _LONGEST) for n in numbers)
    return "integer" if whole else "float"


def interaction_kind(column: str | None) -> str:
    """Return the kind that interactions with a value of this name are, `view` without one."""
    if column is None:
        return "view"
    name = snake(column)
    return next((kind for kind, names in _KIND_OF_VALUE.items() if name in names), "rating")


def _is_code(value: Any) -> bool:
    """Return whether digits are no number: a leading zero, or more than a number would have."""
    if isinstance(value, bool):
        return True
    if isinstance(value, int):
        return abs(value) >= _LONGEST
    return isinstance(value, str) and bool(_CODE.match(value.strip()))


def _is_time(values: Sequence[Any]) -> bool:
    try:
        times = [parse_time(value, "") for value in values]
    except CellError:
        return False
    return all(_SECONDS[0] <= at / 1000 <= _SECONDS[1] for at in times)


def _is_long_text(values: Sequence[Any]) -> bool:
    texts = [value for value in values if isinstance(value, str) and value.strip()]
    return bool(texts) and sum(map(len, texts)) / len(texts) >= _LONG_TEXT
