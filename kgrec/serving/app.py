"""The HTTP application: routes, errors, limits, keys, health, and the files of the page."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import FileResponse
from fastapi.routing import APIRoute
from fastapi.staticfiles import StaticFiles
from starlette.responses import Response
from starlette.types import Scope

from kgrec.config import Settings, load_settings
from kgrec.errors import ConfigError
from kgrec.schema import Domain, load_schema
from kgrec.serving import (
    corrections,
    cypher,
    entities,
    feedback,
    interactions,
    items,
    neighbourhood,
    queries,
    recommendations,
    users,
)
from kgrec.serving.ahead import ListsAhead
from kgrec.serving.authentication import Authentication
from kgrec.serving.config import ServingConfig
from kgrec.serving.examples import add_examples
from kgrec.serving.keys import KeyRing
from kgrec.serving.limits import Activity, Limits, Slots
from kgrec.serving.paths import ApiPaths, ExactPaths
from kgrec.serving.problems import MEDIA_TYPE, Problem, add_handlers
from kgrec.serving.schemas import Health, Model, Readiness
from kgrec.serving.security import LoopbackOnly, Role, SecurityHeaders, require
from kgrec.serving.service import CurrentEngine, Loaded, Service
from kgrec.serving.telemetry import RequestLog, Telemetry, note_route
from kgrec.serving.telemetry import router as metrics
from kgrec.serving.tracing import RequestSpans, Tracing
from kgrec.serving.transfer import Transfer
from kgrec.version import __version__

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def healthz() -> Health:
    """Report that the process answers, whatever the state of its graph."""
    return Health(version=__version__)


@router.get("/readyz")
async def readyz(request: Request) -> Readiness:
    """Report that the graph answers and a model is live; 503 otherwise."""
    service: Service = request.app.state.service

    def look() -> None:
        with service.engine() as engine:
            engine.recommender.live.current()  # raises where either is away

    await to_thread.run_sync(look, limiter=request.app.state.health_threads)
    return Readiness(ready=True, parts={"graph": "ok", "model": "ok"})


@router.get("/v1/model", dependencies=[Depends(require(Role.READ))])
def get_model(engine: CurrentEngine) -> Model:
    """Return the live model and its stored record."""
    live = engine.recommender.live.current()
    domain = _domain(live.selection.domain)
    words = {}
    if domain is not None:
        words = {"domain": domain.name, "item_word": domain.item_word, "item_plural": domain.plural}
    return Model(
        engine=engine.store.info().engine,
        model_id=live.model_id,
        **words,
        filter_example=[] if domain is None else list(domain.examples.get("filter", ())),
        created_at=live.record.created_at,
        agents=live.record.shares,
        failed=live.record.failed,
        metrics=live.record.metrics,
        settings=live.record.settings.get("settings", {}),
        items=live.record.items,
        vocabulary_hash=live.record.vocabulary,
    )


def _domain(name: str | None) -> Domain | None:
    """Return a domain by its name, None where its file is no longer there."""
    with suppress(ConfigError):
        return None if name is None else load_schema().domain(name)
    return None


_STATIC = Path(__file__).resolve().parent / "static"
_REVALIDATE = {"Cache-Control": "no-cache"}


class _Files(StaticFiles):
    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.update(_REVALIDATE)
        return response


def add_page(app: FastAPI) -> None:
    """Serve the explorer at `/`, the description of the API at `/docs`, and their files."""
    app.mount("/static", _Files(directory=_STATIC), name="static")

    @app.api_route("/", methods=["GET", "HEAD"], include_in_schema=False)
    def page() -> FileResponse:
        return FileResponse(_STATIC / "index.html", headers=_REVALIDATE)

    @app.api_route("/docs", methods=["GET", "HEAD"], include_in_schema=False)
    def docs() -> FileResponse:
        return FileResponse(_STATIC / "docs.html", headers=_REVALIDATE)


_DESCRIPTION = """
Recommendations from a knowledge graph, each with the reasons for it. Every answer that is not a
success is a problem document (RFC 9457) with `what`, `value` and `remedy`.

