"""What every answer carries against misuse, and who may ask a server that has no keys.

Who may do what: API keys with roles, compared in constant time.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kgrec.config import Settings
from kgrec.errors import ConfigError
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


_FORMAT = "Write role:key pairs with commas between them, such as read:KEY1,write:KEY2,admin:KEY3."


class Role(IntEnum):
    """What a key allows; each role allows what the ones before it do."""

    READ = 1
    WRITE = 2
    ADMIN = 3


@dataclass(frozen=True)
class KeyRing:
    """The keys of the server, as digests; an empty ring lets everybody on this machine in."""

    digests: tuple[tuple[bytes, Role], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.digests)

    @classmethod
    def parse(cls, text: str) -> KeyRing:
        """Read `role:key` pairs with commas between them.

        Raises:
            ConfigError: a pair lacks its role or key, or a key stands twice. No message holds a
                key.
        """
        found: dict[bytes, Role] = {}
        for number, pair in enumerate(filter(None, map(str.strip, text.split(","))), start=1):
            name, _, key = (part.strip() for part in pair.partition(":"))
            if name.upper() not in Role.__members__ or not key:
                raise ConfigError(
                    f"KGREC_API_KEYS: pair {number} is not a role and a key", remedy=_FORMAT
                )
            digest = _digest(key)
            if digest in found:
                raise ConfigError(
                    f"KGREC_API_KEYS: the key of pair {number} stands there twice",
                    remedy="Give each role a key of its own.",
                )
            found[digest] = Role[name.upper()]
        return cls(tuple(found.items()))

    @classmethod
    def of(cls, settings: Settings) -> KeyRing:
        """Read the keys of these settings; raises ConfigError as `parse` does."""
        return cls.parse(settings.api_keys.get_secret_value() if settings.api_keys else "")

    def role(self, key: str) -> Role | None:
        """Return what a key allows, or None for a key that is not on the ring."""
        presented = _digest(key)
        allowed: Role | None = None
        for digest, role in self.digests:  # all of them, so that the time tells nothing
            if hmac.compare_digest(digest, presented):
                allowed = role
        return allowed


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


_bearer = HTTPBearer(auto_error=False, description="A key of the server, as a bearer token.")
_header = APIKeyHeader(name="X-API-Key", auto_error=False, description="A key of the server.")


def require(needed: Role) -> Callable[..., None]:
    """Return a dependency that lets a request through when its key allows `needed`.

    The dependency raises UnauthenticatedError without a known key, ForbiddenError when the key's
    role is too low.
    """

    def check(
        request: Request,
        bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
        header: Annotated[str | None, Depends(_header)],
    ) -> None:
        ring: KeyRing = request.app.state.keys
        if not ring:
            return
        key = bearer.credentials if bearer else header
        role = ring.role(key) if key else None
        if role is None:
            raise UnauthenticatedError(
                "the key is not known" if key else "this server asks for a key",
                remedy="Send `Authorization: Bearer KEY` or `X-API-Key: KEY`.",
            )
        if role < needed:
            raise ForbiddenError(
                "the key does not allow this",
                value=role.name.lower(),
                remedy=f"Use a key of the role {needed.name.lower()}.",
            )

    return check


def check_address(host: str, keys: KeyRing) -> None:
    """Refuse to listen beyond this machine without keys; raises ConfigError."""
    if keys or is_loopback(host):
        return
    raise ConfigError(
        "without API keys the server listens on this machine only",
        value=host,
        remedy=f"Set KGREC_API_KEYS, or leave --host at 127.0.0.1. {_FORMAT}",
    )


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address stands for this very machine."""
    name = host.strip("[]").lower()
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
