"""What the API answers over a real graph and a trained team."""

from __future__ import annotations

import base64
import json
import re
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from planted import TASTES, item_id, user_id
from servers import get, walk

from kgrec.data.records import MAX_ID
from kgrec.model.team import Team

USER = user_id(1)


def test_health_and_readiness_name_what_serves(api: httpx.Client, team: Team) -> None:
    assert get(api, "/healthz")["status"] == "ok"
    ready = get(api, "/readyz")
    assert ready == {"ready": True, "parts": {"graph": "ok", "model": "ok"}}
    model = get(api, "/v1/model")
    assert model["model_id"] == "serving"
    assert model["items"] == len(team.items)
    assert sum(model["agents"].values()) == pytest.approx(1)


def test_users_are_found_by_how_their_id_begins(api: httpx.Client) -> None:
    found = get(api, "/v1/users", q="u000", limit=3)
    assert [user["user_id"] for user in found["items"]] == ["u0000", "u0001", "u0002"]
    everybody = [user["user_id"] for user in walk(api, "/v1/users", limit=7)]
    assert everybody == sorted([*(user_id(n) for n in range(60)), "grump", "loner"])
    assert get(api, f"/v1/users/{USER}")["properties"] == {"age": 21}
    assert get(api, "/v1/users", q="nobody")["items"] == []


def test_history_comes_newest_first_and_whole(api: httpx.Client) -> None:
    entries = walk(api, f"/v1/users/{USER}/history", limit=5)
    assert len(entries) == 12
    assert [e["at"] for e in entries] == sorted((e["at"] for e in entries), reverse=True)
    assert len({e["item_id"] for e in entries}) == 12
    assert all(e["title"] and e["kind"] == "rating" and e["value"] for e in entries)
    assert get(api, "/v1/users/loner/history")["items"] == []


def test_recommendations_are_new_and_fit_the_taste(api: httpx.Client) -> None:
    seen = {entry["item_id"] for entry in walk(api, f"/v1/users/{USER}/history", limit=50)}
    found = get(api, f"/v1/users/{USER}/recommendations", k=8)
    assert [item["rank"] for item in found["items"]] == list(range(1, 9))
    assert not seen & {item["item_id"] for item in found["items"]}
    assert found["fallback"] is None
    assert found["model_id"] == "serving"
    same_taste = [int(item["item_id"][1:]) % TASTES == 1 for item in found["items"]]
    assert sum(same_taste) >= 6
    for item in found["items"]:
        assert sum(item["contributions"].values()) == pytest.approx(item["score"], rel=1e-5)
        assert item["reasons"]


def test_filters_and_diversity_reach_the_recommender(api: httpx.Client) -> None:
    path = f"/v1/users/{USER}/recommendations"
    found = get(api, path, k=5, filter=["genre=Comedy|Drama", "year>=1990"])
    for item in found["items"]:
        facts = get(api, f"/v1/items/{item['item_id']}")
        assert facts["properties"]["year"] >= 1990
        assert {f["name"] for f in facts["facts"]} & {"Comedy", "Drama"}
    varied = get(api, path, k=10, diversity=0.9)
    assert any(item["moves"] for item in varied["items"])
    problem = get(api, path, 400, filter="nonsense")
    assert problem["remedy"]


def test_knobs_and_pages_reach_the_recommender(api: httpx.Client) -> None:
    path = f"/v1/users/{USER}/recommendations"
    knobs: dict[str, Any] = {
        "k": 6,
        "novelty": 0.5,
        "calibration": 0.5,
        "calibrate_by": "genre",
        "quota": ["director:2"],
        "floor": ["genre=Drama:1"],
        "exclude": ["p0001", "p0005"],
    }
    found = get(api, path, **knobs)
    after = get(api, path, cursor=found["cursor"])
    shown = [item["item_id"] for page in (found, after) for item in page["items"]]
    assert len(set(shown)) == len(shown) == 12
    assert [item["rank"] for item in after["items"]] == list(range(7, 13))
    moves = {move["rule"] for item in found["items"] for move in item["moves"]}
    assert moves >= {"novelty", "calibration"}
    why = f"{path}/{shown[-1]}/explanation"
    assert get(api, why, request_id=after["request_id"])["list_rank"] == 12
    assert get(api, path, 400, calibration=0.5)["remedy"]
    assert get(api, "/v1/users/u0002/recommendations", 400, cursor=found["cursor"])["remedy"]
    assert get(api, path, 422, novelty=2)
    body = {"history": ["p0003", "p0007"], **knobs}
    first = api.post("/v1/recommendations", json=body).json()
    body = {"history": ["p0003", "p0007"], "cursor": first["cursor"]}
    second = api.post("/v1/recommendations", json=body).json()
    assert not {i["item_id"] for i in first["items"]} & {i["item_id"] for i in second["items"]}
    assert len(second["items"]) == 6


