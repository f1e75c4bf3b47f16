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
    """Say that the process answers, whatever its graph does."""
    return Health(version=__version__)


@router.get("/readyz")
def readyz(engine: CurrentEngine) -> Readiness:
    """Say that the graph answers and a model is live; 503 where that is not so."""
    engine.recommender.live.current()  # raises where either is away
    return Readiness(ready=True, parts={"graph": "ok", "model": "ok"})


@router.get("/v1/model", dependencies=[Depends(require(Role.READ))])
def get_model(engine: CurrentEngine) -> Model:
    """Return which model serves, and what it is made of."""
    live = engine.recommender.live.current()
    return Model(
        engine=engine.store.info().engine,
        model_id=live.model_id,
        agents=live.team.weights,
        items=len(live.team.items),
    )
