"""Who may do what: roles, requests of other machines, and the headers of every answer."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable, Iterable
from enum import Enum
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kgrec.serving.problems import ForbiddenError, UnauthenticatedError, problem_response

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)

_HEADERS: Iterable[tuple[str, str]] = (
    ("Content-Security-Policy", CONTENT_SECURITY_POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=()"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)


class SecurityHeaders:
    """ASGI middleware: the headers above on every answer; answers of the API are not stored."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS:
                    headers[name] = value
                if "cache-control" not in headers:
                    headers["Cache-Control"] = "no-store"
            await send(message)

        await self.app(scope, receive, send_with_headers)


class LoopbackOnly:
    """ASGI middleware of a server without keys: it answers this machine alone.

    The name in the Host header must be one of this machine too: a page of elsewhere whose name
    was made to point here (DNS rebinding) is refused.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _from_here(scope):
            await self.app(scope, receive, send)
            return
        error = ForbiddenError(
            "a server without API keys answers its own machine only",
            remedy="Ask at http://127.0.0.1, or set KGREC_API_KEYS on the server.",
        )
        await problem_response(error, scope["path"])(scope, receive, send)


def _from_here(scope: Scope) -> bool:
    client = scope.get("client")
    host = Headers(scope=scope).get("host", "")
    name = host if host.endswith("]") else host.rsplit(":", 1)[0]
    return (client is None or is_loopback(client[0])) and is_loopback(name)


class Role(Enum):
    """What a key allows."""

    READ = "read"
    WRITE = "write"
    ANALYST = "analyst"
    ADMIN = "admin"

    def allows(self, needed: Role) -> bool:
        """Tell whether a key of this role may do what needs another.

        All may read; `analyst` runs statements of its own, which `write` may not; `admin` may do
        everything.
        """
        return self in (needed, Role.ADMIN) or needed is Role.READ


_bearer = HTTPBearer(auto_error=False, description="A key of the server, as a bearer token.")
_header = APIKeyHeader(name="X-API-Key", auto_error=False, description="A key of the server.")


def require(needed: Role) -> Callable[..., Awaitable[None]]:
    """Return a dependency that lets a request through when its key allows `needed`.

    The key itself was checked before (`kgrec.serving.authentication`). The dependency raises
    ForbiddenError when the key's role is too low, UnauthenticatedError where nobody checked.
    """

    async def check(
        request: Request,
        bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
        header: Annotated[str | None, Depends(_header)],
    ) -> None:
        del bearer, header  # only described by them
        role: Role | None = getattr(request.state, "role", None)
        if role is None:
            raise UnauthenticatedError("this server requires a key")
        if not role.allows(needed):
            raise ForbiddenError(
                "the key does not allow this",
                value=role.value,
                remedy=f"Use a key of the role {needed.value}.",
            )

    return check


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address stands for this very machine."""
    name = host.strip("[]").lower()
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
