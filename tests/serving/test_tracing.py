"""Spans reach a collector by OTLP, each request with its statements; and there are none unasked."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from planted import user_id
from servers import served

from kgrec.config import Settings
from kgrec.model.team import Team
from kgrec.serving.tracing import Tracing

pytest.importorskip("opentelemetry.sdk")

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@contextmanager
def collector() -> Iterator[tuple[str, list[Any]]]:
    """A server that takes spans; yields its address and what came."""
    spans: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                import gzip

                body = gzip.decompress(body)
            found = ExportTraceServiceRequest.FromString(body)
            for resource in found.resource_spans:
                for scope in resource.scope_spans:
                    spans.extend(scope.spans)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", spans
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_request_and_its_statements_are_one_trace(
    team: Team, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with collector() as (url, spans):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
        with served(settings) as address, httpx.Client(base_url=address, timeout=30) as api:
            path = f"/v1/users/{user_id(1)}/recommendations"
            sent = {"traceparent": PARENT, "X-Request-ID": "traced-1"}
            assert api.get(path, headers=sent).status_code == 200
            assert api.get("/v1/items/nothing-here").status_code == 404
        deadline = time.monotonic() + 10
        while len(spans) < 3 and time.monotonic() < deadline:
            time.sleep(0.05)
    by_name = {span.name: span for span in spans}
    request = by_name["GET /v1/users/{user_id}/recommendations"]
    assert request.trace_id.hex() == PARENT.split("-")[1]
    assert request.parent_span_id.hex() == PARENT.split("-")[2]
    known = {a.key: a.value.string_value or a.value.int_value for a in request.attributes}
    assert known["http.response.status_code"] == 200
    assert known["kgrec.request_id"] == "traced-1"
    assert user_id(1) not in str(request)
    step = by_name["recommend/state"]
    mine = [s for s in spans if s.parent_span_id == request.span_id]
    assert step.name in {s.name for s in mine}
    assert all(s.trace_id == request.trace_id for s in mine)
    assert request.start_time_unix_nano <= step.start_time_unix_nano
    assert step.end_time_unix_nano <= request.end_time_unix_nano
    assert "GET /v1/items/{item_id}" in by_name


def test_without_an_endpoint_there_are_no_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    assert Tracing.of_environment() is None
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    assert Tracing.of_environment() is None
