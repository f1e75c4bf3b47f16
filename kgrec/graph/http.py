"""The HTTP interface of the embedded engine, for what its Bolt connection cannot do: SQL, users."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import httpx2

from kgrec.errors import (
    GraphAuthError,
    GraphError,
    GraphStatementError,
    GraphUnavailableError,
)
from kgrec.graph.address import Address, shown
from kgrec.graph.launch import READER_GROUP
from kgrec.graph.read_only import placed, refused

_TIMEOUT = 600.0
"""Seconds; an index over a large catalogue takes minutes to build."""
_PROMPT = 5.0
"""Seconds for a request that a server answers at once or not at all."""


def run_sql(address: Address, command: str) -> list[dict[str, Any]]:
    """Run one SQL command and return its rows.

    Raises:
        GraphError: the address has no HTTP endpoint, or the server refuses the command.
        GraphUnavailableError: nothing answers.
    """
    path = f"/api/v1/command/{address.database}"
    answer = post(address, path, {"language": "sql", "command": command})
    rows: list[dict[str, Any]] = answer["result"]
    return rows


def is_ready(address: Address) -> bool:
    """Whether the server has opened its database; raises GraphAuthError for a refused login."""
    try:
        answer = _get(address, _exists(address), timeout=_PROMPT)
    except GraphAuthError:
        raise
    except GraphError:
        return False
    return bool(answer.get("result"))


def accepts_reader(address: Address) -> bool:
    """Whether the user that may only read can log in with the stored password."""
    try:
        _get(replace(address, login=address.reader), _exists(address), timeout=_PROMPT)
    except GraphAuthError:
        return False
    return True


def ensure_reader(address: Address) -> None:
    """Create the user that may only read; an existing one is replaced, for its password."""
    if address.reader is None:
        return
    user = {
        "name": address.reader.user,
        "password": address.reader.password,
        "databases": {address.database: [READER_GROUP]},
    }
    users = _get(address, "/api/v1/server/users")
    if any(one.get("name") == address.reader.user for one in users.get("result", [])):
        post(address, "/api/v1/server", {"command": f"drop user {address.reader.user}"})
    post(address, "/api/v1/server", {"command": f"create user {json.dumps(user)}"})


def _exists(address: Address) -> str:
    return f"/api/v1/exists/{address.database}"


def _get(address: Address, path: str, *, timeout: float = _TIMEOUT) -> dict[str, Any]:
    return _send(address, "GET", path, None, timeout)


def post(address: Address, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Send a command and return the answer; raises what `run_sql` raises."""
    return _send(address, "POST", path, body, _TIMEOUT)


def _send(
    address: Address, method: str, path: str, body: dict[str, Any] | None, timeout: float
) -> dict[str, Any]:
    if address.http_uri is None or address.login is None:
        raise GraphError(
            "an ArcadeDB server can only be used as the embedded one",
            value=shown(address.uri),
            remedy="Unset KGREC_GRAPH_URI, or set it to a Neo4j.",
        )
    login = (address.login.user, address.login.password)
    try:
        # A proxy of the environment must not see loopback traffic, which needs no certificates:
        # reading those would take longer than the request.
        with httpx2.Client(timeout=timeout, trust_env=False, verify=False) as client:
            answer = client.request(method, address.http_uri + path, json=body, auth=login)
        if not answer.is_success:
            raise _refusal(answer.status_code, answer.content)
        result: dict[str, Any] = answer.json()
    except (httpx2.HTTPError, ValueError) as error:
        raise GraphUnavailableError(
            f"the embedded graph database does not answer ({error})", value=address.http_uri
        ) from None
    return result


def _refusal(code: int, body: bytes) -> GraphError:
    try:
        answer = json.loads(body)
        detail, kind = answer.get("detail", ""), str(answer.get("exception", ""))
    except ValueError:
        detail, kind = body.decode(errors="replace"), ""
    if kind.endswith(".QueryNotIdempotentException"):
        return refused("it writes, or changes definitions or the server")
    if kind.endswith((".CommandParsingException", ".CommandParameterMissingException")):
        message = placed(str(detail).splitlines()[0])
        return GraphStatementError(
            f"the graph database refuses the statement (SyntaxError): {message}"
        )
    if code in (401, 403):
        return GraphAuthError(f"the graph database refuses the login: {detail}")
    return GraphError(f"the graph database refuses a command: {detail}", value=code)
