"""Errors that only a server over HTTP has.

Errors as RFC 9457 problem documents: what failed, the value, the remedy.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Collection, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from kgrec.errors import (
    ConfigError,
    GraphError,
    GraphUnavailableError,
    KGRecError,
    ModelError,
    SchemaError,
    missing_extra,
)


class UnauthenticatedError(KGRecError):
    """The request carries no key, or one that the server does not know."""

    status = 401


class ForbiddenError(KGRecError):
    """The key's role, or the place a request comes from, does not allow it."""

    status = 403


class RequestTooLargeError(KGRecError):
    """The body is longer than the server reads."""

    status = 413


class MediaTypeError(KGRecError):
    """The body is not what the server reads."""

    status = 415


class InvalidRequestError(ConfigError):
    """A parameter or a field of the body is of no use."""

    status = 422


class RateLimitError(KGRecError):
    """The key was used more often than it may be."""

    status = 429

    def __init__(self, what: str, *, retry_after: int, remedy: str = "") -> None:
        super().__init__(what, remedy=remedy)
        self.retry_after = retry_after


class OverloadedError(KGRecError):
    """The server has as many requests under way as it takes."""

    status = 503


class NotReadyError(KGRecError):
    """The server cannot answer yet."""

    status = 503


class RequestTimeoutError(KGRecError):
    """The answer took longer than a request may."""

    status = 504


logger = logging.getLogger("kgrec.serving")

MEDIA_TYPE = "application/problem+json"
_RETRY_AFTER = {"Retry-After": "1"}
_GRAPH_FAILURES = {
    403: ("the graph database does not let the server write", "The log of the server has details."),
    409: (
        "the write contradicts what the graph holds",
        "Read it again, then send what still holds.",
    ),
    503: ("the graph database does not answer", "Try again in a moment."),
    504: ("the graph database took too long", "Ask for less, or try again."),
}
"""Public messages by status: the errors themselves quote the database and its log."""
_GRAPH_FAILURE = ("the graph database failed", "The log of the server has details.")
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="kgrec"'}


class FieldProblem(BaseModel):
    """What is wrong with one parameter or field."""

    where: str = Field(examples=["query.k"])
    problem: str = Field(examples=["Input should be less than or equal to 100"])
    value: str | None = Field(default=None, examples=["1000"])


class Problem(BaseModel):
    """The body of every answer that is not a success (RFC 9457)."""

    type: str = Field(examples=["urn:kgrec:problem:not-found"])
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["there is no such user: '4711'"])
    instance: str | None = Field(default=None, examples=["/v1/users/4711/recommendations"])
    what: str = Field(examples=["there is no such user"])
    value: str | None = Field(default=None, examples=["4711"])
    remedy: str = Field(default="", examples=["GET /v1/users lists the users."])
    errors: list[FieldProblem] | None = None


def problem_response(error: KGRecError, path: str) -> JSONResponse:
    """Return the response for an error; failures of the server come without internal values."""
    status = error.status
    value = None if _is_inner(error) or error.value is None else str(error.value)
    what, remedy = error.what, error.remedy
    if isinstance(error, GraphError):
        what, remedy = _GRAPH_FAILURES.get(status, _GRAPH_FAILURE)
    body = Problem(
        type=f"urn:kgrec:problem:{_slug(type(error).__name__)}",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=what if value is None else f"{what}: {value!r}",
        instance=path,
        what=what,
        value=value,
        remedy=remedy,
    )
    return _answer(body, headers_for(status))


def _is_inner(error: KGRecError) -> bool:
    """Tell whether an error is the server's own, whose values are not for clients."""
    return isinstance(error, GraphError) or error.status >= HTTPStatus.INTERNAL_SERVER_ERROR


def headers_for(status: int) -> Mapping[str, str]:
    """Return the headers that an answer of this status must carry."""
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        return _RETRY_AFTER
    return _CHALLENGE if status == HTTPStatus.UNAUTHORIZED else {}


