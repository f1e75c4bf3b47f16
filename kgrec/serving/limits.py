"""What a request may be: the kind and size of its body, its time, how many run at once."""

from __future__ import annotations

import asyncio
import logging

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kgrec.errors import KGRecError
from kgrec.serving.config import ServingConfig
from kgrec.serving.problems import (
    MediaTypeError,
    OverloadedError,
    RequestTimeoutError,
    RequestTooLargeError,
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