def test_contributions_of_an_explanation_sum_to_the_recommended_score(api: httpx.Client) -> None:
    best = get(api, f"/v1/users/{USER}/recommendations", k=1)["items"][0]
    path = f"/v1/users/{USER}/recommendations/{best['item_id']}/explanation"
    told = get(api, path)
    history = sum(entry["contribution"] for entry in told["history"])
    priors = sum(agent["prior"] for agent in told["agents"])
    assert history + priors == pytest.approx(best["score"], rel=1e-5)
    assert told["rank"] == 1
    assert told["paths"]
    facts = get(api, f"/v1/items/{best['item_id']}")["facts"]
    for reason in told["paths"]:
        fact = reason["path"]["item"]
        assert (fact["relation"], fact["entity"]) in {(f["relation"], f["name"]) for f in facts}


def test_somebody_without_history_gets_a_marked_fallback(api: httpx.Client) -> None:
    for user, why in (("loner", "profile"), ("somebody-new", "unknown_user")):
        found = get(api, f"/v1/users/{user}/recommendations", k=3)
        assert found["fallback"] == why
        assert len(found["items"]) == 3
    get(api, "/v1/users/somebody-new/recommendations", 404, fallback=False)


def test_an_anonymous_history_is_enough(api: httpx.Client) -> None:
    history = [item_id(n) for n in (2, 6, 10)]
    body = {"history": [*history, "no-such-item"], "k": 5}
    answer = api.post("/v1/recommendations", json=body)
    assert answer.status_code == 200
    found = answer.json()
    assert found["user_id"] is None
    assert found["history"] == 3
    assert not set(history) & {item["item_id"] for item in found["items"]}
    unknown = api.post("/v1/recommendations", json={"history": ["no-such-item"]}).json()
    assert unknown["fallback"] == "empty_history"


def test_items_are_found_by_words_and_by_unfinished_words(api: httpx.Client) -> None:
    exact = get(api, "/v1/items", q="Film 042", limit=5)["items"]
    assert exact[0] == {"item_id": item_id(42), "title": "Film 042", "available": True}
    begun = get(api, "/v1/items", q="fil", limit=5)
    assert len(begun["items"]) == 5
    assert len(walk(api, "/v1/items", q="fil", limit=50)) == 160
    assert get(api, "/v1/items", q="zebra")["items"] == []
    for wrong in ("Flim 042", "Film042", "film·042", "fiilm 042", "042 film"):
        assert get(api, "/v1/items", q=wrong)["items"][0]["item_id"] == item_id(42)
    for signs in ("!!!", "?", "♥ …", "'", "·"):
        assert get(api, "/v1/items", q=signs) == {"items": [], "next": None}
        assert get(api, "/v1/entities", q=signs) == {"items": [], "next": None}
    assert [one["name"] for one in get(api, "/v1/entities", q="Comdey")["items"]] == ["Comedy"]
    for signs in ('"', "AND OR (", "film~*?", "title:film", "\\", "a/b", "+-!{}[]^"):
        get(api, "/v1/items", q=signs)


def test_all_items_can_be_listed(api: httpx.Client) -> None:
    ids = [item["item_id"] for item in walk(api, "/v1/items", limit=60)]
    assert ids == [item_id(n) for n in range(160)]


def test_an_item_tells_its_facts_with_their_evidence(api: httpx.Client) -> None:
    item = get(api, f"/v1/items/{item_id(5)}")
    assert item["type"] == "Movie"
    assert item["properties"] == {"year": 1965}
    directed = next(f for f in item["facts"] if f["relation"] == "DIRECTED_BY")
    assert directed["name"] == "Director 11"
    assert directed["evidence"] == "directed by Director 11"
    assert directed["source"] == "text"
    assert directed["type"] == "Person"


def test_similar_items_share_the_taste(api: httpx.Client) -> None:
    found = get(api, f"/v1/items/{item_id(8)}/similar", k=5)
    assert len(found["items"]) == 5
    assert sum(int(item["item_id"][1:]) % TASTES == 0 for item in found["items"]) >= 4


@pytest.mark.parametrize(
    "path",
    [
        "/v1/users/nobody",
        "/v1/users/nobody/history",
        f"/v1/users/nobody/recommendations/{item_id(1)}/explanation",
        f"/v1/users/{USER}/recommendations/nothing/explanation",
        "/v1/items/nothing",
        "/v1/items/nothing/similar",
    ],
)
def test_what_is_not_there_is_404_with_the_value(api: httpx.Client, path: str) -> None:
    problem = get(api, path, 404)
    assert problem["type"] == "urn:kgrec:problem:not-found"
    assert problem["value"] in ("nobody", "nothing")
    assert problem["what"]
    assert problem["instance"] == path


