"""Recommendation from a planted graph: what is found, what is not shown, and what is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from planted import (
    GENRES,
    TASTES,
    Planted,
    exact_top,
    history_of,
    item_id,
    plant,
    planted,
    train,
    user_id,
    write_facts,
    write_interactions,
    write_items,
)

from kgrec.errors import ConfigError, ModelError, NotFoundError
from kgrec.graph.store import GraphStore
from kgrec.model.coordinator import Coordinator
from kgrec.model.storage import save_team
from kgrec.retrieval.candidates import CandidateConfig
from kgrec.retrieval.filters import parse_filter
from kgrec.retrieval.recommender import Recommender, RecommenderConfig
from kgrec.stages.publish import publish

USERS = [user_id(n) for n in range(60)]


def test_retrieval_finds_the_exact_best(empty_store: GraphStore, tmp_path: Path) -> None:
    there = planted(empty_store, tmp_path, users=40, items=1000, each=20)
    config = RecommenderConfig(retrieval="graph")
    recommender = Recommender(empty_store, tmp_path, config)
    whole = Recommender(empty_store, tmp_path)
    found = 0
    for user in USERS[:40]:
        answer = recommender.recommend(user, 10)
        assert answer.candidates < 700
        best = exact_top(there, user)
        found += len({item.item_id for item in answer.items} & set(best))
        assert [item.item_id for item in whole.recommend(user, 10).items] == best
    assert found / 400 >= 0.98


def test_a_long_history_is_left_out_all_the_same(live: Planted, recommender: Recommender) -> None:
    for retrieval in ("graph", "memory"):
        config = RecommenderConfig(retrieval=retrieval, candidates=CandidateConfig(seen=3))
        long = Recommender(live.store, live.models, config)
        for user in USERS[:5]:
            assert long.recommend(user, 10).items == recommender.recommend(user, 10).items


def test_planted_tastes_are_recommended(live: Planted, recommender: Recommender) -> None:
    shown = [
        (int(item.item_id[1:]) % TASTES) == number % TASTES
        for number in range(20)
        for item in recommender.recommend(user_id(number), 5).items
    ]
    assert np.mean(shown) > 0.8


def test_scores_are_those_of_the_team_and_sum(live: Planted, recommender: Recommender) -> None:
    answer = recommender.recommend(user_id(3), 10)
    assert [item.rank for item in answer.items] == list(range(1, 11))
    assert [item.score for item in answer.items] == sorted(
        (item.score for item in answer.items), reverse=True
    )
    for item in answer.items:
        assert sum(item.contributions.values()) == pytest.approx(item.score, rel=1e-9)
    assert answer.model_id == live.model_id
    assert answer.vocabulary_hash == live.team.items.hash
    assert answer.fallback is None
    assert answer.candidates >= 10
    assert answer.milliseconds > 0


def test_nothing_seen_is_shown(live: Planted, recommender: Recommender) -> None:
    for user in USERS[:10]:
        shown = {item.item_id for item in recommender.recommend(user, 100).items}
        assert not shown & history_of(live, user).seen_ids


def test_reasons_name_what_is_in_the_graph(recommender: Recommender) -> None:
    items = recommender.recommend(user_id(1), 5).items
    assert all(item.reasons[0].words.startswith("you rated Film ") for item in items)
    assert any("both were directed by Director" in item.reasons[0].words for item in items)


def test_unknown_user_gets_popular_items(live: Planted, recommender: Recommender) -> None:
    answer = recommender.recommend("nobody", 5)
    assert answer.fallback == "unknown_user"
    assert len(answer.items) == 5
    counts = [item.score for item in answer.items]
    assert counts == sorted(counts, reverse=True)
    assert answer.items[0].reasons[0].words == f"popular: {counts[0]:.0f} interactions"


def test_empty_history_is_marked_and_what_was_disliked_not_shown(recommender: Recommender) -> None:
    loner, grump = recommender.recommend("loner", 50), recommender.recommend("grump", 100)
    assert loner.fallback == grump.fallback == "empty_history"
    assert item_id(0) in {item.item_id for item in loner.items}
    assert not {item.item_id for item in grump.items} & {item_id(n) for n in range(6)}


def test_filters_are_exact(live: Planted, recommender: Recommender) -> None:
    user = user_id(0)
    westerns = recommender.recommend(user, 200, filters=["genre=western"])
    assert westerns.items
    assert all(int(item.item_id[1:]) % TASTES == 2 for item in westerns.items)
    ranked = [i for i in exact_top(live, user, 160) if int(i[1:]) % TASTES == 2]
    assert [item.item_id for item in westerns.items][:5] == ranked[:5]
    assert westerns.filtered > 0
    both = recommender.recommend(user, 200, filters=["genre=Western|Drama", "year=1970..1979"])
    assert both.items
    assert all(1970 <= 1960 + int(item.item_id[1:]) % 40 <= 1979 for item in both.items)
    assert {int(item.item_id[1:]) % TASTES for item in both.items} <= {0, 2}
    assert not recommender.recommend(user, 5, filters=["genre=Nothing"]).items
    unseen = live.dataset.num_items - len(history_of(live, user).seen_ids)
    assert (both.filtered, both.candidates) == (unseen - len(both.items), len(both.items))
    everything = recommender.recommend(user_id(2), 5, filters=["year>=0"])
    assert everything.filtered == 0
    popular = recommender.recommend("nobody", 5, filters=["genre=Musical"])
    assert all(int(item.item_id[1:]) % TASTES == 3 for item in popular.items)


@pytest.mark.parametrize(
    "text",
    [
        *("", "genre", "=Comedy", " =x", "genre= ", "colour=red", "year=soon", "genre>=Comedy"),
        *("genre=" + "x" * 200, "a" + " " * 50_000, " " * 190 + "<"),
    ],
    ids=lambda text: text[:20].strip() or "blank",
)
def test_a_filter_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_filter(text, "movies")


def test_filters_are_read() -> None:
    assert parse_filter("year>=1990", "movies").least == 1990
    assert parse_filter("year=1990", "movies").most == 1990
    assert parse_filter("person=Tom Hanks", "movies").entities == ("Person:tom hanks",)
    assert "DIRECTED_BY" in parse_filter("Person=x", "movies").relations
    assert parse_filter("  year \n>=  1990 ", "movies").least == 1990
    assert parse_filter("DIRECTED_BY=x").relations == ("DIRECTED_BY",)


def test_diversity_moves_and_says_so(live: Planted, recommender: Recommender) -> None:
    plain = recommender.recommend(user_id(2), 10)
    varied = recommender.recommend(user_id(2), 10, diversity=0.7)
    assert not any(item.moves for item in plain.items)
    moved = [item for item in varied.items if item.moves]
    assert moved
    assert varied.items[0].item_id == plain.items[0].item_id
    assert all(move.to_rank == item.rank for item in moved for move in item.moves)
    ranks = {item.item_id: item.rank for item in plain.items}
    for item in moved:
        if item.item_id in ranks:
            assert item.moves[0].from_rank == ranks[item.item_id]
    genres = [len({int(i.item_id[1:]) % TASTES for i in found.items}) for found in (plain, varied)]
    assert genres[1] >= genres[0]


@pytest.mark.parametrize("wrong", [{"k": 0}, {"diversity": 2.0}, {"diversity": float("nan")}])
def test_numbers_of_no_use_are_refused(recommender: Recommender, wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        recommender.recommend(user_id(0), **wrong)  # type: ignore[arg-type]


def test_similar_items_share_the_taste(recommender: Recommender) -> None:
    answer = recommender.similar(item_id(5), 5)
    assert item_id(5) not in {item.item_id for item in answer.items}
    assert np.mean([int(item.item_id[1:]) % TASTES == 1 for item in answer.items]) >= 0.8
    with pytest.raises(NotFoundError, match="no such item"):
        recommender.similar("nothing")


def test_anonymous_history(recommender: Recommender) -> None:
    met = [item_id(n) for n in (2, 6, 10)]
    answer = recommender.recommend_for([*met, "unheard of"], 5)
    assert answer.user_id is None
    assert answer.history == 3
    assert not {item.item_id for item in answer.items} & set(met)
    assert recommender.recommend_for([], 3).fallback == "empty_history"
    assert recommender.recommend_for(["unheard of"], 3).fallback == "empty_history"


def test_no_live_model_is_a_clear_error(empty_store: GraphStore, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model is live"):
        Recommender(empty_store, tmp_path).recommend("anybody")


def test_a_model_that_is_elsewhere_is_a_clear_error(
    empty_store: GraphStore, tmp_path: Path
) -> None:
    planted(empty_store, tmp_path)
    with pytest.raises(ModelError, match="not on this machine"):
        Recommender(empty_store, tmp_path / "other").recommend("anybody")


def test_items_after_the_training_neither_break_nor_appear(
    empty_store: GraphStore, tmp_path: Path
) -> None:
    there = planted(empty_store, tmp_path)
    recommender = Recommender(empty_store, tmp_path)
    before = recommender.recommend(user_id(0), 20)
    write_items(empty_store, {"brand new": {"title": "Brand New"}})
    drama = f"Genre:{GENRES[0].lower()}"
    fact = {"item": "brand new", "entity": drama, "known": {"confidence": 1.0}}
    write_facts(empty_store, "HAS_GENRE", [fact])
    liked = {"user": user_id(0), "item": "brand new", "kind": "like", "value": 1.0, "at": None}
    write_interactions(empty_store, [liked])
    after = recommender.recommend(user_id(0), 20)
    # The weight of a path is another, since one more item shares the genre.
    assert [(i.item_id, i.score, i.contributions) for i in after.items] == [
        (i.item_id, i.score, i.contributions) for i in before.items
    ]
    assert after.vocabulary_hash == there.team.items.hash
    fallback = recommender.similar("brand new", 5)
    assert fallback.fallback == "untrained_item"
    assert all(int(item.item_id[1:]) % TASTES == 0 for item in fallback.items)
    assert recommender.recommend_for(["brand new"], 3).fallback == "empty_history"


def test_a_click_of_a_second_ago_counts(empty_store: GraphStore, tmp_path: Path) -> None:
    planted(empty_store, tmp_path)
    recommender = Recommender(empty_store, tmp_path)
    assert recommender.recommend("loner", 5).fallback == "empty_history"
    click = {"user": "loner", "item": item_id(3), "kind": "click", "value": 1.0, "at": None}
    write_interactions(empty_store, [click])
    answer = recommender.recommend("loner", 5)
    assert answer.fallback is None
    assert answer.items[0].reasons[0].words.startswith("you looked at Film 003")


def test_the_live_model_is_exchanged_when_it_changes(
    empty_store: GraphStore, tmp_path: Path
) -> None:
    there = planted(empty_store, tmp_path)
    recommender = Recommender(empty_store, tmp_path)
    assert recommender.recommend(user_id(0), 3).model_id == "first"
    loaded = recommender.live.current()
    assert recommender.live.current() is loaded
    other = replace(there.team, coordinator=Coordinator([1.0, 0.0]))
    save_team(other, tmp_path / "second")
    publish(empty_store, other, "second")
    answer = recommender.recommend(user_id(0), 3)
    assert answer.model_id == "second"
    assert set(answer.items[0].contributions) == {"linear", "collaborative"}
    assert answer.items[0].contributions["collaborative"] == 0.0


def test_a_team_of_sparse_rows_alone_recommends(empty_store: GraphStore, tmp_path: Path) -> None:
    plant(empty_store)
    _, team = train(empty_store, factors=False)
    save_team(team, tmp_path / "sparse")
    publish(empty_store, team, "sparse", suggests_per_item=50)
    recommender = Recommender(empty_store, tmp_path, RecommenderConfig(retrieval="graph"))
    there = Planted(empty_store, train(empty_store)[0], team, tmp_path, "sparse")
    found = [
        len(
            {i.item_id for i in recommender.recommend(user, 10).items} & set(exact_top(there, user))
        )
        for user in USERS[:20]
    ]
    assert sum(found) / 200 >= 0.98
