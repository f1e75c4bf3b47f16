"""What a request may cost: the size of its body, its time, how many are under way at once."""

from __future__ import annotations

import asyncio
import logging
import mmap
import struct
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Request
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kgrec.deadline import Deadline, check, within
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

_MEDIA_TYPES = frozenset({"application/json", "application/x-ndjson"})
_PLACE = struct.Struct("qd")
"""Requests under way of one process, and the moment at which the last one began or ended."""
HEALTH = frozenset({"/healthz", "/readyz"})
"""Paths that are answered however many requests are under way."""


class Activity:
    """How many requests are under way, and since when none is, in this process and others.

    Args:
        board: where each of several processes writes its own, shared by all of them; see `shared`.
        place: of this process on the board.
    """

    def __init__(self, board: mmap.mmap | None = None, place: int = 0) -> None:
        self.under_way = 0
        self._board, self._place = board or self.shared(1), place
        self._write()

    @staticmethod
    def shared(places: int) -> mmap.mmap:
        """Return a board for so many processes, to be made before they are forked."""
        return mmap.mmap(-1, _PLACE.size * places)

    def begin(self) -> None:
        """Count one more."""
        self.under_way += 1
        self._write()

    def end(self) -> None:
        """Count one less."""
        self.under_way -= 1
        self._write()

    def quiet_s(self) -> float:
        """Return for how many seconds no request has been under way; 0.0 while one is."""
        states = list(_PLACE.iter_unpack(self._board[:]))
        latest = max(at for _, at in states)
        return 0.0 if any(count for count, _ in states) else time.monotonic() - latest

    def has_turn(self) -> bool:
        """Tell whether it is this process's turn to use what the requests leave idle: seconds."""
        return int(time.monotonic()) % (len(self._board) // _PLACE.size) == self._place

    def _write(self) -> None:
        _PLACE.pack_into(self._board, self._place * _PLACE.size, self.under_way, time.monotonic())


class Limits:
    """ASGI middleware that answers 413, 415, 503 and 504, and 500 where the application breaks.

    A body is read before its request counts as under way, so bodies that never come keep nobody
    out. A request whose time is up, or whose caller has left, has its deadline cancelled; it
    counts until its work has ended.
    """

    def __init__(
        self, app: ASGIApp, config: ServingConfig, activity: Activity | None = None
    ) -> None:
        self.app = app
        self.config = config
        self._activity = activity or Activity()
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
        self._check_room(scope)
        body = await self._body(scope, receive)
        self._check_room(scope)
        self._activity.begin()
        deadline = Deadline(self.config.time_limit_s)
        left = asyncio.ensure_future(_until_left(receive))
        with within(deadline):
            task = asyncio.create_task(self._run(scope, _Replay(body, left), door))
        self._under_way.add(task)
        task.add_done_callback(self._ended)
        try:
            await asyncio.wait(
                {task, left},
                timeout=self.config.time_limit_s,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if task.done():
                return
            if left.done() and door.complete:
                await task  # what is left to do after the answer
                return
            deadline.cancel()
            if left.done():
                raise _DisconnectedError
            raise _timeout(self.config.time_limit_s, "the answer took too long")
        finally:
            if task.done():
                left.cancel()
            else:
                task.add_done_callback(lambda _: left.cancel())

    def _check_room(self, scope: Scope) -> None:
        if self._activity.under_way >= self.config.max_in_flight and scope["path"] not in HEALTH:
            raise OverloadedError(
                "the server has as many requests under way as it takes",
                remedy="Try again in a moment.",
            )

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._activity.end()

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        limit = self.config.body_time_limit_s
        try:
            async with asyncio.timeout(limit):
                body = await _read_body(scope, receive, self.config.max_body_bytes)
        except TimeoutError:
            raise _timeout(limit, "the body of the request did not arrive in time") from None
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
                "This is a bug of kgrec; the log of the server has details.",
            )
            await door.answer(response, scope, receive)


def _timeout(seconds: float, what: str) -> RequestTimeoutError:
    return RequestTimeoutError(
        f"{what}: more than {seconds:g} s", remedy="Ask for less, or try again."
    )


class Slots:
    """How many expensive answers are computed at once; others wait in turn, and not for long.

    Args:
        config: how many at once, how many may wait, and for how long.
    """

    def __init__(self, config: ServingConfig) -> None:
        self._config = config
        self._free = asyncio.Semaphore(config.max_expensive)
        self._waiting = 0

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Hold one slot while the block runs.

        Raises:
            OverloadedError: too many wait already, or it was not free in time.
            TimeLimitError: the caller left meanwhile.
        """
        if self._free.locked() and self._waiting >= self._config.max_waiting:
            raise _busy()
        self._waiting += 1
        try:
            async with asyncio.timeout(self._config.time_limit_s / 3):
                await self._free.acquire()
        except TimeoutError:
            raise _busy() from None
        finally:
            self._waiting -= 1
        try:
            check()
            yield
        finally:
            self._free.release()


def _busy() -> OverloadedError:
    return OverloadedError(
        "the server computes as many explanations as it can", remedy="Try again in a moment."
    )


async def expensive(request: Request) -> AsyncIterator[None]:
    """Bound how many answers of an endpoint are computed at once; a dependency."""
    slots: Slots = request.app.state.slots
    async with slots.one():
        yield


class _Door:
    """Where answers leave: the first one to begin is the only one."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._began = False
        self._shut = False
        self.complete = False

    async def send(self, message: Message) -> None:
        """Pass on what the application sends, unless its time is over."""
        if not self._shut:
            self._began = True
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                self.complete = True
            await self._send(message)

    async def answer(self, response: Response, scope: Scope, receive: Receive) -> None:
        """Answer in place of the application, unless it has begun to."""
        self._shut = True
        if not self._began:
            await response(scope, receive, self._send)


class _Replay:
    """Passes the body on, which was read already, and then that the client left."""

    def __init__(self, body: bytes, left: asyncio.Future[Message]) -> None:
        self._body: bytes | None = body
        self._left = left

    async def __call__(self) -> Message:
        if self._body is None:
            return await asyncio.shield(self._left)
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}


class _DisconnectedError(Exception):
    """Nobody waits for an answer any more."""


async def _until_left(receive: Receive) -> Message:
    message = await receive()
    while message["type"] != "http.disconnect":
        message = await receive()
    return message


def _check_media_type(scope: Scope) -> None:
    """Refuse what is not declared as JSON: a page of elsewhere may send that unasked, JSON not."""
    declared = Headers(scope=scope).get("content-type", "")
    if declared.partition(";")[0].strip().lower() not in _MEDIA_TYPES:
        raise MediaTypeError(
            "the body of a request must be JSON",
            value=declared or None,
            remedy="Send it with the header Content-Type: application/json.",
        )


async def _read_body(scope: Scope, receive: Receive, most: int) -> bytes:
    declared = Headers(scope=scope).get("content-length", "")
    if declared.isdecimal() and (len(declared) > 18 or int(declared) > most):
        raise _too_long(most)
    body = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _DisconnectedError
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > most:
            raise _too_long(most)
    return bytes(body)


def _too_long(most: int) -> RequestTooLargeError:
    return RequestTooLargeError(
        f"the body of the request is longer than {most} bytes", remedy="Send less at once."
    )
