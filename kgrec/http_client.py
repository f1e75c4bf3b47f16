"""HTTP requests with limits on time, tried again after failures that pass.

httpx2 (the continuation of httpx) makes the request and tenacity decides about the next attempt. No
redirect is followed unless the caller allows it, since it would carry a key to another host. Errors
name the reason and never the headers.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    stop_before_delay,
    wait_exponential,
    wait_random,
)

logger = logging.getLogger(__name__)

_TRANSIENT = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
_LONGEST_PAUSE = 30.0


@dataclass(frozen=True)
class RequestLimits:
    """Limits of a request, times in seconds.

    Attributes:
        connect: for a connection.
        answer: for the whole answer of one attempt.
        attempts: how often a request is made that fails for a reason that passes.
        pause: before the second attempt; later ones double it, with jitter, unless the server names
            a time in `Retry-After`.
        total: no attempt begins later than this after the first.
        retry_connect: whether a host that cannot be reached is tried again.
    """

    connect: float = 5.0
    answer: float = 60.0
    attempts: int = 3
    pause: float = 1.0
    total: float = 180.0
    retry_connect: bool = True


class HttpFailure(Exception):
    """A request that was not answered with success.

    Attributes:
        reason: in words, without secrets.
        transient: whether another attempt may succeed.
        retry_after: seconds to wait by the server's Retry-After header, None without it.
        status: of the answer, None where there was none.
    """

    def __init__(
        self,
        reason: str,
        *,
        transient: bool = False,
        retry_after: float | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(reason)
        self.reason, self.transient, self.retry_after = reason, transient, retry_after
        self.status = status

    @property
    def refused(self) -> bool:
        """Whether the server understood, and would answer another attempt in the same way."""
        return self.status is not None and self.status < 500 and not self.transient


def request(
    method: str,
    url: str,
    *,
    limits: RequestLimits,
    headers: Mapping[str, str] | None = None,
    json: Any = None,
    follow_redirects: bool = False,
) -> bytes:
    """Return the body of a successful answer.

    Args:
        json: body of the request, where it has one.
        follow_redirects: only for requests without secrets.

    Raises:
        HttpFailure: the server refuses, or fails as often as `limits` allows.
    """
    retrying = Retrying(
        stop=stop_after_attempt(limits.attempts) | stop_before_delay(limits.total),
        wait=_Pause(limits),
        retry=retry_if_exception(lambda error: isinstance(error, HttpFailure) and error.transient),
        before_sleep=_log,
        reraise=True,
    )
    timeout = httpx2.Timeout(limits.answer, connect=limits.connect)
    with httpx2.Client(timeout=timeout, follow_redirects=follow_redirects) as client:
        content: bytes = retrying(
            _attempt, client, client.build_request(method, url, headers=headers, json=json), limits
        )
        return content


def _attempt(client: httpx2.Client, message: httpx2.Request, limits: RequestLimits) -> bytes:
    deadline = time.monotonic() + limits.answer
    try:
        answer = client.send(message, stream=True)
        try:
            if not answer.is_success:
                raise HttpFailure(
                    f"status {answer.status_code}",
                    transient=answer.status_code in _TRANSIENT,
                    retry_after=retry_after_seconds(answer.headers.get("Retry-After", "")),
                    status=answer.status_code,
                )
            parts = []
            for part in answer.iter_bytes():
                parts.append(part)
                # The timeout of httpx bounds the wait for each part, not for all of them.
                if time.monotonic() > deadline:
                    raise HttpFailure(f"it took longer than {limits.answer:g} seconds")
            return b"".join(parts)
        finally:
            answer.close()
    except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
        raise HttpFailure(_reason(error), transient=limits.retry_connect) from None
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        transient = isinstance(error, httpx2.TransportError)
        raise HttpFailure(_reason(error), transient=transient) from None


class _Pause:
    """Seconds before an attempt: by the server's Retry-After, else with exponential backoff."""

    def __init__(self, limits: RequestLimits) -> None:
        jitter = wait_random(0.0, limits.pause / 4)
        self._backoff = wait_exponential(multiplier=limits.pause, max=_LONGEST_PAUSE) + jitter

    def __call__(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome is not None else None
        requested = error.retry_after if isinstance(error, HttpFailure) else None
        return self._backoff(state) if requested is None else requested


def _log(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome is not None else None
    logger.info("attempt %d failed (%s); trying again", state.attempt_number, error)


def retry_after_seconds(retry_after: str) -> float | None:
    """Return the seconds of a Retry-After header: a number of seconds, or a date (RFC 9110)."""
    if retry_after.isdigit():
        return float(retry_after)
    try:
        moment = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
