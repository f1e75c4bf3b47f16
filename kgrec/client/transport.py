"""How calls are made: one request, tried again where that is safe, and its answer as a record."""

from __future__ import annotations

import asyncio
import functools
import json
import random
import time
from collections.abc import Callable, Coroutine, Mapping
from http import HTTPStatus
from typing import Any, Generic, NoReturn, ParamSpec, Self, TypeVar

import httpx2
from pydantic import Field, TypeAdapter

from kgrec.client import calls
from kgrec.client.calls import Call
from kgrec.client.errors import ServerUnavailableError, error_of
from kgrec.config import FrozenModel
from kgrec.http_client import retry_after_seconds

P = ParamSpec("P")
ResultT = TypeVar("ResultT")

_PASSING = frozenset({429, 502, 503, 504})


class RetryConfig(FrozenModel):
    """When a call is made again that failed for a reason that passes; times in seconds.

    Attributes:
        attempts: how often it is made in all.
        pause: before the second attempt; each later one doubles it, and all are jittered.
        longest: no pause is longer; a `Retry-After` beyond it ends the attempts.
    """

    attempts: int = Field(default=3, ge=1)
    pause: float = Field(default=0.25, ge=0)
    longest: float = Field(default=10.0, ge=0)

    def wait(self, attempt: int, requested: float | None) -> float | None:
        """Return the pause after an attempt, counted from 1; None where it was the last.

        Args:
            requested: seconds of a `Retry-After`.
        """
        if attempt >= self.attempts or (requested is not None and requested > self.longest):
            return None
        backoff = self.pause * 2.0 ** (attempt - 1) * random.uniform(0.5, 1.0)  # noqa: S311
        return min(max(backoff, requested or 0.0), self.longest)


class _Sync(Generic[P, ResultT]):
    """A method of `Client` that makes a call."""

    def __init__(self, build: Callable[P, Call[ResultT]]) -> None:
        self.build = build
        self.__doc__ = build.__doc__

    def __get__(self, client: Client, owner: type[Client]) -> Callable[P, ResultT]:
        @functools.wraps(self.build)
        def method(*args: P.args, **kwargs: P.kwargs) -> ResultT:
            return client.send(self.build(*args, **kwargs))

        return method


class _Async(Generic[P, ResultT]):
    """A method of `AsyncClient` that makes a call."""

    def __init__(self, build: Callable[P, Call[ResultT]]) -> None:
        self.build = build
        self.__doc__ = build.__doc__

    def __get__(
        self, client: AsyncClient, owner: type[AsyncClient]
    ) -> Callable[P, Coroutine[Any, Any, ResultT]]:
        @functools.wraps(self.build)
        async def method(*args: P.args, **kwargs: P.kwargs) -> ResultT:
            return await client.send(self.build(*args, **kwargs))

        return method


class Client:
    """A client of a server; a context manager that closes its connections.

    Args:
        url: address of the server.
        key: API key, where the server needs one.
        timeout: seconds that an attempt may take.
        retry: when a call is made again. Only calls that cannot count twice are.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8000",
        *,
        key: str | None = None,
        timeout: float = 30.0,
        retry: RetryConfig | None = None,
    ) -> None:
        self.retry = retry or RetryConfig()
        self._http = httpx2.Client(base_url=url, headers=_headers(key), timeout=timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection."""
        self._http.close()

    def send(self, call: Call[ResultT]) -> ResultT:
        """Make a call; raises ApiError and the kinds below it."""
        attempt = 0
        while True:
            attempt += 1
            answer, failure = None, None
            try:
                answer = self._http.request(**_request(call))
            except httpx2.TransportError as error:
                failure = error
            if answer is not None and answer.is_success:
                return _result(call, answer)
            pause = _pause(self.retry, call, attempt, answer)
            if pause is None:
                _fail(answer, failure)
            time.sleep(pause)

    recommend = _Sync(calls.recommend)
    explain = _Sync(calls.explain)
    recommend_for = _Sync(calls.recommend_for)
    explain_for = _Sync(calls.explain_for)
    similar = _Sync(calls.similar)
    send_feedback = _Sync(calls.send_feedback)
    send_interactions = _Sync(calls.send_interactions)
    withdraw_feedback = _Sync(calls.withdraw_feedback)
    users = _Sync(calls.users)
    user = _Sync(calls.user)
    history = _Sync(calls.history)
    erase_user = _Sync(calls.erase_user)
    items = _Sync(calls.items)
    item = _Sync(calls.item)
    put_items = _Sync(calls.put_items)
    change_item = _Sync(calls.change_item)
    delete_item = _Sync(calls.delete_item)
    delete_entity = _Sync(calls.delete_entity)
    correct = _Sync(calls.correct)
    entities = _Sync(calls.entities)
    entity = _Sync(calls.entity)
    neighbours = _Sync(calls.neighbours)
    paths = _Sync(calls.paths)
    cypher = _Sync(calls.cypher)
    queries = _Sync(calls.queries)
    run_query = _Sync(calls.run_query)
    health = _Sync(calls.health)
    readiness = _Sync(calls.readiness)
    model = _Sync(calls.model)