In a path a slash separates: encode ids, so that `a/b` is `a%2Fb`.
"""
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": text}
    for status, text in {
        400: "The body cannot be read, or a filter makes no sense.",
        401: "The server needs a key.",
        403: "The key does not allow this.",
        404: "There is no such user or item.",
        413: "The body is too long.",
        415: "The body is not JSON.",
        429: "The key was used more often than it may be.",
        422: "A parameter or the body is of no use.",
        503: "The graph or the model is away; try again.",
        504: "The answer took too long.",
    }.items()
}


def create_app(
    settings: Settings | None = None,
    config: ServingConfig | None = None,
    loaded: Loaded | None = None,
    activity: Activity | None = None,
) -> FastAPI:
    """Build the application; `uvicorn --factory kgrec.serving.app:create_app` runs it too.

    Args:
        settings: where graph, models and keys are; from the environment when absent.
        config: limits.
        loaded: a model and a catalogue to begin with.
        activity: of the requests, where other processes are to know of them.

    Raises:
        ConfigError: the keys are not usable.
    """
    settings = settings or load_settings()
    config = config or ServingConfig()
    keys = KeyRing.of(settings)
    service = Service(settings, config.time_limit_s, loaded)
    tracing = Tracing.of_environment()
    telemetry = Telemetry(service, tracing)
    service.on_open = telemetry.observe
    activity = activity or Activity()
    ahead = ListsAhead(service, activity, config.ahead, config.time_limit_s)
    ahead.on_made = telemetry.lists_ahead.inc

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        to_thread.current_default_thread_limiter().total_tokens = config.max_threads
        preparing = threading.Thread(target=service.prepare, name="prepare", daemon=True)
        preparing.start()
        ahead.start()
        yield
        await to_thread.run_sync(ahead.stop)
        await to_thread.run_sync(preparing.join)
        await to_thread.run_sync(service.close)
        if tracing is not None:
            await to_thread.run_sync(tracing.close)

    app = FastAPI(
        title="kgrec",
        version=__version__,
        description=_DESCRIPTION,
        license_info={"name": "Apache-2.0"},
        lifespan=lifespan,
        docs_url=None,  # its page is fetched from elsewhere; ours is in `static`
        redoc_url=None,
        responses=_PROBLEMS,
        dependencies=[Depends(note_route)],
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.service = service
    app.state.telemetry = telemetry
    app.state.ahead = ahead
    app.state.slots = Slots(config)
    app.state.health_threads = CapacityLimiter(2)  # so that busy threads do not silence it
    modules = (
        recommendations,
        feedback,
        interactions,
        users,
        items,
        entities,
        corrections,
        neighbourhood,
        cypher,
        queries,
    )
    routers = [*(module.router for module in modules), router]
    for each in (*routers, metrics):
        app.include_router(each)
    add_page(app)
    paths = ApiPaths(lambda: _operations(routers))
    add_handlers(app, service.look_again, paths.methods)
    _describe(app, service)
    app.add_middleware(Limits, config=config, activity=activity)
    app.add_middleware(Authentication, keys=keys)
    if not keys:
        app.add_middleware(LoopbackOnly)
    app.add_middleware(ExactPaths, paths=paths)
    app.add_middleware(Transfer)
    app.add_middleware(RequestSpans, tracing=tracing)
    app.add_middleware(RequestLog, telemetry=telemetry)
    app.add_middleware(SecurityHeaders)
    return app


def _operations(routers: Iterable[APIRouter]) -> dict[str, dict[str, APIRoute]]:
    """Return the routes by path and method; to build the whole description takes far longer."""
    found: dict[str, dict[str, APIRoute]] = {}
    for route in (each for router in routers for each in router.routes):
        if isinstance(route, APIRoute) and route.include_in_schema:
            found.setdefault(route.path, {}).update(dict.fromkeys(route.methods or (), route))
    return found


def _describe(app: FastAPI, service: Service) -> None:
    """Have the description name the media type that errors really have, and hold examples.

    The examples are in the words of the domain that is served, from when a model is loaded.
    """
    build = app.openapi
    described_for: list[str | None] = []

    def openapi() -> dict[str, Any]:
        name = service.domain()
        if app.openapi_schema is None or described_for != [name]:
            app.openapi_schema = None
            described = build()
            for path in described["paths"].values():
                for operation in path.values():
                    for status, answer in operation["responses"].items():
                        content = answer.get("content", {})
                        if status >= "400" and "application/json" in content:
                            content[MEDIA_TYPE] = content.pop("application/json")
            add_examples(described, _domain(name))
            described_for[:] = [name]
        assert app.openapi_schema is not None  # noqa: S101 - build() keeps what it made
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
