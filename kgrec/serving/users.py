"""Users: find, look at, erase."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from kgrec.data.records import MAX_ID
from kgrec.serving import catalogue
from kgrec.serving.ahead import CurrentLists
from kgrec.serving.config import MAX_PAGE
from kgrec.serving.parameters import Cursor, UserId
from kgrec.serving.schemas import HistoryEntry, Page, User
from kgrec.serving.security import Role, require
from kgrec.serving.service import CurrentEngine
from kgrec.stages.retiring.restore import forget_user

router = APIRouter(prefix="/v1/users", tags=["users"])

_reads = [Depends(require(Role.READ))]


@router.get("", dependencies=_reads)
def list_users(
    engine: CurrentEngine,
    q: Annotated[str, Query(max_length=MAX_ID, description="How the id begins.")] = "",
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 20,
    cursor: Cursor = None,
) -> Page[User]:
    """Find users by the beginning of their id."""
    return catalogue.find_users(engine.store, q.strip(), limit, cursor)


@router.get("/{user_id:id}/history", dependencies=_reads)
def get_history(
    engine: CurrentEngine,
    user_id: UserId,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 50,
    cursor: Cursor = None,
) -> Page[HistoryEntry]:
    """Return what a user did, the newest first."""
    return catalogue.read_history(engine.store, user_id, limit, cursor)


@router.get("/{user_id:id}", dependencies=_reads)
def get_user(engine: CurrentEngine, user_id: UserId) -> User:
    """Return a user and what is known of them."""
    return catalogue.read_user(engine.store, user_id)


@router.delete("/{user_id:id}", dependencies=[Depends(require(Role.ADMIN))], status_code=204)
def erase_user(engine: CurrentEngine, ahead: CurrentLists, user_id: UserId) -> Response:
    """Erase a user: the node, the history, what is retired of it, and stored recommendations.

    A model that was trained before holds no row of a user, but it was learned from their history
    among all others; train again where that must go too.
    """
    ahead.requesting.forget(user_id)
    rows = engine.store.write("serving/erase_user", user_id=user_id)
    forget_user(engine.store, user_id)
    if not rows or not rows[0]["erased"]:
        raise catalogue.unknown_user(user_id)
    return Response(status_code=204)
