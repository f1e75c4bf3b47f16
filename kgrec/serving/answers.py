"""What the server answers with, apart from recommendations and explanations."""

from __future__ import annotations

from datetime import datetime
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

EntryT = TypeVar("EntryT")
Value = str | int | float | bool | list[str]


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
    properties: dict[str, Value] = Field(default={}, examples=[{"year": 1977}])
    interactions: int = Field(examples=[583])
    facts: list[ItemFact] = []


class Feedback(Answer):
    """What is now in the graph."""

    user_id: str = Field(examples=["42"])
    item_id: str = Field(examples=["50"])
    kind: str = Field(examples=["like"])
    value: float = Field(examples=[1.0])
    at: datetime | None
    created: bool = Field(description="False when the same feedback was there already.")


class Withdrawn(Answer):
    """How many likes and dislikes were taken back."""

    withdrawn: int


class Health(Answer):
    """That the process answers."""

    status: str = Field(default="ok", examples=["ok"])
    version: str = Field(examples=["0.1.0"])


class Readiness(Answer):
    """That recommendations can be given; by what is told to those with a key."""

    ready: bool
    parts: dict[str, str] = Field(examples=[{"graph": "ok", "model": "ok"}])


class Model(Answer):
    """What recommendations are made by."""

    engine: str = Field(examples=["arcadedb"])
    model_id: str
    agents: dict[str, float] = Field(
        description="Share of each agent.", examples=[{"linear": 0.6, "semantic": 0.4}]
    )
    items: int = Field(description="Items that the model knows.", examples=[1682])
