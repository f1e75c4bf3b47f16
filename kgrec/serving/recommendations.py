"""Recommendations, and why they were made."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from kgrec.explain.records import Explanation
from kgrec.retrieval.knobs import options_of
from kgrec.retrieval.records import RecommendationList
from kgrec.serving import catalogue
from kgrec.serving.ahead import CurrentLists
from kgrec.serving.limits import expensive
from kgrec.serving.parameters import (
    ChosenKnobs,
    Diversity,
    Filters,
    ItemId,
    K,
    PageCursor,
    RequestToken,
    UserId,
)
from kgrec.serving.schemas import as_json
from kgrec.serving.security import Role, require
from kgrec.serving.service import CurrentEngine
from kgrec.serving.telemetry import CurrentTelemetry
from kgrec.serving.visitors import AnonymousRequest, ExplanationRequest

Counterfactual = Annotated[
    bool,
    Query(
        description="Whether to search for the history items without which the item would not be "
        "on the list. That takes most of the time."
    ),
]
router = APIRouter(
    prefix="/v1", tags=["recommendations"], dependencies=[Depends(require(Role.READ))]
)


@router.get("/users/{user_id:id}/recommendations", response_model=RecommendationList)
def recommend(
    engine: CurrentEngine,
    telemetry: CurrentTelemetry,
    ahead: CurrentLists,
    user_id: UserId,
    more: ChosenKnobs,
    k: K = 10,
    filters: Filters = (),
    diversity: Diversity = 0.0,
    cursor: PageCursor = None,
    fallback: Annotated[
        bool,
        Query(
            description="Whether an unknown user gets the popular items, marked as such, or 404."
        ),
    ] = True,
) -> Response:
    """Recommend items that the user has not seen, from the history as it is at this moment.

    With the `cursor` of a list the answer is its next page, from the history as it was then.
    """
    recommender = engine.recommender
    if cursor is not None:
        found = recommender.next_page(cursor, user_id)
    else:
        found = recommender.recommend(user_id, k, filters=filters, diversity=diversity, **more)
        ahead.requesting.note(user_id)
    if found.fallback == "unknown_user" and not fallback:
        raise catalogue.unknown_user(user_id)
    return as_json(telemetry.count_list(found))


@router.get(
    "/users/{user_id:id}/recommendations/{item_id:id}/explanation",
    response_model=Explanation,
    dependencies=[Depends(expensive)],
)
def explain(
    engine: CurrentEngine,
    user_id: UserId,
    item_id: ItemId,
    request_id: RequestToken = None,
    counterfactual: Counterfactual = False,
) -> Response:
    """Explain why an item is recommended: numbers that sum to the score, paths that exist.

    With the `request_id` of a list the explanation is of that very list: its model, filters, k,
    diversity and hour; `changed` names what has changed since. Without one it is of a list
    without filters, at the current time.
    """
    found = engine.explainer.explain(user_id, item_id, request_id, counterfactual=counterfactual)
    return as_json(found)


@router.post("/recommendations", response_model=RecommendationList)
def recommend_for(
    engine: CurrentEngine, telemetry: CurrentTelemetry, request: AnonymousRequest
) -> Response:
    """Recommend to a visitor, who is not in the graph, from what the request describes.

    Ids that the graph lacks are ignored. Without an item that the model knows, the list is by
    declared properties and liked entities, and without these the popular items come; `fallback`
    is set then.
    """
    if request.cursor is not None:
        after = engine.recommender.next_page(request.cursor, visitor=request.visitor)
        return as_json(telemetry.count_list(after))
    found = engine.recommender.recommend_for(
        request.visitor,
        request.k,
        filters=request.filters,
        diversity=request.diversity,
        **options_of(request),
    )
    return as_json(telemetry.count_list(found))


@router.post("/explanations", response_model=Explanation, dependencies=[Depends(expensive)])
def explain_for(engine: CurrentEngine, request: ExplanationRequest) -> Response:
    """Explain why an item is recommended to a visitor, who is not in the graph.

    The visitor is described as for the list, since a `request_id` holds nothing of that.
    """
    found = engine.explainer.explain_for(
        request.visitor,
        request.item_id,
        request.request_id,
        counterfactual=request.counterfactual,
    )
    return as_json(found)