class AsyncClient:
    """The same for asyncio; see `Client` for the arguments."""

    def __init__(
        self,
        url: str = "http://127.0.0.1:8000",
        *,
        key: str | None = None,
        timeout: float = 30.0,
        retry: RetryConfig | None = None,
    ) -> None:
        self.retry = retry or RetryConfig()
        self._http = httpx2.AsyncClient(base_url=url, headers=_headers(key), timeout=timeout)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection."""
        await self._http.aclose()

    async def send(self, call: Call[ResultT]) -> ResultT:
        """Make a call; raises ApiError and the kinds below it."""
        attempt = 0
        while True:
            attempt += 1
            answer, failure = None, None
            try:
                answer = await self._http.request(**_request(call))
            except httpx2.TransportError as error:
                failure = error
            if answer is not None and answer.is_success:
                return _result(call, answer)
            pause = _pause(self.retry, call, attempt, answer)
            if pause is None:
                _fail(answer, failure)
            await asyncio.sleep(pause)

    recommend = _Async(calls.recommend)
    explain = _Async(calls.explain)
    recommend_for = _Async(calls.recommend_for)
    explain_for = _Async(calls.explain_for)
    similar = _Async(calls.similar)
    send_feedback = _Async(calls.send_feedback)
    send_interactions = _Async(calls.send_interactions)
    withdraw_feedback = _Async(calls.withdraw_feedback)
    users = _Async(calls.users)
    user = _Async(calls.user)
    history = _Async(calls.history)
    erase_user = _Async(calls.erase_user)
    items = _Async(calls.items)
    item = _Async(calls.item)
    put_items = _Async(calls.put_items)
    change_item = _Async(calls.change_item)
    delete_item = _Async(calls.delete_item)
    delete_entity = _Async(calls.delete_entity)
    correct = _Async(calls.correct)
    entities = _Async(calls.entities)
    entity = _Async(calls.entity)
    neighbours = _Async(calls.neighbours)
    paths = _Async(calls.paths)
    cypher = _Async(calls.cypher)
    queries = _Async(calls.queries)
    run_query = _Async(calls.run_query)
    health = _Async(calls.health)
    readiness = _Async(calls.readiness)
    model = _Async(calls.model)


def _headers(key: str | None) -> Mapping[str, str]:
    return {"User-Agent": "kgrec", **({"Authorization": f"Bearer {key}"} if key else {})}


def _request(call: Call[Any]) -> dict[str, Any]:
    sent: dict[str, Any] = {"method": call.method, "url": call.url, "headers": dict(call.headers)}
    if call.parameters:
        sent["params"] = call.parameters
    return sent if call.body is None else {**sent, "json": call.body}


@functools.cache
def _adapter(result: Any) -> TypeAdapter[Any]:
    return TypeAdapter(result)


def _result(call: Call[ResultT], answer: httpx2.Response) -> ResultT:
    found: ResultT = _adapter(call.result).validate_json(answer.content or b"null")
    return found


def _pause(
    retry: RetryConfig, call: Call[Any], attempt: int, answer: httpx2.Response | None
) -> float | None:
    # What came too often was refused before anything was done; a 503 may follow a lost commit.
    refused = answer is not None and answer.status_code == HTTPStatus.TOO_MANY_REQUESTS
    if not (call.repeatable or refused):
        return None
    if answer is None:
        return retry.wait(attempt, None)
    if answer.status_code not in _PASSING:
        return None
    return retry.wait(attempt, retry_after_seconds(answer.headers.get("Retry-After", "")))


def _fail(answer: httpx2.Response | None, failure: Exception | None) -> NoReturn:
    if answer is None:
        raise ServerUnavailableError(
            f"the server does not answer ({type(failure).__name__}: {failure})",
            remedy="Check its address, and that `kgrec serve` runs.",
        ) from failure
    try:
        problem = answer.json()
    except (json.JSONDecodeError, UnicodeDecodeError):
        problem = {}
    raise error_of(answer.status_code, problem if isinstance(problem, dict) else {})