def plain_problem(status: int, what: str, path: str, remedy: str = "") -> JSONResponse:
    """Return a problem that comes from no error of ours, such as an unknown path."""
    title = HTTPStatus(status).phrase
    body = Problem(
        type="about:blank",
        title=title,
        status=status,
        detail=what,
        instance=path,
        what=what,
        remedy=remedy,
    )
    return _answer(body, headers_for(status))


def _answer(body: Problem, headers: Mapping[str, str]) -> JSONResponse:
    return _ProblemResponse(body.model_dump(exclude_none=True), body.status, headers)


class _ProblemResponse(JSONResponse):
    """Shows what was sent even where it is no text: half a surrogate pair cannot be encoded."""

    media_type = MEDIA_TYPE

    def render(self, content: Any) -> bytes:
        return json.dumps(content, ensure_ascii=False).encode("utf-8", "replace")


def _slug(name: str) -> str:
    words = re.findall(r"[A-Z]+(?=[A-Z]|$)|[A-Z][a-z0-9]*", name.removesuffix("Error"))
    return "-".join(words).lower()


def add_handlers(
    app: FastAPI, on_graph_away: Callable[[], None], methods: Callable[[str], Collection[str]]
) -> None:
    """Have every error of the application answered with a problem document.

    Args:
        on_graph_away: called when a request failed because the graph did not answer.
        methods: returns every method that a path allows.
    """

    def refused(request: Request, error: Exception) -> JSONResponse:
        return _refused(request, error, methods)

    def known(request: Request, error: Exception) -> JSONResponse:
        if isinstance(error, GraphUnavailableError):
            on_graph_away()
        return _known(request, error)

    app.add_exception_handler(KGRecError, known)
    app.add_exception_handler(ModuleNotFoundError, _not_installed)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, refused)


def _known(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, KGRecError)  # noqa: S101 - registered for it alone
    if isinstance(error, ModelError | SchemaError):  # the server's own, no fault of the client
        error = NotReadyError(error.what, value=error.value, remedy=error.remedy)
    if _is_inner(error):
        logger.warning("%s %s: %s", request.method, request.url.path, error)
    return problem_response(error, request.url.path)


def _not_installed(request: Request, error: Exception) -> JSONResponse:
    """Answer what needs a package of an extra that is not there, such as texts read for facts."""
    missing = missing_extra(error) if isinstance(error, ImportError) else None
    if missing is None:
        raise error
    return problem_response(
        NotReadyError(missing.what, value=missing.value, remedy=missing.remedy), request.url.path
    )


def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for it alone
    found = [_field(problem) for problem in error.errors()]
    first = found[0] if found else FieldProblem(where="request", problem="is not valid")
    body = Problem(
        type="urn:kgrec:problem:invalid-request",
        title=HTTPStatus(422).phrase,
        status=422,
        detail=f"{first.where}: {first.problem}",
        instance=request.url.path,
        what=f"{first.where}: {first.problem}",
        value=first.value,
        remedy="Correct the request; /openapi.json describes it.",
        errors=found,
    )
    return _answer(body, {})


def _field(problem: Mapping[str, Any]) -> FieldProblem:
    value = problem.get("input")
    shown = str(value)[:200] if isinstance(value, str | int | float | bool) else None
    where = ".".join(str(part) for part in problem["loc"])
    return FieldProblem(where=where, problem=_message(problem), value=shown)


def _message(problem: Mapping[str, Any]) -> str:
    return str(problem["msg"]).removeprefix("Value error, ")


def _refused(
    request: Request, error: Exception, methods: Callable[[str], Collection[str]]
) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it alone
    remedy = "See /openapi.json for what there is."
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.NOT_FOUND:
        remedy += " A slash inside an id is written %2F."
    path = str(request.scope["path"]).removeprefix(request.scope.get("root_path", ""))
    # Each route knows its own method alone, and a path may have several routes.
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED and (allowed := methods(path)):
        headers["Allow"] = ", ".join(sorted(allowed))
    response = plain_problem(error.status_code, str(error.detail), request.url.path, remedy)
    response.headers.update(headers)
    return response
