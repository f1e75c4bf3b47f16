"""Many interactions in one request, written in one transaction before they are acknowledged."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Depends, Request
from pydantic import Field, ValidationError

from kgrec.data.cells.values import CellError
from kgrec.graph.redirects import redirects_of
from kgrec.serving.event_names import EventNames
from kgrec.serving.feedback import interaction_of
from kgrec.serving.parameters import Body
from kgrec.serving.schemas import (
    MAX_REJECTS,
    FeedbackRequest,
    InteractionsWritten,
    RejectedInteraction,
)
from kgrec.serving.security import Role, require
from kgrec.serving.service import CurrentEngine
from kgrec.serving.writing import JSON_LINES, printable, rows_of

router = APIRouter(prefix="/v1", tags=["feedback"], dependencies=[Depends(require(Role.WRITE))])

_EXAMPLE = {"user_id": "42", "item_id": "50", "kind": "rating", "value": 4.0}
_SHOWN = 200


class InteractionRow(FeedbackRequest):
    """One row: feedback, and a key of the caller's by which it is known again."""

    idempotency_key: str | None = Field(default=None, min_length=1, max_length=200)


@router.post(
    "/interactions",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"type": "array", "items": {"type": "object"}, "minItems": 1},
                    "example": [_EXAMPLE],
                },
                JSON_LINES: {
                    "schema": {"type": "string", "description": "One JSON object a line."},
                    "example": json.dumps(_EXAMPLE) + "\n",
                },
            },
        }
    },
)
def record_interactions(engine: CurrentEngine, request: Request, body: Body) -> InteractionsWritten:
    """Record what users did with items: an array, or JSON lines, of the fields of feedback.

    All rows are committed together, before they are acknowledged; rows of no use are set aside and
    counted. The kind may be a usual name of an event (`buy`, `add_to_cart`), or one that `kinds` of
    a source maps, as `kgrec ingest interactions` reads it. A row with `at` or `idempotency_key`
    counts once, however often it is sent.
    """
    now = datetime.now(UTC)
    rejects: list[RejectedInteraction] = []
    rows: dict[tuple[str, str, str], dict[str, Any]] = {}
    lines: dict[tuple[str, str, str], list[int]] = {}
    given = rows_of(body, request.headers.get("content-type", ""), "interaction", _EXAMPLE)
    events, redirects = EventNames(engine.store), redirects_of(engine.store)
    for line, fields in given:
        try:
            row = InteractionRow.model_validate(events.read(fields))
        except CellError as error:
            value = printable(str(error.value)[:_SHOWN])
            rejects.append(RejectedInteraction(line=line, reason=error.reason, value=value))
            continue
        except ValidationError as error:
            rejects.append(_invalid(line, error))
            continue
        values = interaction_of(row, now, row.idempotency_key)
        values["item_id"] = redirects.of("item", row.item_id)
        key = (row.user_id, values["item_id"], values["key"])
        rows.setdefault(key, {"n": line, **values})
        lines.setdefault(key, []).append(line)
    created = 0
    if rows:
        answers = engine.store.write("serving/record_interactions", rows=list(rows.values()))
        created = sum(not answer["known"] for answer in answers)
        written = {answer["n"] for answer in answers}
        for key, values in rows.items():
            if values["n"] not in written:
                rejects += [_unknown(line, values["item_id"]) for line in lines[key]]
    return InteractionsWritten(
        created=created,
        known=len(given) - created - len(rejects),
        rejected=len(rejects),
        rejects=sorted(rejects, key=lambda each: each.line)[:MAX_REJECTS],
    )


def _invalid(line: int, error: ValidationError) -> RejectedInteraction:
    problem = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in problem["loc"])
    value = problem.get("input")
    shown = str(value)[:_SHOWN] if isinstance(value, str | int | float | bool) else None
    return RejectedInteraction(
        line=line, reason=f"{where}: {problem['msg']}", value=printable(shown)
    )


def _unknown(line: int, item_id: str) -> RejectedInteraction:
    return RejectedInteraction(line=line, reason="item_id: there is no such item", value=item_id)
