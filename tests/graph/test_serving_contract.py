"""What every engine must do alike: export, publish, recommend, explain, store."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from planted import TASTES, exact_top, item_id, planted, user_id, write_interactions, write_items

from kgrec.explain.explainer import Explainer
from kgrec.export.parquet import write_parquet
from kgrec.graph.setup import count_graph
from kgrec.graph.store import GraphStore
from kgrec.model.coordinator import Coordinator
from kgrec.model.storage import save_model, save_team
from kgrec.retrieval.batch import write_recommended
from kgrec.retrieval.filters import parse_filter, passing
from kgrec.retrieval.recommender import Recommender, RecommenderConfig
from kgrec.schema import load_schema
from kgrec.stages.models import prune_models, roll_back
from kgrec.stages.publish import publish, published_models


def test_every_engine_serves_alike(graph: GraphStore, tmp_path: Path) -> None:
    there = planted(graph, tmp_path, users=40, items=240, each=12)
    recommender = Recommender(graph, tmp_path)
    users = [user_id(n) for n in range(40)]
    answers = {user: recommender.recommend(user, 10) for user in users}
    found = [
        len({item.item_id for item in answers[user].items} & set(exact_top(there, user)))
        for user in users
    ]
    assert sum(found) / (10 * len(users)) >= 0.98
    assert answers[users[0]].items[0].reasons
    assert recommender.recommend("nobody", 5).fallback == "unknown_user"
    assert recommender.recommend("loner", 5).fallback == "empty_history"
    filtered = recommender.recommend(users[0], 5, filters=["genre=Western", "year>=1970"])
    assert {int(item.item_id[1:]) % TASTES for item in filtered.items} == {2}
    assert recommender.similar(item_id(3), 5).fallback is None
    explanation = Explainer(recommender).explain(users[0], answers[users[0]].items[0].item_id)
    assert explanation.paths
    assert explanation.score == pytest.approx(answers[users[0]].items[0].score)
    write_items(graph, {"new": {"title": "New"}})
    write_interactions(
        graph, [{"user": "loner", "item": "new", "kind": "view", "value": 1.0, "at": None}]
    )
    assert recommender.similar("new", 5).fallback == "untrained_item"
    assert Explainer(recommender).find_item("New") == "new"
    report = write_recommended(graph, recommender.live.current(), 5)
    assert report.written == 200
    assert count_graph(graph).relations[load_schema().relations.recommended] == 200
    assert write_parquet(graph, tmp_path / "files")["Item"] == 241
    save_team(there.team, tmp_path / "second")
    assert publish(graph, there.team, "second").untrained == 1
    assert publish(graph, there.team, "first").slot == "vector_a"
    assert [model.model_id for model in published_models(graph) if model.live] == ["first"]
    assert recommender.recommend(users[0], 10).items == answers[users[0]].items


def test_both_retrievals_give_the_same_first_items(graph: GraphStore, tmp_path: Path) -> None:
    """Of many more items than the graph is asked for, at the sizes of pages that are requested."""
    planted(graph, tmp_path, users=40, items=1000, each=12)
    memory = Recommender(graph, tmp_path, RecommenderConfig(retrieval="memory", sources=0))
    gathered = Recommender(graph, tmp_path, RecommenderConfig(retrieval="graph", sources=0))
    for k, conditions in ((5, []), (20, []), (10, ["year>=1975"])):
        found, wanted = 0, 0
        for number in range(40):
            exact = memory.recommend(user_id(number), k, filters=conditions)
            near = gathered.recommend(user_id(number), k, filters=conditions)
            scores = {item.item_id: item.score for item in near.items}
            assert near.candidates <= exact.candidates
            assert len(near.items) == k
            for item in exact.items:
                wanted += 1
                if item.item_id in scores:
                    found += 1
                    assert scores[item.item_id] == item.score
        assert found / wanted >= 0.99, (k, conditions)


def test_every_engine_keeps_the_model_before(graph: GraphStore, tmp_path: Path) -> None:
    there = planted(graph, tmp_path, users=8, items=40, each=6)
    ids = []
    for share in (0.2, 0.4, 0.6):
        team = replace(there.team, coordinator=Coordinator([share, 1 - share]))
        ids.append(save_model(team, tmp_path).model_id)
        done = publish(graph, team, ids[-1])
    assert done.removed == done.suggestions  # those of the first of the three
    back = roll_back(graph, tmp_path)
    assert (back.model_id, back.instant) == (ids[1], True)
    known = {model.model_id: model for model in published_models(graph)}
    assert [(known[i].live, known[i].ready, known[i].suggests) for i in ids] == [
        (False, False, False),
        (True, True, True),
        (False, True, True),
    ]
    assert set(prune_models(graph, tmp_path, 0).removed) == {"first", ids[0]}
    assert {model.model_id for model in published_models(graph)} == set(ids[1:])
    found = passing(graph, [parse_filter("year>=1970.5", "movies")])
    assert found is not None
    assert len(found) == 29
