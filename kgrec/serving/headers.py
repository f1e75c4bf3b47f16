"""What every answer carries against misuse, and who may ask a server that has no keys."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kgrec.serving.errors import ForbiddenError
from kgrec.serving.problems import problem_response
from kgrec.serving.security import is_loopback

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
