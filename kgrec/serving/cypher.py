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
from typing import Any

from fastapi import APIRouter, Depends
from pydantic import JsonValue

from kgrec.deadline import bounded
from kgrec.errors import GraphReadOnlyError, GraphStatementError, GraphTimeoutError
from kgrec.graph.store import GraphStore
from kgrec.serving.graph_answers import StatementAnswer, StatementLimits, StatementRequest
from kgrec.serving.limits import expensive
from kgrec.serving.problems import ForbiddenError, InvalidRequestError, RequestTimeoutError
from kgrec.serving.security import Role, require
from kgrec.serving.service import CurrentEngine

router = APIRouter(prefix="/v1", tags=["graph"], dependencies=[Depends(expensive)])


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
