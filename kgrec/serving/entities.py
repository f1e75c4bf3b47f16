"""Entities: find and look at."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from pydantic import AfterValidator

from kgrec.data.records import MAX_ID
from kgrec.errors import NotFoundError
from kgrec.graph.pages import type_of
from kgrec.graph.store import GraphStore
from kgrec.schema import load_schema
from kgrec.serving import parameters as cursors
from kgrec.serving.config import MAX_PAGE
from kgrec.serving.graph_answers import EntityDetails, EntitySummary
from kgrec.serving.parameters import Cursor
from kgrec.serving.schemas import Page, without_controls
from kgrec.serving.security import Role, require
from kgrec.serving.service import CurrentEngine

router = APIRouter(
    prefix="/v1/entities", tags=["graph"], dependencies=[Depends(require(Role.READ))]
)

_MAX_OFFSET = 1000
"""A search goes no further: beyond it a reader is better served by more words."""
_WORD = re.compile(r"\w+")

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
    """Find entities by words of their names; the last word may be unfinished."""
    return find_entities(engine.store, q, type, limit, cursor)


@router.get("/{entity_id:id}")
def get_entity(engine: CurrentEngine, entity_id: EntityId) -> EntityDetails:
    """Return an entity and how many items lead to it."""
    rows = engine.store.read("serving/entity", entity_id=entity_id)
    if not rows:
        raise NotFoundError(
            "there is no such entity",
            value=entity_id,
            remedy="GET /v1/entities?q= finds entities by name.",
        )
    [summary] = _summaries(rows)
    return EntityDetails(
        **summary.model_dump(), aliases=list(rows[0]["aliases"]), items=rows[0]["items"]
    )


def find_entities(
    store: GraphStore, words: str, kind: str, limit: int, cursor: str | None
) -> Page[EntitySummary]:
    """List entities whose name holds the words, the best match first; all of them without words.

    Args:
        kind: a type that they must have, "" for any.
    """
    terms = _WORD.findall(words.lower())
    if terms:
        return _found(store, terms, kind, limit, cursor)
    (after,) = cursors.decode(cursor, [""])
    rows = store.read("serving/entities", type=kind, after=after, limit=limit + 1)
    following = cursors.encode([rows[limit - 1]["entity_id"]]) if len(rows) > limit else None
    return Page[EntitySummary](items=_summaries(rows[:limit]), next=following)


def _found(
    store: GraphStore, terms: Sequence[str], kind: str, limit: int, cursor: str | None
) -> Page[EntitySummary]:
    (reached_before,) = cursors.decode(cursor, [0])
    skip = min(max(int(reached_before), 0), _MAX_OFFSET)
    rows = store.read(
        "serving/search_entities",
        index=store.dialect.fulltext_index("fulltext_entities"),
        query=" ".join([*terms, f"{terms[-1]}*"]),
        terms=list(terms),
        type=kind,
        skip=skip,
        limit=limit + 1,
    )
    reached = skip + limit
    more = len(rows) > limit and reached < _MAX_OFFSET
    return Page[EntitySummary](
        items=_summaries(rows[:limit]), next=cursors.encode([reached]) if more else None
    )


def _summaries(rows: Sequence[dict[str, Any]]) -> list[EntitySummary]:
    shared = load_schema().labels.entity
    return [
        EntitySummary(
            entity_id=row["entity_id"], name=row["name"], type=type_of(row["labels"], shared)
        )
        for row in rows
    ]
