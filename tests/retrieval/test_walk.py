"""The way of a history from request to answer: few modules, each once.

A call counts where it hands the history, as `History`, `Histories`, `Scorer` or `Query`, to a
function of another module. The numerical modules of `kgrec.model` below the scorer (kernel,
coordinator, gate, ranker, reader) are leaves: they read its columns and hand it to nobody, and are
counted as one station.
"""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

import pytest
from planted import Planted, user_id

from kgrec.explain.explainer import Explainer
from kgrec.model.histories import Histories
from kgrec.model.scorer import Scorer
from kgrec.retrieval.history import History
from kgrec.retrieval.query import Query
from kgrec.retrieval.recommender import Recommender

CARRIERS = (History, Histories, Scorer, Query)
MOST = 6


def stations(call: Any) -> list[str]:
    """Return the modules that a history is handed to, in the order in which it first gets there."""
    found: list[str] = []

    def watch(frame: FrameType, event: str, _: Any) -> None:
        module = str(frame.f_globals.get("__name__", ""))
        if event != "call" or not module.startswith("kgrec."):
            return
        code = frame.f_code
        names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        if not any(isinstance(frame.f_locals.get(name), CARRIERS) for name in names):
            return
        station = "kgrec.model" if module.startswith("kgrec.model.") else module
        if station not in found:
            found.append(station)

    sys.setprofile(watch)
    try:
        call()
    finally:
        sys.setprofile(None)
    return found


@pytest.fixture
def warm(live: Planted, recommender: Recommender) -> Recommender:
    """A recommender that has answered before: what is read once is not part of the walk."""
    recommender.recommend(user_id(0), 3, diversity=0.5)
    return recommender


def test_a_list_passes_at_most_six_modules(warm: Recommender) -> None:
    found = stations(lambda: warm.recommend(user_id(1), 5, filters=["genre=Drama"], diversity=0.5))
    assert len(found) <= MOST, found
    assert found[0] == "kgrec.retrieval.history"


def test_an_explanation_passes_at_most_six_modules_of_its_own(warm: Recommender) -> None:
    explainer = Explainer(warm)
    token = warm.recommend(user_id(1), 5).request_id
    item = warm.recommend(user_id(1), 5).items[0].item_id
    found = stations(lambda: explainer.explain(user_id(1), item, token))
    below = {"kgrec.retrieval.history", "kgrec.retrieval.query", "kgrec.model"}
    assert below < set(found)
    assert len(set(found) - below) <= MOST, found


def test_the_history_is_converted_and_read_once(
    warm: Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One `Histories`, one reading by the agents, one look at the live model."""
    counts = {"histories": 0, "scorer": 0, "live": 0, "history": 0}

    def counted(name: str, original: Any) -> Any:
        def call(*args: Any, **options: Any) -> Any:
            counts[name] += 1
            return original(*args, **options)

        return call

    monkeypatch.setattr(Histories, "one", counted("histories", Histories.one))
    monkeypatch.setattr(Scorer, "of", counted("scorer", Scorer.of))
    monkeypatch.setattr(type(warm.live), "serve", counted("live", type(warm.live).serve))
    read = type(warm.store).read

    def reading(store: Any, statement: str, *args: Any, **options: Any) -> Any:
        counts["history"] += statement == "recommend/state"
        return read(store, statement, *args, **options)

    monkeypatch.setattr(type(warm.store), "read", reading)
    found = warm.recommend(user_id(2), 5)
    assert counts == {"histories": 1, "scorer": 1, "live": 1, "history": 1}
    Explainer(warm).explain(user_id(2), found.items[0].item_id, found.request_id)
    assert counts == {"histories": 2, "scorer": 2, "live": 2, "history": 2}
