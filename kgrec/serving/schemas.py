"""What the server answers with, apart from recommendations and explanations.

What a client sends.
"""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)
from starlette.responses import Response

from kgrec.data.cells.times import MAX_AHEAD_MS
from kgrec.data.records import MAX_ID
from kgrec.data.selection import MAX_CONTEXT
from kgrec.retrieval.filters import MAX_LENGTH
from kgrec.schema import load_schema

EntryT = TypeVar("EntryT")
Value = str | int | float | bool | list[str]


def as_json(record: BaseModel) -> Response:
    """Return a record as the answer of a request, without the second check that FastAPI makes.

    For records that are made in code, of the type that the route declares as `response_model`.
    """
    return Response(record.model_dump_json(), media_type="application/json")


class Answer(BaseModel):
    """The base of every answer."""

    model_config = ConfigDict(protected_namespaces=())


class Page(Answer, Generic[EntryT]):
    """A part of a list; `next` is the cursor of the part after it, null at the end."""

    items: list[EntryT]
    next: str | None = None


class User(Answer):
    """A user and what is known of them."""

    user_id: str = Field(examples=["42"])
    interactions: int = Field(examples=[183])
    properties: dict[str, Value] = Field(default={}, examples=[{"occupation": "administrator"}])


class HistoryEntry(Answer):
    """Something a user did with an item."""

    item_id: str = Field(examples=["50"])
    title: str = Field(examples=["Star Wars (1977)"])
    kind: str = Field(examples=["rating"])
    value: float | None = Field(default=None, examples=[5.0])
    at: datetime | None = Field(default=None, description="Null where the time is unknown.")


class ItemSummary(Answer):
    """An item in a list."""

    item_id: str = Field(examples=["50"])
    title: str = Field(examples=["Star Wars (1977)"])
    available: bool = Field(default=True, description="Whether it may be recommended now.")


class ItemFact(Answer):
    """One fact of an item, with where it comes from."""

    relation: str = Field(examples=["DIRECTED_BY"])
    entity_id: str = Field(examples=["person:george-lucas"])
    name: str = Field(examples=["George Lucas"])
    type: str = Field(examples=["Person"])
    confidence: float = Field(examples=[0.9])
    source: str = ""
    extractor: str = ""
    evidence: str = Field(default="", description="The words that say it.")


class Item(ItemSummary):
    """An item and what the graph knows of it."""

    description: str = ""
    type: str = Field(examples=["Movie"])
    available_from: datetime | None = Field(
        default=None, description="The first moment at which it may be recommended."
    )
    expires_at: datetime | None = Field(
        default=None, description="From this moment on it is not recommended any more."
    )
    properties: dict[str, Value] = Field(default={}, examples=[{"year": 1977}])
    interactions: int = Field(examples=[583])
    facts: list[ItemFact] = []


MAX_REJECTS = 100
"""Rejects that an answer names."""


class RejectedItem(Answer):
    """A row, or a cell of a row, that was set aside."""

    line: int = Field(description="Number of the row, from 1.", examples=[3])
    value: str = Field(examples=["soon"])
    reason: str = Field(examples=["expires_at is not a time"])
    row_kept: bool = Field(description="Whether only the cell was left out.")


class ItemsWritten(Answer):
    """What became of the rows: each was created, updated, unchanged or rejected."""

    created: int = Field(examples=[1])
    updated: int = Field(examples=[0])
    unchanged: int = Field(examples=[0])
    rejected: int = Field(description="Rows that were set aside.", examples=[0])
    rejected_cells: int = Field(
        description="Cells that were left out of rows that were kept.", examples=[0]
    )
    facts: int = Field(description="Facts that were created or changed.", examples=[2])
    withdrawn: int = Field(description="Facts that the rows no longer hold.", examples=[0])
    entities: int = Field(description="Entities that facts created.", examples=[1])
    untrained: int | None = Field(
        description="Items that the live model does not know; null without a model.", examples=[1]
    )
    rejects: list[RejectedItem] = Field(default=[], description=f"The first {MAX_REJECTS}.")
    unused: list[str] = Field(default=[], description="Fields that are not read.", examples=[[]])


class Feedback(Answer):
    """What is now in the graph."""

    user_id: str = Field(examples=["42"])
    item_id: str = Field(examples=["50"])
    kind: str = Field(examples=["like"])
    value: float = Field(examples=[1.0])
    at: datetime | None
    created: bool = Field(description="False when the same feedback was there already.")


class RejectedInteraction(Answer):
    """A row that was set aside."""

    line: int = Field(description="Number of the row, from 1.", examples=[3])
    reason: str = Field(examples=["item_id: there is no such item"])
    value: str | None = Field(default=None, examples=["1700"])


class InteractionsWritten(Answer):
    """What became of the rows: each was created, there already or rejected."""

    created: int = Field(examples=[2])
    known: int = Field(description="Rows that were there already.", examples=[0])
    rejected: int = Field(description="Rows that were set aside.", examples=[1])
    rejects: list[RejectedInteraction] = Field(default=[], description=f"The first {MAX_REJECTS}.")


class Withdrawn(Answer):
    """Number of withdrawn likes, dislikes and skips."""

    withdrawn: int


class Health(Answer):
    """That the process answers."""

    status: str = Field(default="ok", examples=["ok"])
    version: str = Field(examples=["0.1.0"])


class Readiness(Answer):
    """That recommendations can be given; by what, is shown to those with a key."""

    ready: bool
    parts: dict[str, str] = Field(examples=[{"graph": "ok", "model": "ok"}])