@pytest.mark.parametrize(
    ("path", "where"),
    [
        (f"/v1/users/{USER}/recommendations?k=0", "query.k"),
        (f"/v1/users/{USER}/recommendations?k=101", "query.k"),
        (f"/v1/users/{USER}/recommendations?k=many", "query.k"),
        (f"/v1/users/{USER}/recommendations?diversity=2", "query.diversity"),
        ("/v1/users?limit=0", "query.limit"),
        ("/v1/items?limit=1000", "query.limit"),
        (f"/v1/items/{'x' * (MAX_ID + 1)}", "path.item_id"),
        ("/v1/items/a%00b", "path.item_id"),
    ],
)
def test_values_out_of_bounds_are_422_and_say_where(
    api: httpx.Client, path: str, where: str
) -> None:
    problem = get(api, path, 422)
    assert problem["errors"][0]["where"] == where


@pytest.mark.parametrize("position", [["\ud800"], [2**80], [-5], [True]])
@pytest.mark.parametrize("path", ["/v1/users", "/v1/items", "/v1/items?q=fil"])
def test_a_forged_cursor_breaks_nothing(api: httpx.Client, path: str, position: list[Any]) -> None:
    cursor = base64.urlsafe_b64encode(json.dumps(position).encode()).decode()
    assert api.get(path, params={**dict(httpx.URL(path).params), "cursor": cursor}).status_code in (
        200,
        422,
    )


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/v1/users/u", "DELETE, GET"),
        ("/v1/users", "GET"),
        ("/v1/feedback", "POST"),
        ("/v1/users/u/feedback/i", "DELETE"),
        ("/", "GET, HEAD"),
    ],
)
def test_a_method_that_is_not_allowed_is_told_every_one_that_is(
    api: httpx.Client, path: str, methods: str
) -> None:
    answer = api.put(path)
    assert answer.status_code == 405
    assert ", ".join(sorted(answer.headers["allow"].split(", "))) == methods


@pytest.mark.parametrize("kind", ["users", "items"])
def test_an_id_may_hold_slashes(api: httpx.Client, kind: str) -> None:
    for path in ("a%2Fb", f"a%2Fb/{'history' if kind == 'users' else 'similar'}"):
        assert get(api, f"/v1/{kind}/{path}", 404)["value"] == "a/b"


def test_a_long_filter_is_refused(api: httpx.Client) -> None:
    path = f"/v1/users/{USER}/recommendations"
    assert get(api, path, 422, filter=f"genre={'x' * 1_000}")["errors"]
    assert get(api, path, 400, filter=f"genre={'x' * 200}")["remedy"]  # of one condition
    body = {"history": [item_id(2)], "filters": [" " * 5000]}
    assert api.post("/v1/recommendations", json=body).status_code == 422


def test_text_that_is_none_is_shown_as_far_as_it_goes(api: httpx.Client) -> None:
    headers = {"Content-Type": "application/json"}
    for body in (
        b'{"history": ["\\ud800"]}',
        b'{"history": ["a"], "filters": ["genre=\\ud800"]}',
        b'{"history": ["a"], "\\ud800": 1}',
    ):
        assert api.post("/v1/recommendations", content=body, headers=headers).status_code == 422


@pytest.mark.parametrize("cursor", ["abc", "%", "WzFd", "bnVsbA", "Wzk5XQ=="])
def test_a_foreign_cursor_is_422(api: httpx.Client, cursor: str) -> None:
    problem = get(api, "/v1/users", 422, cursor=cursor)
    assert problem["remedy"]


def test_unknown_paths_and_methods_are_problems_too(api: httpx.Client) -> None:
    assert get(api, "/v1/nothing", 404)["title"] == "Not Found"
    answer = api.put("/v1/users")
    assert answer.status_code == 405
    assert answer.headers["content-type"] == "application/problem+json"


def test_the_description_is_complete(api: httpx.Client) -> None:
    described = get(api, "/openapi.json")
    paths = described["paths"]
    assert "/v1/users/{user_id}/recommendations/{item_id}/explanation" in paths
    for path in paths.values():
        for operation in path.values():
            assert operation["description"]
            for status, answer in operation["responses"].items():
                kinds = list(answer.get("content", {}))
                wanted = ["application/problem+json"] if status >= "400" else ["application/json"]
                assert kinds == ([] if status == "204" else wanted)
    feedback = described["components"]["schemas"]["FeedbackRequest"]
    assert feedback["examples"]


def test_the_description_refuses_the_characters_that_the_server_refuses(api: httpx.Client) -> None:
    described = api.get("/openapi.json").json()
    schemas = described["components"]["schemas"]
    found = [
        parameter["schema"]
        for path in described["paths"].values()
        for operation in path.values()
        for parameter in operation.get("parameters", [])
        if parameter["name"] in ("user_id", "item_id")
    ]
    found += [schemas["FeedbackRequest"]["properties"][name] for name in ("user_id", "item_id")]
    found.append(schemas["AnonymousRequest"]["properties"]["history"]["items"])
    assert len(found) >= 8
    for schema in found:
        allowed = re.compile(schema["pattern"]).fullmatch
        for text in ("a", "a/b", "é", "\u2028", "a\x00", "\n", "a\x7fb", "\x85", "\t"):
            path = f"/v1/users/{quote(text, safe='')}"
            assert (api.get(path).status_code == 422) == (allowed(text) is None), repr(text)
