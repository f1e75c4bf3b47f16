"""Corrections of facts: what a person knows better than a table or a text."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from kgrec.serving.schemas import Corrected, CorrectionRequest
from kgrec.serving.security import Role, require
from kgrec.serving.service import CurrentEngine
from kgrec.stages.corrections import correct

router = APIRouter(prefix="/v1", tags=["items"], dependencies=[Depends(require(Role.WRITE))])


@router.post("/corrections")
def correct_fact(engine: CurrentEngine, correction: CorrectionRequest) -> Corrected:
    """Confirm or reject a fact of an item, or put another entity in its place.

    It is kept in the graph: no load and no reading of texts brings a rejected fact back or
    withdraws a confirmed one. The last correction of a fact counts.
    """
    done = correct(
        engine.store,
        correction.item_id,
        correction.relation,
        correction.entity,
        correction.verdict,
        instead=correction.instead,
    )
    return Corrected(**done.model_dump())
