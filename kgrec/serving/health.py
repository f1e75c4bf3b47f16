"""Whether the process lives, and whether it can recommend."""

from __future__ import annotations

from fastapi import APIRouter

from kgrec import __version__
from kgrec.serving.answers import Health, Readiness
from kgrec.serving.service import CurrentEngine

router = APIRouter(tags=["health"])


@router.get("/healthz")
def healthz() -> Health:
    """Say that the process answers, whatever its graph does."""
    return Health(version=__version__)


@router.get("/readyz")
def readyz(engine: CurrentEngine) -> Readiness:
    """Say that the graph answers and a model is live; 503 where that is not so."""
    live = engine.recommender.live.current()
    return Readiness(
        ready=True,
        engine=engine.store.info().engine,
        model_id=live.model_id,
        agents=live.team.weights,
        items=len(live.team.items),
    )
