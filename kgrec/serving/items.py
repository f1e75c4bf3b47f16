"""Items: find, look at, compare."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from kgrec.retrieval.records import RecommendationList
from kgrec.serving import catalogue
from kgrec.serving.config import MAX_PAGE
from kgrec.serving.parameters import Cursor, Filters, ItemId, K
from kgrec.serving.schemas import Item, ItemSummary, Page
from kgrec.serving.security import Role, require
from kgrec.serving.service import CurrentEngine

router = APIRouter(prefix="/v1/items", tags=["items"], dependencies=[Depends(require(Role.READ))])


@router.get("")
def list_items(
    engine: CurrentEngine,
    q: Annotated[str, Query(max_length=200, description="Words of the title.")] = "",
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 20,
    cursor: Cursor = None,
) -> Page[ItemSummary]:
    """Find items by words of their titles; the last word may be unfinished."""
    return catalogue.find_items(engine.store, q, limit, cursor)


@router.get("/{item_id:id}/similar")
def get_similar(
    engine: CurrentEngine, item_id: ItemId, k: K = 10, filters: Filters = ()
) -> RecommendationList:
    """Return the items that somebody who likes this one tends to like."""
    return engine.recommender.similar(item_id, k, filters=filters)


@router.get("/{item_id:id}")
def get_item(engine: CurrentEngine, item_id: ItemId) -> Item:
    """Return an item with every fact of the graph about it."""
    return catalogue.read_item(engine.store, item_id)
