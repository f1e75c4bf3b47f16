"""Whether the process lives, and whether it can recommend."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from kgrec.serving.schemas import Health, Model, Readiness
from kgrec.serving.security import Role, require
from kgrec.serving.service import CurrentEngine
from kgrec.version import __version__

router = APIRouter(tags=["health"])


@router.get("/healthz")
def healthz() -> Health:
    """Report that the process answers, whatever the state of its graph."""
    return Health(version=__version__)


@router.get("/readyz")
def readyz(engine: CurrentEngine) -> Readiness:
    """Report that the graph answers and a model is live; 503 otherwise."""
    engine.recommender.live.current()  # raises where either is away
    return Readiness(ready=True, parts={"graph": "ok", "model": "ok"})


@router.get("/v1/model", dependencies=[Depends(require(Role.READ))])
def get_model(engine: CurrentEngine) -> Model:
    """Return the live model and its stored record."""
    live = engine.recommender.live.current()
    return Model(
        engine=engine.store.info().engine,
        model_id=live.model_id,
        created_at=live.record.created_at,
        agents=live.record.shares,
        failed=live.record.failed,
        metrics=live.record.metrics,
        settings=live.record.settings.get("settings", {}),
        items=live.record.items,
        vocabulary_hash=live.record.vocabulary,
    )
