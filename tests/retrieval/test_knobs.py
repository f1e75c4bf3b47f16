"""Knobs: what each does to a list, that each move is on record, and pages that do not repeat."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from planted import TASTES, Planted, user_id

from kgrec.errors import ConfigError
from kgrec.explain.explainer import Explainer
from kgrec.retrieval.calibration import calibrate
from kgrec.retrieval.knobs import MAX_EXCLUDED, Knobs
from kgrec.retrieval.recommender import Recommender, RecommenderConfig
from kgrec.retrieval.records import RecommendationList
from kgrec.retrieval.request_id import RequestId
from kgrec.retrieval.reranking import RERANKERS

USER = user_id(2)
SETTINGS: list[dict[str, Any]] = [
    {"novelty": 0.6},
    {"diversity": 0.6, "diversity_by": "facts"},
    {"diversity": 0.6, "diversity_by": "text"},
    {"calibration": 0.9, "calibrate_by": "genre"},
    {"quota": ["director:1"]},
    {"quota": ["genre=Western:2"], "floor": ["genre=Musical:3", "year<1970:2"]},
    {"floor": ["genre=Comedy or genre=Musical:4"], "novelty": 0.2},
    {"exclude": ["p0002", "p0006"], "repeats": True},
    {"novelty": 0.3, "diversity": 0.3, "calibration": 0.3, "calibrate_by": "genre"},
]


@pytest.fixture(scope="module")
def resident(live: Planted) -> Recommender:
    found = Recommender(live.store, live.models, resident=True)
    found.warm_up()
    return found


def ids(found: RecommendationList) -> list[str]:
    return [item.item_id for item in found.items]


def taste(item: str) -> int:
    return int(item[1:]) % TASTES


def director(item: str) -> tuple[int, int]:
    return taste(item), int(item[1:]) // TASTES % 3


@pytest.mark.parametrize("knobs", SETTINGS, ids=str)
def test_pages_do_not_repeat_and_explanations_restore_them(
    recommender: Recommender, resident: Recommender, knobs: dict[str, Any]
) -> None:
    explainer = Explainer(resident)
    page, shown = resident.recommend(USER, 7, **knobs), []
    assert ids(page) == ids(recommender.recommend(USER, 7, **knobs))  # by memory and by graph
    while True:
        assert [item.rank for item in page.items] == list(
            range(len(shown) + 1, len(shown) + len(page.items) + 1)
        )
        for item in page.items:
            assert not item.moves or item.moves[-1].to_rank == item.rank
            assert {move.rule for move in item.moves} <= set(RERANKERS) & set(knobs)
            assert all(move.why for move in item.moves)
        if page.items and len(shown) in (0, 7, 77):
            item = page.items[-1]
            why = explainer.explain(USER, item.item_id, page.request_id)
            assert (why.score, why.list_rank, why.moves) == (item.score, item.rank, item.moves)
            assert not why.changed
        shown += ids(page)
        if page.cursor is None:
            break
        page = resident.next_page(page.cursor, USER)
    assert len(shown) == len(set(shown))
    if "quota" not in knobs:  # else the list ends where only items over a quota are left
        assert len(shown) == page.candidates


def test_a_page_has_no_more_of_a_group_than_the_quota(recommender: Recommender) -> None:
    found = recommender.recommend(USER, 10, quota=["director:1"])
    assert max(Counter(map(director, ids(found))).values()) == 1
    plain = recommender.recommend(USER, 10)
    assert max(Counter(map(director, ids(plain))).values()) > 1
    assert len(found.items) == 10
    few = recommender.recommend(USER, 20, quota=["genre=Western:2", "genre:5"])
    assert Counter(map(taste, ids(few))) == {0: 5, 1: 5, 2: 2, 3: 5}
    assert few.cursor is None


def test_a_page_has_as_many_of_a_group_as_the_floor(recommender: Recommender) -> None:
    found = recommender.recommend(USER, 10, floor=["genre=Musical:4", "genre=Comedy:1"])
    tastes = Counter(map(taste, ids(found)))
    assert tastes[3] >= 4
    assert tastes[1] >= 1
    plain = ids(recommender.recommend(USER, 10))
    kept = [item for item in plain if item in ids(found)]
    assert ids(found)[: len(kept)] == kept  # the others come below them, which are those of before
    gone = [item for item in plain if item not in kept]
    assert gone == [item for item in plain if taste(item) not in (1, 3)][-len(gone) :]
    raised = [item for item in found.items if item.item_id not in plain]
    assert raised
    assert all(move.why.startswith("at least genre=") for i in raised for move in i.moves)
    both = recommender.recommend(USER, 10, floor=["genre=Musical:9"], quota=["genre:3"])
    assert Counter(map(taste, ids(both)))[3] == 3  # the quota is kept


def test_novelty_prefers_what_few_have(live: Planted, recommender: Recommender) -> None:
    counts = np.asarray(live.dataset.matrix().sum(axis=0)).ravel()
    rows = live.team.items.rows

    def mean(novelty: float) -> float:
        return float(counts[rows(ids(recommender.recommend(USER, 10, novelty=novelty)))].mean())

    assert mean(0.0) > mean(0.5) > mean(1.0)


def test_calibration_brings_the_mix_of_the_history(live: Planted, recommender: Recommender) -> None:
    def distance(calibration: float) -> float:
        found = 0.0
        for number in range(12):
            user = user_id(number)
            history = [e.item_id for e in recommender.state(user).interactions or ()]
            knobs: dict[str, Any] = {"calibration": calibration, "calibrate_by": "genre"}
            mine = Counter(map(taste, history))
            shown = Counter(map(taste, ids(recommender.recommend(user, 10, **knobs))))
            found += sum(abs(mine[t] / len(history) - shown[t] / 10) for t in range(TASTES))
        return found

    assert distance(0.0) > 1.5 * distance(0.9)


def test_calibration_by_hand() -> None:
    """Two kinds, half and half: the best of the second kind comes before the next of the first."""
    kinds = sp.csr_matrix(np.array([[1.0, 0], [1, 0], [0, 1], [0, 0]]))
    known = np.array([True, True, True, False])
    scores, p = np.array([1.0, 0.9, 0.5, 0.4]), np.array([0.5, 0.5])
    assert calibrate(scores, kinds, known, p, calibration=0.0) == [0, 1, 2, 3]
    assert calibrate(scores, kinds, known, p, calibration=0.9)[:2] == [0, 2]


def test_what_is_excluded_is_left_out_and_repeats_come_back(recommender: Recommender) -> None:
    plain = recommender.recommend(USER, 5)
    without = recommender.recommend(USER, 4, exclude=[plain.items[0].item_id, "nothing"])
    assert ids(without) == ids(plain)[1:]
    assert without.filtered == 1
    history = {event.item_id for event in recommender.state(USER).interactions or ()}
    again = recommender.recommend(USER, 100, repeats=True)
    assert history <= set(ids(recommender.recommend(USER, 160, repeats=True)))
    repeated = next(item for item in again.items if item.item_id in history)
    why = Explainer(recommender).explain(USER, repeated.item_id, again.request_id)
    assert (why.score, why.list_rank) == (repeated.score, repeated.rank)
    disliked = {event.item_id for event in recommender.state("grump").interactions or ()}
    assert not disliked & set(ids(recommender.recommend("grump", 200, repeats=True)))


def test_fallbacks_have_pages_too(recommender: Recommender) -> None:
    first = recommender.recommend("nobody", 6, exclude=["p0001"])
    second = recommender.next_page(first.cursor or "", "nobody")
    whole = recommender.recommend("nobody", 12, exclude=["p0001"])
    assert ids(first) + ids(second) == ids(whole)
    assert [item.rank for item in second.items] == list(range(7, 13))


def test_a_history_without_a_name_has_pages(live: Planted) -> None:
    config = RecommenderConfig(retrieval="graph")
    for settings in (None, config):
        recommender = Recommender(live.store, live.models, settings)
        history = ["p0003", "p0007", "p0011"]
        first = recommender.recommend_for(history, 5, diversity=0.3)
        second = recommender.next_page(first.cursor or "", visitor=history)
        assert len({*ids(first), *ids(second)}) == 10
        with pytest.raises(ConfigError, match="somebody else"):
            recommender.next_page(first.cursor or "", USER)


@pytest.mark.parametrize(
    "wrong",
    [
        {"novelty": 1.5},
        {"calibration": 0.5},
        {"calibration": 0.5, "calibrate_by": "colour"},
        {"diversity_by": "luck"},
        {"quota": ["director"]},
        {"quota": ["director:0"]},
        {"quota": ["colour:1"]},
        {"floor": ["director:1"]},
        {"floor": ["genre=a:1"] * 1 + [f"genre={n}:1" for n in range(20)]},
        {"exclude": [str(n) for n in range(MAX_EXCLUDED + 1)]},
        {"exclude": ["x" * 500] * 1 + ["y" * 4_500]},
    ],
    ids=lambda wrong: str(wrong)[:40],
)
def test_knobs_that_make_no_sense_are_refused(
    recommender: Recommender, wrong: dict[str, Any]
) -> None:
    with pytest.raises(ConfigError):
        recommender.recommend(USER, 5, **wrong)
    with pytest.raises(ConfigError):
        recommender.recommend("nobody", 5, **wrong)


def test_tokens_of_before_are_read(recommender: Recommender) -> None:
    """A token holds a knob only where it is set, so one of before is as one of now without any."""
    token = RequestId.decode(recommender.recommend(USER, 5, novelty=0.5).request_id)
    assert Knobs.restored(token) == Knobs(k=5, novelty=0.5)
    assert Knobs.restored(RequestId.decode(recommender.recommend(USER, 5).request_id)) == Knobs(k=5)
