"""What Prometheus reads at `/metrics`, and one line of the log for each request.

Latencies are histograms by route template, and by statement of the graph, so that no id becomes a
label. Several workers count together where PROMETHEUS_MULTIPROC_DIR names a folder before they are
started, as `kgrec serve --workers` does. A request has an id, that of `X-Request-ID` where the
caller sends one, which its answer and its line in the log carry.
"""

from __future__ import annotations

import json
import logging
import os
import re
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import psutil
from fastapi import APIRouter, Depends, Request
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kgrec.errors import KGRecError
from kgrec.graph.store import GraphStore
from kgrec.retrieval.records import RecommendationList
from kgrec.serving.security import Role, require
from kgrec.serving.service import Service
from kgrec.serving.tracing import Tracing
from kgrec.version import __version__

logger = logging.getLogger("kgrec.serving.requests")
MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR"
"""The variable by which prometheus_client shares the counts of several processes in a folder."""

_TRACE = "kgrec.trace"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_CONVERTOR = re.compile(r"\{(\w+):\w+\}")
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0)

_request_id: ContextVar[str] = ContextVar("request_id", default="")


@dataclass
class _Trace:
    """What is known of a request while it is answered."""

    request_id: str
    route: str = "other"


class Telemetry:
    """The metrics of one application.

    Args:
        service: whose model and graph are reported.
        tracing: where spans go; None where they go nowhere.
    """

    def __init__(self, service: Service, tracing: Tracing | None = None) -> None:
        self.tracing = tracing
        self.registry = CollectorRegistry()
        self._service = service
        self.requests = Counter(
            "kgrec_http_requests",
            "Requests by route, method and status.",
            ("route", "method", "status"),
            registry=self.registry,
        )
        self.seconds = Histogram(
            "kgrec_http_request_seconds",
            "Seconds from the first byte of a request to the last of its answer.",
            ("route", "method"),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.under_way = Gauge(
            "kgrec_http_requests_under_way",
            "Requests under way.",
            registry=self.registry,
            multiprocess_mode="livesum",
        )
        self.lists = Counter(
            "kgrec_lists",
            "Lists of recommendations, by why no history was scored (`none` where one was).",
            ("fallback",),
            registry=self.registry,
        )
        self.lists_ahead = Counter(
            "kgrec_lists_ahead",
            "Lists that were made while no request was under way, before they are requested.",
            registry=self.registry,
        )
        self.items = Counter(
            "kgrec_recommended_items",
            "Items in lists of recommendations, by whether they came after the training.",
            ("new",),
            registry=self.registry,
        )
        self.statements = Histogram(
            "kgrec_graph_statement_seconds",
            "Seconds of the statements that read the graph.",
            ("statement",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._live = _LiveModel(service)
        self._trained: tuple[str, frozenset[str]] = ("", frozenset())

    def count_list(self, found: RecommendationList) -> RecommendationList:
        """Count a list and its items, and return it."""
        self.lists.labels(found.fallback or "none").inc()
        known = self._trained_items(found.model_id)
        new = sum(item.item_id not in known for item in found.items) if known else 0
        self.items.labels("true").inc(new)
        self.items.labels("false").inc(len(found.items) - new)
        return found

    def exposition(self) -> bytes:
        """Return all metrics in the text format of Prometheus, those of other workers included."""
        folder = os.environ.get(MULTIPROCESS)
        registry = CollectorRegistry()
        if folder is None:
            registry.register(self.registry)
        else:
            for path in Path(folder).glob("gauge_live*.db"):
                pid = path.stem.rpartition("_")[2]
                if pid.isdigit() and not psutil.pid_exists(int(pid)):
                    multiprocess.mark_process_dead(int(pid), folder)  # type: ignore[no-untyped-call]
            multiprocess.MultiProcessCollector(registry, folder)  # type: ignore[no-untyped-call]
        registry.register(self._live)
        return generate_latest(registry)

    def _trained_items(self, model_id: str) -> frozenset[str]:
        """Return the items that a model was trained on; none where it is gone."""
        known, items = self._trained
        if known != model_id:
            items = frozenset()
            with suppress(KGRecError), self._service.lease() as engine:
                live = engine.recommender.live.get(model_id)
                items = frozenset(live.team.items.ids[: live.record.items])  # folded in ones follow
            self._trained = (model_id, items)
        return items

    def observe(self, store: GraphStore) -> None:
        """Have every read of a store counted as a step of the answers."""

        def note(name: str, seconds: float) -> None:
            self.statements.labels(name).observe(seconds)
            if self.tracing is not None:
                self.tracing.step(name, seconds)

        store.on_read = note


class _LiveModel:
    """Collects what is true of the live model at the moment that Prometheus reads."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def describe(self) -> Iterator[Metric]:
        """Yield nothing: what is there is known when it is read."""
        yield from ()

    def collect(self) -> Iterator[Metric]:
        """Yield whether lists can be made, by which model, how old it is and how large."""
        ready = GaugeMetricFamily("kgrec_ready", "Whether the graph answers and a model is live.")
        info = GaugeMetricFamily(
            "kgrec_model_info", "The live model.", labels=("model_id", "engine", "version")
        )
        age = GaugeMetricFamily("kgrec_model_age_seconds", "Seconds since its training ended.")
        items = GaugeMetricFamily("kgrec_model_items", "Items that it knows.")
        cache = CounterMetricFamily(
            "kgrec_catalogue_cache",
            "Queries that the catalogue in memory could answer (hit), or the graph had to (miss).",
            labels=("result",),
        )
        try:
            with self._service.lease() as engine:
                live = engine.recommender.live.current()
                kept = engine.recommender.resident
                counts = kept.hits_and_misses() if kept is not None else (0, 0)
                engine_name = engine.store.info().engine
        except KGRecError:
            ready.add_metric((), 0.0)
        else:
            ready.add_metric((), 1.0)
            for result, count in zip(("hit", "miss"), counts, strict=True):
                cache.add_metric((result,), count)
            info.add_metric((live.model_id, engine_name, __version__), 1.0)
            age.add_metric((), (datetime.now(UTC) - live.record.created_at).total_seconds())
            items.add_metric((), live.record.items)
        yield from (ready, info, age, items, cache)


class RequestLog:
    """ASGI middleware that counts, times and logs every request, and gives it an id."""

    def __init__(self, app: ASGIApp, telemetry: Telemetry) -> None:
        self.app = app
        self.telemetry = telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        sent = Headers(scope=scope).get("x-request-id", "")
        trace = _Trace(sent if _REQUEST_ID.fullmatch(sent) else uuid.uuid4().hex)
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-ID"] = trace.request_id
            await send(message)

        token = _request_id.set(trace.request_id)
        begun = time.perf_counter()
        self.telemetry.under_way.inc()
        try:
            await self.app({**scope, _TRACE: trace}, receive, send_with_id)
        finally:
            seconds = time.perf_counter() - begun
            self.telemetry.under_way.dec()
            self._note(trace, scope["method"], status, seconds)
            _request_id.reset(token)

    def _note(self, trace: _Trace, method: str, status: int, seconds: float) -> None:
        shown = method if method in _METHODS else "OTHER"
        self.telemetry.requests.labels(trace.route, shown, str(status)).inc()
        self.telemetry.seconds.labels(trace.route, shown).observe(seconds)
        logger.info(
            "%s %s %d %.1f ms",
            shown,
            trace.route,
            status,
            seconds * 1000,
            extra={
                "fields": {
                    "method": shown,
                    "route": trace.route,
                    "status": status,
                    "milliseconds": round(seconds * 1000, 1),
                }
            },
        )


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


async def note_route(request: Request) -> None:
    """Name the route of a request by its template; a dependency of every route."""
    trace: _Trace | None = request.scope.get(_TRACE)
    route = request.scope.get("route")
    if trace is not None and route is not None:
        trace.route = _CONVERTOR.sub(r"{\1}", str(route.path))


async def _telemetry_of(request: Request) -> Telemetry:
    telemetry: Telemetry = request.app.state.telemetry
    return telemetry


CurrentTelemetry = Annotated[Telemetry, Depends(_telemetry_of)]
"""The metrics, as a parameter of an endpoint."""

router = APIRouter(include_in_schema=False)


@router.get("/metrics", dependencies=[Depends(require(Role.READ))])
def metrics(telemetry: CurrentTelemetry) -> Response:
    """Return the metrics in the text format of Prometheus."""
    return Response(telemetry.exposition(), media_type=CONTENT_TYPE_LATEST)


class JsonLines(logging.Formatter):
    """Writes each record of the log as one JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if _request_id.get():
            line["request_id"] = _request_id.get()
        line.update(getattr(record, "fields", {}))
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def configure_logs(*, as_json: bool) -> None:
    """Write the log to standard error: warnings as text, or every request as a JSON line."""
    handler = logging.StreamHandler()
    root = logging.getLogger("kgrec")
    if as_json:
        handler.setFormatter(JsonLines())
        logging.getLogger("kgrec.serving").setLevel(logging.INFO)
        for name in ("uvicorn", "uvicorn.error"):
            logging.getLogger(name).handlers = [handler]
    root.handlers = [handler]
    root.propagate = False
