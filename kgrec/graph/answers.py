"""Rows of a free statement, cut where a limit is reached."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from kgrec.graph.statements import row

if TYPE_CHECKING:
    import neo4j


@dataclass(frozen=True)
class QueryResult:
    """Rows of a free statement, and which limit cut them, if one did."""

    columns: tuple[str, ...]
    rows: list[dict[str, Any]]
    cut: Literal["rows", "bytes"] | None = None

    @property
    def truncated(self) -> bool:
        """Whether there are more rows."""
        return self.cut is not None


def fetched(result: neo4j.Result, limit: int, max_bytes: int | None) -> QueryResult:
    """Read rows until a limit cuts them; `max_bytes` counts them as JSON."""
    keys = tuple(result.keys())
    rows: list[dict[str, Any]] = []
    size = 0
    for record in result:
        if len(rows) == limit:
            return QueryResult(keys, rows, "rows")
        one = row(keys, record.values())
        if max_bytes is not None:
            size += len(json.dumps(one, default=str))
            if size > max_bytes:
                return QueryResult(keys, rows, "bytes")
        rows.append(one)
    return QueryResult(keys, rows)
