"""Problem documents of the server (RFC 9457) as errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kgrec.errors import KGRecError


class ApiError(KGRecError):
    """The server did not answer with success.

    Attributes:
        http_status: of the answer, 0 where there was none.
        problem: the problem document, empty where the answer held none.
    """

    def __init__(
        self,
        what: str,
        *,
        value: object = None,
        remedy: str = "",
        http_status: int = 0,
        problem: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(what, value=value, remedy=remedy)
        self.http_status = http_status
        self.problem = dict(problem or {})


class RequestRefusedError(ApiError):
    """The request makes no sense: a parameter, the body, or a statement that does not only read."""

    exit_code = 2


class KeyNotKnownError(ApiError):
    """The server needs a key, or does not know this one."""


class KeyNotAllowedError(ApiError):
    """The role of the key does not allow this."""


class ResourceNotFoundError(ApiError):
    """There is no such user, item, entity or query."""

    exit_code = 4


class ConflictingRequestError(ApiError):
    """The request contradicts what the graph holds."""


class TooManyRequestsError(ApiError):
    """The key was used more often than it may be."""


class ServerUnavailableError(ApiError):
    """The server does not answer, or cannot now."""

    exit_code = 6


_BY_STATUS: Mapping[int, type[ApiError]] = {
    401: KeyNotKnownError,
    403: KeyNotAllowedError,
    404: ResourceNotFoundError,
    409: ConflictingRequestError,
    429: TooManyRequestsError,
}


def error_of(status: int, problem: Mapping[str, Any]) -> ApiError:
    """Return the error for an answer of a status that is no success."""
    if status in _BY_STATUS:
        kind = _BY_STATUS[status]
    else:
        kind = ServerUnavailableError if status >= 500 else RequestRefusedError
    what = problem.get("what") or problem.get("detail") or f"the server answered {status}"
    wrong = "; ".join(
        f"{one.get('where')}: {one.get('problem')}" for one in problem.get("errors") or ()
    )
    return kind(
        f"{what} ({wrong})" if wrong else str(what),
        value=problem.get("value"),
        remedy=str(problem.get("remedy") or ""),
        http_status=status,
        problem=problem,
    )
