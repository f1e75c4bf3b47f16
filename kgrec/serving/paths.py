"""Ids in paths: a slash separates, and a slash inside an id is written `%2F`.

ASGI servers decode a path before it is matched, so `u1/feedback/100` as the id of a user and the
feedback of `u1` would be one path. Here the raw path is cut at its slashes first and decoded
afterwards (RFC 3986, section 2.4), so that every id has exactly one path.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any
from urllib.parse import unquote_to_bytes

from starlette.types import ASGIApp, Receive, Scope, Send

from kgrec.serving.problems import plain_problem

_PREFIX = b"/v1/"
_PARAMETER = re.compile(r"\{[^}]*\}")


class ApiPaths:
    """The paths of the application.

    Args:
        operations: returns what there is by path and method; called when it is first needed.
    """

    def __init__(self, operations: Callable[[], Mapping[str, Mapping[str, Any]]]) -> None:
        self._operations = operations

    @cached_property
    def words(self) -> frozenset[str]:
        """Fixed segments that follow an id, such as `history`."""
        found: set[str] = set()
        for path in self._operations():
            _, first, rest = path.partition("{")
            found |= {part for part in rest.split("/")[1:] if first and not part.startswith("{")}
        return frozenset(found)

    @cached_property
    def _methods(self) -> Sequence[tuple[re.Pattern[str], frozenset[str]]]:
        return [
            (
                re.compile("[^/]+".join(map(re.escape, _PARAMETER.split(path)))),
                frozenset(map(str.upper, operations)),
            )
            for path, operations in self._operations().items()
        ]

    def methods(self, path: str) -> frozenset[str]:
        """Return every method that a path allows, whichever route answers it."""
        found = [methods for pattern, methods in self._methods if pattern.fullmatch(path)]
        return frozenset().union(*found)


class ExactPaths:
    """ASGI middleware that has the routes of the API matched on the raw path."""

    def __init__(self, app: ASGIApp, paths: ApiPaths) -> None:
        self.app = app
        self.paths = paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raw = scope.get("raw_path") if scope["type"] == "http" else None
        root = str(scope.get("root_path", "")).encode()
        if raw is None or not raw.removeprefix(root).startswith(_PREFIX):
            await self.app(scope, receive, send)
            return
        try:
            path = self._exact(raw.partition(b"?")[0].removeprefix(root))
        except UnicodeDecodeError:
            problem = plain_problem(
                400, "the path is not UTF-8", scope["path"], "Encode ids as UTF-8, then as %XX."
            )
            await problem(scope, receive, send)
            return
        await self.app({**scope, "path": root.decode() + path}, receive, send)

    def _exact(self, raw: bytes) -> str:
        segments = [unquote_to_bytes(part).decode() for part in raw.split(b"/")]
        return "/".join(map(_escaped, self._joined(segments)))

    def _joined(self, segments: list[str]) -> Iterable[str]:
        """Join an id whose slashes an older client left as they are, where only that is meant."""
        head, tail = segments[:3], segments[3:]
        if len(tail) < 2 or not all(tail):
            return segments
        if self.paths.words.intersection("/".join(tail[1:]).split("/")):
            return segments
        return [*head, "/".join(tail)]


def _escaped(segment: str) -> str:
    return segment.replace("%", "%25").replace("/", "%2F")
