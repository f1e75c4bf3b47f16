"""What bounds the server."""

from __future__ import annotations

import os

from pydantic import Field

from kgrec.config import FrozenModel


class ServingConfig(FrozenModel):
    """Limits of the HTTP API.

    Attributes:
        max_body_bytes: longest request body that is read.
        time_limit_s: seconds a request may take before it is answered with 504.
        header_time_limit_s: seconds until the headers of a request must be complete; a connection
            that is slower is closed.
        body_time_limit_s: seconds until the body must be complete; a slower one is answered with
            504.
        keep_alive_s: seconds that a connection stays open between two requests.
        max_connections: connections that are open at once; for one more, that which has kept the
            server waiting the longest is closed.
        max_in_flight: requests under way at once, their bodies complete; one more is answered
            with 503.
        max_threads: requests that are worked on at once; others wait in turn. More than the
            processors can hold makes all of them slow, since they share one interpreter.
        max_expensive: explanations that are computed at once.
        max_waiting: explanations that wait for their turn; one more is answered with 503.
        ahead: of so many users at most, those who were active last, lists are made while no request
            is under way; see `kgrec.serving.ahead`.
    """

    max_body_bytes: int = Field(default=256 * 1024, gt=0)
    time_limit_s: float = Field(default=15.0, gt=0)
    header_time_limit_s: float = Field(default=10.0, gt=0)
    body_time_limit_s: float = Field(default=10.0, gt=0)
    keep_alive_s: int = Field(default=30, gt=0)
    max_connections: int = Field(default=1024, gt=0)
    max_in_flight: int = Field(default=128, gt=0)
    max_threads: int = Field(default=8, gt=0)
    max_expensive: int = Field(default=max(2, os.cpu_count() or 2), gt=0)
    max_waiting: int = Field(default=32, ge=0)
    ahead: int = Field(default=2_000, ge=0)


MAX_K = 100
"""Most recommendations, or similar items, in one answer."""

MAX_PAGE = 100
"""Most entries of a list in one answer."""

MAX_HISTORY = 1000
"""Most items in the history that a request carries."""
