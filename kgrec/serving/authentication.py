"""The key of a request, checked before anything of its body is read, and the rate of each key."""

from __future__ import annotations

import logging
import math
import time

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from kgrec.errors import ConfigError, KGRecError
from kgrec.serving.keys import ApiKey, KeyRing
from kgrec.serving.problems import (
    NotReadyError,
    RateLimitError,
    UnauthenticatedError,
    problem_response,
)
from kgrec.serving.security import Role

logger = logging.getLogger("kgrec.serving")

_PROTECTED = ("/v1/", "/metrics")


class Authentication:
    """ASGI middleware that answers 401 and 429, and puts `role` into the state of a request."""

    def __init__(self, app: ASGIApp, keys: KeyRing) -> None:
        self.app = app
        self.keys = keys
        self._buckets: dict[str, _Bucket] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = str(scope.get("path", "")).removeprefix(scope.get("root_path", ""))
        if scope["type"] != "http" or not path.startswith(_PROTECTED):
            await self.app(scope, receive, send)
            return
        try:
            role = self._admit(scope)
        except RateLimitError as error:
            response = problem_response(error, scope["path"])
            response.headers["Retry-After"] = str(error.retry_after)
            await response(scope, receive, send)
        except KGRecError as error:
            await problem_response(error, scope["path"])(scope, receive, send)
        else:
            state = {**scope.get("state", {}), "role": role}
            await self.app({**scope, "state": state}, receive, send)

    def _admit(self, scope: Scope) -> Role:
        try:
            if not self.keys:
                return Role.ADMIN
            presented = _presented(Headers(scope=scope))
            key = self.keys.find(presented) if presented else None
        except ConfigError as error:
            logger.error("%s", error)
            raise NotReadyError(
                "the server cannot read its API keys", remedy="The log of the server has details."
            ) from error
        if key is None:
            raise UnauthenticatedError(
                "the key is not known" if presented else "this server requires a key",
                remedy="Send `Authorization: Bearer KEY` or `X-API-Key: KEY`.",
            )
        self._count(key)
        return key.role

    def _count(self, key: ApiKey) -> None:
        if key.rate is None:
            return
        bucket = self._buckets.setdefault(key.key_id, _Bucket())
        wait = bucket.take(key.rate, time.monotonic())
        if wait:
            raise RateLimitError(
                f"the key is allowed {key.rate:g} requests a second",
                retry_after=math.ceil(wait),
                remedy="Wait for the seconds of Retry-After, or request a key with a higher rate.",
            )


class _Bucket:
    """A token bucket: `rate` tokens a second, twice as many at most, one a request."""

    def __init__(self) -> None:
        self._tokens = math.inf  # full, whatever the rate
        self._at = 0.0

    def take(self, rate: float, now: float) -> float:
        """Take a token; returns 0.0, or the seconds until there is one."""
        most = max(2 * rate, 1.0)
        self._tokens = min(self._tokens + (now - self._at) * rate, most)
        self._at = now
        if self._tokens < 1:
            return (1 - self._tokens) / rate
        self._tokens -= 1
        return 0.0


def _presented(headers: Headers) -> str:
    scheme, _, credentials = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and credentials:
        return credentials.strip()
    return headers.get("x-api-key", "")
