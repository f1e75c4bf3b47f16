"""Errors that only a server over HTTP has."""

from __future__ import annotations

from kgrec.errors import ConfigError, KGRecError


class UnauthenticatedError(KGRecError):
    """The request carries no key, or one that the server does not know."""

    status = 401


class ForbiddenError(KGRecError):
    """The key's role, or the place a request comes from, does not allow it."""

    status = 403


class RequestTooLargeError(KGRecError):
    """The body is longer than the server reads."""

    status = 413


class MediaTypeError(KGRecError):
    """The body is not what the server reads."""

    status = 415


class InvalidRequestError(ConfigError):
    """A parameter or a field of the body is of no use."""

    status = 422


class OverloadedError(KGRecError):
    """The server has as many requests under way as it takes."""

    status = 503


class NotReadyError(KGRecError):
    """The server cannot answer yet."""

    status = 503


class RequestTimeoutError(KGRecError):
    """The answer took longer than a request may."""

    status = 504
