"""A source: one table, what it holds, and how its columns are to be read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote

from pydantic import Field, model_validator

from kgrec.config import FrozenModel
from kgrec.data.cells.times import FORMS
from kgrec.data.origins.address import file_name, is_address, shown
from kgrec.data.tables import TableFormat
from kgrec.errors import ConfigError

_FROM = re.compile(r"\bFROM\s+([\w.\"`\[\]]+)", re.IGNORECASE)

_SIGNS = re.compile(r"[^\w.]")

Kind = Literal["catalog", "users", "interactions", "entities", "relations"]


class RelationSpec(FrozenModel):
    """How one column holds the tails of a relation.

    Attributes:
        name: the column, of names, of lists, or of objects; several share the other settings.
        id: the column of the ids of what the names are of, so that two of one name stay two; as
            many as there are names in a cell.
        separator: what stands between values; None has it guessed, an empty string cuts nothing.
        key, id_key: keys of objects that hold name and id, where a cell holds objects.
        where: what an object must hold to count, such as `{ job = "Director" }`, or else what the
            other columns of the row must hold.
        one_hot: whether the columns are named as the entities and hold whether they apply.
    """

    name: str | tuple[str, ...]
    id: str | None = None
    separator: str | None = None
    key: str = ""
    id_key: str = ""
    where: dict[str, str] = Field(default_factory=dict)
    one_hot: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The columns."""
        return (self.name,) if isinstance(self.name, str) else self.name


Columns = str | RelationSpec


class EventKind(FrozenModel):
    """What the interactions of one event are.

    Attributes:
        kind: a kind of `[interactions]` in core.toml; empty leaves the rows out.
        weight: their value, where no column holds one.
    """

    kind: str
    weight: float = 1.0


class TripleSpec(FrozenModel):
    """How a file of triples is a catalogue.

    Attributes:
        type: of the subjects that are items, as an IRI or its last part; those that are called as
            the domain's items are by default.
        links: a file of `item_id` and `entity_id`, the subjects that are items and their ids; for
            `NAME.kg` it is `NAME.link` by default.
        base: what the IRIs of items begin with, which their ids leave out.
        language: of the texts that are chosen where there are several.
        predicates: IRI to relation type, property or `title` or `description`; `^IRI` for one that
            leads to items.
    """

    type: str = ""
    links: Path | None = None
    base: str = ""
    language: str = "en"
    predicates: dict[str, str] = Field(default_factory=dict)


class JoinSpec(TableFormat):
    """A table whose columns are read beside those of the source, as a code is read as its name.

    Attributes:
        path: the other table, a file or an address; of a database with `query`. Of rows with one
            key there the first counts; rows of the source without a partner have nothing in its
            columns.
        on: the column of the source that holds its key.
        key: the column of the other table that holds it, where that is called otherwise.
        take: the columns that are read; all by default. What the source has itself it keeps.
    """

    path: str
    query: str = ""
    on: str
    key: str = ""
    take: tuple[str, ...] = ()

    @classmethod
    def written(cls, text: str) -> JoinSpec:
        """Read `FILE:COLUMN`, or `FILE:COLUMN=KEY`; raises ConfigError."""
        path, colon, column = text.rpartition(":")
        if not colon or not path or not column:
            raise ConfigError("--join has the form FILE:COLUMN", value=text)
        on, _, key = column.partition("=")
        return cls(path=path, on=on, key=key)


