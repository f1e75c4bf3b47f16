"""How answers travel: entity tags, so that what is known is not sent again, and compression."""

from __future__ import annotations

import gzip
import hashlib
import re

from anyio import to_thread
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MIN_BYTES = 1_000
"""Shorter answers are sent as they are: they fit into one packet."""
_MAX_BYTES = 8_000_000
_IN_THREAD = 50_000
"""Larger answers are compressed beside the event loop."""
_LEVEL = 4
_COMPRESSED = re.compile(
    r"(application/(json|problem\+json|javascript)|text/.*|image/svg\+xml)(;|$)", re.IGNORECASE
)
_TAGGED = re.compile(r"(/v1/(items|entities|queries|model)(/.*)?|/openapi\.json)$")
_LISTS = re.compile(r".*/similar$")
"""Lists hold the time that they took, so no two of them are the same."""


class Transfer:
    """ASGI middleware: `ETag` and 304 for items, entities, queries, the model and files; gzip.

    A tag is a hash of the answer (RFC 9110, weak, for it is the same whether compressed or not): it
    saves the transfer, not the reading. Files have tags of their own.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in ("GET", "POST"):
            await self.app(scope, receive, send)
            return
        answer = _Answer(scope, send)
        await self.app(scope, receive, answer.send)


class _Answer:
    """One answer, held back until it is whole."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._send, self._headers = send, Headers(scope=scope)
        path = scope["path"]
        self._tagged = scope["method"] == "GET" and bool(_TAGGED.match(path))
        self._tagged = self._tagged and not _LISTS.match(path)
        self._get = scope["method"] == "GET"
        self._start: Message | None = None
        self._parts: list[bytes] = []
        self._passing = False

    async def send(self, message: Message) -> None:
        """Take a part of the answer, and send the whole when it is the last."""
        if message["type"] == "http.response.start":
            self._start = message
            return
        if self._passing or self._start is None or message["type"] != "http.response.body":
            await self._pass(message)
            return
        self._parts.append(message.get("body", b""))
        if message.get("more_body", False):
            if sum(map(len, self._parts)) > _MAX_BYTES:
                body = b"".join(self._parts)
                await self._pass({"type": "http.response.body", "body": body, "more_body": True})
            return
        await self._whole(self._start, b"".join(self._parts))

    async def _pass(self, message: Message) -> None:
        """Send a part as it is; what is too long to be held goes on unchanged."""
        if self._start is not None and not self._passing:
            self._passing = True
            await self._send(self._start)
        await self._send(message)

    async def _whole(self, start: Message, body: bytes) -> None:
        headers = MutableHeaders(scope=start)
        if self._tagged and start["status"] == 200 and "etag" not in headers:
            headers["ETag"] = f'W/"{hashlib.sha256(body).hexdigest()[:32]}"'
            headers["Cache-Control"] = "private, no-cache"
        tag = headers.get("etag")
        if self._get and tag is not None and start["status"] == 200 and self._known(tag):
            for name in ("content-length", "content-type"):
                del headers[name]
            start, body = {**start, "status": 304, "headers": headers.raw}, b""
        elif self._compressible(headers, body):
            headers.add_vary_header("Accept-Encoding")
            if _accepts_gzip(self._headers.get("accept-encoding", "")):
                body = await self._compressed(body)
                headers["Content-Encoding"] = "gzip"
                if tag is not None and not tag.startswith("W/"):
                    headers["ETag"] = f"W/{tag}"  # other bytes than those of the strong tag
                headers["Content-Length"] = str(len(body))
        await self._send(start)
        await self._send({"type": "http.response.body", "body": body})

    def _known(self, tag: str) -> bool:
        """Tell whether the caller has the answer of this tag; weak comparison."""
        given = self._headers.get("if-none-match", "")
        tags = [each.strip().removeprefix("W/") for each in given.split(",")]
        return given.strip() == "*" or tag.removeprefix("W/") in tags

    @staticmethod
    def _compressible(headers: MutableHeaders, body: bytes) -> bool:
        kind = headers.get("content-type", "")
        plain = "content-encoding" not in headers
        return plain and len(body) >= MIN_BYTES and _COMPRESSED.match(kind) is not None

    @staticmethod
    async def _compressed(body: bytes) -> bytes:
        if len(body) < _IN_THREAD:
            return gzip.compress(body, _LEVEL, mtime=0)
        return await to_thread.run_sync(gzip.compress, body, _LEVEL)


def _accepts_gzip(header: str) -> bool:
    """Tell whether an `Accept-Encoding` names gzip, or `*`, with a weight above 0."""
    weights = {}
    for part in header.lower().split(","):
        name, _, rest = part.partition(";")
        found = re.fullmatch(r"\s*(?:q\s*=\s*([01](?:\.[0-9]{0,3})?))?\s*", rest)
        weights[name.strip()] = float(found[1] or 1.0) if found else 0.0
    return weights.get("gzip", weights.get("*", 0.0)) > 0
