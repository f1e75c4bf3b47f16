"""Spans for OpenTelemetry (`kgrec[otel]`): one for each request, and one for each statement in it.

Off unless the environment names where they go, by the variables of OpenTelemetry itself:
OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, with OTEL_SERVICE_NAME,
OTEL_TRACES_SAMPLER and the others as its documentation has them. A request that carries a
`traceparent` is a part of that trace. Names are route templates and statements, so no id is sent.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.propagate import extract
from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kgrec.errors import ConfigError
from kgrec.version import __version__

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_NAME = "OTEL_SERVICE_NAME"
_NANO = 1e9


class Tracing:
    """Makes spans and sends them, in the background, to where the environment names.

    Args:
        provider: of the SDK.
    """

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self.tracer: Tracer = provider.get_tracer("kgrec", __version__)

    @classmethod
    def of_environment(cls) -> Tracing | None:
        """Return what the environment configures; None where it names no endpoint.

        Raises:
            ConfigError: it names one, and the packages for it are not installed.
        """
        named = next((name for name in _ENDPOINTS if os.environ.get(name)), None)
        if named is None or os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
            return None
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError:
            raise ConfigError(
                "spans cannot be sent, for the SDK of OpenTelemetry is not installed",
                value=named,
                remedy="pip install 'kgrec[otel]', or unset the variable.",
            ) from None
        described = {"service.name": os.environ.get(_NAME, "kgrec"), "service.version": __version__}
        provider = TracerProvider(resource=Resource.create(described))
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        return cls(provider)

    def step(self, statement: str, seconds: float) -> None:
        """Add a span for a statement that has just ended, as a part of the request under way."""
        if not trace.get_current_span().is_recording():
            return
        end = time.time_ns()
        span = self.tracer.start_span(
            statement,
            kind=SpanKind.CLIENT,
            start_time=end - int(seconds * _NANO),
            attributes={"db.operation.name": statement},
        )
        span.end(end)

    def close(self) -> None:
        """Send what is left."""
        self._provider.shutdown()


class RequestSpans:
    """ASGI middleware: a span for each request, around all that is done for it.

    Args:
        tracing: None passes requests through.
    """

    def __init__(self, app: ASGIApp, tracing: Tracing | None) -> None:
        self.app = app
        self.tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self.tracing is None:
            await self.app(scope, receive, send)
            return
        method, status = scope["method"], 0

        async def send_noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        parent = extract(dict(Headers(scope=scope).items()))
        with self.tracing.tracer.start_as_current_span(
            method, context=parent, kind=SpanKind.SERVER, attributes={"http.request.method": method}
        ) as span:
            try:
                await self.app(scope, receive, send_noting)
            finally:
                request: Any = scope.get("kgrec.trace")
                if request is not None:
                    span.update_name(f"{method} {request.route}")
                    span.set_attribute("http.route", request.route)
                    span.set_attribute("kgrec.request_id", request.request_id)
                span.set_attribute("http.response.status_code", status)
                if status >= 500:
                    span.set_status(Status(StatusCode.ERROR))
