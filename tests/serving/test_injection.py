"""Statements, templates and paths in every string that a client may send: they stay strings."""

from __future__ import annotations

import importlib
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_type_hints
from urllib.parse import quote

import httpx
import pytest
import typer
from described import Described, Slot
from planted import item_id, user_id

from kgrec.cli import main
from kgrec.cli.app import COMMANDS
from kgrec.data.records import entity_id
from kgrec.graph.store import GraphStore
from kgrec.schema import load_schema
from kgrec.serving.interactions import InteractionRow

CORPUS = (
    "' OR 1=1 //",
    '"}) DETACH DELETE n //',
    "') MATCH (n) DETACH DELETE n RETURN ('",
    "u0001'}) SET u.admin = true //",
    "`}) CREATE (:Admin) //",
    "$user_id",
    "{user_id}",
    "\\' MATCH (n) DETACH DELETE n //",
    "\\u0027 OR true //",
    "/* */ CALL { MATCH (n) DELETE n } IN TRANSACTIONS",
    "'; DROP INDEX items; //",
    "LOAD CSV FROM 'file:///etc/passwd' AS row RETURN row",
    "CALL dbms.shutdown()",
    "title:* OR *:*",
    'title:"a" AND (',
    "a~ a^9 [a TO z] +- && || ! { } ? : \\ /",
    "__ITEM_TYPE__",
    "${jndi:ldap://127.0.0.1/a}",
    "{{7*7}}${7*7}<%= 7*7 %>",
    "<script>alert(1)</script>",
    "../../../../etc/passwd",
    "..%2f..%2f",
    "%00%0d%0aSet-Cookie: a=b",
    "|| ping -c 1 127.0.0.1",
    "genre=' OR 1=1",
    "year>=1 OR true",
    "\u02bc OR 1=1 //",
    "\uff07) DETACH DELETE n",
    "null",
    "NaN",
    "a" * 500,
)


TOGETHER = 8
"""So many texts are sent between two looks at the whole graph."""
SCRATCH = "scratch"
"""What writing operations change and remove, beside what has the name of a text."""
LIKED = {"user_id": SCRATCH, "item_id": SCRATCH, "kind": "like"}
OF_PROCESSES = {"Revision", "Run", "Model"}


def contents(store: GraphStore) -> tuple[dict[str, Any], Counter[str]]:
    """Return every node by its id and every relation, with all that they hold."""
    nodes, edges = {}, Counter[str]()
    key = "coalesce({0}.item_id, {0}.user_id, {0}.entity_id, '')"
    found = "MATCH (n) RETURN labels(n) AS labels, properties(n) AS known"
    for row in store.query(found, limit=100_000).rows:
        labels = sorted(row["labels"])
        if OF_PROCESSES.isdisjoint(labels):
            name = next((row["known"][one] for one in IDS if one in row["known"]), "")
            nodes[f"{labels}{name}"] = json.dumps(
                [labels, row["known"]], sort_keys=True, default=str
            )
    ends = f"{key.format('a')} AS a, type(r) AS type, {key.format('b')} AS b"
    found = f"MATCH (a)-[r]->(b) RETURN {ends}, properties(r) AS known"
    for row in store.query(found, limit=100_000).rows:
        edges[json.dumps(row, sort_keys=True, default=str)] += 1
    return nodes, edges


IDS = ("correction_id", "item_id", "user_id", "entity_id", "retired_id")
"""What nodes are called by; a correction holds the ids of others, too."""


def census(store: GraphStore) -> dict[str, Any]:
    """Count everything there is, by label and by type, with a sum over what properties hold."""
    nodes = store.query("MATCH (n) RETURN labels(n) AS labels, count(*) AS number", limit=100)
    edges = store.query("MATCH ()-[r]->() RETURN type(r) AS type, count(*) AS number", limit=100)
    users = store.query("MATCH (u:User) RETURN u.user_id AS id, keys(u) AS keys", limit=5000)
    return {
        "nodes": sorted((sorted(row["labels"]), row["number"]) for row in nodes.rows),
        "edges": sorted((row["type"], row["number"]) for row in edges.rows),
        "users": sorted((row["id"], sorted(row["keys"])) for row in users.rows),
    }


