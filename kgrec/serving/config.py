"""What bounds the server."""

from __future__ import annotations

from pydantic import Field

from kgrec.config import FrozenModel


class ServingConfig(FrozenModel):
    """Limits of the HTTP API.

    Attributes:
        max_body_bytes: longest request body that is read.
        time_limit_s: seconds a request may take before it is answered with 504.
        max_connections: connections that are open at once; one more is answered with 503.
        max_in_flight: requests under way at once; one more is answered with 503.
    """

    max_body_bytes: int = Field(default=256 * 1024, gt=0)
    time_limit_s: float = Field(default=15.0, gt=0)
    max_connections: int = Field(default=1024, gt=0)
    max_in_flight: int = Field(default=128, gt=0)


MAX_K = 100
"""Most recommendations, or similar items, in one answer."""

MAX_PAGE = 100
"""Most entries of a list in one answer."""

MAX_HISTORY = 1000
"""Most items in the history that a request carries."""
