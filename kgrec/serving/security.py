"""Who may do what, and what a request may be: keys with roles, limits of size, time and number."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kgrec.config import Settings
from kgrec.errors import ConfigError, KGRecError
from kgrec.serving.config import ServingConfig
from kgrec.serving.problems import (
    ForbiddenError,
    MediaTypeError,
    OverloadedError,
    RequestTimeoutError,
    RequestTooLargeError,
    UnauthenticatedError,
    plain_problem,
    problem_response,
)

logger = logging.getLogger("kgrec.serving")


class Limits:
    """ASGI middleware that answers 413, 415, 503 and 504, and 500 where the application breaks.

    The work of a request that ran out of time goes on behind its answer until the graph's own
    time limit ends it, and counts as under way until then.
    """

    def __init__(self, app: ASGIApp, config: ServingConfig) -> None:
        self.app = app
        self.config = config
        self._in_flight = 0
        self._under_way: set[asyncio.Task[None]] = set()  # the loop alone would lose them

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        door = _Door(send)
        try:
            await self._handle(scope, receive, door)
        except KGRecError as error:
            await door.answer(problem_response(error, scope["path"]), scope, receive)
        except _DisconnectedError:
            return

    async def _handle(self, scope: Scope, receive: Receive, door: _Door) -> None:
        if self._in_flight >= self.config.max_in_flight:
            raise OverloadedError("the server has its hands full", remedy="Try again in a moment.")
        self._in_flight += 1
        try:
            body = await self._body(scope, receive)
        except BaseException:
            self._in_flight -= 1
            raise
        task = asyncio.create_task(self._run(scope, _Replay(body, receive), door))
        self._under_way.add(task)
        task.add_done_callback(self._ended)
        done, _ = await asyncio.wait({task}, timeout=self.config.time_limit_s)
        if not done:
            raise _timeout(self.config, "the answer took too long")

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._in_flight -= 1

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        config = self.config
        try:
            async with asyncio.timeout(config.time_limit_s):
                body = await _read_body(receive, config.max_body_bytes)
        except TimeoutError:
            raise _timeout(config, "the body of the request did not arrive in time") from None
        if body:
            _check_media_type(scope)
        return body

    async def _run(self, scope: Scope, receive: Receive, door: _Door) -> None:
        try:
            await self.app(scope, receive, door.send)
        except Exception:
            logger.exception("%s %s failed", scope["method"], scope["path"])
            response = plain_problem(
                500,
                "the server failed to answer",
                scope["path"],
                "This is a bug of kgrec; the log of the server says more.",
            )
            await door.answer(response, scope, receive)


def _timeout(config: ServingConfig, what: str) -> RequestTimeoutError:
    return RequestTimeoutError(
        f"{what}: more than {config.time_limit_s:g} s", remedy="Ask for less, or try again."
    )


class _Door:
    """Where answers leave: the first one to begin is the only one."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._began = False
        self._shut = False

    async def send(self, message: Message) -> None:
        """Pass on what the application sends, unless its time is over."""
        if not self._shut:
            self._began = True
            await self._send(message)

    async def answer(self, response: Response, scope: Scope, receive: Receive) -> None:
        """Answer in place of the application, unless it has begun to."""
        self._shut = True
        if not self._began:
            await response(scope, receive, self._send)


class _Replay:
    """Hands the body on, which was read already."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def __call__(self) -> Message:
        if self._body is None:
            return await self._receive()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}


class _DisconnectedError(Exception):
    """Nobody waits for an answer any more."""


def _check_media_type(scope: Scope) -> None:
    """Refuse what is not declared as JSON: a page of elsewhere may send that unasked, JSON not."""
    declared = Headers(scope=scope).get("content-type", "")
    if declared.partition(";")[0].strip().lower() != "application/json":
        raise MediaTypeError(
            "the body of a request must be JSON",
            value=declared or None,
            remedy="Send it with the header Content-Type: application/json.",
        )


async def _read_body(receive: Receive, most: int) -> bytes:
    body = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _DisconnectedError
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > most:
            raise RequestTooLargeError(
                f"the body of the request is longer than {most} bytes", remedy="Send less at once."
            )
    return bytes(body)


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
