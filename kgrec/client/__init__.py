"""A typed client of the HTTP API: `Client`, and `AsyncClient` for asyncio.

    with Client("http://127.0.0.1:8000", key="...") as kgrec:
        for item in kgrec.recommend("42", k=5).items:
            print(item.title, [reason.words for reason in item.reasons])

Both have one method for each operation of the API, and answer with the same records that the
library itself returns. Errors of the server are raised as `ApiError`s.
"""

from kgrec.client.errors import (
    ApiError,
    ConflictingRequestError,
    KeyNotAllowedError,
    KeyNotKnownError,
    RequestRefusedError,
    ResourceNotFoundError,
    ServerUnavailableError,
    TooManyRequestsError,
)
from kgrec.client.transport import AsyncClient, Client, RetryConfig

__all__ = [
    "ApiError",
    "AsyncClient",
    "Client",
    "ConflictingRequestError",
    "KeyNotAllowedError",
    "KeyNotKnownError",
    "RequestRefusedError",
    "ResourceNotFoundError",
    "RetryConfig",
    "ServerUnavailableError",
    "TooManyRequestsError",
]
