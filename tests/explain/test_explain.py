"""Explanations from a planted graph: numbers that add up, paths that exist, words that hold."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from planted import TASTES, Planted, item_id, planted, user_id, write_items
from rich.console import Console

from kgrec.cli.explain import render
from kgrec.data.dataset import IntArray
from kgrec.deadline import Deadline, within
from kgrec.errors import NotFoundError, TimeLimitError
from kgrec.explain.explainer import Explainer, ExplainerConfig
from kgrec.explain.records import Explanation
from kgrec.explain.rescoring import Rescoring
from kgrec.graph.store import GraphStore
from kgrec.retrieval.recommender import Recommender


@pytest.fixture(scope="module")
def explainer(recommender: Recommender) -> Explainer:
    return Explainer(recommender)


@pytest.fixture(scope="module")
def explanation(recommender: Recommender, explainer: Explainer) -> Explanation:
    best = recommender.recommend(user_id(2), 1).items[0]
    return explainer.explain(user_id(2), best.item_id)


@pytest.mark.parametrize("number", range(4))
def test_the_score_is_the_recommended_one_and_adds_up(
    recommender: Recommender, explainer: Explainer, number: int
) -> None:
    for item in recommender.recommend(user_id(number), 5).items:
        found = explainer.explain(user_id(number), item.item_id)
        assert (found.rank, found.title) == (item.rank, item.title)
        assert found.score == item.score
        assert found.list_rank == item.rank
        priors = sum(agent.prior for agent in found.agents)
        shares = sum(event.contribution for event in found.history)
        assert shares + priors == pytest.approx(found.score, rel=1e-5)
        by_agent = {agent.agent: agent.history + agent.prior for agent in found.agents}
        assert by_agent == pytest.approx(item.contributions, rel=1e-9)


def test_an_explanation_that_nobody_waits_for_stops(
    recommender: Recommender, explainer: Explainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle of the counterfactual, which asks for no statement of the graph."""
    best = recommender.recommend(user_id(2), 1).items[0]
    deadline = Deadline(60)
    scored: list[int] = []
    score = Rescoring._scores

    def left_meanwhile(
        rescoring: Rescoring, removed: IntArray, **known: Any
    ) -> NDArray[np.float64]:
        deadline.cancel()
        scored.append(len(removed))
        return score(rescoring, removed, **known)

    monkeypatch.setattr(Rescoring, "_scores", left_meanwhile)
    with within(deadline), pytest.raises(TimeLimitError):
        explainer.explain(user_id(2), best.item_id)
    assert len(scored) == 1


def test_paths_are_in_the_graph(live: Planted, explanation: Explanation) -> None:
    assert explanation.paths
    for reason in explanation.paths:
        path = reason.path
        assert path.item.item_id == explanation.item_id
        for fact in (path.history, path.item):
            rows = live.store.query(
                "MATCH (i)-[f]->(e) WHERE i.item_id = $item AND e.entity_id = $entity "
                "AND type(f) = $relation RETURN e.name AS name, f.evidence AS evidence, "
                "f.confidence AS confidence",
                {"item": fact.item_id, "entity": fact.entity_id, "relation": fact.relation},
            ).rows
            assert rows == [
                {"name": fact.entity, "evidence": fact.evidence, "confidence": fact.confidence}
            ]
        assert path.degree >= 2
    contributed = {event.item_id: event.contribution for event in explanation.history}
    ranked = [r.path.weight * contributed[r.item_id] for r in explanation.paths]
    assert ranked == sorted(ranked, reverse=True)


def test_rare_entities_come_first(explanation: Explanation) -> None:
    same = [r.path for r in explanation.paths]
    by_type = {path.item.entity_type: path.weight for path in reversed(same)}
    if {"Person", "Genre"} <= set(by_type):
        assert by_type["Person"] > by_type["Genre"]
    assert "Person" in by_type


def test_words_invent_no_name(live: Planted, explanation: Explanation) -> None:
    known = {f"Film {n:03d}" for n in range(160)}
    known |= {f"Director {taste}{n}" for taste in range(TASTES) for n in range(3)}
    for sentence in [*explanation.words, *(reason.words for reason in explanation.paths)]:
        named = re.findall(r"(?:Film|Director) \d+", sentence)
        assert set(named) <= known
    told = " ".join(explanation.words)
    assert re.search(r"Because you rated Film \d{3} 5: both were directed by Director \d\d\.", told)
    facts = {r.path.item.entity for r in explanation.paths}
    assert set(re.findall(r"Director \d+", told)) <= facts


