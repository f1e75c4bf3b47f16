"""Feedback: what users do, written to the graph before it is acknowledged."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Response

from kgrec.data.records import interaction_key
from kgrec.graph.redirects import redirects_of
from kgrec.serving import catalogue
from kgrec.serving.parameters import ItemId, UserId
from kgrec.serving.problems import InvalidRequestError
from kgrec.serving.schemas import Feedback, FeedbackRequest, Withdrawn
from kgrec.serving.security import Role, require
from kgrec.serving.service import CurrentEngine

router = APIRouter(prefix="/v1", tags=["feedback"], dependencies=[Depends(require(Role.WRITE))])

_OPINIONS = ["like", "dislike", "skip"]


@router.post(
    "/feedback",
    status_code=201,
    responses={200: {"model": Feedback, "description": "It was there already."}},
)
def record(
    engine: CurrentEngine,
    feedback: FeedbackRequest,
    response: Response,
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=200)] = None,
) -> Feedback:
    """Record what a user did with an item; the next recommendation takes it into account.

    It is acknowledged after it is committed: 201 when it is new, 200 when it was there already.
    A request may be sent again without harm when it carries `at` or an `Idempotency-Key`, which
    counts for its user and item. What a user did last with an item is what stands: a dislike
    after a like takes the item out of the history that recommendations are made from, and counts
    against what is like it as far as the model has learned that it should.
    """
    values = interaction_of(feedback, datetime.now(UTC), idempotency_key)
    written = {**values, "at": catalogue.moment(values["at"])}
    rows = engine.store.write("serving/record_feedback", **written)
    if not rows and (now := redirects_of(engine.store).items.get(feedback.item_id)):
        rows = engine.store.write("serving/record_feedback", **{**written, "item_id": now})
    if not rows:
        raise catalogue.unknown_item(feedback.item_id)
    row = rows[0]
    if idempotency_key is not None and (row["kind"], row["value"]) != (
        feedback.kind,
        values["value"],
    ):
        raise InvalidRequestError(
            "the Idempotency-Key was used for other feedback",
            value=f"{row['kind']} {row['value']:g}",
            remedy="Use a new key for new feedback.",
        )
    response.status_code = 200 if row["known"] else 201
    return Feedback(
        user_id=feedback.user_id,
        item_id=feedback.item_id,
        kind=row["kind"],
        value=row["value"],
        at=catalogue.moment(row["at"]),
        created=not row["known"],
    )


@router.delete("/users/{user_id:id}/feedback/{item_id:id}")
def withdraw(engine: CurrentEngine, user_id: UserId, item_id: ItemId) -> Withdrawn:
    """Take back the likes, dislikes and skips of an item; nothing else of the history goes.

    What they did to scores is undone by that.
    """
    catalogue.read_user(engine.store, user_id)
    now = redirects_of(engine.store).of("item", item_id)
    rows = engine.store.write(
        "serving/withdraw_feedback", user_id=user_id, item_id=now, kinds=_OPINIONS
    )
    return Withdrawn(withdrawn=rows[0]["withdrawn"] if rows else 0)


def interaction_of(
    feedback: FeedbackRequest, now: datetime, idempotency_key: str | None
) -> dict[str, Any]:
    """Return what is written of feedback, by the parameters of the statements.

    Args:
        now: when it happened where it does not say.
        idempotency_key: by which it is known again; without one kind and time are its key.
    """
    milliseconds = int((feedback.at or now).timestamp() * 1000)
    return {
        "user_id": feedback.user_id,
        "item_id": feedback.item_id,
        "key": _key(feedback.kind, milliseconds, idempotency_key),
        "kind": feedback.kind,
        "value": 1.0 if feedback.value is None else feedback.value,
        "at": milliseconds,
        "device": feedback.device,
        "scenario": feedback.scenario,
    }


def _key(kind: str, milliseconds: int, idempotency_key: str | None) -> str:
    if idempotency_key is None:
        return interaction_key(kind, milliseconds)
    digest = hashlib.sha256(idempotency_key.encode()).hexdigest()
    return f"idempotency@{digest[:32]}"