class Model(Answer):
    """What recommendations are made by."""

    engine: str = Field(examples=["arcadedb"])
    model_id: str
    domain: str = Field(default="", description="What its items are of.", examples=["movies"])
    item_word: str = Field(default="item", description="What one item is called.")
    item_plural: str = Field(default="items", description="What several items are called.")
    filter_example: list[str] = Field(default=[], description="Filters of this domain.")
    agents: dict[str, float] = Field(
        description="Share of each agent.", examples=[{"linear": 0.6, "semantic": 0.4}]
    )
    failed: dict[str, str] = Field(
        default_factory=dict, description="Agents that could not be fitted, with the reason."
    )
    metrics: dict[str, Any] = Field(
        default_factory=dict, description="What was measured while fitting."
    )
    settings: dict[str, Any] = Field(
        default_factory=dict, description="Resolved settings of each agent."
    )
    items: int = Field(description="Items that the model knows.", examples=[1682])
    vocabulary_hash: str = Field(description="Hash of their ids.")
    created_at: datetime = Field(description="When its training ended.")


_RATING = "rating"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOST = 1e6
"""No scale of ratings and no count is larger."""
_AHEAD = timedelta(milliseconds=MAX_AHEAD_MS)


def without_controls(text: str) -> str:
    """Return the text; raises ValueError when it holds a control character or half a pair."""
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
        raise ValueError("there are no control characters in an id or a filter")
    return text


def _name_kinds(described: dict[str, Any]) -> None:
    described["enum"] = list(load_schema().core.interactions)


WITHOUT_CONTROLS = {"pattern": r"^[^\x00-\x1f\x7f-\x9f]*$"}
"""What `without_controls` lets through, as a JSON schema has it."""
Id = Annotated[
    str,
    Field(min_length=1, max_length=MAX_ID, json_schema_extra=WITHOUT_CONTROLS),
    AfterValidator(without_controls),
]
"""An id of a user or an item."""


Place = Annotated[
    str,
    Field(min_length=1, max_length=MAX_CONTEXT, json_schema_extra=WITHOUT_CONTROLS),
    AfterValidator(without_controls),
]
"""A device or a scenario."""


Condition = Annotated[
    str,
    Field(max_length=MAX_LENGTH, json_schema_extra=WITHOUT_CONTROLS),
    AfterValidator(without_controls),
]
"""A filter."""


class Input(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FeedbackRequest(Input):
    """What a user did with an item."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"user_id": "42", "item_id": "50", "kind": "like"}]}
    )

    user_id: Id = Field(description="A user who is unknown comes into being.")
    item_id: Id
    kind: str = Field(
        description="One of the kinds of `[interactions]` in graph_schema/core.toml.",
        json_schema_extra=_name_kinds,
    )
    value: float | None = Field(
        default=None,
        allow_inf_nan=False,
        ge=-_MOST,
        le=_MOST,
        strict=True,
        description="The rating, or how often, which is 0 or more; 1 when absent.",
    )
    at: datetime | None = Field(
        default=None,
        description="When it happened, with a time zone; now when absent. The same kind for the"
        " same item at the same time is the same feedback.",
    )

    device: Place | None = Field(default=None, description="Where it happened, such as phone.")
    scenario: Place | None = Field(default=None, description="Where it happened, such as home.")

    @field_validator("kind")
    @classmethod
    def _known_kind(cls, kind: str) -> str:
        known = load_schema().core.interactions
        if kind not in known:
            raise ValueError(f"a kind is one of {', '.join(known)}")
        return kind

    @field_validator("value")
    @classmethod
    def _fits_kind(cls, value: float | None, info: ValidationInfo) -> float | None:
        if value is not None and value < 0 and info.data.get("kind") != _RATING:
            raise ValueError("only a rating may be below 0")
        return value

    @field_validator("at")
    @classmethod
    def _with_zone(cls, at: datetime | None) -> datetime | None:
        if at is None:
            return None
        if at.tzinfo is None:
            raise ValueError("a time needs its zone, such as 2026-05-01T12:00:00Z")
        if not _EPOCH < at < datetime.now(UTC) + _AHEAD:
            raise ValueError("a time lies after 1970 and at most five minutes in the future")
        return at.astimezone(UTC)


_Name = Annotated[str, Field(min_length=1, max_length=200)]


class CorrectionRequest(Input):
    """What is right or wrong about a fact of an item."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "item_id": "50",
                    "relation": "DIRECTED_BY",
                    "entity": "George Lucas",
                    "verdict": "confirm",
                }
            ]
        }
    )

    item_id: Id
    relation: _Name = Field(description="A relation type from items to entities.")
    entity: _Name = Field(description="Name or id of the entity that the fact leads to.")
    verdict: Literal["confirm", "reject", "change"]
    instead: str = Field(
        default="", max_length=200, description="With `change`: the name that is right."
    )

    @model_validator(mode="after")
    def _with_a_name(self) -> CorrectionRequest:
        if (self.verdict == "change") != bool(self.instead.strip()):
            raise ValueError("`instead` is given with `change`, and only then")
        return self


class Corrected(Answer):
    """What a correction did."""

    item_id: str = Field(examples=["50"])
    relation: str = Field(examples=["DIRECTED_BY"])
    entity_id: str = Field(examples=["Person:george lucas"])
    name: str = Field(examples=["George Lucas"])
    verdict: Literal["confirm", "reject", "change"]
    instead: str = Field(description="The entity that took its place.", examples=[""])
    written: int = Field(description="Facts that were written.", examples=[1])
    withdrawn: int = Field(description="Facts that were withdrawn.", examples=[0])
