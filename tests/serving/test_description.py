"""The description of the API: an example of everything, each valid, and a page that shows it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from kgrec.config import Settings
from kgrec.schema import load_schema
from kgrec.serving.app import create_app
from kgrec.serving.examples import add_examples

jsonschema = pytest.importorskip("jsonschema", reason="comes with the extra mcp")


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    home: Path = tmp_path_factory.mktemp("home")
    return create_app(Settings(home=home, graph_uri=None)).openapi()


def operations(described: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def check(described: dict[str, Any], schema: dict[str, Any], example: Any, where: str) -> None:
    whole = {**schema, "components": described["components"]}
    errors = [e.message for e in jsonschema.Draft202012Validator(whole).iter_errors(example)]
    assert not errors, (where, errors)


def test_everything_has_a_valid_example(described: dict[str, Any]) -> None:
    for name, operation in operations(described):
        for parameter in operation.get("parameters", ()):
            check(described, parameter["schema"], parameter["example"], f"{name} {parameter}")
        media = list(operation.get("requestBody", {}).get("content", {}).values())
        for status, answer in operation["responses"].items():
            assert status == "204" or answer["content"], (name, status)
            media += answer.get("content", {}).values()
        for one in media:
            check(described, one["schema"], one["example"], name)


@pytest.mark.parametrize("name", ["shop", "books", "jobs"])
def test_examples_are_of_the_domain_that_is_served(
    tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    home: Path = tmp_path_factory.mktemp("home")
    plain = create_app(Settings(home=home, graph_uri=None)).openapi()
    domain = load_schema().domain(name)
    add_examples(plain, domain)
    test_everything_has_a_valid_example(plain)
    recommend = plain["paths"]["/v1/users/{user_id}/recommendations"]["get"]
    example = recommend["responses"]["200"]["content"]["application/json"]["example"]
    assert example["items"][0]["title"] == domain.examples["title"]
    text = json.dumps(plain)
    for word in ("Comedy", "Star Wars", "George Lucas", "DIRECTED_BY", '"Movie"', "Aftersun"):
        assert word not in text, word
    assert domain.examples["filter"][0] in text


def test_examples_are_whole_and_say_something(described: dict[str, Any]) -> None:
    recommend = described["paths"]["/v1/users/{user_id}/recommendations"]["get"]
    example = recommend["responses"]["200"]["content"]["application/json"]["example"]
    [item] = example["items"]
    assert (item["item_id"], item["title"]) == ("50", "Star Wars (1977)")
    assert item["reasons"][0]["words"]
    problem = recommend["responses"]["404"]["content"]["application/problem+json"]["example"]
    assert problem["status"] == 404
    assert problem["remedy"]


def test_operations_have_short_names(described: dict[str, Any]) -> None:
    ids = [operation["operationId"] for _, operation in operations(described)]
    assert len(ids) == len(set(ids))
    assert "run_statement" in ids
    assert all(re.fullmatch(r"[a-z_]+", one) for one in ids)
    assert all(operation["description"] for _, operation in operations(described))


def test_examples_of_requests_are_accepted(api: httpx.Client) -> None:
    described = api.get("/openapi.json").json()
    for name, operation in operations(described):
        method, path = name.split()
        if method == "DELETE" or path == "/v1/feedback":
            continue
        values = operation.get("parameters", ())
        filled = path.format(**{p["name"]: p["example"] for p in values if p["in"] == "path"})
        query = {p["name"]: p["example"] for p in values if p["in"] == "query" and p["required"]}
        body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
        answer = api.request(method, filled, params=query, json=body.get("example"))
        assert answer.status_code in (200, 404), (name, answer.text)
    created = described["paths"]["/v1/items"]["post"]["requestBody"]["content"]["application/json"]
    assert api.delete(f"/v1/items/{created['example']['item_id']}").status_code == 204


def test_a_schema_that_names_itself_ends() -> None:
    tree = {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "parts": {"type": "array", "items": {"$ref": "#/components/schemas/Tree"}},
            "above": {"anyOf": [{"$ref": "#/components/schemas/Tree"}, {"type": "null"}]},
        },
    }
    media = {"application/json": {"schema": {"$ref": "#/components/schemas/Tree"}}}
    document = {
        "components": {"schemas": {"Tree": tree}},
        "paths": {"/": {"get": {"responses": {"200": {"content": media}}}}},
    }
    add_examples(document)
    assert media["application/json"]["example"]["parts"][0]["name"] == "George Lucas"


def test_the_page_needs_no_other_host(api: httpx.Client) -> None:
    page = api.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    files = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert {"/static/docs.js", "/static/docs.css", "/openapi.json"} <= set(files)
    for file in files:
        assert file.startswith("/")
        answer = api.get(file)
        assert answer.status_code == 200
        assert "http://" not in answer.text or file in ("/", "/openapi.json")
    assert "default-src 'none'" in page.headers["content-security-policy"]
