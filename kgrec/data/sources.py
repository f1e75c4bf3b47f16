"""A source: one table, what it holds, and how its columns are to be read."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from kgrec.data.tables import TableFormat

Kind = Literal["catalog", "users", "interactions"]


class Source(TableFormat):
    """One entry of `[[sources]]`, or one file of `kgrec ingest`.

    What is not given is guessed from names and values of the columns, and shown.

    Attributes:
        kind: what a row is: an item, a user or an interaction.
        name: how summaries, runs and facts call it; the name of the file without its endings. A
            table takes back the facts that one of the same name held before.
        path: the file; this or `dataset`.
        dataset: a public data set, fetched at first use; see `kgrec.data.public`.
        optional: whether the pipeline goes on where the file is missing.
        columns: role or property to column, such as `item_id = "movie_id"`.
        relations: relation type to column and separator, such as `HAS_GENRE = "genres:|"`; an
            empty string keeps a relation from being guessed.
        properties: further columns to keep as properties; None keeps those that the domain
            knows of an item, and all of a user.
        interaction: what kind the interactions are, where no column says it.
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
    properties: tuple[str, ...] | None = None
    interaction: str | None = None
    value_range: tuple[float, float] | None = None
    create_items: bool = False
    move_article: bool = False

    @model_validator(mode="after")
    def _sound(self) -> Source:
        if (self.path is None) == (self.dataset is None):
            raise ValueError("a source has either a path or a dataset")
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