def requests(api: httpx.Client, text: str) -> Iterator[httpx.Response]:
    """Send a text wherever a client may send one, feedback apart."""
    part, user, item = quote(text, safe=""), user_id(1), item_id(1)
    for path in ("", "/history", "/recommendations", f"/recommendations/{item}/explanation"):
        yield api.get(f"/v1/users/{part}{path}")
    yield api.get(f"/v1/users/{user}/recommendations/{part}/explanation")
    yield api.get(f"/v1/users/{user}/recommendations", params={"filter": text})
    yield api.get(f"/v1/users/{user}/recommendations", params={"filter": f"genre={text}"})
    yield api.get(f"/v1/users/{user}/recommendations", params={"filter": f"{text}=1"})
    explained = f"/v1/users/{user}/recommendations/{item}/explanation"
    yield api.get(explained, params={"request_id": text})
    for path in ("", "/similar"):
        yield api.get(f"/v1/items/{part}{path}")
    for path in ("/v1/users", "/v1/items"):
        yield api.get(path, params={"q": text})
        yield api.get(path, params={"cursor": text})
    yield api.post("/v1/recommendations", json={"history": [text, item], "filters": [text]})
    yield api.post("/v1/recommendations", json={"history": [text]})
    yield api.post("/v1/explanations", json={"history": [text, item], "item_id": text})
    yield api.post(
        "/v1/explanations", json={"history": [item], "item_id": item, "request_id": text}
    )
    yield api.post("/v1/feedback", json={"user_id": text, "item_id": text, "kind": "like"})
    yield api.post("/v1/feedback", json={"user_id": text, "item_id": item, "kind": text})
    yield api.delete(f"/v1/users/{part}/feedback/{item}")
    yield api.delete(f"/v1/users/{user}/feedback/{part}")
    yield api.delete(f"/v1/users/{part}")


def test_no_text_changes_the_graph_or_breaks_the_server(
    api: httpx.Client, store: GraphStore
) -> None:
    before = census(store)
    for text in CORPUS:
        for answer in requests(api, text):
            assert answer.status_code < 500, (text, answer.request.url, answer.text)
            assert "set-cookie" not in answer.headers
            assert "root:" not in answer.text
    assert census(store) == before


@pytest.mark.parametrize("text", CORPUS)
def test_a_user_of_such_a_name_is_that_user_and_nobody_else(
    api: httpx.Client, store: GraphStore, text: str
) -> None:
    before = census(store)
    feedback = {"user_id": text, "item_id": item_id(2), "kind": "like"}
    headers = {"Idempotency-Key": text[:200].encode("ascii", "replace").decode()}
    assert api.post("/v1/feedback", json=feedback, headers=headers).status_code == 201
    made = census(store)
    assert [user for user in made["users"] if user not in before["users"]] == [(text, ["user_id"])]
    path = f"/v1/users/{quote(text, safe='')}"
    assert api.get(path).json()["user_id"] == text
    assert api.get(f"{path}/history").json()["items"][0]["item_id"] == item_id(2)
    assert api.delete(path).status_code == 204
    assert census(store) == before


def described(api: httpx.Client) -> Described:
    """Return the API's own description, with values that name what is there."""
    usual = {
        "user_id": user_id(1),
        "item_id": item_id(1),
        "entity_id": entity_id("Genre", "Drama"),
        "kind": "item",
        "node_id": item_id(1),
        "name": "items_of_entity",
        "from": f"item:{item_id(1)}",
        "to": f"item:{item_id(2)}",
        "history": [item_id(1), item_id(2)],
    }
    scratch = {**usual, "user_id": SCRATCH, "item_id": SCRATCH, "title": "Scratch", "kind": "like"}
    domain = load_schema().domain("movies")
    columns = {name for one in domain.relations.values() for name in one.columns}
    text = {"type": "string"}
    item = dict.fromkeys(("item_id", "title", "description", *domain.item_properties), text)
    item |= dict.fromkeys((*columns, "available", "available_from", "expires_at"), text)
    fields = {"type": "object", "properties": item, "additionalProperties": True}
    row = InteractionRow.model_json_schema()
    rows = {
        "/v1/items": {"type": "array", "items": fields},
        "/v1/items/{item_id}": fields,
        "/v1/interactions": {"type": "array", "items": row},
    }
    return Described(api.get("/openapi.json").json(), usual, scratch, rows)


def test_the_description_leads_to_every_string(api: httpx.Client) -> None:
    found = {str(slot) for slot in described(api).slots()}
    assert {
        "get /v1/users/{user_id}/recommendations query filter",
        "get /v1/users/{user_id}/recommendations query device",
        "get /v1/users/{user_id}/recommendations query cursor",
        "get /v1/users/{user_id}/recommendations/{item_id}/explanation query request_id",
        "post /v1/recommendations body history.0",
        "post /v1/recommendations body properties.*",
        "post /v1/recommendations body events.0.item_id",
        "post /v1/feedback body scenario",
        "post /v1/feedback header idempotency-key",
        "post /v1/interactions lines 0.device",
        "post /v1/items body 0.genres",
        "post /v1/items query source",
        "patch /v1/items/{item_id} body director",
        "post /v1/cypher body statement",
        "post /v1/cypher body parameters.*",
        "post /v1/queries/{name} body parameters.*",
        "get /v1/nodes/{kind}/{node_id}/neighbours query relation",
    } <= found
    assert len(found) > 120


