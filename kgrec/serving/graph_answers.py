"""What the endpoints over the graph answer with: entities, neighbours, paths, rows of statements.

What a client sends to them.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue

from kgrec.graph.read_only import MAX_STATEMENT
from kgrec.schema import NodeKind, load_schema
from kgrec.serving.schemas import Answer

MAX_ROWS = 10_000
"""Most rows of one answer."""
MAX_BYTES = 4 * 1024 * 1024
"""Most bytes of JSON in one answer."""
_DEEPEST = 16
_INTEGERS = range(-(2**63), 2**63)

ParameterType = Literal["string", "integer", "number", "strings"]


def storable(value: JsonValue) -> JsonValue:
    """Return a value that a database can hold; raises ValueError for another."""
    _check(value, 0)
    return value


def _check(value: JsonValue, depth: int) -> None:
    if depth > _DEEPEST:
        raise ValueError(f"values are nested at most {_DEEPEST} deep")
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError("a text holds half a surrogate pair") from None
    elif isinstance(value, bool):
        return
    elif isinstance(value, int) and value not in _INTEGERS:
        raise ValueError("an integer has 64 bits at most")
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError("a number is finite")
    elif isinstance(value, list):
        for one in value:
            _check(one, depth + 1)
    elif isinstance(value, dict):
        for name, one in value.items():
            _check(name, depth + 1)
            _check(one, depth + 1)


def _text(value: str) -> str:
    _check(value, 0)
    return value


Parameters = Annotated[dict[str, JsonValue], Field(max_length=100), AfterValidator(storable)]
"""Values for the `$parameters` of a statement."""


class StatementLimits(BaseModel):
    """How much of an answer is wanted."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rows: int = Field(default=1000, ge=1, le=MAX_ROWS, strict=True, description="Rows at most.")
    bytes: int = Field(
        default=1024 * 1024, ge=1, le=MAX_BYTES, strict=True, description="Bytes of JSON at most."
    )
    seconds: float = Field(
        default=10.0,
        gt=0,
        le=60,
        strict=True,
        description="Seconds at most; never longer than the server lets a request take.",
    )


def _with_example(described: dict[str, Any]) -> None:
    described["examples"] = [
        {
            "statement": load_schema().statement("queries/items_of_entity").body,
            "parameters": {"entity_id": "person:george-lucas", "limit": 5},
            "limits": {"rows": 5},
        }
    ]


class StatementRequest(BaseModel):
    """A statement of Cypher that only reads the graph."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra=_with_example)

    statement: Annotated[str, Field(min_length=1, max_length=MAX_STATEMENT), AfterValidator(_text)]
    parameters: Parameters = {}
    limits: StatementLimits = StatementLimits()


class StatementAnswer(Answer):
    """The rows of a statement. Nodes are objects with `labels`, relations with `type`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "columns": ["item_id", "title"],
                    "rows": [{"item_id": "50", "title": "Star Wars (1977)"}],
                    "cut": "rows",
                    "milliseconds": 4.2,
                }
            ]
        }
    )

    columns: list[str] = Field(
        description="Names in order; the embedded engine has none of no rows."
    )
    rows: list[dict[str, Any]]
    cut: Literal["rows", "bytes"] | None = Field(
        description="Which limit cut the rows; null when these are all of them."
    )
    milliseconds: float = Field(description="How long the database took.")


class QueryParameter(Answer):
    """A parameter of a named query."""

    name: str = Field(examples=["limit"])
    type: ParameterType = Field(description="An integer is 0 or more.", examples=["integer"])
    meaning: str = Field(examples=["items at most"])
    required: bool = Field(examples=[False])
    default: JsonValue = Field(default=None, examples=[100])


class NamedQuery(Answer):
    """A query that is run by its name."""

    name: str = Field(examples=["items_of_entity"])
    meaning: str = Field(examples=["Items that an entity connects."])
    parameters: list[QueryParameter]
    columns: list[str] = Field(examples=[["item_id", "title", "relation", "confidence"]])


class QueryList(Answer):
    """The named queries."""

    items: list[NamedQuery]


class QueryRequest(BaseModel):
    """Values for the parameters of a named query, and how much is wanted."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "examples": [{"parameters": {"entity_id": "person:george-lucas", "limit": 5}}]
        },
    )

    parameters: Parameters = {}
    limits: StatementLimits = StatementLimits()


class EntitySummary(Answer):
    """An entity in a list."""

    entity_id: str = Field(examples=["person:george-lucas"])
    name: str = Field(examples=["George Lucas"])
    type: str = Field(examples=["Person"])


class EntityDetails(EntitySummary):
    """An entity and how it is connected; `/v1/nodes/entity/{id}/neighbours` lists to what."""

    aliases: list[str] = Field(default=[], description="Other names.")
    items: int = Field(description="Facts that lead to it from items.", examples=[6])


class GraphNode(Answer):
    """A node of the graph."""

    kind: NodeKind
    id: str = Field(examples=["50"])
    name: str = Field(examples=["Star Wars (1977)"])
    type: str = Field(examples=["Movie"])


class Neighbour(Answer):
    """A relation of a node, and the node at its other end."""

    relation: str = Field(examples=["DIRECTED_BY"])
    direction: Literal["out", "in"] = Field(description="From the node, or to it.")
    node: GraphNode
    confidence: float = Field(examples=[0.9])
    source: str = ""
    evidence: str = Field(default="", description="The words that state it.")


class RelationCount(Answer):
    """How many relations of one type a node has."""

    relation: str = Field(examples=["DIRECTED_BY"])
    direction: Literal["out", "in"]
    count: int = Field(examples=[6])


class NeighbourPage(Answer):
    """A part of the neighbours of a node; `next` is the cursor of the part after it."""

    degree: list[RelationCount] = Field(description="All relations, whatever the filter.")
    items: list[Neighbour]
    next: str | None = None


class GraphPathStep(Answer):
    """A relation of a path and the node that it arrives at."""

    relation: str = Field(examples=["DIRECTED_BY"])
    forward: bool = Field(description="Whether the relation leads the way that the path goes.")
    node: GraphNode
    confidence: float = Field(examples=[0.9])
    source: str = ""
    evidence: str = ""


class GraphPath(Answer):
    """A chain of facts and links between two items."""

    weight: float = Field(description="Rarer nodes and surer relations weigh more.")
    degree: int = Field(description="Relations of the commonest node between the two.")
    steps: list[GraphPathStep]


class PathList(Answer):
    """Paths between two items, the heaviest first."""

    start: GraphNode
    end: GraphNode
    items: list[GraphPath]