class Source(TableFormat):
    """One entry of `[[sources]]`, or one file of `kgrec ingest`.

    Other settings are guessed from names and values of the columns, and shown.

    Attributes:
        kind: what a row is: an item, a user, an interaction, an entity, or an edge of the graph.
        name: how summaries, runs and facts call it; the name of the file without its endings. A
            table withdraws facts that an earlier one of the same name held.
        path: the file; this, `address` or `dataset`. A path with `://` is an address.
        address: of a file that fsspec reads, or of a database that SQLAlchemy reads. `${NAME}` is
            a variable of the environment.
        query: SQL, or the name of a table, of the database at `address`.
        dataset: a public data set, fetched at first use; see `kgrec.data.public`.
        optional: whether the pipeline continues where the file is missing.
        columns: role or property to column, such as `item_id = "movie_id"`.
        relations: relation type to column and separator, such as `HAS_GENRE = "genres:|"`, to a
            `RelationSpec`, or to a list of these; an empty string keeps a relation from being
            guessed.
        relation: relation type of all rows of `relations`, where no column names it.
        entity_type: type of all rows of `entities`, where no column names it.
        properties: further columns to keep as properties; None keeps those that the domain
            knows of an item, and all of a user.
        interaction: kind of the interactions, where no column names it.
        value_range: least and largest value that an interaction may have.
        create_items: whether interactions with unknown items create them; without it they are
            set aside.
        move_article: whether `Godfather, The` becomes `The Godfather`.
        nulls: words for nothing, of every cell but ids; the usual ones by default, but not of
            titles. An empty list takes every word as it is.
        at_format: the form of times: a pattern of `strptime`, `dmy`, `mdy`, `digits` or `days`.
        kinds: event to the kind that its interactions are, such as `addtocart = "cart"` or
            `addtocart = { kind = "cart", weight = 2 }`.
        namespace: put before the ids of items, so that two catalogues may use one number.
        whole_ids: whether the ids of a column that became floats are whole numbers again.
        complete: whether the table holds all there is of its source, so that items, users, facts
            and interactions that an earlier one of the same name held are retired when it does not,
            and entities emptied.
        delete: whether the rows name items, users, entities or interactions that are to go. An
            interaction is named by user and item, and by its time and kind where there are columns
            of them.
        triples: how triples are rows, of N-Triples, Turtle and `.kg` files.
        joins: tables that are joined to this one, in this order.
        max_retired: share of them that may be retired by one load; beyond it the load stops.
    """

    kind: Kind
    name: str = ""
    path: Path | None = None
    address: str | None = None
    query: str | None = None
    dataset: str | None = None
    optional: bool = False
    columns: dict[str, str] = Field(default_factory=dict)
    relations: dict[str, Columns | tuple[Columns, ...]] = Field(default_factory=dict)
    relation: str | None = None
    entity_type: str | None = None
    properties: tuple[str, ...] | None = None
    interaction: str | None = None
    value_range: tuple[float, float] | None = None
    create_items: bool = False
    move_article: bool = False
    nulls: tuple[str, ...] | None = None
    at_format: str | None = None
    kinds: dict[str, str | EventKind] = Field(default_factory=dict)
    namespace: str = ""
    whole_ids: bool = True
    complete: bool = False
    delete: bool = False
    triples: TripleSpec = TripleSpec()
    joins: tuple[JoinSpec, ...] = ()
    max_retired: float = Field(default=0.2, ge=0, le=1)

    @model_validator(mode="before")
    @classmethod
    def _addressed(cls, given: Any) -> Any:
        path = given.get("path") if isinstance(given, Mapping) else None
        if not isinstance(path, str) or not is_address(path) or given.get("address") is not None:
            return given
        if path.startswith("file://"):
            return {**given, "path": unquote(path.removeprefix("file://"))}
        return {**given, "path": None, "address": path}

    @model_validator(mode="after")
    def _sound(self) -> Source:
        if sum(one is not None for one in (self.path, self.address, self.dataset)) != 1:
            raise ValueError("a source has either a path, an address or a dataset")
        if self.query is not None and self.address is None:
            raise ValueError("a query is of a database: give its address, such as sqlite:///x.db")
        if self.kind == "relations" and (self.complete or self.delete):
            raise ValueError("rows of relations are neither complete nor deleted")
        if self.delete and self.complete:
            raise ValueError("rows to delete are not complete")
        if self.relation is not None and self.kind != "relations":
            raise ValueError('`relation` is of a source of kind "relations"')
        if self.entity_type is not None and self.kind != "entities":
            raise ValueError('`entity_type` is of a source of kind "entities"')
        if self.value_range is not None and not self.value_range[0] <= self.value_range[1]:
            raise ValueError("value_range is [least, largest]")
        if self.at_format is not None and not ("%" in self.at_format or self.at_format in FORMS):
            raise ValueError(f"at_format is a pattern such as %d/%m/%Y, or {', '.join(FORMS)}")
        return self

    @property
    def title(self) -> str:
        """The name to show."""
        if self.name:
            return self.name
        if self.address is not None:
            return _title(self.address, self.query)
        origin = self.path.name.split(".")[0] if self.path else self.dataset
        if origin == "-":
            return "standard input"
        return f"{origin} {self.kind}" if self.dataset else str(origin)

    @property
    def events(self) -> dict[str, EventKind]:
        """The kinds of events, by their names without case."""
        return {
            name.strip().casefold(): EventKind(kind=one) if isinstance(one, str) else one
            for name, one in self.kinds.items()
        }

    @property
    def layout(self) -> TableFormat:
        """How the file is laid out."""
        return TableFormat(**{name: getattr(self, name) for name in TableFormat.model_fields})


def _title(address: str, query: str | None) -> str:
    """Return the name of a file at an address, or of a database and the first table of a query."""
    name = file_name(shown(address)).split(".")[0]
    if query is None:
        return name
    found = _FROM.search(query)
    table = found[1] if found else query.strip()
    return f"{name} {_SIGNS.sub('', table)}"[:100]
