"""Items: find, look at, compare, create, change, remove."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response

from kgrec.retrieval.records import RecommendationList
from kgrec.serving import catalogue, writing
from kgrec.serving.config import MAX_PAGE
from kgrec.serving.parameters import Body, Cursor, Filters, ItemId, K, PageCursor
from kgrec.serving.schemas import Item, ItemSummary, ItemsWritten, Page, as_json
from kgrec.serving.security import Role, require
from kgrec.serving.service import CurrentEngine

router = APIRouter(prefix="/v1/items", tags=["items"])

_reads = [Depends(require(Role.READ))]
_writes = [Depends(require(Role.WRITE))]
_ONE = {"type": "object", "additionalProperties": True}
_EXAMPLE: dict[str, Any] = {
    "item_id": "1683",
    "title": "Aftersun",
    "year": 2022,
    "genres": ["Drama"],
    "director": "Charlotte Wells",
    "available_from": "2026-12-01T00:00:00Z",
}


def _described(*schemas: dict[str, Any], lines: bool, example: dict[str, Any]) -> dict[str, Any]:
    schema = {"oneOf": list(schemas)} if len(schemas) > 1 else schemas[0]
    content: dict[str, Any] = {"application/json": {"schema": schema, "example": example}}
    if lines:
        text = {"type": "string", "description": "One JSON object a line."}
        content["application/x-ndjson"] = {"schema": text, "example": '{"item_id": "1683"}\n'}
    return {"requestBody": {"required": True, "content": content}}


Domain = Annotated[
    str | None,
    Query(max_length=100, description="Domain of the items; that of the live model when absent."),
]
Source = Annotated[
    str,
    Query(
        min_length=1,
        max_length=100,
        pattern=r"^[\w .-]+$",
        description="Name of the table that facts belong to: the file's name of a catalogue that "
        "was loaded, to go on with its facts.",
    ),
]


@router.get("", dependencies=_reads)
def list_items(
    engine: CurrentEngine,
    q: Annotated[str, Query(max_length=200, description="Words of the title.")] = "",
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 20,
    cursor: Cursor = None,
) -> Page[ItemSummary]:
    """Find items by words of their titles, the best match first.

    The last word may be unfinished, and a word may have an error of one letter. Case, accents,
    apostrophes and other signs make no difference; signs alone find nothing.
    """
    return catalogue.find_items(engine, q, limit, cursor)


@router.post(
    "",
    dependencies=_writes,
    openapi_extra=_described(_ONE, {"type": "array", "items": _ONE}, lines=True, example=_EXAMPLE),
)
def put_items(
    engine: CurrentEngine,
    request: Request,
    body: Body,
    domain: Domain = None,
    source: Source = "api",
) -> ItemsWritten:
    """Create items, and change those that are there: one object, an array, or JSON lines.

    The names of the fields are recognised as the columns of a catalogue file are. What a row
    leaves out stays as it is, and the same rows twice change nothing. Rows and cells of no use are
    set aside and counted. An item that the live model does not know (`untrained`) is read, folded
    into it and recommended within seconds, by the process that `kgrec serve` runs beside it.
    """
    rows = writing.rows_of(body, request.headers.get("content-type", ""), "item", {"item_id": "1"})
    return writing.upsert(engine, rows, domain, source)


@router.get("/{item_id:id}/similar", response_model=RecommendationList, dependencies=_reads)
def get_similar(
    engine: CurrentEngine,
    item_id: ItemId,
    k: K = 10,
    filters: Filters = (),
    cursor: PageCursor = None,
) -> Response:
    """Return the items that somebody who likes this one tends to like.

    With the `cursor` of a list the answer is its next page.
    """
    found = engine.recommender.similar(item_id, k, filters=filters, cursor=cursor)
    return as_json(found)


@router.get("/{item_id:id}", dependencies=_reads)
def get_item(engine: CurrentEngine, item_id: ItemId) -> Item:
    """Return an item with every fact of the graph about it."""
    return catalogue.read_item(engine.store, item_id)


@router.patch(
    "/{item_id:id}",
    dependencies=_writes,
    openapi_extra=_described(_ONE, lines=False, example={"available": False}),
)
def change_item(engine: CurrentEngine, item_id: ItemId, body: Body, source: Source = "api") -> Item:
    """Change some fields of an item; null empties a property, and withdraws a column's facts.

    `{"available": false}` hides the item from the very next request.
    """
    writing.change(engine, item_id, body, source)
    return catalogue.read_item(engine.store, item_id)


@router.delete("/{item_id:id}", dependencies=_writes, status_code=204)
def delete_item(engine: CurrentEngine, item_id: ItemId) -> Response:
    """Remove an item, its facts and what users did with it; `available` false hides one.

    Entities that only this item led to go with it. `kgrec graph restore` brings all of it back
    until `kgrec graph sweep`.
    """
    writing.retire(engine, item_id)
    return Response(status_code=204)