def attempts(
    api: httpx.Client, number: int, text: str
) -> Iterator[tuple[Slot | str, httpx.Response]]:
    """Send a text to an eighth of all places, each text to another, and to every query."""
    where = described(api)
    for place, slot in enumerate(where.slots()):
        if place % 8 == number % 8:
            if not where.reads(slot):  # one before may have removed it
                api.post("/v1/items", json={"item_id": SCRATCH, "title": "Scratch"})
                api.post("/v1/feedback", json=LIKED).raise_for_status()
            yield slot, where.send(api, slot, text)
    for query in api.get("/v1/queries").json()["items"]:
        for parameter in query["parameters"]:
            name = f"/v1/queries/{query['name']}"
            given = {"parameters": {parameter["name"]: text}}
            yield f"{name} {parameter['name']}", api.post(name, json=given)


@pytest.mark.parametrize("first", range(0, len(CORPUS), TOGETHER))
def test_no_string_that_the_api_accepts_changes_what_it_does_not_name(
    api: httpx.Client, store: GraphStore, first: int
) -> None:
    texts, (nodes, edges) = CORPUS[first : first + TOGETHER], contents(store)
    domain = load_schema().domain("movies")
    kinds = ("User", "Item", "Entity", "Retired", "Correction")
    for number, text in enumerate(texts, first):
        for place, answer in attempts(api, number, text):
            assert answer.status_code < 500, (str(place), text, answer.text)
            assert "set-cookie" not in answer.headers
            assert "root:" not in answer.text
    after, links = contents(store)
    assert {each: after.get(each) for each in nodes} == nodes
    assert not edges - links
    made = [json.loads(after[each]) for each in after.keys() - nodes.keys()]
    for labels, known in made:
        assert set(labels) <= {*kinds, domain.item_label, *domain.entity_types}, (labels, known)
        assert not known.keys() & {"admin", *texts}, (labels, known)
    for edge in links - edges:
        end = json.loads(edge)
        assert {end["a"], end["b"]} & {known.get(one) for _, known in made for one in IDS}, edge
    for one in IDS:  # what was made goes again
        gone = [known[one] for _, known in made if one == next(filter(known.__contains__, IDS))]
        forget = f"UNWIND $gone AS id MATCH (n {{{one}: id}}) DETACH DELETE n"
        store.query(forget, {"gone": gone}, writing=True)
    assert contents(store) == (nodes, edges)


def strings_of(command: str) -> list[str]:
    """Return the options of a command that are strings, and "" for each such argument."""
    module, _, name = COMMANDS[command][0].partition(":")
    app = getattr(importlib.import_module(module), name)
    hints = get_type_hints(app.registered_commands[0].callback)
    strings = {name for name, hint in hints.items() if "str" in str(hint)}
    given: Any = typer.main.get_command(app)
    options = [each.opts[-1] for each in given.params if each.name in strings]
    return [each if each.startswith("-") else "" for each in options]


@pytest.mark.parametrize(("command", "usual"), [("recommend", 1), ("explain", 2)])
def test_no_string_of_a_command_changes_the_graph(
    command: str,
    usual: int,
    api: httpx.Client,
    store: GraphStore,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("KGREC_GRAPH_URI", "KGREC_GRAPH_USER", "KGREC_GRAPH_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KGREC_HOME", str(home))
    named, before = [user_id(1), item_id(1)][:usual], contents(store)
    strings = strings_of(command)
    assert len(strings) >= 3
    runs, place = 0, 0
    for number, option in enumerate(strings):
        place += not option
        for text in CORPUS[number % 8 :: 8]:
            given = list(named)
            if option:
                given += [option, text]
            else:
                given[place - 1] = text
            with pytest.raises(SystemExit) as left:
                main([command, *given, "--json"])
            shown = capsys.readouterr()
            assert (left.value.code or 0) in (0, 2, 3, 4, 5), (option, text, shown.err)
            assert "Traceback" not in shown.err
            assert "root:" not in shown.out
            runs += 1
    assert runs >= 3 * len(strings)
    assert contents(store) == before