def test_the_counterfactual_comes_true(empty_store: GraphStore, tmp_path: Path) -> None:
    there = planted(empty_store, tmp_path)
    recommender = Recommender(empty_store, tmp_path)
    explainer = Explainer(recommender, ExplainerConfig(k=2))
    user = user_id(3)
    second = recommender.recommend(user, 2).items[1]
    found = explainer.explain(user, second.item_id).counterfactual
    assert found is not None
    assert found.rank_after > found.k == 2
    removed = [item.item_id for item in found.removed]
    empty_store.query(
        "MATCH (u)-[x]->(i) WHERE u.user_id = $user AND i.item_id IN $items DELETE x",
        {"user": user, "items": removed},
        writing=True,
    )
    now = recommender.recommend(user, 100)
    standing = [item for item in now.items if item.item_id not in removed]
    ids = [item.item_id for item in standing]
    assert ids.index(second.item_id) + 1 == found.rank_after
    score = next(item.score for item in standing if item.item_id == second.item_id)
    assert score == pytest.approx(found.score_after, rel=1e-6)
    assert there.team.items.hash == now.vocabulary_hash


def test_a_deletion_has_the_effect_that_was_told(empty_store: GraphStore, tmp_path: Path) -> None:
    planted(empty_store, tmp_path)
    recommender = Recommender(empty_store, tmp_path)
    explainer = Explainer(recommender)
    best = recommender.recommend(user_id(5), 1).items[0].item_id
    before = explainer.explain(user_id(5), best)
    event = before.history[0]
    empty_store.query(
        "MATCH (u)-[x]->(i) WHERE u.user_id = $user AND i.item_id = $item DELETE x",
        {"user": user_id(5), "item": event.item_id},
        writing=True,
    )
    after = explainer.explain(user_id(5), best)
    assert after.score - before.score == pytest.approx(event.deletion_effect, rel=1e-5)


def test_what_was_met_is_explained_from_the_rest(live: Planted, explainer: Explainer) -> None:
    met = explainer.explain(user_id(0), item_id(100)).history[0].item_id
    found = explainer.explain(user_id(0), met)
    assert found.seen
    assert met not in {event.item_id for event in found.history}


def test_an_empty_history_leaves_the_priors(explainer: Explainer) -> None:
    found = explainer.explain("loner", item_id(0))
    assert found.history == ()
    assert found.counterfactual is None
    assert found.score == pytest.approx(sum(agent.prior for agent in found.agents))


def test_unknown_users_and_items_are_clear_errors(explainer: Explainer) -> None:
    with pytest.raises(NotFoundError, match="no such user"):
        explainer.explain("nobody", item_id(0))
    with pytest.raises(NotFoundError, match="no such item"):
        explainer.explain(user_id(0), "nothing")


def test_an_untrained_item_is_a_clear_error(empty_store: GraphStore, tmp_path: Path) -> None:
    planted(empty_store, tmp_path)
    write_items(empty_store, {"brand new": {"title": "Brand New"}})
    explainer = Explainer(Recommender(empty_store, tmp_path))
    assert explainer.find_item("brand n") == "brand new"
    with pytest.raises(NotFoundError, match="does not know the item"):
        explainer.explain(user_id(0), "brand new")


def test_items_are_found_by_title(explainer: Explainer) -> None:
    assert explainer.find_item(item_id(7)) == item_id(7)
    assert explainer.find_item("film 007") == item_id(7)
    with pytest.raises(NotFoundError, match="several"):
        explainer.find_item("Film 0")
    with pytest.raises(NotFoundError, match="no such item"):
        explainer.find_item("Nothing of the Kind")


def test_rendering_shows_the_sum(explanation: Explanation) -> None:
    text = io.StringIO()
    Console(file=text, width=160).print(render(explanation, num_history=3))
    told = text.getvalue()
    assert f"{explanation.score:+.4f}" in told
    assert explanation.title in told
    assert "9 more items" in told
    assert "DIRECTED_BY" in told


def test_json_goes_round(explanation: Explanation) -> None:
    assert Explanation.model_validate_json(explanation.model_dump_json()) == explanation
