"""What is kept of earlier requests never answers a request that depends on something else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kgrec.explain.explainer import Explainer
from kgrec.model.team import Team
from kgrec.retrieval.context import Context
from kgrec.retrieval.recent import RecentHistories
from kgrec.retrieval.recommender import Recommender
from kgrec.retrieval.records import RecommendationList
from kgrec.retrieval.scored import PackedScores, Scored
from tests.planted import Planted, user_id

_HOUR = 3_600_000
_NOON = 1_700_000_000_000 // _HOUR * _HOUR


@pytest.fixture
def resident(live: Planted) -> Recommender:
    recommender = Recommender(live.store, live.models, resident=True)
    recommender.warm_up()
    return recommender


def plain(found: RecommendationList) -> dict[str, Any]:
    return found.model_dump(exclude={"milliseconds", "request_id", "cursor"})


def test_a_second_request_reads_no_history_again_and_is_the_same(
    live: Planted, resident: Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = Context(time=_NOON)
    read, count = Team.scorer, []

    def counting(team: Team, *args: Any) -> Any:
        count.append(1)
        return read(team, *args)

    first = resident.recommend(user_id(3), 5, context=context)
    monkeypatch.setattr(Team, "scorer", counting)
    again = resident.recommend(
        user_id(3), 5, context=context.model_copy(update={"time": _NOON + 9})
    )
    assert plain(again) == plain(first)
    assert again.request_id != first.request_id
    Explainer(resident).explain(user_id(3), first.items[0].item_id, first.request_id)
    assert not count
    cold = Recommender(live.store, live.models).recommend(user_id(3), 5, context=context)
    assert plain(cold) == plain(first)


def test_what_the_answer_depends_on_is_never_taken_from_another_request(
    live: Planted, resident: Recommender
) -> None:
    fresh = Recommender(live.store, live.models)
    user = user_id(3)
    first = resident.recommend(user, 5, context=Context(time=_NOON))
    shown = [item.item_id for item in first.items]
    requests: list[dict[str, Any]] = [
        {"k": 3},
        {"k": 7},
        {"exclude": shown[:2]},
        {"filters": ["year>=1990"]},
        {"repeats": True},
        {"diversity": 0.5},
        {"novelty": 0.4},
        {},
    ]
    for options in requests:
        given = {"k": 5, "context": Context(time=_NOON), **options}
        expected = plain(fresh.recommend(user, **given))
        for _ in range(2):
            assert plain(resident.recommend(user, **given)) == expected
    page = resident.next_page(str(first.cursor), user)
    assert not {item.item_id for item in page.items} & set(shown)
    assert [item.rank for item in page.items] == [6, 7, 8, 9, 10]
    assert plain(page) == plain(fresh.next_page(str(first.cursor), user))


def test_feedback_and_the_catalogue_are_seen_at_once(live: Planted, resident: Recommender) -> None:
    user = user_id(4)
    first = resident.recommend(user, 5)
    liked = first.items[0].item_id
    written = {"key": "like@1", "kind": "like", "value": 1.0, "device": "", "scenario": ""}
    live.store.write(
        "serving/record_feedback",
        user_id=user,
        item_id=liked,
        at=np.datetime64(_NOON, "ms").astype(object),
        **written,
    )
    second = resident.recommend(user, 5)
    assert liked not in [item.item_id for item in second.items]
    assert second.items[0].score != first.items[1].score
    gone = second.items[0].item_id
    live.store.write("retiring/delete_items", items=[gone])
    assert gone not in [item.item_id for item in resident.recommend(user, 5).items]


def test_a_list_that_nothing_has_changed_is_not_made_again(resident: Recommender) -> None:
    user = user_id(2)
    before, after = (resident.recommend(user, 5).items for _ in range(2))
    assert [id(item) for item in before] == [id(item) for item in after]
    assert all(a is not b for a, b in zip(before, resident.recommend(user, 4).items, strict=False))


def test_no_more_is_kept_than_was_allowed(live: Planted) -> None:
    kept, team = RecentHistories(most=300_000), live.team
    history = Explainer(Recommender(live.store, live.models)).query(user_id(1))[0].history
    for number in range(10):
        key = (str(number), 0, "", ())
        one = kept.of(team, key, lambda: team.scorer(history.histories))
        assert kept.of(team, key, lambda: pytest.fail("it was kept")) is one
    kept.of(team, ("9", 0, "", ()), lambda: pytest.fail("it was kept"))
    read: list[str] = []

    def again() -> Any:
        read.append("again")
        return team.scorer(history.histories)

    kept.of(team, ("1", 0, "", ()), again)
    assert read == ["again"]


@pytest.mark.parametrize("size", [0, 1, 40, 300])
def test_scores_are_packed_without_loss(size: int) -> None:
    rng = np.random.default_rng(size)
    candidates = np.flatnonzero(rng.random(size) < 0.7)
    scores = np.sort(rng.normal(size=len(candidates)))[::-1]
    found = Scored(rng.permutation(candidates), scores, rng.random(len(candidates)) < 0.3)
    packed = PackedScores.of(found, candidates)
    assert packed.is_of(candidates)
    again = packed.scored()
    assert again.identity is found.identity
    for name, dtype in (("rows", np.int64), ("scores", np.float64), ("reordered", np.bool_)):
        assert getattr(again, name).dtype == dtype
        assert np.array_equal(getattr(again, name), getattr(found, name))
    if len(candidates) > 1:
        assert not packed.is_of(candidates[1:])
        other = np.append(candidates[:-1], candidates[-1] + 1)
        assert not packed.is_of(other)
        assert packed.size < 17 * len(candidates)
