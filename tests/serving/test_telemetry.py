"""Metrics for Prometheus, ids of requests, and the log as JSON lines."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from planted import item_id, user_id
from prometheus_client.parser import text_string_to_metric_families

from kgrec.model.team import Team
from kgrec.serving.telemetry import JsonLines

OPERATIONS = Path(__file__).parents[2] / "examples" / "operations"
LIST = "/v1/users/{user_id}/recommendations"


def samples(api: httpx.Client) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    answer = api.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def value(api: httpx.Client, name: str, **labels: str) -> float:
    return samples(api).get((name, frozenset(labels.items())), 0.0)


def test_requests_are_counted_by_route_and_status(api: httpx.Client) -> None:
    labels = {"route": LIST, "method": "GET"}
    before = value(api, "kgrec_http_requests_total", status="200", **labels)
    timed = value(api, "kgrec_http_request_seconds_count", **labels)
    api.get(f"/v1/users/{user_id(1)}/recommendations")
    api.get(f"/v1/users/{user_id(2)}/recommendations")
    api.get(f"/v1/users/{user_id(2)}/recommendations?k=1000")
    assert value(api, "kgrec_http_requests_total", status="200", **labels) == before + 2
    assert value(api, "kgrec_http_requests_total", status="422", **labels) >= 1
    assert value(api, "kgrec_http_request_seconds_count", **labels) == timed + 3


def test_no_id_becomes_a_label(api: httpx.Client) -> None:
    for path in ("/v1/items/secret-id", "/nothing/secret-id", "/v1/users/secret-id/history"):
        api.get(path)
    api.request("BREW", "/v1/items")
    text = api.get("/metrics").text
    assert "secret-id" not in text
    assert "BREW" not in text
    assert 'route="/v1/items/{item_id}"' in text
    assert 'route="other"' in text


def test_items_that_came_after_the_training_are_counted(api: httpx.Client) -> None:
    def counts() -> tuple[float, float]:
        known, new = (value(api, "kgrec_recommended_items_total", new=n) for n in ("false", "true"))
        return known, new

    known, new = counts()
    api.get(f"/v1/users/{user_id(1)}/recommendations?k=7")
    assert counts() == (known + 7, new)
    fresh = {"item_id": "fresh-film", "title": "Fresh Film"}
    assert api.post("/v1/items?domain=movies", json=fresh).status_code == 200
    for user in range(2, 40):
        body = {"user_id": f"early-{user}", "item_id": "fresh-film", "kind": "like"}
        assert api.post("/v1/feedback", json=body).status_code == 201
    shown = api.get("/v1/users/nobody-yet/recommendations?k=5").json()
    assert shown["fallback"] == "unknown_user"
    assert "fresh-film" in {item["item_id"] for item in shown["items"]}
    assert counts() == (known + 7 + 4, new + 1)
    assert api.delete("/v1/items/fresh-film").status_code == 204


def test_steps_lists_and_the_model_are_reported(api: httpx.Client, team: Team) -> None:
    none = value(api, "kgrec_lists_total", fallback="none")
    unknown = value(api, "kgrec_lists_total", fallback="unknown_user")
    api.get(f"/v1/users/{user_id(1)}/recommendations")
    api.get("/v1/users/somebody-new/recommendations")
    api.get(f"/v1/items/{item_id(1)}")
    assert value(api, "kgrec_lists_total", fallback="none") == none + 1
    assert value(api, "kgrec_lists_total", fallback="unknown_user") == unknown + 1
    assert value(api, "kgrec_graph_statement_seconds_count", statement="serving/item") >= 1
    found = {name: v for (name, _), v in samples(api).items()}
    assert found["kgrec_ready"] == 1
    hits, misses = (value(api, "kgrec_catalogue_cache_total", result=r) for r in ("hit", "miss"))
    assert hits + misses >= 2
    assert found["kgrec_model_items"] == len(team.items)
    assert found["kgrec_model_age_seconds"] > 0
    assert 'model_id="serving"' in api.get("/metrics").text


def test_metrics_need_a_key_where_there_are_keys(
    locked: Callable[[str | None], httpx.Client],
) -> None:
    assert locked(None).get("/metrics").status_code == 401
    assert locked("reader-key").get("/metrics").status_code == 200


def test_an_answer_carries_the_id_of_its_request(api: httpx.Client) -> None:
    sent = api.get("/healthz", headers={"X-Request-ID": "trace-1"})
    assert sent.headers["x-request-id"] == "trace-1"
    made = {api.get("/nothing").headers["x-request-id"] for _ in range(2)}
    assert len(made) == 2
    for unfit in ("a b", "x" * 200, 'a"b'):
        assert api.get("/healthz", headers={"X-Request-ID": unfit}).headers["x-request-id"] != unfit


def test_every_request_is_a_line(api: httpx.Client, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "kgrec.serving.requests"):
        api.get(f"/v1/items/{item_id(3)}")
        for _ in range(200):  # the line is written after the answer has left
            found = [r for r in caplog.records if "/v1/items" in r.getMessage()]
            if found:
                break
            time.sleep(0.01)
    [record] = found
    line = json.loads(JsonLines().format(record))
    assert (line["route"], line["status"], line["level"]) == ("/v1/items/{item_id}", 200, "info")
    assert item_id(3) not in json.dumps(line)
    try:
        raise ValueError("a\nb")
    except ValueError:
        record = logging.LogRecord("kgrec", 40, "", 0, "no", None, sys.exc_info())
    assert "\n" not in JsonLines().format(record)
    assert "ValueError" in json.loads(JsonLines().format(record))["error"]


def test_the_command_writes_json_lines() -> None:
    code = (
        "import logging; from kgrec.serving.telemetry import configure_logs;"
        "configure_logs(as_json={});"
        "logging.getLogger('kgrec.serving.requests').info('one');"
        "logging.getLogger('kgrec.serving').warning('two')"
    )

    def run(as_json: bool) -> list[str]:
        done = subprocess.run(
            [sys.executable, "-c", code.format(as_json)],
            capture_output=True,
            text=True,
            check=True,
            env=dict(os.environ),
        )
        return done.stderr.splitlines()

    assert [json.loads(line)["message"] for line in run(True)] == ["one", "two"]
    assert run(False) == ["two"]


def test_dashboard_and_alerts_use_metrics_that_exist(api: httpx.Client) -> None:
    api.get(f"/v1/users/{user_id(1)}/recommendations")
    known = {name for name, _ in samples(api)}
    dashboard = json.loads((OPERATIONS / "dashboard.json").read_text("utf-8"))
    expressions = [target["expr"] for p in dashboard["panels"] for target in p["targets"]]
    text = "\n".join([*expressions, (OPERATIONS / "alerts.yml").read_text("utf-8")])
    used = set(re.findall(r"\bkgrec_[a-z_]+", text))
    assert len(used) >= 8
    assert used <= known
