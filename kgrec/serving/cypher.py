"""A caller's own statement over the graph, proven to read before it runs.

The role `analyst` sees all that the graph holds, ids and histories of users included: Neo4j
Community has one role, so that a database cannot hide some labels from some callers. Where that
must not be, give out keys of the role `read`, which has the named queries.
"""

from __future__ import annotations

import base64
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime
from datetime import time as clock
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue

from kgrec.deadline import bounded
from kgrec.errors import GraphReadOnlyError, GraphStatementError, GraphTimeoutError
from kgrec.graph.read_only import MAX_STATEMENT
from kgrec.graph.store import GraphStore
from kgrec.schema import load_schema
from kgrec.serving.limits import expensive
from kgrec.serving.problems import ForbiddenError, InvalidRequestError, RequestTimeoutError
from kgrec.serving.schemas import Answer
from kgrec.serving.security import Role, require
from kgrec.serving.service import CurrentEngine

MAX_ROWS = 10_000
"""Most rows of one answer."""
MAX_BYTES = 4 * 1024 * 1024
"""Most bytes of JSON in one answer."""
_DEEPEST = 16
_INTEGERS = range(-(2**63), 2**63)

router = APIRouter(prefix="/v1", tags=["graph"], dependencies=[Depends(expensive)])


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
                    "cut": None,
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


@router.post("/cypher", dependencies=[Depends(require(Role.ANALYST))])
def run_statement(engine: CurrentEngine, request: StatementRequest) -> StatementAnswer:
    """Run a statement of your own in a read transaction.

    The database itself proves that it reads the graph and does nothing else before it runs: 403
    otherwise. It sees everything in the graph, ids and histories of users included. A time is in
    ISO 8601, a number that JSON lacks is null.
    """
    return answer_of(engine.store, request.statement, request.parameters, request.limits)


def answer_of(
    store: GraphStore,
    statement: str,
    parameters: Mapping[str, JsonValue],
    limits: StatementLimits,
) -> StatementAnswer:
    """Run a statement that is proven to read, within its limits.

    Raises:
        ForbiddenError: it does something else.
        InvalidRequestError: it is wrong.
        RequestTimeoutError: it took too long.
        GraphError: the kinds below it, when the database fails.
    """
    begun = time.perf_counter()
    with _as_problems():
        found = store.query(
            statement,
            parameters,
            limits.rows,
            bounded(limits.seconds),
            proven=True,
            max_bytes=limits.bytes,
        )
    return StatementAnswer(
        columns=list(found.columns),
        rows=[{name: _plain(value) for name, value in row.items()} for row in found.rows],
        cut=found.cut,
        milliseconds=round((time.perf_counter() - begun) * 1000, 1),
    )


@contextmanager
def _as_problems() -> Iterator[None]:
    """Have the caller see why the database refuses their statement."""
    try:
        yield
    except GraphStatementError as error:
        raise InvalidRequestError(error.what, value=error.value, remedy=error.remedy) from error
    except GraphReadOnlyError as error:
        raise ForbiddenError(
            error.what, value=error.value, remedy="Send a statement that only reads the graph."
        ) from error
    except GraphTimeoutError as error:
        raise RequestTimeoutError(error.what, remedy="Ask for less, or allow more time.") from error


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime | date | clock):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {str(name): _plain(one) for name, one in value.items()}
    return value
