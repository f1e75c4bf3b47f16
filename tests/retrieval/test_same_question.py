"""A score is one number, to the last bit: in a list, an explanation, a batch, the CLI, the API."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from planted import Planted, item_id, plant, train, user_id

from kgrec.cli import main
from kgrec.config import Settings
from kgrec.errors import ConfigError
from kgrec.explain.explainer import Explainer
from kgrec.graph.store import GraphStore
from kgrec.learning.blending.listwise import ratings_of
from kgrec.model.ranker import Ranker
from kgrec.model.storage import save_team
from kgrec.model.team import Team
from kgrec.retrieval import history as history_module
from kgrec.retrieval.batch import recommend_all
from kgrec.retrieval.recommender import Recommender, RecommenderConfig
from kgrec.retrieval.request_id import RequestId
from kgrec.serving.app import create_app
from kgrec.stages.publish import publish

DRAWS = 12
MODEL = "asked"
LOCAL = ("127.0.0.1", 50_000)


@pytest.fixture(scope="module")
def asked(store: GraphStore, home: Path) -> Planted:
    """A planted graph with a live team whose ranker reorders the best 20."""
    plant(store)
    dataset, team = train(store)
    team = replace(team, ranker=ranker_of(team, ratings_of(dataset.interactions, len(team.items))))
    save_team(team, home / "models" / MODEL)
    publish(store, team, MODEL)
    return Planted(store, dataset, team, home / "models", MODEL)


def ranker_of(team: Team, ratings: Any) -> Ranker:
    popularity = np.linspace(1.0, -1.0, len(team.items)).astype(np.float32)
    return Ranker(
        attention_weights=np.ones(2),
        value_weights=np.array([0.5, 0.2]),
        popularity_weights=np.array([0.0, -0.5]),
        recency=0.01,
        liking=0.1,
        popularity=popularity,
        prior=-0.5 * popularity,
        ratings=replace(ratings, trust=0.5, weight=0.2),
        top=20,
    )


@pytest.fixture(scope="module")
def api(asked: Planted, settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(settings), base_url="http://127.0.0.1", client=LOCAL) as client:
        yield client


@pytest.fixture
def run(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    monkeypatch.delenv("KGREC_GRAPH_URI", raising=False)
    monkeypatch.setenv("KGREC_HOME", str(home))

    def call(*args: str, code: int = 0) -> str:
        with pytest.raises(SystemExit) as left:
            main(args)
        captured = capsys.readouterr()
        assert int(left.value.code or 0) == code, captured.err
        return captured.out

    return call


def draws() -> list[tuple[str, dict[str, Any]]]:
    """Draw users with filters, k and diversity."""
    rng = np.random.default_rng(5)
    filters: list[tuple[str, ...]] = [
        (),
        ("genre=Western",),
        ("genre=Drama|Comedy", "year>=1970"),
        ("year=1965..1990",),
    ]
    return [
        (
            user_id(int(rng.integers(60))),
            {
                "k": int(rng.integers(1, 30)),
                "filters": filters[n % 4],
                "diversity": float(rng.choice([0.0, 0.0, 0.3, 0.8])),
            },
        )
        for n in range(DRAWS)
    ]


def test_every_way_to_ask_gives_the_same_bits(asked: Planted, api: TestClient, run: Any) -> None:
    recommender = Recommender(asked.store, asked.models)
    explainer = Explainer(recommender)
    for user, knobs in draws():
        found = recommender.recommend(user, **knobs)
        expected = [(item.item_id, item.score) for item in found.items]
        assert expected
        assert sum(found.shares.values()) == pytest.approx(1.0)
        query = {"k": knobs["k"], "filter": knobs["filters"], "diversity": knobs["diversity"]}
        answer = api.get(f"/v1/users/{user}/recommendations", params=query).json()
        assert [(i["item_id"], i["score"]) for i in answer["items"]] == expected
        options = [*(f"--filter={each}" for each in knobs["filters"]), "-k", str(knobs["k"])]
        options += ["--diversity", str(knobs["diversity"]), "--json"]
        printed = json.loads(run("recommend", user, *options))
        assert [(i["item_id"], i["score"]) for i in printed["items"]] == expected
        every = recommend_all(asked.store, recommender.live.current(), **knobs)
        mine = next(top for top in every if top.user_id == user)
        batch = zip(asked.team.items.take(mine.rows), mine.scores.tolist(), strict=True)
        assert list(batch) == expected
        for rank in sorted({1, len(found.items)}):
            item = found.items[rank - 1]
            for token in (found.request_id, mine.request_id):
                why = explainer.explain(user, item.item_id, token)
                assert (why.score, why.list_rank, why.moves) == (item.score, rank, item.moves)
                assert why.changed == ()
                assert why.candidates == found.candidates
                parts = sum(each.contribution for each in why.history)
                parts += sum(agent.prior for agent in why.agents)
                assert parts == pytest.approx(why.score, abs=1e-5)
                assert sum(abs(a.signed_share) for a in why.agents) == pytest.approx(1.0)
            path = f"/v1/users/{user}/recommendations/{item.item_id}/explanation"
            served = api.get(path, params={"request_id": answer["request_id"]}).json()
            assert (served["score"], served["list_rank"]) == (item.score, rank)
        said = run("explain", user, item.item_id, "--request-id", printed["request_id"], "--json")
        assert json.loads(said)["score"] == item.score


def test_a_filtered_list_is_not_explained_by_the_default_one(asked: Planted) -> None:
    """The ranker reads the best of the filtered candidates: others than without a filter."""
    recommender = Recommender(asked.store, asked.models)
    explainer = Explainer(recommender)
    found = recommender.recommend(user_id(1), 20, filters=["genre=Western"])
    plain = [explainer.explain(user_id(1), item.item_id).score for item in found.items]
    assert plain != [item.score for item in found.items]


def test_memory_and_graph_agree_on_what_both_find(asked: Planted) -> None:
    graph = Recommender(asked.store, asked.models, RecommenderConfig(retrieval="graph"))
    memory = Recommender(asked.store, asked.models, RecommenderConfig(retrieval="memory"))
    for user in (user_id(0), user_id(7)):
        for filters in ((), ("genre=Drama",)):
            one = graph.recommend(user, 10, filters=filters)
            two = memory.recommend(user, 10, filters=filters)
            assert [(i.item_id, i.score) for i in one.items] == [
                (i.item_id, i.score) for i in two.items
            ]


def test_what_has_changed_since_is_named(asked: Planted, monkeypatch: pytest.MonkeyPatch) -> None:
    recommender = Recommender(asked.store, asked.models)
    explainer, user = Explainer(recommender), user_id(9)
    found = recommender.recommend(user, 5)
    item = found.items[0]
    later = RequestId.decode(found.request_id).query_time + 7_200_000
    asked.store.query(
        "MATCH (u:User {user_id: $user}) MATCH (i:Item {item_id: $item}) CREATE (u)-[:INTERACTED "
        "{key: 'late', kind: 'rating', value: 5.0, at: datetime({epochMillis: $at})}]->(i)",
        {"user": user, "item": found.items[1].item_id, "at": later},
        writing=True,
    )
    why = explainer.explain(user, item.item_id, found.request_id)
    assert (why.score, why.list_rank) == (item.score, 1)
    assert [change.what for change in why.changed] == ["history"]
    assert f"since then you rated {found.items[1].title} 5" in why.changed[0].detail
    assert any("Changed since the list was made" in sentence for sentence in why.words)
    # Asked two hours later, without the token: another history and another hour.
    monkeypatch.setattr(history_module, "current_time", lambda: later + 1)
    assert explainer.explain(user, item.item_id).score != item.score
    asked.store.query(
        "MATCH (u:User {user_id: $user})-[x:INTERACTED]->(:Item) WHERE x.key <> 'late' "
        "WITH x LIMIT 1 DELETE x",
        {"user": user},
        writing=True,
    )
    gone = explainer.explain(user, item.item_id, found.request_id)
    assert any("the history before it is another" in change.detail for change in gone.changed)


def test_an_older_model_explains_its_own_list(asked: Planted) -> None:
    recommender = Recommender(asked.store, asked.models)
    explainer, user = Explainer(recommender), user_id(3)
    found = recommender.recommend(user, 5)
    other = replace(asked.team, ranker=None)
    save_team(other, asked.models / "newer")
    publish(asked.store, other, "newer")
    try:
        why = explainer.explain(user, found.items[0].item_id, found.request_id)
        assert (why.model_id, why.score) == (found.model_id, found.items[0].score)
        assert [change.what for change in why.changed] == ["model"]
        token = replace(RequestId.decode(found.request_id), model_id="gone").encode()
        late = explainer.explain(user, found.items[0].item_id, token)
        assert late.model_id != found.model_id
        assert "which is gone" in late.changed[0].detail
        token = replace(RequestId.decode(found.request_id), model_id="../elsewhere").encode()
        assert "which is gone" in explainer.explain(user, item_id(0), token).changed[0].detail
    finally:
        publish(asked.store, asked.team, MODEL)


def test_a_history_without_a_name_is_explained(asked: Planted, api: TestClient, run: Any) -> None:
    ids = [item_id(n) for n in (2, 6, 10)]
    body: dict[str, Any] = {"history": ids, "k": 4, "filters": ["genre=Western"]}
    found = api.post("/v1/recommendations", json=body).json()
    item = found["items"][0]
    request = {"history": ids, "item_id": item["item_id"], "request_id": found["request_id"]}
    why = api.post("/v1/explanations", json=request).json()
    assert (why["score"], why["list_rank"], why["changed"]) == (item["score"], 1, [])
    options = ("--of", ",".join(ids), "--request-id", found["request_id"], "--json")
    assert json.loads(run("explain", item["item_id"], *options))["score"] == item["score"]
    other = api.post("/v1/explanations", json={**request, "history": ids[:2]}).json()
    assert [change["what"] for change in other["changed"]] == ["history"]


def test_tokens_that_do_not_fit_are_refused(asked: Planted, api: TestClient, run: Any) -> None:
    recommender = Recommender(asked.store, asked.models)
    token = recommender.recommend(user_id(1), 3).request_id
    assert user_id(1) not in token
    broken = token[:-3] + ("AAA" if token[-3:] != "AAA" else "BBB")
    path = f"/v1/users/{user_id(1)}/recommendations/{item_id(0)}/explanation"
    for wrong in (broken, "nonsense", "é", token[:20]):
        assert api.get(path, params={"request_id": wrong}).status_code == 400
    elsewhere = path.replace(user_id(1), user_id(2))
    assert api.get(elsewhere, params={"request_id": token}).status_code == 400
    assert "for somebody else" in api.get(elsewhere, params={"request_id": token}).text
    body = {"history": [item_id(1)], "item_id": item_id(0), "request_id": token}
    assert api.post("/v1/explanations", json=body).status_code == 400
    run("explain", user_id(1), item_id(0), "--request-id", broken, code=2)


def test_a_token_of_another_version_says_so() -> None:
    text = b'{"v":0}'
    data = hashlib.sha256(text).digest()[:6] + text
    with pytest.raises(ConfigError, match="another version"):
        RequestId.decode(base64.urlsafe_b64encode(data).decode().rstrip("="))
