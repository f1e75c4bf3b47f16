"""Requests of visitors, who are not in the graph: a list, and an explanation of it."""

from __future__ import annotations

from typing import Self

from pydantic import AliasChoices, ConfigDict, Field, model_validator

from kgrec.data.selection import MAX_CONTEXT
from kgrec.retrieval.context import MAX_EVENTS, SessionEvent
from kgrec.retrieval.knobs import MAX_EXCLUDED, MAX_LIMITS, Likeness
from kgrec.retrieval.request_id import MAX_LENGTH as MAX_TOKEN
from kgrec.retrieval.visitor import Visitor
from kgrec.serving.config import MAX_HISTORY, MAX_K
from kgrec.serving.schemas import Condition, Id, Input


class SessionEventRequest(Input):
    """Something that a visitor did in this session."""

    item_id: Id
    kind: str = Field(
        default="", max_length=100, description="Of the interaction, as in feedback, or empty."
    )
    value: float = Field(default=1.0, allow_inf_nan=False, description="Such as a rating.")
    at: int | None = Field(
        default=None, ge=0, description="Milliseconds since 1970; now when absent."
    )


class _VisitorRequest(Input):
    """A visitor, who is not in the graph."""

    history: list[Id] = Field(
        default=[],
        max_length=MAX_HISTORY,
        validation_alias=AliasChoices("history", "likes"),
        description="Ids of items that were chosen, the newest first. `likes` is the same.",
    )
    dislikes: list[Id] = Field(
        default=[],
        max_length=MAX_HISTORY,
        description="Ids of items that are not wanted; they count as the dislikes of a user.",
    )
    events: list[SessionEventRequest] = Field(
        default=[], max_length=MAX_EVENTS, description="Of the session, the newest first."
    )
    properties: dict[str, str | int | float] = Field(
        default={},
        max_length=100,
        description="Declared properties, as those of the users that the model learned from.",
    )
    entities: list[Id] = Field(
        default=[], max_length=100, description="Ids of entities that the visitor likes."
    )

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not (self.history or self.events or self.properties or self.entities):
            raise ValueError("give history, events, properties or entities")
        return self

    @property
    def visitor(self) -> Visitor:
        """The visitor that is described."""
        return Visitor(
            history=tuple(self.history),
            dislikes=tuple(self.dislikes),
            events=tuple(SessionEvent(**event.model_dump()) for event in self.events),
            properties=self.properties,
            entities=tuple(self.entities),
        )


class AnonymousRequest(_VisitorRequest):
    """A list for a visitor, who is not in the graph."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"history": ["50", "172", "181"], "k": 5}]}
    )

    k: int = Field(default=10, ge=1, le=MAX_K, strict=True)
    filters: list[Condition] = Field(
        default=[], max_length=10, description="Conditions that all must hold: `KEY=VALUE`."
    )
    diversity: float = Field(default=0.0, ge=0, le=1, strict=True)
    diversity_by: Likeness = Field(
        default="model", description="What makes two items alike: the model, facts, or texts."
    )
    novelty: float = Field(default=0.0, ge=0, le=1, strict=True)
    calibration: float = Field(default=0.0, ge=0, le=1, strict=True)
    calibrate_by: str = Field(
        default="", max_length=100, description="A relation.", examples=["genre"]
    )
    exclude: list[Id] = Field(
        default=[],
        max_length=MAX_EXCLUDED,
        description="Ids of items to leave out.",
        examples=[["181"]],
    )
    repeats: bool = Field(
        default=False, strict=True, description="Whether items of the history may be recommended."
    )
    quota: list[Condition] = Field(
        default=[],
        max_length=MAX_LIMITS,
        description="At most so many on a page.",
        examples=[["director:1"]],
    )
    floor: list[Condition] = Field(
        default=[],
        max_length=MAX_LIMITS,
        description="At least so many on a page, where there are so many.",
        examples=[["genre=Drama:2"]],
    )
    device: str = Field(default="", max_length=MAX_CONTEXT, description="As interactions name it.")
    scenario: str = Field(
        default="", max_length=MAX_CONTEXT, description="As interactions name it."
    )
    cursor: str | None = Field(
        default=None,
        max_length=MAX_TOKEN,
        description="`cursor` of the page before, for the same history; the knobs are its own.",
        examples=[None],
    )


class ExplanationRequest(_VisitorRequest):
    """An item of a list that was made for an anonymous history."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"history": ["50", "172", "181"], "item_id": "210"}]}
    )

    item_id: Id
    request_id: str | None = Field(
        default=None,
        max_length=MAX_TOKEN,
        description="`request_id` of the list; without one a list of default settings is meant.",
    )
    counterfactual: bool = Field(
        default=False,
        strict=True,
        description="Whether to search for the history items without which the item would not be "
        "on the list.",
    )
