"""Named queries: the statements below `graph_schema/cypher/queries/`, described by their headers.

A new one is one new file. `$name: type; meaning` is a parameter that must be sent, and
`$name: type, default; meaning` one that need not be.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from functools import cache
from typing import Annotated, get_args

from fastapi import APIRouter, Depends, Path
from pydantic import JsonValue

from kgrec.errors import NotFoundError, SchemaError
from kgrec.graph.statements import header_of
from kgrec.schema import Statement, load_schema
from kgrec.serving.cypher import answer_of
from kgrec.serving.graph_answers import (
    NamedQuery,
    ParameterType,
    QueryList,
    QueryParameter,
    QueryRequest,
    StatementAnswer,
)
from kgrec.serving.limits import expensive
from kgrec.serving.problems import InvalidRequestError
from kgrec.serving.security import Role, require
from kgrec.serving.service import CurrentEngine

_FOLDER = "queries/"

router = APIRouter(prefix="/v1/queries", tags=["graph"], dependencies=[Depends(require(Role.READ))])


def _is_number(value: JsonValue) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


_CHECKS: Mapping[str, Callable[[JsonValue], bool]] = {
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= 0,
    "number": _is_number,
    "strings": lambda value: isinstance(value, list) and all(isinstance(one, str) for one in value),
}


@router.get("")
def list_queries() -> QueryList:
    """List the named queries with their parameters and columns."""
    return QueryList(items=list(named_queries().values()))


@router.post("/{name}", dependencies=[Depends(expensive)])
def run_query(
    engine: CurrentEngine,
    name: Annotated[str, Path(max_length=100, examples=["items_of_entity"])],
    request: QueryRequest,
) -> StatementAnswer:
    """Run a named query; parameters that it does not need may be left out."""
    statement, values = statement_of(name, request.parameters)
    return answer_of(engine.store, statement, values, request.limits)


def statement_of(name: str, given: Mapping[str, JsonValue]) -> tuple[str, dict[str, JsonValue]]:
    """Return the statement of a named query and the value of each of its parameters.

    Raises:
        NotFoundError: there is no such query.
        InvalidRequestError: a value is missing, unknown, or of another type.
    """
    query = named_queries().get(name)
    if query is None:
        raise NotFoundError(
            "there is no such query", value=name, remedy="GET /v1/queries lists the queries."
        )
    return str(load_schema().statement(f"{_FOLDER}{name}").text()), values_of(query, given)


@cache
def named_queries() -> dict[str, NamedQuery]:
    """Return the named queries by name; raises SchemaError where a header cannot be read."""
    return {
        name.removeprefix(_FOLDER): _described(statement)
        for name, statement in sorted(load_schema().statements.items())
        if name.startswith(_FOLDER)
    }


def values_of(query: NamedQuery, given: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Return the value of every parameter; raises InvalidRequestError."""
    known = {parameter.name: parameter for parameter in query.parameters}
    remedy = f"{query.name} takes {', '.join(known) or 'no parameters'}."
    for name in given:
        if name not in known:
            raise InvalidRequestError("the query has no such parameter", value=name, remedy=remedy)
    values: dict[str, JsonValue] = {}
    for name, parameter in known.items():
        if name not in given and parameter.required:
            raise InvalidRequestError("the query needs a parameter", value=name, remedy=remedy)
        values[name] = given.get(name, parameter.default)
        if not _CHECKS[parameter.type](values[name]):
            raise InvalidRequestError(
                f"the parameter {name!r} must be of the type {parameter.type}",
                value=json.dumps(values[name])[:100],
                remedy=f"It is: {parameter.meaning}.",
            )
    return values


def _described(statement: Statement) -> NamedQuery:
    header = header_of(statement)
    return NamedQuery(
        name=statement.name.removeprefix(_FOLDER),
        meaning=header.purpose,
        parameters=[
            _parameter(statement.name, name.removeprefix("$"), text)
            for name, text in header.described.items()
        ],
        columns=list(header.returns or ()),
    )


def _parameter(statement: str, name: str, text: str) -> QueryParameter:
    kind, _, meaning = (part.strip() for part in text.partition(";"))
    kind, comma, default = (part.strip() for part in kind.partition(","))
    if kind not in get_args(ParameterType) or not meaning:
        raise SchemaError(
            f"the parameter {name!r} of {statement} is described by no type and meaning",
            value=text,
            remedy=f"Write one of {', '.join(get_args(ParameterType))}; then what it is.",
        )
    return QueryParameter.model_validate(
        {
            "name": name,
            "type": kind,
            "meaning": meaning,
            "required": not comma,
            "default": json.loads(default.replace("'", '"')) if comma else None,
        }
    )
