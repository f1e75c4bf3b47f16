"""Entities: find and look at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import AfterValidator

from kgrec.data.records import MAX_ID
from kgrec.graph.pages import type_of
from kgrec.retrieval.finding.finder import find
from kgrec.schema import load_schema
from kgrec.serving import parameters as cursors
from kgrec.serving import writing
from kgrec.serving.catalogue import page_of, unknown_entity
from kgrec.serving.config import MAX_PAGE
from kgrec.serving.graph_answers import EntityDetails, EntitySummary
from kgrec.serving.parameters import Cursor
from kgrec.serving.schemas import Page, without_controls
from kgrec.serving.security import Role, require
from kgrec.serving.service import CurrentEngine, Engine

router = APIRouter(
    prefix="/v1/entities", tags=["graph"], dependencies=[Depends(require(Role.READ))]
)

EntityId = Annotated[
    str,
    Path(min_length=1, max_length=MAX_ID, examples=["person:george-lucas"]),
    AfterValidator(without_controls),
]


@router.get("")
def list_entities(
    engine: CurrentEngine,
    q: Annotated[str, Query(max_length=200, description="Words of the name.")] = "",
    type: Annotated[
        str, Query(max_length=100, description="Such as Person.", examples=["Person"])
    ] = "",
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 20,
    cursor: Cursor = None,
) -> Page[EntitySummary]:
    """Find entities by words of their names, as items are found by their titles."""
    return find_entities(engine, q, type, limit, cursor)


@router.get("/{entity_id:id}")
def get_entity(engine: CurrentEngine, entity_id: EntityId) -> EntityDetails:
    """Return an entity and how many items lead to it."""
    rows = engine.store.read("serving/entity", entity_id=entity_id)
    if not rows:
        raise unknown_entity(entity_id)
    [summary] = _summaries(rows)
    return EntityDetails(
        **summary.model_dump(), aliases=list(rows[0]["aliases"]), items=rows[0]["items"]
    )


@router.delete("/{entity_id:id}", dependencies=[Depends(require(Role.WRITE))], status_code=204)
def delete_entity(engine: CurrentEngine, entity_id: EntityId) -> Response:
    """Remove an entity with all facts and links that are tied to it; the items stay.

    `kgrec graph restore` brings all of it back until `kgrec graph sweep`.
    """
    writing.retire_entity(engine, entity_id)
    return Response(status_code=204)


def find_entities(
    engine: Engine, words: str, kind: str, limit: int, cursor: str | None
) -> Page[EntitySummary]:
    """List entities by words of their names, the best match first; all of them without words.

    Args:
        kind: a type that they must have, "" for any.
    """
    if words.strip():
        matches = find(engine.store, "entity", words, engine.recommender.resident, kind)
        chosen, position = page_of(matches, limit, cursor)
        found = [EntitySummary(entity_id=one.id, name=one.name, type=one.type) for one in chosen]
        return Page[EntitySummary](items=found, next=cursors.encode(position) if position else None)
    (after,) = cursors.decode(cursor, [""])
    rows = engine.store.read("serving/entities", type=kind, after=after, limit=limit + 1)
    following = cursors.encode([rows[limit - 1]["entity_id"]]) if len(rows) > limit else None
    return Page[EntitySummary](items=_summaries(rows[:limit]), next=following)


def _summaries(rows: Sequence[dict[str, Any]]) -> list[EntitySummary]:
    shared = load_schema().labels.entity
    return [
        EntitySummary(
            entity_id=row["entity_id"], name=row["name"], type=type_of(row["labels"], shared)
        )
        for row in rows
    ]
